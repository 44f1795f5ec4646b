//! Panics of code that the runtime calls and that has nobody to report to.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use crate::trace;

/// Panics contained in this process, for the metrics.
static CONTAINED: AtomicU64 = AtomicU64::new(0);

/// How many panics were contained.
pub(crate) fn contained() -> u64 {
    CONTAINED.load(Ordering::Relaxed)
}

/// Calls `f`; a panic of it is counted and goes no further (the panic hook has printed it). Used where
/// unwinding would take the worker, and with it everybody else's tasks, along. `what` says what `f` is: a
/// waker, a destructor.
#[inline]
pub(crate) fn contain(what: &'static str, f: impl FnOnce()) {
    if let Some(payload) = catch(f) {
        report(what, payload);
    }
}

/// As [`contain`] under a lock: what is returned goes to [`report`] when nothing is locked any more.
#[inline]
pub(crate) fn catch(f: impl FnOnce()) -> Option<Box<dyn Any + Send>> {
    let payload = catch_unwind(AssertUnwindSafe(f)).err()?;
    CONTAINED.fetch_add(1, Ordering::Relaxed);
    Some(payload)
}

/// Says that a panic was contained, and disposes of its payload.
#[cold]
pub(crate) fn report(what: &'static str, payload: Box<dyn Any + Send>) {
    trace::panic_contained(what, &*payload);
    // A payload may panic when it is dropped; then it is not.
    std::mem::forget(payload);
}

/// Calls a waker that may be foreign. If it panics, that is contained: whoever wakes has nothing to do with the
/// task that is woken, and is in the middle of giving out what others wait for.
///
/// Not for use by hand, and not stable; the other crates of Heist wake with it.
#[inline]
pub fn wake(waker: Waker) {
    contain("waker", || waker.wake());
}

/// Runs the loop of a worker. A panic that gets out of it has broken something that everybody's tasks rely
/// on, and that nobody waiting for them could see: it ends the process.
pub(crate) fn abort_on_unwind(worker: usize, f: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(f)).is_err() {
        eprintln!("heist: worker {worker} cannot go on after the panic above; aborting");
        std::process::abort();
    }
}
