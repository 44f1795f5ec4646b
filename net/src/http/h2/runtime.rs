//! This runtime's tasks and timers, as hyper asks for them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use heist_runtime::Handle;
use heist_runtime::time::{Instant as Now, Timer};
use hyper::rt::{Executor, Sleep};
use sync_wrapper::SyncWrapper;

/// Spawns what belongs to a connection.
#[derive(Debug, Clone)]
pub(super) struct Tasks(pub(super) Handle);

/// Makes timers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock;

struct Sleeping(SyncWrapper<Timer>);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn(future));
    }
}

impl hyper::rt::Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        // Whoever sleeps for longer than the clock goes will not miss the rest.
        let far = Duration::from_secs(1 << 30);
        let at = Now::now() + duration.min(far);
        Box::pin(Sleeping(SyncWrapper::new(Timer::new(at))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(self.0.get_mut()).poll(cx)
    }
}

impl Sleep for Sleeping {}
