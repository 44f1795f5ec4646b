//! The memory of tasks and scopes that have ended, kept for those to come.
//!
//! ```text
//!   allocate ◀── loaded ◀─▶ spare      two magazines for each thread and size
//!   deallocate ─▶  │          ▲
//!                  └─ full ───┼──▶ depot    full magazines, for all threads
//!                     empty ◀─┴────  │
//!                                    └──▶ the allocator, when they are not used for a while
//! ```
//!
//! A runtime makes and frees little else than tasks and scopes, of few sizes, often as many as it has had
//! before. A thread that frees what another has allocated passes it on by whole magazines, so that spawning
//! from outside costs no lock for each task, and none in the allocator. What has not been used for
//! a while goes back to the allocator bit by bit, by workers that are about to sleep.

#![expect(unsafe_code, reason = "free lists of raw memory")]

mod depot;
mod magazine;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;
use std::time::Duration;

use depot::Depot;
use magazine::{CAPACITY, Magazine};

/// Sizes are rounded up to a multiple of this.
const STEP: usize = 32;
/// As many sizes are kept; what is larger goes to the allocator at once.
const SIZES: usize = 32;
/// What every block is aligned to.
const ALIGN: usize = 16;

/// The number of the size that memory of this layout is kept under.
const fn size_of_layout(layout: Layout) -> Option<usize> {
    let size = layout.size().div_ceil(STEP);
    // Under Miri and the like every block has a life of its own, so that misuse is found.
    if size < SIZES && size > 0 && layout.align() <= ALIGN && !cfg!(miri) {
        Some(size)
    } else {
        None
    }
}

/// The layout of the blocks of a size.
const fn layout_of_size(size: usize) -> Layout {
    match Layout::from_size_align(size * STEP, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("the sizes are small"),
    }
}

/// What a thread keeps of one size.
struct Kept {
    /// What is taken from, and given to.
    loaded: Cell<Magazine>,
    /// Full or empty, so that one more or one less does not lead to the depot each time.
    spare: Cell<Magazine>,
}

struct Thread([Kept; SIZES]);

thread_local! {
    static THREAD: Thread = const {
        Thread(
            [const {
                Kept {
                    loaded: Cell::new(Magazine::EMPTY),
                    spare: Cell::new(Magazine::EMPTY),
                }
            }; SIZES],
        )
    };
}

static DEPOT: Depot = Depot::new();

impl Drop for Thread {
    fn drop(&mut self) {
        for (size, kept) in self.0.iter().enumerate() {
            kept.loaded.take().free(layout_of_size(size));
            kept.spare.take().free(layout_of_size(size));
        }
    }
}

impl Kept {
    #[inline]
    fn take(&self, size: usize, depot: &Depot) -> Option<NonNull<u8>> {
        let mut loaded = self.loaded.take();
        if loaded.is_empty() {
            loaded = self.reload(size, depot)?;
        }
        let block = loaded.pop();
        self.loaded.set(loaded);
        block
    }

    #[cold]
    fn reload(&self, size: usize, depot: &Depot) -> Option<Magazine> {
        let spare = self.spare.take();
        if spare.is_empty() {
            return depot.take(size);
        }
        Some(spare)
    }

    /// # Safety
    ///
    /// `block` is unused memory of this size.
    #[inline]
    unsafe fn give(&self, size: usize, depot: &Depot, block: NonNull<u8>) {
        let mut loaded = self.loaded.take();
        if loaded.length() >= CAPACITY {
            self.unload(size, depot, loaded);
            loaded = Magazine::EMPTY;
        }
        // SAFETY: by the contract, and a block holds a pointer.
        unsafe { loaded.push(block) };
        self.loaded.set(loaded);
    }

    #[cold]
    fn unload(&self, size: usize, depot: &Depot, full: Magazine) {
        let spare = self.spare.replace(full);
        if !spare.is_empty() {
            depot.give(size, spare);
        }
    }
}

/// Memory for a `T`, not initialised.
#[inline]
pub(crate) fn allocate<T>() -> NonNull<T> {
    if let Some(size) = const { size_of_layout(Layout::new::<T>()) } {
        // `try_with`: destructors of other thread locals may still spawn.
        let kept = THREAD.try_with(|thread| thread.0[size].take(size, &DEPOT));
        match kept {
            Ok(Some(block)) => block,
            _ => fresh(const { layout_of_size(size_or_one::<T>()) }),
        }
        .cast()
    } else {
        fresh(Layout::new::<T>()).cast()
    }
}

/// A size for the constants of a branch that is not taken.
const fn size_or_one<T>() -> usize {
    match size_of_layout(Layout::new::<T>()) {
        Some(size) => size,
        None => 1,
    }
}

#[cold]
fn fresh(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0, "tasks and scopes are not empty");
    // SAFETY: the layout is not that of nothing.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives the memory of a `T` back, which has been dropped.
///
/// # Safety
///
/// `place` comes from [`allocate`] with the same type, and is not used again.
#[inline]
pub(crate) unsafe fn deallocate<T>(place: NonNull<T>) {
    let block = place.cast::<u8>();
    if let Some(size) = const { size_of_layout(Layout::new::<T>()) } {
        let kept = THREAD.try_with(|thread| {
            // SAFETY: by the contract; `allocate` has rounded the size up to this one.
            unsafe { thread.0[size].give(size, &DEPOT, block) };
        });
        if kept.is_err() {
            let layout = const { layout_of_size(size_or_one::<T>()) };
            // SAFETY: by the contract; this is the layout that `allocate` has used.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    } else {
        // SAFETY: as above.
        unsafe { dealloc(block.as_ptr(), Layout::new::<T>()) };
    }
}

/// A worker is about to sleep: gives up some of what was not used for a while. Returns when to come again, if
/// anything is left.
#[inline]
pub(crate) fn trim() -> Option<Duration> {
    DEPOT.trim(crate::scope::age::now)
}

/// A runtime has ended: gives up what no thread keeps. Other runtimes fill the depot again.
pub(crate) fn clear() {
    DEPOT.clear();
}

#[cfg(all(test, not(loom)))]
mod tests;
