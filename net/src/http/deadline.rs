//! The clocks of an exchange.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use heist_runtime::time::{Instant, Timer};

/// A point in time that every step of an exchange is raced against.
///
/// A timeout around each step would register and cancel a timer per step. This one timer is
/// registered the first time that a step has to wait, and lives until the body has been read.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Option<Instant>,
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
            at,
            timer: at.map(Timer::new),
            after: timeout.unwrap_or(Duration::MAX),
        }
    }

    /// When a wait of this length ends, if that is before it.
    pub(super) fn allows(&self, wait: Duration) -> Option<Instant> {
        let end = Instant::now().checked_add(wait)?;
        self.at.is_none_or(|at| end < at).then_some(end)
    }

    /// Ready once it has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TimedOut> {
        match &mut self.timer {
            Some(timer) => Pin::new(timer).poll(cx).map(|()| TimedOut(self.after)),
            None => Poll::Pending,
        }
    }

    /// Waits for `step` or the deadline. A step that is ready wins over a deadline that has passed.
    pub(super) async fn race<F: Future>(&mut self, step: F) -> Result<F::Output, TimedOut> {
        let mut step = pin!(step);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(value) = step.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            self.poll(cx).map(Err)
        })
        .await
    }
}

/// Fires when a connection has been silent for too long. Anything that moves sets it back.
#[derive(Debug)]
pub(super) struct Silence {
    after: Option<Duration>,
    timer: Option<Timer>,
    seen: u64,
}

impl Silence {
    /// A limit on silence; none for `None`.
    pub(super) fn new(after: Option<Duration>) -> Self {
        Self {
            after,
            timer: None,
            seen: 0,
        }
    }

    /// Looks whether anything has moved since the last poll: then `progress` is another number. Ready when
    /// nothing has for too long. Asked only when there is something to wait for.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, progress: u64) -> Poll<TimedOut> {
        let Some(after) = self.after else {
            return Poll::Pending;
        };
        if progress != self.seen || self.timer.is_none() {
            self.seen = progress;
            self.timer = Instant::now().checked_add(after).map(Timer::new);
        }
        match &mut self.timer {
            Some(timer) => Pin::new(timer).poll(cx).map(|()| TimedOut(after)),
            None => Poll::Pending,
        }
    }

    /// Nobody waits for the connection at present.
    pub(super) fn pause(&mut self) {
        self.timer = None;
    }
}
