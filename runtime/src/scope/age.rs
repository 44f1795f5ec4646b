//! A clock for ages, which has to cost next to nothing: on a worker it is as exact as its last look at its I/O,
//! which is good enough to see what hangs.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::context;

/// The time.
#[inline]
pub(crate) fn instant() -> Instant {
    context::last_io().unwrap_or_else(Instant::now)
}

/// The same in milliseconds since the first call in this process.
pub(crate) fn now() -> u32 {
    // In 64 bits: this is on the way of every task that waits.
    let since = since_start(instant());
    let millis = since.as_secs() * 1_000 + u64::from(since.subsec_millis());
    u32::try_from(millis).unwrap_or(u32::MAX)
}

/// How long ago `born` was.
pub(crate) fn of(born: u32) -> Duration {
    let now = since_start(Instant::now()).as_millis();
    Duration::from_millis(
        u64::try_from(now)
            .unwrap_or(u64::MAX)
            .saturating_sub(u64::from(born)),
    )
}

fn since_start(now: Instant) -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    now.saturating_duration_since(*START.get_or_init(|| now))
}
