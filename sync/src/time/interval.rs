//! `interval`: wait again and again.

use super::{Instant, Sleep, after, sleep_until};
use heist_runtime::scope::leaf_fn;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Ticks at once, and then once every `period`.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::time::{Instant, interval};
/// use std::time::Duration;
///
/// let start = Instant::now();
/// let mut beat = interval(Duration::from_millis(2));
/// for _ in 0..4 {
///     beat.tick().await;
/// }
/// assert!(start.elapsed() >= Duration::from_millis(6));
/// # });
/// ```
///
/// # Panics
///
/// If the period is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks at `start`, and then once every `period`.
///
/// # Panics
///
/// If the period is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "the period of an interval must not be zero"
    );
    let behavior = MissedTickBehavior::default();
    Interval {
        sleep: sleep_until(start),
        period,
        behavior,
    }
}

/// What an [`Interval`] does about ticks that nobody was there to take.
///
/// With ticks due every 10 ms, of which the second is taken 25 ms late:
///
/// | | taken at |
/// |---|---|
/// | `Burst` | 0, 35, 35, 35, 40, 50 |
/// | `Delay` | 0, 35, 45, 55, 65, 75 |
/// | `Skip` | 0, 35, 40, 50, 60, 70 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Ticks as fast as they are taken until it has caught up, so their number is right.
    #[default]
    Burst,
    /// Ticks a period after the late one, so they are never closer than a period.
    Delay,
    /// Leaves out the missed ticks, so they stay at multiples of the period.
    Skip,
}

impl MissedTickBehavior {
    /// When the tick is due that follows the one due at `due` and taken at `now`, which was late.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            Self::Burst => after(due, period),
            Self::Delay => after(now, period),
            Self::Skip => {
                let late = now.duration_since(due).as_nanos();
                // The remainder is less than the period. If that exceeds 584 years, so be it.
                let into_period = u64::try_from(late % period.as_nanos()).unwrap_or(0);
                after(
                    now,
                    period.saturating_sub(Duration::from_nanos(into_period)),
                )
            }
        }
    }
}

/// Ticks with a period. Made by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    /// Waits for the next tick.
    sleep: Sleep,
    period: Duration,
    behavior: MissedTickBehavior,
}

impl Interval {
    /// How late a tick may be taken without counting as missed: the delays of ordinary scheduling
    /// must not shift the ticks to come.
    const TOLERANCE: Duration = Duration::from_millis(5);

    /// Waits for the next tick and returns the time it was due.
    ///
    /// # Panics
    ///
    /// When the future is polled outside a Heist runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future uses up no tick.
    #[track_caller]
    pub fn tick(&mut self) -> impl Future<Output = Instant> {
        leaf_fn(|cx| self.poll_tick(cx))
    }

    /// Like [`tick`](Self::tick), for a `poll` function: when it is pending, the task of `cx` will
    /// be woken at the next tick.
    ///
    /// # Panics
    ///
    /// When called outside a Heist runtime.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.sleep).poll(cx));
        let due = self.sleep.deadline();
        let now = Instant::now();
        let next = if now > after(due, Self::TOLERANCE) {
            self.behavior.next(due, now, self.period)
        } else {
            after(due, self.period)
        };
        self.reset_at(next);
        Poll::Ready(due)
    }

    /// Lets the next tick be due a period from now.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Lets the next tick be due at once.
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// Lets the next tick be due after a duration.
    pub fn reset_after(&mut self, duration: Duration) {
        self.reset_at(after(Instant::now(), duration));
    }

    /// Lets the next tick be due at a time.
    pub fn reset_at(&mut self, deadline: Instant) {
        Pin::new(&mut self.sleep).reset(deadline);
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What it does about missed ticks; [`MissedTickBehavior::Burst`] unless it was set.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Sets what it does about missed ticks.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }
}
