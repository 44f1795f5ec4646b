//! Waiting for time to pass. Names and signatures follow tokio's `time`.
//!
//! - [`sleep`], [`sleep_until`]: wait (`asyncio.sleep`).
//! - [`timeout`], [`timeout_at`]: wait for a future, but not for ever (`asyncio.timeout`).
//! - [`interval`], [`interval_at`]: wait again and again.
//!
//! Everything here runs on the timers of the Heist runtime, and so needs to be polled inside one.
//! A timer is set up when it is first polled and costs no system call. None is ever early, and how
//! late it is depends on what else its thread has to do; there is no tick that it is rounded to.
//!
//! Durations too long to be added to the clock mean "practically never", not a panic.

mod sleep;
mod timeout;
mod interval;

pub use heist_runtime::time::Instant;
#[cfg(feature = "test-util")]
pub use heist_runtime::time::{advance, pause, resume};
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, error, timeout, timeout_at};

pub use std::time::Duration;

/// The time so much after another; thirty years ahead if there is no such time on the clock.
pub(crate) fn after(start: Instant, duration: Duration) -> Instant {
    const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    start
        .checked_add(duration.min(THIRTY_YEARS))
        .unwrap_or(start)
}
