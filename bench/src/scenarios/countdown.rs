//! Waiting for many tasks to have come so far, again and again.

use std::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};

use crate::rt::{Contestant, sync::Primitives};

/// Counts those who arrive. The last of them lets the one go on that waits for all.
pub(super) struct Countdown<R: Contestant> {
    total: usize,
    missing: AtomicUsize,
    complete: <R::Sync as Primitives>::Notify,
}

impl<R: Contestant> Countdown<R> {
    /// For so many who arrive.
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            missing: AtomicUsize::new(total),
            complete: R::Sync::notify(),
        }
    }

    /// One has arrived.
    pub(super) fn arrive(&self) {
        if self.missing.fetch_sub(1, AcqRel) == 1 {
            self.missing.store(self.total, Relaxed);
            R::Sync::notify_one(&self.complete);
        }
    }

    /// Waits until all have arrived, who must not arrive again before that.
    pub(super) async fn all(&self) {
        R::Sync::notified(&self.complete).await;
    }
}
