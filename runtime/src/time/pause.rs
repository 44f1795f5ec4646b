//! The clock of tests: stopped, and moved by hand. Feature `test-util`.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant as StdInstant};

use crate::context;

/// The time at which the clock stands, process-wide; `None` while it runs.
static PAUSED: Mutex<Option<StdInstant>> = Mutex::new(None);

fn paused() -> MutexGuard<'static, Option<StdInstant>> {
    PAUSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The paused time.
pub(crate) fn now() -> Option<StdInstant> {
    *paused()
}

/// Stops the clock: [`Instant::now`](crate::time::Instant::now) stands still and timers fire only when [`advance`] reaches them.
///
/// The clock belongs to the process, so tests that pause it run one after another.
///
/// # Panics
///
/// When it is paused already.
pub fn pause() {
    let mut paused = paused();
    assert!(paused.is_none(), "the clock is paused already");
    *paused = Some(StdInstant::now());
}

/// Lets the clock run on from the real time.
///
/// # Panics
///
/// When it is not paused.
pub fn resume() {
    let was = paused().take();
    assert!(was.is_some(), "the clock is not paused");
    context::wake_every_worker();
}

/// Moves the paused clock forward and lets the tasks whose timers are due run before it returns, as far
/// as they get without waiting for anything else.
///
/// # Panics
///
/// When the clock is not paused.
pub async fn advance(duration: Duration) {
    {
        let mut paused = paused();
        let now = paused
            .as_mut()
            .expect("advance needs a paused clock: call time::pause() first");
        *now += duration;
    }
    context::wake_every_worker();
    // Timers of this worker fire when it looks at the clock, which it does at least once in so many
    // polls.
    for _ in 0..4 * crate::scheduler::HOUSEKEEPING_INTERVAL {
        crate::task::yield_now().await;
    }
}

/// Tests share it for reading; one that begins with the clock paused has it alone.
static TESTS: RwLock<()> = RwLock::new(());

/// Waits until no other test has the clock paused from its start.
pub(crate) fn running() -> RwLockReadGuard<'static, ()> {
    TESTS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until no other test runs.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    TESTS.write().unwrap_or_else(PoisonError::into_inner)
}

/// The clock is paused until it is dropped, or [`resume`] was called.
#[derive(Debug)]
pub(crate) struct Paused(());

impl Paused {
    pub(crate) fn new() -> Self {
        pause();
        Self(())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if now().is_some() {
            resume();
        }
    }
}
