//! Panics of code that the runtime calls and that has nobody to report to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

/// Panics contained in this process, for the metrics.
static CONTAINED: AtomicU64 = AtomicU64::new(0);

/// How many panics were contained.
pub(crate) fn contained() -> u64 {
    CONTAINED.load(Ordering::Relaxed)
}

/// Calls `f`; a panic of it is counted and goes no further (the panic hook has printed it). Used where
/// unwinding would take the worker, and with it everybody else's tasks, along.
#[inline]
pub(crate) fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        CONTAINED.fetch_add(1, Ordering::Relaxed);
        // A payload may panic when it is dropped; then it is not.
        std::mem::forget(payload);
    }
}

/// Calls a waker that may be foreign.
#[inline]
pub(crate) fn wake(waker: Waker) {
    contain(|| waker.wake());
}

/// Runs the loop of a worker. A panic that gets out of it has broken something that everybody's tasks rely
/// on, and that nobody waiting for them could see: it ends the process.
pub(crate) fn abort_on_unwind(worker: usize, f: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(f)).is_err() {
        eprintln!("heist: worker {worker} cannot go on after the panic above; aborting");
        std::process::abort();
    }
}
