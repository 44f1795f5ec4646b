//! A group of provided buffers, as the kernel's side of it sees it.

#![expect(unsafe_code, reason = "memory shared with the owner of the buffers")]

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::driver::sys::BufferEntry;

/// The buffers of one ring that wait to be filled.
#[derive(Debug)]
pub(super) struct Group {
    id: u16,
    entries: NonNull<BufferEntry>,
    mask: u16,
    /// The next entry to use; the owner's tail is in the first entry.
    head: u16,
}

// SAFETY: the entries are memory shared by atomic publication, and not bound to a thread.
unsafe impl Send for Group {}

/// The buffer that is next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provided {
    pub(super) address: u64,
    pub(super) length: u32,
    pub(super) id: u16,
}

impl Group {
    /// The group `id` of `count` entries, of which none has been published.
    ///
    /// # Safety
    ///
    /// The entries, a power of two of them, stay where they are for as long as this is used. Those before the
    /// published tail name writable memory that nobody else uses until it has been taken and told.
    pub(super) unsafe fn new(entries: NonNull<BufferEntry>, count: u32, id: u16) -> Self {
        debug_assert!(count.is_power_of_two() && count <= 1 << 15);
        Self {
            id,
            entries,
            mask: (count - 1) as u16,
            head: 0,
        }
    }

    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// The next buffer, if there is any. It stays the next one until it is taken.
    pub(super) fn peek(&self) -> Option<Provided> {
        // SAFETY: entry 0 exists, and its tail is only accessed atomically.
        let first = unsafe { &raw const (*self.entries.as_ptr()).tail };
        // SAFETY: as above; the entries stay for as long as `self`.
        let tail = unsafe { &*first };
        // Acquire: the entries before the tail have been written.
        if tail.load(Ordering::Acquire) == self.head {
            return None;
        }
        // SAFETY: the masked index is inside the entries.
        let entry = unsafe { self.entries.add(usize::from(self.head & self.mask)) }.as_ptr();
        // SAFETY: published, the entry is left alone by its owner until it has been taken. Its last field, which
        // may be the tail, is not read.
        let address = unsafe { (*entry).address };
        // SAFETY: as above.
        let length = unsafe { (*entry).length };
        // SAFETY: as above.
        let id = unsafe { (*entry).id };
        Some(Provided {
            address,
            length,
            id,
        })
    }

    /// The buffer that was [peeked at](Self::peek) has been filled.
    pub(super) fn take(&mut self) {
        self.head = self.head.wrapping_add(1);
    }
}
