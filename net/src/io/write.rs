//! The methods of writers.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use heist_runtime::scope::leaf_fn;

use super::AsyncWrite;

/// The slices of a `Buf` that are written at a time.
const SLICES: usize = 16;

/// The methods of everything that is [`AsyncWrite`], in tokio's names. For owned buffers there is
/// [`AsyncWrite::write_all_owned`].
pub trait AsyncWriteExt: AsyncWrite {
    /// Writes part of `bytes`, at least one unless it is empty. Yields how many.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Cancel safety
    ///
    /// A dropped `write` has written nothing.
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> + Send {
        leaf_fn(|cx| self.poll_write(cx, bytes))
    }

    /// Writes part of the slices, as if they were one.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Cancel safety
    ///
    /// A dropped `write_vectored` has written nothing.
    #[track_caller]
    fn write_vectored(
        &mut self,
        parts: &[IoSlice<'_>],
    ) -> impl Future<Output = io::Result<usize>> + Send {
        leaf_fn(|cx| self.poll_write_vectored(cx, parts))
    }

    /// Writes part of what `buffer` has, and advances it by that much. Yields how many bytes.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Cancel safety
    ///
    /// A dropped `write_buf` has written nothing.
    #[track_caller]
    fn write_buf<B: Buf + Send>(
        &mut self,
        buffer: &mut B,
    ) -> impl Future<Output = io::Result<usize>> + Send {
        leaf_fn(|cx| poll_write_buf(self, cx, buffer))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// Those of the writer, and `WriteZero` when it takes no more.
    ///
    /// # Cancel safety
    ///
    /// A dropped `write_all` may have written a part, and does not say how much;
    /// [`write_all_buf`](Self::write_all_buf) does.
    #[track_caller]
    fn write_all<'a>(&'a mut self, bytes: &'a [u8]) -> impl Future<Output = io::Result<()>> + Send {
        write_all(self, bytes)
    }

    /// Writes all that `buffer` has, and advances it as it goes.
    ///
    /// # Errors
    ///
    /// Those of the writer, and `WriteZero` when it takes no more.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: what has not been written is still in `buffer`, and another call goes on from there.
    #[track_caller]
    fn write_all_buf<B: Buf + Send>(
        &mut self,
        buffer: &mut B,
    ) -> impl Future<Output = io::Result<()>> + Send {
        leaf_fn(move |cx| {
            while buffer.has_remaining() {
                if ready!(poll_write_buf(self, cx, buffer))? == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Waits until everything written has gone to where it is going.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: another call goes on from there.
    #[track_caller]
    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        leaf_fn(|cx| self.poll_flush(cx))
    }

    /// Flushes, and tells the peer that nothing more will come.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: another call goes on from there.
    #[track_caller]
    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        leaf_fn(|cx| self.poll_shutdown(cx))
    }
}

impl<W: AsyncWrite + ?Sized> AsyncWriteExt for W {}

fn poll_write_buf<W: AsyncWrite + ?Sized, B: Buf>(
    writer: &mut W,
    cx: &mut Context<'_>,
    buffer: &mut B,
) -> Poll<io::Result<usize>> {
    let count = if writer.is_write_vectored() {
        let mut parts = [IoSlice::new(&[]); SLICES];
        let filled = buffer.chunks_vectored(&mut parts);
        ready!(writer.poll_write_vectored(cx, &parts[..filled]))?
    } else {
        ready!(writer.poll_write(cx, buffer.chunk()))?
    };
    buffer.advance(count);
    Poll::Ready(Ok(count))
}

#[track_caller]
pub(crate) fn write_all<'a, W: AsyncWrite + ?Sized>(
    writer: &'a mut W,
    mut bytes: &'a [u8],
) -> impl Future<Output = io::Result<()>> + Send + use<'a, W> {
    leaf_fn(move |cx| {
        while !bytes.is_empty() {
            match ready!(writer.poll_write(cx, bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => bytes = &bytes[count..],
            }
        }
        Poll::Ready(Ok(()))
    })
}
