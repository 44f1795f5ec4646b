//! The clock: points in time that a test may control.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A point in time on the monotonic clock, as `std::time::Instant`, except that under the feature
/// `test-util` it follows the clock that tests pause and advance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(std::time::Instant);

impl Instant {
    /// The current time.
    #[must_use]
    pub fn now() -> Self {
        #[cfg(feature = "test-util")]
        if let Some(now) = super::pause::now() {
            return Self(now);
        }
        Self(std::time::Instant::now())
    }

    /// The current time for one who has just read `now` from the system's clock.
    #[inline]
    pub(crate) fn just_read(now: std::time::Instant) -> Self {
        #[cfg(feature = "test-util")]
        if let Some(now) = super::pause::now() {
            return Self(now);
        }
        Self(now)
    }

    /// A point so far away that it will not come (about 30 years).
    pub(crate) fn far_future() -> Self {
        Self::now() + Duration::from_secs(86_400 * 365 * 30)
    }

    /// The same point for the standard library.
    #[must_use]
    pub fn into_std(self) -> std::time::Instant {
        self.0
    }

    /// The same point from the standard library.
    #[must_use]
    pub fn from_std(std: std::time::Instant) -> Self {
        Self(std)
    }

    /// Time since this point; zero when it lies in the future.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now().duration_since(self)
    }

    /// Time from `earlier` to this point; zero when `earlier` is later.
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// Time from `earlier` to this point, `None` when `earlier` is later.
    #[must_use]
    pub fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// As [`duration_since`](Self::duration_since).
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }

    /// This point moved forward, `None` when the clock cannot represent it.
    #[must_use]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// This point moved back, `None` when the clock cannot represent it.
    #[must_use]
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(duration).map(Self)
    }

    /// This point moved forward; a sum beyond the clock's range is a point that will not come, so
    /// that `Duration::MAX` means "never".
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or_else(Self::far_future)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<std::time::Instant> for Instant {
    fn from(std: std::time::Instant) -> Self {
        Self(std)
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> Self {
        instant.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}
