//! Wakers that are called once a lock is free.
//!
//! One that panics stops nobody: whoever wakes has nothing to do with the executor whose waker that is, and
//! may have an item in hand, or permits for others.

use std::mem;
use std::task::Waker;

pub(crate) use heist_runtime::panics::wake;

/// Wakers to be called once the lock is free, without allocating.
pub(crate) struct WakeBatch {
    wakers: [Option<Waker>; Self::CAPACITY],
    len: usize,
}

impl WakeBatch {
    /// Enough that the lock is rarely taken twice, and little enough to clear on the stack.
    const CAPACITY: usize = 16;

    pub(crate) fn new() -> Self {
        Self {
            wakers: [const { None }; Self::CAPACITY],
            len: 0,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == Self::CAPACITY
    }

    /// Adds a waker; there must be room.
    pub(crate) fn push(&mut self, waker: Waker) {
        self.wakers[self.len] = Some(waker);
        self.len += 1;
    }

    /// Calls all wakers and is empty again.
    pub(crate) fn wake(&mut self) {
        let len = mem::take(&mut self.len);
        for waker in self.wakers.iter_mut().take(len).filter_map(Option::take) {
            wake(waker);
        }
    }
}
