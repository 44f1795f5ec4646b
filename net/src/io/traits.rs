//! The traits of readers and writers.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use heist_runtime::ops::{BufResult, IoBuf};

use crate::RecvBuf;

/// What bytes can be read from. Programs use the methods of [`AsyncReadExt`](super::AsyncReadExt).
///
/// Differs from tokio's: the reader owns the buffers and hands them out, and takes bytes back.
pub trait AsyncRead: Send {
    /// Polls for the next bytes and the buffer they are in, which is never empty; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of the source. Whether reading may go on afterwards is up to it.
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>>;

    /// Puts bytes back in front of what is still to be read: they come next. It may be called any number of times,
    /// also at the end and with bytes that were never read; [`Unread`](super::Unread) does it for an implementation.
    fn unread(&mut self, bytes: RecvBuf);

    /// Polls for bytes and copies them into `into`. Yields how many; 0 at the end, or when `into` is empty.
    ///
    /// # Errors
    ///
    /// As for [`poll_recv`](Self::poll_recv).
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Some(mut bytes) = ready!(self.poll_recv(cx))? else {
            return Poll::Ready(Ok(0));
        };
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        if count < bytes.len() {
            bytes.advance(count);
            self.unread(bytes);
        }
        Poll::Ready(Ok(count))
    }
}

/// A reader whose next bytes can be looked at before they are taken. Programs use the methods of
/// [`AsyncBufReadExt`](super::AsyncBufReadExt).
///
/// Sockets are such readers by themselves, since they keep the buffer that the kernel filled. For others there is
/// [`BufReader`](super::BufReader).
pub trait AsyncBufRead: AsyncRead {
    /// Polls for the next bytes without taking them; none at the end.
    ///
    /// # Errors
    ///
    /// As for [`poll_recv`](AsyncRead::poll_recv).
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>>;

    /// Takes the first `count` of the bytes that [`poll_fill_buf`](Self::poll_fill_buf) has shown.
    ///
    /// # Panics
    ///
    /// When it has shown fewer.
    fn consume(&mut self, count: usize);
}

/// What bytes can be written to. Programs use the methods of [`AsyncWriteExt`](super::AsyncWriteExt).
///
/// An error is told by the call that meets it, or by the next one; none is lost as long as the writer is flushed or
/// shut down before it is dropped.
pub trait AsyncWrite: Send {
    /// Polls to write part of `bytes`, at least one unless it is empty. Yields how many. While it is pending nothing
    /// has been written, and the next poll may bring other bytes.
    ///
    /// # Errors
    ///
    /// Those of the sink; nothing of `bytes` has been written then.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// As [`poll_write`](Self::poll_write), for several slices as if they were one. By default it writes of the first
    /// one that is not empty.
    ///
    /// # Errors
    ///
    /// As there.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty());
        self.poll_write(cx, first.map_or(&[], |part| part))
    }

    /// Whether [`poll_write_vectored`](Self::poll_write_vectored) does better than the default.
    fn is_write_vectored(&self) -> bool {
        false
    }

    /// Polls until everything written has gone to where it is going.
    ///
    /// # Errors
    ///
    /// Those of the sink.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Polls until everything written is on its way to where it is going, without waiting for it to get there: what
    /// a protocol calls after each of its messages. By default this is [`poll_flush`](Self::poll_flush); what a
    /// socket was given leaves by itself.
    ///
    /// # Errors
    ///
    /// Those of the sink, also of what was written before.
    fn poll_start_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    /// Polls to flush and to tell the peer that nothing more will come. It may be polled again afterwards.
    ///
    /// # Errors
    ///
    /// Those of the sink.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes all of an owned buffer and gives it back. By default by [`poll_write`](Self::poll_write); sockets leave
    /// the buffer to the kernel, which waits for room by itself.
    ///
    /// # Errors
    ///
    /// Those of the sink, and `WriteZero` when it takes no more.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way it may have written a part, and does not say how much.
    fn write_all_owned<B: IoBuf + AsRef<[u8]> + Sync>(
        &mut self,
        buffer: B,
    ) -> impl Future<Output = BufResult<(), B>> + Send
    where
        Self: Sized,
    {
        async move {
            let written = super::write::write_all(self, buffer.as_ref()).await;
            (written, buffer)
        }
    }
}
