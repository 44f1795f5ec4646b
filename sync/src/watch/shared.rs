//! What the ends share: the value, its version, and those who wait.

use crate::primitives::{AtomicUsize, RwLock, RwLockReadGuard};
use crate::wait::WaitQueue;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// In the word of the version: all senders were dropped.
const CLOSED: usize = 1;
/// One change, in the word of the version.
const CHANGE: usize = 2;

pub(super) struct Shared<T> {
    value: RwLock<T>,
    /// The number of changes, set under the lock of the value, with `CLOSED` in bit 0.
    word: AtomicUsize,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Receivers that wait for a change.
    pub(super) changed: WaitQueue<()>,
    /// Senders that wait until there is no receiver.
    pub(super) deserted: WaitQueue<()>,
}

/// How often the value was changed, and whether it can still change.
#[derive(Clone, Copy)]
pub(super) struct Version {
    pub(super) changes: usize,
    pub(super) closed: bool,
}

impl<T> Shared<T> {
    /// For one sender and so many receivers.
    pub(super) fn new(value: T, receivers: usize) -> Self {
        Self {
            value: RwLock::new(value),
            word: AtomicUsize::new(0),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(receivers),
            changed: WaitQueue::new(()),
            deserted: WaitQueue::new(()),
        }
    }

    /// The value, locked. A sender that panicked while it changed it has left it as it is.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn version(&self) -> Version {
        // Acquire, for what a sender did before it sent, or was dropped.
        let word = self.word.load(Acquire);
        Version {
            changes: word / CHANGE,
            closed: word & CLOSED != 0,
        }
    }

    /// Changes the value, and wakes all receivers if the closure says so.
    pub(super) fn modify(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut value = self.value.write().unwrap_or_else(PoisonError::into_inner);
        let modified = modify(&mut value);
        if modified {
            // Under the lock, so that whoever reads the value can tell which one it is.
            self.word.fetch_add(CHANGE, AcqRel);
        }
        drop(value);
        if modified {
            release(&self.changed);
        }
        modified
    }

    pub(super) fn receivers(&self) -> usize {
        // Acquire, for what the receivers did before they were dropped.
        self.receivers.load(Acquire)
    }

    pub(super) fn senders(&self) -> usize {
        // Relaxed: nothing is read because of it.
        self.senders.load(Relaxed)
    }

    pub(super) fn add_sender(&self) {
        // Relaxed: whoever clones one keeps the count above zero.
        self.senders.fetch_add(1, Relaxed);
    }

    pub(super) fn add_receiver(&self) {
        // Relaxed: nothing is read because of it.
        self.receivers.fetch_add(1, Relaxed);
    }

    pub(super) fn drop_sender(&self) {
        // Together these order all that was done with other senders before the end.
        if self.senders.fetch_sub(1, AcqRel) == 1 {
            self.word.fetch_or(CLOSED, AcqRel);
            release(&self.changed);
        }
    }

    pub(super) fn drop_receiver(&self) {
        if self.receivers.fetch_sub(1, AcqRel) == 1 {
            release(&self.deserted);
        }
    }
}

fn release(queue: &WaitQueue<()>) {
    let mut locked = queue.lock();
    locked.release_all();
    locked.wake_released();
}
