//! The permits that a guard holds.

use super::RwLock;
use crate::wait::Permits;
use std::mem;
use std::sync::Arc;

/// Permits of a lock, given back when dropped.
pub(super) struct Held<'a> {
    permits: &'a Permits,
    count: usize,
}

impl<'a> Held<'a> {
    /// For whoever has taken so many.
    pub(super) fn new(permits: &'a Permits, count: usize) -> Self {
        Self { permits, count }
    }

    /// Gives back all but one: others may read now as well.
    pub(super) fn keep_one(mut self) -> Self {
        let others = mem::replace(&mut self.count, 1) - 1;
        give_back(self.permits, others);
        self
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        give_back(self.permits, self.count);
    }
}

/// Permits of a lock that they keep alive, given back when dropped.
pub(super) struct OwnedHeld<T: ?Sized> {
    pub(super) lock: Arc<RwLock<T>>,
    count: usize,
}

impl<T: ?Sized> OwnedHeld<T> {
    /// For whoever has taken so many.
    pub(super) fn new(lock: Arc<RwLock<T>>, count: usize) -> Self {
        Self { lock, count }
    }

    /// Gives back all but one: others may read now as well.
    pub(super) fn keep_one(mut self) -> Self {
        let others = mem::replace(&mut self.count, 1) - 1;
        give_back(&self.lock.permits, others);
        self
    }
}

impl<T: ?Sized> Drop for OwnedHeld<T> {
    fn drop(&mut self) {
        give_back(&self.lock.permits, self.count);
    }
}

fn give_back(permits: &Permits, count: usize) {
    if count > 0 {
        permits.put(count);
    }
}
