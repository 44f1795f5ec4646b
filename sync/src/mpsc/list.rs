//! The queue of a channel: any number of threads append, one takes out.
//!
//! It is a list of blocks. Senders claim places by an exchange of the *tail*, which counts them;
//! the receiver reads them in order and knows alone how far it is, the *head*.
//!
//! # The tail
//!
//! | bits | meaning |
//! |---|---|
//! | 0, `SHUT` | no more items are accepted; set by the receiver |
//! | 1, `ENDED` | all senders have gone; set with the claim of the last place |
//! | 2 and up | the next place |
//!
//! Places are numbered in laps of 32, of which the last is no slot: a tail there says that whoever
//! claimed the last slot of a block is just linking the next one. It has that block at hand already,
//! and it takes it two stores.
//!
//! # Why a block can be freed
//!
//! A sender touches a block only for the slot that it has claimed, and only until it has filled
//! that; whoever claims the last slot links the next block first. Since the pointer to the block is
//! read after the tail, and the exchange succeeds only if the tail has not changed since, the
//! pointer is to the block of the claimed place. So when the receiver has read all slots of a block,
//! nobody will touch it any more. It then keeps one block for senders to use again.

#![expect(
    unsafe_code,
    reason = "blocks are shared by pointers, and freed by the receiver"
)]

use super::slot::{Block, Filling, Found, SLOTS, Slot};
use crate::primitives::{Arc, AtomicPtr, AtomicUsize, UnsafeCell, yield_now};
use crate::wait::wake;
use crate::waker_cell::WakerCell;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::task::Waker;

const SHUT: usize = 1;
const ENDED: usize = 2;
/// One place, in the tail.
const PLACE: usize = 4;
/// Places in a lap: the slots of a block, and the one that means "not linked yet".
const LAP: usize = SLOTS + 1;

/// The queue, with what else the ends of a channel share.
pub(super) struct List<T, S> {
    tail: Tail<T>,
    /// A block to be used again, or null.
    spare: AtomicPtr<Block<T>>,
    /// Nudges that were not skipped yet, which are no items.
    nudges: AtomicUsize,
    /// The waker of the receiver, if the state of the slot at the head says so.
    waker: WakerCell,
    head: Head<T>,
    pub(super) shared: S,
}

/// What all senders change: away from what the receiver does.
#[repr(align(128))]
struct Tail<T> {
    place: AtomicUsize,
    block: AtomicPtr<Block<T>>,
}

/// The receiver's own part: away from what the senders change.
#[repr(align(128))]
struct Head<T>(UnsafeCell<Position<T>>);

struct Position<T> {
    place: usize,
    block: NonNull<Block<T>>,
    /// How often the receiver has left a waker.
    version: usize,
}

// SAFETY: items are moved in by one thread and out by another; else there are atomics only, but for
// the head, which the one receiver alone touches.
unsafe impl<T: Send, S: Send> Send for List<T, S> {}
// SAFETY: as above.
unsafe impl<T: Send, S: Sync> Sync for List<T, S> {}

/// The right to take items out. There is one for a list.
pub(super) struct Consumer<T, S> {
    list: Arc<List<T, S>>,
}

/// The queue was shut.
pub(super) struct Shut;

/// What the receiver gets.
pub(super) enum Popped<T> {
    /// The next item.
    Value(T),
    /// There is none yet.
    Empty,
    /// There will be none, all senders have gone.
    End,
}

impl<T, S> List<T, S> {
    pub(super) fn new(shared: S) -> (Arc<Self>, Consumer<T, S>) {
        let block = NonNull::from(Box::leak(Block::new()));
        let list = Arc::new(Self {
            tail: Tail {
                place: AtomicUsize::new(0),
                block: AtomicPtr::new(block.as_ptr()),
            },
            spare: AtomicPtr::new(ptr::null_mut()),
            nudges: AtomicUsize::new(0),
            waker: WakerCell::new(),
            head: Head(UnsafeCell::new(Position {
                place: 0,
                block,
                version: 0,
            })),
            shared,
        });
        let consumer = Consumer {
            list: Arc::clone(&list),
        };
        (list, consumer)
    }

    /// Appends an item, unless the queue was shut.
    pub(super) fn push(&self, value: T) -> Result<(), T> {
        match self.claim(SHUT, 0) {
            Ok(slot) => {
                self.fill(slot, Filling::Value(value));
                Ok(())
            }
            Err(Shut) => Err(value),
        }
    }

    /// Wakes the receiver, or lets its next wait end at once, though there is no item.
    pub(super) fn nudge(&self) {
        // Relaxed: it corrects a length that is out of date as soon as it is known.
        self.nudges.fetch_add(1, Relaxed);
        if let Ok(slot) = self.claim(0, 0) {
            self.fill(slot, Filling::Nudge);
        }
    }

    /// Says that nothing will be appended any more. To be called once, by the last sender.
    pub(super) fn end(&self) {
        if let Ok(slot) = self.claim(0, ENDED) {
            self.fill(slot, Filling::End);
        }
    }

    /// Accepts no more items. Those whose place was claimed before still come.
    pub(super) fn shut(&self) {
        self.tail.place.fetch_or(SHUT, AcqRel);
    }

    /// Whether the receiver has shut it or the senders have ended it.
    pub(super) fn is_over(&self) -> bool {
        self.tail.place.load(Acquire) & (SHUT | ENDED) != 0
    }

    /// Whether the receiver has shut it.
    pub(super) fn is_shut(&self) -> bool {
        self.tail.place.load(Acquire) & SHUT != 0
    }

    /// Claims the next slot, unless one of the bits in `unless` is set, and sets those in `with`.
    fn claim(&self, unless: usize, with: usize) -> Result<NonNull<Slot<T>>, Shut> {
        let mut next = None;
        let mut spins = 0;
        let mut tail = self.tail.place.load(Acquire);
        loop {
            if tail & unless != 0 {
                return Err(Shut);
            }
            // After the tail, see the module.
            let block = self.tail.block.load(Acquire);
            let offset = tail / PLACE % LAP;
            if offset == SLOTS {
                spin(&mut spins);
                tail = self.tail.place.load(Acquire);
                continue;
            }
            let is_last = offset + 1 == SLOTS;
            if is_last && next.is_none() {
                next = Some(self.new_block());
            }
            let claimed = (tail + PLACE) | with;
            // Acquire for the block, which its creator has initialised; release, to pass that on.
            let swapped = self
                .tail
                .place
                .compare_exchange_weak(tail, claimed, AcqRel, Acquire);
            match swapped {
                Err(actual) => tail = actual,
                Ok(_) => {
                    let block = NonNull::new(block).expect("there always is a block");
                    if is_last {
                        self.link(block, next.take().expect("allocated above"));
                    } else if let Some(unused) = next {
                        self.recycle(unused);
                    }
                    // SAFETY: a slot of the block is claimed and not filled, so the block is alive.
                    return Ok(NonNull::from(&unsafe { block.as_ref() }.slots[offset]));
                }
            }
        }
    }

    /// Links a block whose predecessor's last slot the caller has claimed, and lets others go on.
    fn link(&self, block: NonNull<Block<T>>, next: Box<Block<T>>) {
        let next = Box::into_raw(next);
        // SAFETY: the caller has claimed a slot of it, and not filled it.
        let block = unsafe { block.as_ref() };
        // Release, here and below, for the new block.
        block.next.store(next, Release);
        self.tail.block.store(next, Release);
        self.tail.place.fetch_add(PLACE, Release);
    }

    fn fill(&self, slot: NonNull<Slot<T>>, filling: Filling<T>) {
        // SAFETY: our callers have claimed the slot, and fill it once.
        if let Some(waker) = unsafe { Slot::fill(slot, filling, &self.waker) } {
            wake(waker);
        }
    }

    fn new_block(&self) -> Box<Block<T>> {
        // Acquire, for the reset of the block.
        match NonNull::new(self.spare.swap(ptr::null_mut(), Acquire)) {
            // SAFETY: it came out of a box, and who takes it out of the cell owns it.
            Some(spare) => unsafe { Box::from_raw(spare.as_ptr()) },
            None => Block::new(),
        }
    }

    /// Keeps an unused block for later, if there is no other.
    fn recycle(&self, block: Box<Block<T>>) {
        let block = Box::into_raw(block);
        // Release, for the reset of the block.
        let kept = self
            .spare
            .compare_exchange(ptr::null_mut(), block, Release, Relaxed);
        if kept.is_err() {
            // SAFETY: it came out of a box just now.
            drop(unsafe { Box::from_raw(block) });
        }
    }

    /// Takes the next item out.
    ///
    /// # Safety
    ///
    /// The caller is the receiver, and in no other call of this or [`wait`](Self::wait).
    unsafe fn pop(&self) -> Popped<T> {
        self.head.0.with_mut(|head| {
            // SAFETY: nobody else touches the head, by the contract.
            let head = unsafe { &mut *head };
            loop {
                // SAFETY: the block at the head has slots that were not read, so it is alive.
                let block = unsafe { head.block.as_ref() };
                let slot = &block.slots[head.place / PLACE % LAP];
                match slot.look() {
                    Found::Nothing => return Popped::Empty,
                    Found::End => return Popped::End,
                    Found::Nudge => {
                        slot.reset();
                        self.nudges.fetch_sub(1, Relaxed);
                        self.advance(head);
                    }
                    Found::Value => {
                        // SAFETY: the caller is the receiver, and there is a value.
                        let value = unsafe { slot.take() };
                        self.advance(head);
                        return Popped::Value(value);
                    }
                }
            }
        })
    }

    /// Goes on to the next slot after one that was read and reset.
    fn advance(&self, head: &mut Position<T>) {
        head.place += PLACE;
        if head.place / PLACE % LAP < SLOTS {
            return;
        }
        head.place += PLACE;
        // SAFETY: it is the receiver's alone, since its last slot was read.
        let mut block = unsafe { Box::from_raw(head.block.as_ptr()) };
        // It was stored before the last slot was filled, which is how the receiver came here.
        let next = block.next.load(Acquire);
        head.block = NonNull::new(next).expect("the next block was linked first");
        block.next = AtomicPtr::new(ptr::null_mut());
        self.recycle(block);
    }

    /// Leaves a waker for whoever fills the slot at the head. `false` if it is filled already.
    ///
    /// # Safety
    ///
    /// The caller is the receiver, and in no other call of this or [`pop`](Self::pop).
    unsafe fn wait(&self, waker: &Waker) -> bool {
        self.head.0.with_mut(|head| {
            // SAFETY: nobody else touches the head, by the contract.
            let head = unsafe { &mut *head };
            head.version = head.version.wrapping_add(1);
            // SAFETY: the block at the head has slots that were not read, so it is alive.
            let block = unsafe { head.block.as_ref() };
            let slot = &block.slots[head.place / PLACE % LAP];
            // SAFETY: the caller is the receiver, and only ever waits for the slot at the head.
            unsafe { slot.wait(&self.waker, waker, head.version) }
        })
    }

    /// Takes the waker back, if there is one.
    ///
    /// # Safety
    ///
    /// As for [`wait`](Self::wait).
    unsafe fn unwait(&self) {
        self.head.0.with_mut(|head| {
            // SAFETY: nobody else touches the head, by the contract.
            let head = unsafe { &mut *head };
            // SAFETY: the block at the head has slots that were not read, so it is alive.
            let block = unsafe { head.block.as_ref() };
            let slot = &block.slots[head.place / PLACE % LAP];
            // SAFETY: the caller is the receiver.
            unsafe { slot.unwait(&self.waker) };
        });
    }
}

impl<T, S> Consumer<T, S> {
    /// Takes the next item out.
    pub(super) fn pop(&mut self) -> Popped<T> {
        // SAFETY: there is one consumer, borrowed mutably.
        unsafe { self.list.pop() }
    }

    /// Leaves a waker for the sender of the next item, or the last sender to go. `false` if
    /// there is something to be popped already.
    pub(super) fn wait(&mut self, waker: &Waker) -> bool {
        // SAFETY: there is one consumer, borrowed mutably.
        unsafe { self.list.wait(waker) }
    }

    /// How many items there are, those included that are being appended at the moment.
    pub(super) fn len(&self) -> usize {
        // SAFETY: the head changes only while the one consumer is borrowed mutably.
        let head = self.list.head.0.with(|head| unsafe { (*head).place });
        let tail = self.list.tail.place.load(Acquire);
        let behind = slots_before(tail) - slots_before(head);
        let marks = self.list.nudges.load(Relaxed) + usize::from(tail & ENDED != 0);
        behind.saturating_sub(marks)
    }

    /// Whether every place that was claimed has been read.
    pub(super) fn has_caught_up(&self) -> bool {
        // SAFETY: the head changes only while the one consumer is borrowed mutably.
        let head = self.list.head.0.with(|head| unsafe { (*head).place });
        let tail = self.list.tail.place.load(Acquire);
        slots_before(tail) == slots_before(head)
    }

    /// Takes out an item whose sender may still be busy with it or one before it.
    pub(super) fn pop_settled(&mut self) -> Popped<T> {
        let mut spins = 0;
        loop {
            match self.pop() {
                Popped::Empty if !self.has_caught_up() => spin(&mut spins),
                popped => return popped,
            }
        }
    }
}

impl<T, S> Deref for Consumer<T, S> {
    type Target = Arc<List<T, S>>;

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

impl<T, S> Drop for Consumer<T, S> {
    fn drop(&mut self) {
        // SAFETY: there is one consumer, borrowed mutably.
        unsafe { self.list.unwait() };
    }
}

impl<T, S> Drop for List<T, S> {
    fn drop(&mut self) {
        // What the receiver has left, and what came after it had gone.
        // SAFETY: nobody else has the list.
        while let Popped::Value(value) = unsafe { self.pop() } {
            drop(value);
        }
        let last = self.head.0.with(|head| {
            // SAFETY: as above.
            unsafe { (*head).block }
        });
        // SAFETY: it came out of a box, and nobody else has the list.
        drop(unsafe { Box::from_raw(last.as_ptr()) });
        if let Some(spare) = NonNull::new(self.spare.load(Acquire)) {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(spare.as_ptr()) });
        }
    }
}

/// The number of slots before a place.
fn slots_before(place: usize) -> usize {
    let place = place / PLACE;
    place / LAP * SLOTS + (place % LAP).min(SLOTS)
}

/// Waits for a thread that is about to do a store or two, or, if it was interrupted there, lets it go
/// on.
fn spin(spins: &mut u32) {
    *spins += 1;
    if *spins < 64 && cfg!(not(loom)) {
        std::hint::spin_loop();
    } else {
        yield_now();
    }
}
