//! One place for an item, and the blocks they come in.
//!
//! # The state of a slot
//!
//! | state | meaning | whose it is |
//! |---|---|---|
//! | `EMPTY` | nothing yet | the sender's that has claimed it, if any |
//! | `WAITED` and a version | the same, and the receiver has left its waker for this very slot | as above, with the waker |
//! | `VALUE` | an item | the receiver's |
//! | `NUDGE` | nothing, but the receiver should look around | the receiver's |
//! | `END` | nothing, and nothing will come after it | the receiver's |
//!
//! The receiver turns `EMPTY` into `WAITED` and back, and into `EMPTY` what it has read; the sender
//! turns one of the first two into one of the last three, once. It wakes the receiver if it was
//! waited for. So of all senders only the one that fills the slot at the head ever does, and the
//! others do not even look whether somebody waits.

#![expect(unsafe_code, reason = "the state of a slot says whose its content is")]

use crate::primitives::{AtomicPtr, AtomicUsize, UnsafeCell};
use crate::waker_cell::WakerCell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::Waker;

const EMPTY: usize = 0;
const WAITED: usize = 1;
const VALUE: usize = 2;
const NUDGE: usize = 3;
const END: usize = 4;
/// The bits of a state that are not its version.
const KIND: usize = 7;
/// One more registration, in a state: it makes each `WAITED` another one, as `waker_cell` needs it.
const VERSION: usize = 8;

/// How many items a block has room for. One less than a power of two, see `list`. The models have
/// so few that they link and free blocks too.
pub(super) const SLOTS: usize = if cfg!(loom) { 3 } else { 31 };

/// A run of slots.
pub(super) struct Block<T> {
    /// Set before the last slot is filled.
    pub(super) next: AtomicPtr<Self>,
    pub(super) slots: [Slot<T>; SLOTS],
}

/// A place for an item.
pub(super) struct Slot<T> {
    state: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// What a sender fills a slot with.
pub(super) enum Filling<T> {
    /// An item.
    Value(T),
    /// Nothing, to make the receiver look around.
    Nudge,
    /// Nothing, for ever.
    End,
}

/// What the receiver finds in a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Value,
    Nudge,
    End,
}

impl<T> Block<T> {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            next: AtomicPtr::new(ptr::null_mut()),
            slots: std::array::from_fn(|_| Slot {
                state: AtomicUsize::new(EMPTY),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            }),
        })
    }
}

impl<T> Slot<T> {
    /// Sender: fills a slot, its last touch, and returns the waker of the receiver if it waits.
    ///
    /// The receiver may free the slot before this has returned. So it is given a pointer: a reference would
    /// promise that the slot, or at least the padding in it, is there until then.
    ///
    /// # Safety
    ///
    /// The caller has claimed the slot, hence it is alive, and fills it for the first time.
    pub(super) unsafe fn fill(
        slot: NonNull<Self>,
        filling: Filling<T>,
        receiver: &WakerCell,
    ) -> Option<Waker> {
        // SAFETY: it is alive until it is filled, and not used after that.
        let slot = unsafe { slot.as_ref() };
        let new = match filling {
            Filling::Value(value) => {
                slot.value.with_mut(|cell| {
                    // SAFETY: the content is the caller's, until the state is changed below.
                    unsafe { (*cell).write(value) };
                });
                VALUE
            }
            Filling::Nudge => NUDGE,
            Filling::End => END,
        };
        // Acquire, for the waker.
        let mut seen = slot.state.load(Acquire);
        loop {
            let waker = (seen & KIND == WAITED).then(|| receiver.copy());
            // Release, for the value and whatever the sender did before; acquire as above.
            match slot.state.compare_exchange_weak(seen, new, AcqRel, Acquire) {
                // SAFETY: the state was exchanged from the one that speaks of the waker copied.
                Ok(_) => return waker.map(|copied| unsafe { copied.into_waker() }),
                Err(actual) => seen = actual,
            }
        }
    }

    /// What is in the slot.
    pub(super) fn look(&self) -> Found {
        // Acquire, for the value.
        match self.state.load(Acquire) & KIND {
            VALUE => Found::Value,
            NUDGE => Found::Nudge,
            END => Found::End,
            _ => Found::Nothing,
        }
    }

    /// Receiver: takes the item out.
    ///
    /// # Safety
    ///
    /// The caller is the receiver, has [looked](Self::look), and found a value.
    pub(super) unsafe fn take(&self) -> T {
        let value = self.value.with_mut(|cell| {
            // SAFETY: there is one, by the contract, and the store below says so no longer.
            unsafe { cell.cast::<T>().read() }
        });
        self.reset();
        value
    }

    /// Receiver: makes a slot that was read ready for its next use.
    pub(super) fn reset(&self) {
        // Relaxed: senders reach it again with the block, which is handed over with more than that.
        self.state.store(EMPTY, Relaxed);
    }

    /// Receiver: leaves a waker for whoever fills the slot. `false` if it is filled. The version is
    /// greater with every call.
    ///
    /// # Safety
    ///
    /// The caller is the receiver, whose cell this is, and waits for no other slot.
    pub(super) unsafe fn wait(&self, cell: &WakerCell, waker: &Waker, version: usize) -> bool {
        let seen = self.state.load(Acquire);
        if seen & KIND == WAITED && cell.holds(waker) {
            return true;
        }
        // SAFETY: as the caller says.
        if !unsafe { self.unwait(cell) } {
            return false;
        }
        cell.fill(waker.clone());
        let waited = version.wrapping_mul(VERSION) | WAITED;
        // Release, for the waker.
        let registered = self.state.compare_exchange(EMPTY, waited, AcqRel, Acquire);
        if registered.is_err() {
            // SAFETY: it was filled above, and no state speaks of it.
            drop(unsafe { cell.copy().into_waker() });
        }
        registered.is_ok()
    }

    /// Receiver: takes the waker back. `false` if the slot is filled.
    ///
    /// # Safety
    ///
    /// The caller is the receiver, and this its cell.
    pub(super) unsafe fn unwait(&self, cell: &WakerCell) -> bool {
        let seen = self.state.load(Acquire);
        match seen & KIND {
            EMPTY => true,
            WAITED => {
                let copied = cell.copy();
                let taken = self.state.compare_exchange(seen, EMPTY, AcqRel, Acquire);
                if taken.is_ok() {
                    // SAFETY: the state was exchanged from the one that speaks of this waker, and
                    // only the receiver fills the cell.
                    drop(unsafe { copied.into_waker() });
                }
                taken.is_ok()
            }
            _ => false,
        }
    }
}
