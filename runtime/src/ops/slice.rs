//! An owned buffer from some byte on.

#![expect(unsafe_code, reason = "the contract with the kernel about memory")]

use std::fmt;

use crate::ops::{IoBuf, IoBufMut};

/// The part of an owned buffer behind its first bytes: what is left to write after a short write, or to fill after a
/// short read.
///
/// As an [`IoBufMut`] it is filled behind what is initialised before it, so that `Slice::new(vec, vec.len())` appends.
///
/// ```
/// use heist_runtime::ops::{Slice, SharedFd, write_at};
///
/// async fn write_all_at(file: &SharedFd, bytes: Vec<u8>, offset: u64) -> std::io::Result<()> {
///     let mut rest = Slice::new(bytes, 0);
///     while !rest.is_empty() {
///         let (written, back) = write_at(file, rest, offset).await;
///         rest = back;
///         rest.advance(written?);
///     }
///     Ok(())
/// }
/// ```
pub struct Slice<B> {
    buffer: B,
    start: usize,
}

impl<B: IoBuf> Slice<B> {
    /// The bytes of `buffer` from number `start` on.
    ///
    /// # Panics
    ///
    /// When fewer than `start` bytes are initialised.
    #[must_use]
    pub fn new(buffer: B, start: usize) -> Self {
        assert!(
            start <= buffer.init_len(),
            "a slice starts inside its buffer"
        );
        Self { buffer, start }
    }

    /// Skips `count` more bytes.
    ///
    /// # Panics
    ///
    /// When there are fewer initialised.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "cannot advance a slice past its end");
        self.start += count;
    }

    /// How many initialised bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.init_len() - self.start
    }

    /// Whether it has no initialised byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<B> Slice<B> {
    /// Where in the buffer it starts.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// The whole buffer.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.buffer
    }
}

impl<B> fmt::Debug for Slice<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice")
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

// SAFETY: a part of memory for which the buffer promises the same; `start` is inside of it, as nothing shortens a
// buffer that cannot be reached.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn stable_ptr(&self) -> *const u8 {
        // SAFETY: the start is at most the initialised length.
        unsafe { self.buffer.stable_ptr().add(self.start) }
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above.
unsafe impl<B: IoBuf + IoBufMut> IoBufMut for Slice<B> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        // SAFETY: as above, and the capacity is at least that.
        unsafe { self.buffer.stable_mut_ptr().add(self.start) }
    }

    fn capacity(&self) -> usize {
        self.buffer.capacity() - self.start
    }

    unsafe fn set_init(&mut self, length: usize) {
        // SAFETY: the bytes before the start are initialised, and the caller vouches for those behind it.
        unsafe { self.buffer.set_init(self.start + length) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slice_appends_and_advances() {
        let mut vec = Vec::with_capacity(8);
        vec.extend_from_slice(b"abc");
        let mut slice = Slice::new(vec, 3);
        assert!(slice.is_empty() && slice.capacity() >= 5);
        let place = slice.stable_mut_ptr();
        // SAFETY: there is room for five.
        unsafe { place.copy_from(b"de".as_ptr(), 2) };
        // SAFETY: two bytes have been written.
        unsafe { slice.set_init(2) };
        assert_eq!(slice.len(), 2);
        slice.advance(1);
        assert_eq!((slice.start(), slice.len()), (4, 1));
        assert_eq!(slice.into_inner(), b"abcde");
    }

    #[test]
    #[should_panic(expected = "inside its buffer")]
    fn a_slice_does_not_start_behind_what_is_initialised() {
        let _ = Slice::new(Vec::with_capacity(8), 1);
    }
}
