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
//!
//! # Comparisons
//!
//! A priority queue compares items under its lock, and that is the user's code. If it panics, the panic goes
//! to the put or get that needs the comparison, which then has not happened. An item that comes in on behalf
//! of somebody else, be it of a put that waited or of a get that was dropped, comes in at the end instead.
//! If it uses the queue it panics, instead of waiting for itself for ever.

use super::error::TryGetError;
use super::store::{Numbered, Store};
use super::tasks::Tasks;
use crate::primitives::AtomicUsize;
use crate::wait::{self, Locked, WaitQueue};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;

pub(super) struct Core<T, S> {
    pub(super) waiting: WaitQueue<Entry<T>, Shared<S>>,
    pub(super) tasks: Tasks,
    /// `usize::MAX` if there is no limit.
    pub(super) maxsize: usize,
    /// The thread that compares items, see `this_thread`; 0 for none.
    comparing: AtomicUsize,
}

/// Why nothing was put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Full,
    ShutDown,
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
            comparing: AtomicUsize::new(0),
        }
    }

    /// Locks the queue.
    ///
    /// # Panics
    ///
    /// When this thread is comparing items of the queue, and so has locked it.
    pub(super) fn lock(&self) -> Guard<'_, T, S> {
        if S::COMPARES {
            // Relaxed: what this thread has stored it sees.
            let within = self.comparing.load(Relaxed) == this_thread();
            assert!(
                !within,
                "the `Ord` of an item uses the queue that the item is in"
            );
        }
        self.waiting.lock()
    }

    /// Calls what may compare items.
    fn comparing<R>(&self, compare: impl FnOnce() -> R) -> R {
        if !S::COMPARES {
            return compare();
        }
        self.comparing.store(this_thread(), Relaxed);
        let _end = Compared(&self.comparing);
        compare()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().store.len()
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    /// Puts the item, if it may be put now, and leaves it where it is if not. The caller drops it without
    /// the lock, also after a panic.
    pub(super) fn put(
        &self,
        locked: &mut Guard<'_, T, S>,
        item: &mut Option<T>,
    ) -> Result<Served, Refusal> {
        if locked.phase != Phase::Open {
            return Err(Refusal::ShutDown);
        }
        // Somebody who waits to put means that it is full, and to get, that it is empty.
        if locked.store.len() >= self.maxsize {
            return Err(Refusal::Full);
        }
        let get_waits = locked.with_front(|front| matches!(front, Entry::Get(_)));
        let place = match item {
            Some(item) if get_waits != Some(true) => {
                self.comparing(|| locked.store.place(locked.next_number, item))
            }
            _ => 0,
        };
        let item = item.take().expect("there is an item to be put");
        let item = self.number(locked, item);
        Ok(deliver(locked, item, |_, _| place))
    }

    /// Gets the next item, and lets in the put that has waited longest.
    pub(super) fn get(&self, locked: &mut Guard<'_, T, S>) -> Result<(T, Served), TryGetError> {
        let Some(next) = self.comparing(|| locked.store.next()) else {
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
            let place = self.place_or_end(locked, &item);
            locked.store.insert(place, item);
            served = locked.pop_front();
        }
        Ok((next.item, served))
    }

    /// Gives back what a get was given and did not return.
    pub(super) fn give_back(&self, item: Numbered<T>) {
        let mut locked = self.lock();
        if locked.phase == Phase::Over {
            drop(locked);
            drop(item);
            self.tasks.forget(1);
            return;
        }
        let served = deliver(&mut locked, item, |locked, item| {
            self.place_or_end(locked, item)
        });
        drop(locked);
        wake(served);
    }

    /// Where an item belongs; at the end if it cannot be compared.
    fn place_or_end(&self, locked: &Guard<'_, T, S>, item: &Numbered<T>) -> usize {
        let place = || self.comparing(|| locked.store.place(item.number, &item.item));
        catch_unwind(AssertUnwindSafe(place)).unwrap_or_else(|payload| {
            // Its destructor is foreign too. The hook has told of the panic.
            mem::forget(payload);
            locked.store.len()
        })
    }

    /// Fails everybody who waits, and all puts from now on; `immediate` throws the items away.
    pub(super) fn shut_down(&self, immediate: bool) {
        let mut locked = self.lock();
        let mut thrown = S::new();
        if immediate {
            locked.phase = Phase::Over;
            mem::swap(&mut thrown, &mut locked.store);
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
fn deliver<T, S: Store<T>>(
    locked: &mut Guard<'_, T, S>,
    item: Numbered<T>,
    place: impl FnOnce(&Guard<'_, T, S>, &Numbered<T>) -> usize,
) -> Served {
    let mut item = Some(item);
    locked.with_front(|entry| {
        if let Entry::Get(given) = entry {
            *given = item.take();
        }
    });
    match item {
        None => locked.pop_front(),
        Some(item) => {
            let place = place(locked, &item);
            locked.store.insert(place, item);
            None
        }
    }
}

pub(super) fn wake(served: Served) {
    if let Some(waker) = served {
        wait::wake(waker);
    }
}

/// Notes that a comparison is over, also when it has panicked.
struct Compared<'a>(&'a AtomicUsize);

impl Drop for Compared<'_> {
    fn drop(&mut self) {
        self.0.store(0, Relaxed);
    }
}

/// Tells a thread from all others that exist; not 0.
fn this_thread() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| std::ptr::from_ref(place).addr())
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
