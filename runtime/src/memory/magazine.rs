//! A magazine: unused blocks of one size, each of which points to the next.

#![expect(unsafe_code, reason = "a list through unused memory")]

use std::alloc::{Layout, dealloc};
use std::ptr::NonNull;

/// How many blocks a magazine holds when it is full.
pub(super) const CAPACITY: u32 = 64;

/// The head of an unused block.
struct Unused {
    next: Option<NonNull<Self>>,
}

/// Blocks of one size. Dropping it leaks them: it does not know their layout.
#[derive(Debug)]
pub(super) struct Magazine {
    first: Option<NonNull<Unused>>,
    length: u32,
}

// SAFETY: it owns the blocks, which nobody else uses.
unsafe impl Send for Magazine {}

impl Default for Magazine {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Magazine {
    pub(super) const EMPTY: Self = Self {
        first: None,
        length: 0,
    };

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn length(&self) -> u32 {
        self.length
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<NonNull<u8>> {
        let first = self.first?;
        // SAFETY: `push` has written the head, and nobody else has the block.
        self.first = unsafe { first.as_ref() }.next;
        self.length -= 1;
        Some(first.cast())
    }

    /// # Safety
    ///
    /// `block` is memory for an [`Unused`] at least, aligned to it, and used by nobody.
    #[inline]
    pub(super) unsafe fn push(&mut self, block: NonNull<u8>) {
        let block = block.cast::<Unused>();
        let head = Unused { next: self.first };
        // SAFETY: by the contract.
        unsafe { block.write(head) };
        self.first = Some(block);
        self.length += 1;
    }

    /// Gives the blocks, which have this layout, to the allocator.
    pub(super) fn free(mut self, layout: Layout) {
        while let Some(block) = self.pop() {
            // SAFETY: every block of the list was allocated with the layout of its size.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    }
}
