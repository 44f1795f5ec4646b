//! The items, those who wait, and all that changes them.
//!
//! Gets wait only while there is no item, and puts only while there is no room. There is room for one
//! at least, so they never wait both at once, and one list under one lock serves for both. Items are
//! handed over under that lock: a put fills the entry of the first get that waits, and a get that makes
//! room takes the item out of the entry of the first put that waits. So nobody who comes in between
//! can overtake.
//!
//! An item handed to a get is not in the store any more. If that get is dropped instead of polled, the
//! item goes to the next get, or back to its place in the store, which may then hold more than fits. It
//! takes no more puts until that has gone down.

use super::error::{TryGetError, TryPutError};
use super::store::{Numbered, Store};
use super::tasks::Tasks;
use crate::wait::{Locked, WaitQueue};
use std::task::Waker;

pub(super) struct Core<T, S> {
    pub(super) waiting: WaitQueue<Entry<T>, Shared<S>>,
    pub(super) tasks: Tasks,
    /// `usize::MAX` if there is no limit.
    pub(super) maxsize: usize,
}

/// What the lock guards.
pub(super) struct Shared<S> {
    store: S,
    /// The number of the next item.
    next_number: u64,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing can be put any more.
    Draining,
    /// Nor is there anything to be got.
    Over,
}

/// What one who waits brought or was given.
pub(super) enum Entry<T> {
    /// The item it was given.
    Get(Option<Numbered<T>>),
    /// The item that nobody took yet.
    Put(Option<T>),
}

pub(super) type Guard<'a, T, S> = Locked<'a, Entry<T>, Shared<S>>;

/// The waker of whoever was served, to be called without the lock.
pub(super) type Served = Option<Waker>;

impl<T, S: Store<T>> Core<T, S> {
    pub(super) fn new(maxsize: usize) -> Self {
        let shared = Shared {
            store: S::new(),
            next_number: 0,
            phase: Phase::Open,
        };
        Self {
            waiting: WaitQueue::new(shared),
            tasks: Tasks::new(),
            maxsize,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.lock().store.len()
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.waiting.lock().phase != Phase::Open
    }

    /// Puts an item, if it may be put now.
    pub(super) fn put(
        &self,
        locked: &mut Guard<'_, T, S>,
        item: T,
    ) -> Result<Served, TryPutError<T>> {
        if locked.phase != Phase::Open {
            return Err(TryPutError::ShutDown(item));
        }
        // Somebody who waits to put means that it is full, and to get, that it is empty.
        if locked.store.len() >= self.maxsize {
            return Err(TryPutError::Full(item));
        }
        let item = self.number(locked, item);
        Ok(deliver(locked, item))
    }

    /// Gets the next item, and lets in the put that has waited longest.
    pub(super) fn get(&self, locked: &mut Guard<'_, T, S>) -> Result<(T, Served), TryGetError> {
        let Some(next) = locked.store.next() else {
            return Err(match locked.phase {
                Phase::Open => TryGetError::Empty,
                Phase::Draining | Phase::Over => TryGetError::ShutDown,
            });
        };
        let mut served = None;
        if locked.store.len() < self.maxsize
            && let Some(item) = locked.with_front(Entry::take_put).flatten()
        {
            let item = self.number(locked, item);
            locked.store.insert(item);
            served = locked.pop_front();
        }
        Ok((next.item, served))
    }

    /// Gives back what a get was given and did not return.
    pub(super) fn give_back(&self, item: Numbered<T>) {
        let mut locked = self.waiting.lock();
        if locked.phase == Phase::Over {
            drop(locked);
            drop(item);
            self.tasks.forget(1);
            return;
        }
        let served = deliver(&mut locked, item);
        drop(locked);
        wake(served);
    }

    /// Fails everybody who waits, and all puts from now on; `immediate` throws the items away.
    pub(super) fn shut_down(&self, immediate: bool) {
        let mut locked = self.waiting.lock();
        let mut thrown = S::new();
        if immediate {
            locked.phase = Phase::Over;
            std::mem::swap(&mut thrown, &mut locked.store);
        } else if locked.phase == Phase::Open {
            locked.phase = Phase::Draining;
        }
        locked.release_all();
        locked.wake_released();
        self.tasks.forget(thrown.len());
        // Their destructors are not ours; if one panics, everybody has been told.
        drop(thrown);
    }

    /// Gives an item its number, and counts it.
    fn number(&self, locked: &mut Guard<'_, T, S>, item: T) -> Numbered<T> {
        self.tasks.add();
        let number = locked.next_number;
        locked.next_number += 1;
        Numbered { number, item }
    }
}

/// Hands an item to the get that has waited longest, or stores it.
fn deliver<T, S: Store<T>>(locked: &mut Guard<'_, T, S>, item: Numbered<T>) -> Served {
    let mut item = Some(item);
    locked.with_front(|entry| {
        if let Entry::Get(given) = entry {
            *given = item.take();
        }
    });
    match item {
        None => locked.pop_front(),
        Some(item) => {
            locked.store.insert(item);
            None
        }
    }
}

pub(super) fn wake(served: Served) {
    if let Some(waker) = served {
        waker.wake();
    }
}

impl<T> Entry<T> {
    /// What a get was given.
    pub(super) fn take_get(&mut self) -> Option<Numbered<T>> {
        match self {
            Self::Get(given) => given.take(),
            Self::Put(_) => None,
        }
    }

    /// What is to be put.
    pub(super) fn take_put(&mut self) -> Option<T> {
        match self {
            Self::Put(item) => item.take(),
            Self::Get(_) => None,
        }
    }
}
