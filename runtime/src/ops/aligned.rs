//! Memory as direct I/O wants it.

#![expect(unsafe_code, reason = "memory of an alignment of its own")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::ops::{IoBuf, IoBufMut};

/// The size of a page, which every device is content with.
const PAGE: usize = 4096;

/// A buffer whose address is a multiple of 4096, or of what was asked for: for files that are opened with `O_DIRECT`
/// ([`open(2)`](https://man7.org/linux/man-pages/man2/open.2.html)), whose reads and writes go past the kernel's cache.
///
/// It has a fixed capacity and, as a `Vec`, a length; it dereferences to so many bytes. A read fills the whole
/// capacity, a write takes the length. Lengths and offsets have to be multiples of the device's block size too, which
/// is up to the caller.
///
/// ```
/// use heist_runtime::ops::AlignedBuf;
///
/// let mut buffer = AlignedBuf::new(8192);
/// buffer.extend_from_slice(b"a block");
/// buffer.resize(4096, 0);
/// assert_eq!((buffer.as_ptr() as usize % 4096, &buffer[..7]), (0, &b"a block"[..]));
/// ```
pub struct AlignedBuf {
    memory: NonNull<u8>,
    layout: Layout,
    length: usize,
}

// SAFETY: it owns its memory, as a `Vec` does.
unsafe impl Send for AlignedBuf {}
// SAFETY: as above; `&AlignedBuf` only reads.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// An empty buffer with room for `capacity` bytes, at a multiple of 4096.
    ///
    /// # Panics
    ///
    /// When the capacity is no possible size (more than `isize::MAX`).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with_alignment(capacity, PAGE)
    }

    /// As [`new`](Self::new), at a multiple of `alignment`.
    ///
    /// # Panics
    ///
    /// When `alignment` is no power of two, and as there.
    #[must_use]
    pub fn with_alignment(capacity: usize, alignment: usize) -> Self {
        // No allocation has a size of zero.
        let layout = Layout::from_size_align(capacity.max(1), alignment)
            .expect("an alignment is a power of two, and a capacity at most isize::MAX");
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory) else {
            handle_alloc_error(layout)
        };
        Self {
            memory,
            layout,
            length: 0,
        }
    }

    /// How many bytes fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// What its address is a multiple of.
    #[must_use]
    pub fn alignment(&self) -> usize {
        self.layout.align()
    }

    /// Makes it `length` bytes long; those that are new are `value`.
    ///
    /// # Panics
    ///
    /// When so many do not fit.
    pub fn resize(&mut self, length: usize, value: u8) {
        assert!(length <= self.capacity(), "an aligned buffer does not grow");
        let old = std::mem::replace(&mut self.length, length);
        if let Some(new) = self.get_mut(old..) {
            new.fill(value);
        }
    }

    /// Forgets what is in it.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Appends bytes.
    ///
    /// # Panics
    ///
    /// When they do not fit.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let old = self.length;
        assert!(
            bytes.len() <= self.capacity() - old,
            "an aligned buffer does not grow"
        );
        self.length += bytes.len();
        self[old..].copy_from_slice(bytes);
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the memory is ours, at least so long, and was initialised from the start.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.length) }
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for AlignedBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("length", &self.length)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and not used again.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

// SAFETY: the memory does not move with the value, and is reached only through it.
unsafe impl IoBuf for AlignedBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.memory.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.length
    }
}

// SAFETY: as above; all of it is writable.
unsafe impl IoBufMut for AlignedBuf {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.memory.as_ptr()
    }

    fn capacity(&self) -> usize {
        Self::capacity(self)
    }

    unsafe fn set_init(&mut self, length: usize) {
        self.length = length;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_where_it_should_be() {
        for alignment in [1, 512, 4096, 1 << 16] {
            let mut buffer = AlignedBuf::with_alignment(1000, alignment);
            assert_eq!(buffer.stable_ptr() as usize % alignment, 0);
            assert!(buffer.is_empty());
            buffer.extend_from_slice(b"abc");
            buffer.resize(1000, 7);
            assert_eq!((&buffer[..4], buffer[999]), (&b"abc\x07"[..], 7));
            buffer.resize(2, 0);
            buffer.resize(3, 1);
            assert_eq!(&*buffer, b"ab\x01");
        }
        assert!(AlignedBuf::new(0).is_empty());
    }

    #[test]
    #[should_panic(expected = "does not grow")]
    fn more_than_fits_is_refused() {
        AlignedBuf::new(8).extend_from_slice(&[0; 9]);
    }
}
