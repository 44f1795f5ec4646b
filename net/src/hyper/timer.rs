//! Time, as hyper asks for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::hyper::rt::{Sleep, Timer};
use heist_runtime::time::{Instant as Now, Timer as OurTimer};
use sync_wrapper::SyncWrapper;

/// Makes timers on the runtime's clock, also on one that a test has paused (hyper-util: `TokioTimer`).
///
/// A timer is in the wheel of the worker that polls it; one that is not polled costs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeistTimer {
    _private: (),
}

struct Sleeping(SyncWrapper<OurTimer>);

impl HeistTimer {
    /// The timer.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

fn after(duration: Duration) -> OurTimer {
    OurTimer::new(Now::now().saturating_add(duration))
}

impl Timer for HeistTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Sleeping(SyncWrapper::new(after(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        Now::now().into_std()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleeping>() {
            // In the box that is there.
            Some(sleeping) => {
                let left = deadline.saturating_duration_since(self.now());
                sleeping.get_mut().0 = SyncWrapper::new(after(left));
            }
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(self.0.get_mut()).poll(cx)
    }
}

impl Sleep for Sleeping {}
