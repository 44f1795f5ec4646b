//! What both kinds of channels are made of: the shared part, and the counted handles to it.

use super::list::List;
use crate::primitives::{Arc, AtomicUsize};
use crate::wait::Permits;
use std::ops::Deref;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// A channel: its queue, and beside it what [`Shared`] has.
pub(super) type Chan<T, L> = List<T, Shared<L>>;

/// What the ends of a channel share beside the queue.
pub(super) struct Shared<L> {
    strong: AtomicUsize,
    weak: AtomicUsize,
    /// Never any permit: to wait for one is to wait for the receiver to close.
    pub(super) open: Permits,
    /// How the number of items is limited.
    pub(super) limit: L,
}

/// How a channel limits its items, and how it is closed.
pub(super) trait Limit: Sized {
    /// Makes room after items were received.
    fn received<T>(chan: &Chan<T, Self>, items: usize);

    /// Refuses items from now on.
    fn close<T>(chan: &Chan<T, Self>);

    /// Whether the receiver has closed it.
    fn is_closed<T>(chan: &Chan<T, Self>) -> bool;

    /// Whether no sender is still entitled to send, given that the channel was closed and all claimed
    /// places are read.
    fn is_idle<T>(chan: &Chan<T, Self>) -> bool;
}

impl<L> Shared<L> {
    /// With one sender.
    pub(super) fn new(limit: L) -> Self {
        Self {
            strong: AtomicUsize::new(1),
            weak: AtomicUsize::new(0),
            open: Permits::new(0),
            limit,
        }
    }

    pub(super) fn strong_count(&self) -> usize {
        self.strong.load(Acquire)
    }

    pub(super) fn weak_count(&self) -> usize {
        self.weak.load(Relaxed)
    }
}

/// A handle that keeps the channel open.
pub(super) struct Strong<T, L>(Arc<Chan<T, L>>);

/// A handle that does not.
pub(super) struct Weak<T, L>(Arc<Chan<T, L>>);

impl<T, L> Strong<T, L> {
    /// The first one.
    pub(super) fn new(chan: Arc<Chan<T, L>>) -> Self {
        Self(chan)
    }

    pub(super) fn downgrade(&self) -> Weak<T, L> {
        Weak::new(Arc::clone(&self.0))
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T, L> Weak<T, L> {
    fn new(chan: Arc<Chan<T, L>>) -> Self {
        chan.shared.weak.fetch_add(1, Relaxed);
        Self(chan)
    }

    /// A strong handle, unless the last one has gone.
    pub(super) fn upgrade(&self) -> Option<Strong<T, L>> {
        let strong = &self.0.shared.strong;
        let mut count = strong.load(Relaxed);
        while count != 0 {
            // Relaxed: what the handle is used for is ordered by the queue.
            match strong.compare_exchange_weak(count, count + 1, Relaxed, Relaxed) {
                Ok(_) => return Some(Strong(Arc::clone(&self.0))),
                Err(actual) => count = actual,
            }
        }
        None
    }
}

impl<T, L> Clone for Strong<T, L> {
    fn clone(&self) -> Self {
        // Relaxed: this handle keeps the count up meanwhile.
        self.0.shared.strong.fetch_add(1, Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T, L> Drop for Strong<T, L> {
    fn drop(&mut self) {
        // Release and acquire, so that the end comes after what all others have appended.
        if self.0.shared.strong.fetch_sub(1, AcqRel) == 1 {
            self.0.end();
        }
    }
}

impl<T, L> Clone for Weak<T, L> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl<T, L> Drop for Weak<T, L> {
    fn drop(&mut self) {
        self.0.shared.weak.fetch_sub(1, Relaxed);
    }
}

impl<T, L> Deref for Strong<T, L> {
    type Target = Chan<T, L>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T, L> Deref for Weak<T, L> {
    type Target = Chan<T, L>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
