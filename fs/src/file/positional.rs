//! Reading and writing at an offset.

use std::future::Future;
use std::io::{self, IoSlice, IoSliceMut};

use heist_runtime::ops::{self, BufResult, IoBuf, IoBufMut, SharedFd, Slice};

use super::File;
use crate::blocking;

/// Most slices of one vectored call (`IOV_MAX`).
const SLICES: usize = 1024;

/// The greatest offset that the kernel knows.
fn checked(offset: u64) -> io::Result<u64> {
    i64::try_from(offset).map_err(|_| {
        let message = "an offset in a file is at most 2^63 - 1";
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })?;
    Ok(offset)
}

/// # At an offset
///
/// These methods leave the position alone and need the file only by reference, so that several tasks can read and write
/// parts of it at once. The buffer belongs to the operation until the kernel is done, and comes back with the result. What
/// was written through the traits may still be under way: flush before reading it here.
impl File {
    /// Reads at `offset` into the whole of `buffer`, for a `Vec` its capacity. Yields how many bytes, 0 at the end, and the
    /// buffer.
    ///
    /// # Errors
    ///
    /// Those of `pread(2)`.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; the buffer is lost.
    pub fn read_at<B: IoBufMut>(
        &self,
        buffer: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, B>> + Send + use<B> {
        let fd = self.fd.clone();
        async move {
            match checked(offset) {
                Ok(offset) => ops::read_at(&fd, buffer, offset).await,
                Err(error) => (Err(error), buffer),
            }
        }
    }

    /// Reads at `offset` until `buffer` is full, for a `Vec` up to its capacity.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the file ends first; the buffer has what there was. And those of `pread(2)`.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; the buffer is lost.
    pub fn read_exact_at<B: IoBuf + IoBufMut>(
        &self,
        buffer: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<(), B>> + Send + use<B> {
        let fd = self.fd.clone();
        async move { read_exact_at(&fd, buffer, offset).await }
    }

    /// Writes the initialised part of `buffer` at `offset`. Yields how many bytes, and the buffer.
    ///
    /// # Errors
    ///
    /// Those of `pwrite(2)`. With [`append`](super::OpenOptions::append) Linux writes at the end whatever the offset.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have written, and does not say how much; the buffer is lost.
    pub fn write_at<B: IoBuf>(
        &self,
        buffer: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, B>> + Send + use<B> {
        let fd = self.fd.clone();
        async move {
            match checked(offset) {
                Ok(offset) => ops::write_at(&fd, buffer, offset).await,
                Err(error) => (Err(error), buffer),
            }
        }
    }

    /// Writes all of the initialised part of `buffer` at `offset`.
    ///
    /// # Errors
    ///
    /// `WriteZero` when the file takes no more, and those of `pwrite(2)`; a part may have been written.
    ///
    /// # Cancel safety
    ///
    /// As for [`write_at`](Self::write_at).
    pub fn write_all_at<B: IoBuf>(
        &self,
        buffer: B,
        offset: u64,
    ) -> impl Future<Output = BufResult<(), B>> + Send + use<B> {
        let fd = self.fd.clone();
        async move { write_all_at(&fd, buffer, offset).await }
    }

    /// Reads at `offset` into one buffer after the other, up to their lengths (`preadv(2)`, on the blocking pool). Yields
    /// how many bytes.
    ///
    /// # Errors
    ///
    /// Those of `preadv(2)`.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing; the buffers are lost.
    pub fn read_vectored_at<B: AsMut<[u8]> + Send + 'static>(
        &self,
        buffers: Vec<B>,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send + use<B> {
        vectored(self.fd.clone(), buffers, move |fd, buffers| {
            let slices = buffers.iter_mut().take(SLICES);
            let mut slices: Vec<_> = slices.map(|one| IoSliceMut::new(one.as_mut())).collect();
            Ok(rustix::io::preadv(fd, &mut slices, checked(offset)?)?)
        })
    }

    /// Writes at `offset` one buffer after the other, as one write (`pwritev(2)`, on the blocking pool). Yields how many
    /// bytes.
    ///
    /// # Errors
    ///
    /// Those of `pwritev(2)`.
    ///
    /// # Cancel safety
    ///
    /// As for [`write_at`](Self::write_at).
    pub fn write_vectored_at<B: AsRef<[u8]> + Send + 'static>(
        &self,
        buffers: Vec<B>,
        offset: u64,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send + use<B> {
        vectored(self.fd.clone(), buffers, move |fd, buffers| {
            let slices = buffers.iter().take(SLICES);
            let slices: Vec<_> = slices.map(|one| IoSlice::new(one.as_ref())).collect();
            Ok(rustix::io::pwritev(fd, &slices, checked(offset)?)?)
        })
    }
}

/// A call with several buffers, on the pool.
async fn vectored<B: Send + 'static>(
    fd: SharedFd,
    mut buffers: Vec<B>,
    call: impl FnOnce(&SharedFd, &mut [B]) -> io::Result<usize> + Send + 'static,
) -> BufResult<usize, Vec<B>> {
    let called = blocking::run(move || {
        let done = call(&fd, &mut buffers);
        Ok((done, buffers))
    });
    called
        .await
        .unwrap_or_else(|error| (Err(error), Vec::new()))
}

pub(crate) async fn read_exact_at<B: IoBuf + IoBufMut>(
    fd: &SharedFd,
    buffer: B,
    offset: u64,
) -> BufResult<(), B> {
    if let Err(error) = checked(offset) {
        return (Err(error), buffer);
    }
    let wanted = buffer.capacity();
    let (mut buffer, mut filled) = (buffer, 0);
    while filled < wanted {
        let rest = Slice::new(buffer, filled);
        let (read, rest) = ops::read_at(fd, rest, offset + filled as u64).await;
        buffer = rest.into_inner();
        match read {
            Ok(0) => return (Err(io::ErrorKind::UnexpectedEof.into()), buffer),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), buffer),
        }
    }
    (Ok(()), buffer)
}

pub(crate) async fn write_all_at<B: IoBuf>(
    fd: &SharedFd,
    buffer: B,
    offset: u64,
) -> BufResult<(), B> {
    if let Err(error) = checked(offset) {
        return (Err(error), buffer);
    }
    let mut rest = Slice::new(buffer, 0);
    while !rest.is_empty() {
        let at = offset + rest.start() as u64;
        let (written, back) = ops::write_at(fd, rest, at).await;
        rest = back;
        match written {
            Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), rest.into_inner()),
            Ok(count) => rest.advance(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), rest.into_inner()),
        }
    }
    (Ok(()), rest.into_inner())
}
