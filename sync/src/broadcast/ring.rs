//! What the ends of a channel share: a ring of the last items, and who waits.
//!
//! An item has a position, which counts the items before it, and lies in the slot of that number
//! modulo the capacity until a later one takes its place. A receiver knows the position that it
//! reads next. The slot has the position of its item, so whoever looks there finds out that it is
//! too early or too late.
//!
//! # Locks
//!
//! There is one for the tail, which is that of the queue of receivers that wait, and one for each
//! slot. Whoever takes several takes that of `gone` first, then that of the tail, then one of a
//! slot. Clones, which are the user's code, are made under the lock of their slot only: it keeps
//! others from cloning the same item at the same time, so items need not be `Sync`. Items are
//! dropped without any lock.

use super::error::{SendError, TryRecvError};
use crate::primitives::{Mutex, MutexGuard};
use crate::wait::WaitQueue;
use std::sync::PoisonError;

/// The shared part of a channel.
pub(super) struct Ring<T> {
    slots: Box<[Mutex<Slot<T>>]>,
    /// The receivers that wait for an item.
    pub(super) tail: WaitQueue<(), Tail>,
    /// Those who wait until there is no receiver.
    pub(super) gone: WaitQueue<()>,
}

/// Where the channel is. Changed under the lock of the queue.
pub(super) struct Tail {
    /// The position of the next item.
    pub(super) position: u64,
    pub(super) receivers: usize,
    pub(super) senders: usize,
    pub(super) weak_senders: usize,
}

struct Slot<T> {
    /// The position of the item that is or was here.
    position: Option<u64>,
    /// How many receivers have yet to read it. The last one takes it out.
    readers: usize,
    item: Option<T>,
}

impl<T> Ring<T> {
    /// For one sender and no receiver.
    pub(super) fn new(capacity: usize) -> Self {
        let slot = || {
            Mutex::new(Slot {
                position: None,
                readers: 0,
                item: None,
            })
        };
        Self {
            slots: (0..capacity).map(|_| slot()).collect(),
            tail: WaitQueue::new(Tail {
                position: 0,
                receivers: 0,
                senders: 1,
                weak_senders: 0,
            }),
            gone: WaitQueue::new(()),
        }
    }

    /// Appends an item, unless nobody would get it, and returns how many will.
    pub(super) fn send(&self, item: T) -> Result<usize, SendError<T>> {
        let mut tail = self.tail.lock();
        let receivers = tail.receivers;
        if receivers == 0 {
            return Err(SendError(item));
        }
        let position = tail.position;
        let mut slot = self.slot(position);
        let overwritten = slot.item.replace(item);
        slot.position = Some(position);
        slot.readers = receivers;
        drop(slot);
        tail.position += 1;
        tail.release_all();
        tail.wake_released();
        drop(overwritten);
        Ok(receivers)
    }

    /// Reads the item at a position and goes on to the next; if that was overwritten, goes on to the
    /// oldest that there is.
    pub(super) fn read(&self, next: &mut u64) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        loop {
            if let Some(item) = self.read_slot(next) {
                return Ok(item);
            }
            let tail = self.tail.lock();
            let behind = tail.position - *next;
            if behind == 0 && tail.senders == 0 {
                return Err(TryRecvError::Closed);
            }
            if behind == 0 {
                return Err(TryRecvError::Empty);
            }
            let missed = behind.saturating_sub(self.capacity());
            if missed > 0 {
                *next += missed;
                return Err(TryRecvError::Lagged(missed));
            }
            // It was sent after the look at the slot.
        }
    }

    fn read_slot(&self, next: &mut u64) -> Option<T>
    where
        T: Clone,
    {
        let mut slot = self.slot(*next);
        if slot.position != Some(*next) {
            return None;
        }
        // Before the clone, so that an item whose clone panics counts as read.
        *next += 1;
        slot.readers -= 1;
        if slot.readers == 0 {
            slot.item.take()
        } else {
            slot.item.clone()
        }
    }

    /// Counts a receiver, and returns where it begins.
    pub(super) fn subscribe(&self) -> u64 {
        let mut tail = self.tail.lock();
        tail.receivers += 1;
        tail.position
    }

    /// Forgets a receiver that would read `next`, and drops the items that nobody else will read.
    pub(super) fn unsubscribe(&self, next: u64) {
        let mut tail = self.tail.lock();
        tail.receivers -= 1;
        let (end, is_last) = (tail.position, tail.receivers == 0);
        drop(tail);
        if is_last {
            let mut gone = self.gone.lock();
            gone.release_all();
            gone.wake_released();
        }
        // Those sent from now on do not count this receiver.
        for position in next.max(self.oldest(end))..end {
            let mut slot = self.slot(position);
            let mut unread = None;
            if slot.position == Some(position) {
                slot.readers -= 1;
                if slot.readers == 0 {
                    unread = slot.item.take();
                }
            }
            drop(slot);
            drop(unread);
        }
    }

    /// How many items somebody has yet to read.
    pub(super) fn unread(&self) -> usize {
        let end = self.tail.lock().position;
        // Everybody reads in order, so those that all have read come first.
        let (mut low, mut high) = (self.oldest(end), end);
        while low < high {
            let middle = low.midpoint(high);
            let slot = self.slot(middle);
            // A later one in its place says nothing, but that time has gone on.
            if slot.position == Some(middle) && slot.readers > 0 {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        usize::try_from(end - low).expect("no more than the capacity")
    }

    /// The position of the oldest item that is kept if the next one has the position `end`.
    fn oldest(&self, end: u64) -> u64 {
        end.saturating_sub(self.capacity())
    }

    fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    fn slot(&self, position: u64) -> MutexGuard<'_, Slot<T>> {
        let index = usize::try_from(position % self.capacity()).expect("less than the capacity");
        // Poisoned by a clone that has panicked, after the slot had been changed.
        self.slots[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
