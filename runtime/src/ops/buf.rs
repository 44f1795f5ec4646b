//! Memory that an operation may own while the kernel uses it.

#![expect(unsafe_code, reason = "the contract with the kernel about memory")]

use std::io;

/// What an operation on an owned buffer gives back: its result, and the buffer.
pub type BufResult<T, B> = (io::Result<T>, B);

/// An owned buffer whose bytes do not move while the buffer value does.
///
/// # Safety
///
/// The memory at `stable_ptr` is readable for `init_len` bytes, stays where it is when the value moves,
/// and nobody writes it while the value is owned by an operation.
pub unsafe trait IoBuf: Send + 'static {
    /// Where the bytes lie.
    fn stable_ptr(&self) -> *const u8;

    /// How many of them are initialised.
    fn init_len(&self) -> usize;
}

/// An owned buffer that the kernel may fill.
///
/// # Safety
///
/// The memory at `stable_mut_ptr` is writable for `capacity` bytes, stays where it is when the value
/// moves, and nobody else touches it while the value is owned by an operation.
pub unsafe trait IoBufMut: Send + 'static {
    /// Where the bytes go.
    fn stable_mut_ptr(&mut self) -> *mut u8;

    /// How many fit.
    fn capacity(&self) -> usize;

    /// Notes that the first `length` bytes have been written.
    ///
    /// # Safety
    ///
    /// They have.
    unsafe fn set_init(&mut self, length: usize);
}

// SAFETY: a vector's heap memory does not move with the vector.
unsafe impl IoBuf for Vec<u8> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above; the whole capacity is writable.
unsafe impl IoBufMut for Vec<u8> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn capacity(&self) -> usize {
        Self::capacity(self)
    }

    unsafe fn set_init(&mut self, length: usize) {
        // SAFETY: the caller vouches that so many bytes are initialised, and they fit the capacity.
        unsafe { self.set_len(length) };
    }
}

// SAFETY: a box's memory does not move with the box.
unsafe impl IoBuf for Box<[u8]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above. All bytes of a boxed slice are initialised from the start.
unsafe impl IoBufMut for Box<[u8]> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn capacity(&self) -> usize {
        self.len()
    }

    unsafe fn set_init(&mut self, _length: usize) {}
}

// SAFETY: static memory stays, and nobody writes it.
unsafe impl IoBuf for &'static [u8] {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above.
unsafe impl IoBuf for &'static str {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as for `Vec`.
unsafe impl IoBuf for String {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: shared memory does not move with a handle, and nobody writes it.
unsafe impl IoBuf for std::sync::Arc<[u8]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above; `bytes` counts its handles likewise.
#[cfg(feature = "bytes")]
unsafe impl IoBuf for bytes::Bytes {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: its part of the memory is its own, and does not move with it.
#[cfg(feature = "bytes")]
unsafe impl IoBuf for bytes::BytesMut {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn init_len(&self) -> usize {
        self.len()
    }
}

/// The length of a transfer as io_uring's entries hold it; longer buffers are transferred in part.
pub(crate) fn entry_len(length: usize) -> u32 {
    u32::try_from(length)
        .unwrap_or(u32::MAX)
        .min(i32::MAX as u32)
}
