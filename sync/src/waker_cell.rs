//! A waker that one side may read while the other is about to take it.
//!
//! The cell is two words, and somebody else's state word says whether they are a waker. Whoever
//! wants the waker copies the words first and then takes the bit that stands for it off that state
//! word, by a compare-and-swap from the state that it had seen before it copied. If that succeeds,
//! the copy was whole and is now its own; if not, the copy may be torn and means nothing. So taking
//! a waker costs no more than the change of state that it goes with, and nothing behind the cell is
//! touched after it: the other side may free the memory at once.
//!
//! For this to hold the state word must never return to an earlier value while the cell changes,
//! which is why those who fill a cell count the fillings in the same word.

#![expect(
    unsafe_code,
    reason = "a waker is taken apart into words and put together again"
)]

use crate::primitives::AtomicPtr;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{RawWakerVTable, Waker};

/// Room for a waker. Dropping it drops none.
#[derive(Debug)]
pub(crate) struct WakerCell {
    data: AtomicPtr<()>,
    vtable: AtomicPtr<RawWakerVTable>,
}

/// What was in a cell: a waker, or words without meaning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied {
    data: *mut (),
    vtable: *mut RawWakerVTable,
}

// The accesses are relaxed: the compare-and-swap that makes a copy count is what orders them. A
// copy that comes before a successful one saw no later filling, since whoever fills the cell has
// changed the state word before; and it saw the filling that the state it loaded speaks of, since
// it acquired that.
impl WakerCell {
    pub(crate) fn new() -> Self {
        Self {
            data: AtomicPtr::new(ptr::null_mut()),
            vtable: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Puts a waker in. Only for the side that registers, while the state says the cell is empty.
    pub(crate) fn fill(&self, waker: Waker) {
        let waker = ManuallyDrop::new(waker);
        self.data.store(waker.data().cast_mut(), Relaxed);
        let vtable: *const RawWakerVTable = waker.vtable();
        self.vtable.store(vtable.cast_mut(), Relaxed);
    }

    /// Copies the words.
    pub(crate) fn copy(&self) -> Copied {
        Copied {
            data: self.data.load(Relaxed),
            vtable: self.vtable.load(Relaxed),
        }
    }

    /// Whether the cell holds this waker. Only for the side that registers, with the cell full.
    pub(crate) fn holds(&self, waker: &Waker) -> bool {
        let copied = self.copy();
        ptr::eq(copied.data, waker.data()) && ptr::eq(copied.vtable, waker.vtable())
    }
}

impl Copied {
    /// The waker that was copied.
    ///
    /// # Safety
    ///
    /// The copy is whole, and the waker the caller's: by the exchange that the module describes,
    /// or because the caller has just filled the cell and nobody could know of it.
    pub(crate) unsafe fn into_waker(self) -> Waker {
        // SAFETY: a whole copy has the vtable of a waker, which is `'static`.
        let vtable = unsafe { &*self.vtable };
        // SAFETY: `fill` took these words out of a waker that it forgot, and by the contract this
        // is the only one made of them since.
        unsafe { Waker::new(self.data, vtable) }
    }
}
