//! One timer for a whole exchange.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use heist_runtime::time::{Instant, Timer};

/// A point in time that every step of an exchange is raced against.
///
/// A timeout around each step would register and cancel a timer per step. This one timer is
/// registered the first time that a step has to wait, and lives until the body has been read.
#[derive(Debug)]
pub(super) struct Deadline {
    timer: Option<Timer>,
    after: Duration,
}

/// The deadline passed; how long it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TimedOut(pub(super) Duration);

impl Deadline {
    /// A deadline this far away; none for `None`, or if the clock does not reach that far.
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        let at = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self {
            timer: at.map(Timer::new),
            after: timeout.unwrap_or(Duration::MAX),
        }
    }

    /// Waits for `step` or the deadline. A step that is ready wins over a deadline that has passed.
    pub(super) async fn race<F: Future>(&mut self, step: F) -> Result<F::Output, TimedOut> {
        let mut step = pin!(step);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = step.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            match &mut self.timer {
                Some(timer) => Pin::new(timer).poll(cx).map(|()| Err(TimedOut(self.after))),
                None => Poll::Pending,
            }
        })
        .await
    }
}
