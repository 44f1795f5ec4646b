//! `sleep`: wait for a time.

use super::{Instant, after};
use heist_runtime::time::Timer;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Waits for a duration, counted from this call.
///
/// `asyncio.sleep`. A duration of zero is over at the first poll; to let others run, use
/// `yield_now`.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::time::{Instant, sleep};
/// use std::time::Duration;
///
/// let start = Instant::now();
/// sleep(Duration::from_millis(5)).await;
/// assert!(start.elapsed() >= Duration::from_millis(5));
/// # });
/// ```
///
/// # Panics
///
/// The future does, when it is polled outside a Heist runtime.
///
/// # Cancel safety
///
/// Dropping the future stops the timer; nothing is lost.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(after(Instant::now(), duration))
}

/// Waits until a time. A time in the past is over at the first poll.
///
/// # Panics
///
/// The future does, when it is polled outside a Heist runtime.
///
/// # Cancel safety
///
/// Dropping the future stops the timer; nothing is lost.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        timer: Timer::new(deadline),
    }
}

/// Waits until its deadline. Made by [`sleep`] and [`sleep_until`].
///
/// It can be used in a loop by reference, and started anew by [`reset`](Self::reset):
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::time::{Instant, sleep};
/// use std::pin::pin;
/// use std::time::Duration;
///
/// let mut pause = pin!(sleep(Duration::from_millis(1)));
/// for _ in 0..3 {
///     pause.as_mut().await;
///     pause.as_mut().reset(Instant::now() + Duration::from_millis(1));
/// }
/// # });
/// ```
#[must_use = "a future does nothing unless it is awaited"]
#[derive(Debug)]
pub struct Sleep {
    timer: Timer,
}

impl Sleep {
    /// The time it waits for.
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// Whether its deadline has been reached and it has noticed.
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// Lets it wait for another time, whether it has elapsed or not. The task that awaits it need
    /// not be woken for that: the next poll sets up the new timer.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.get_mut().timer.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.get_mut().timer).poll(cx)
    }
}
