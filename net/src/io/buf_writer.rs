//! A writer that gathers.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::{AsyncBufRead, AsyncRead, AsyncWrite};
use crate::RecvBuf;

/// Bytes that a writer gathers by default.
const CAPACITY: usize = 8 * 1024;

/// Gathers small writes into large ones.
///
/// What has been gathered is written when more would not fit, and by a flush or shutdown. Dropping it forgets what
/// was not flushed.
///
/// An error while the gathered bytes are written is told by the call that writes them; they stay, and another flush
/// goes on behind what the writer has taken.
#[derive(Debug)]
pub struct BufWriter<W> {
    inner: W,
    gathered: Vec<u8>,
    /// How many of them are written.
    written: usize,
    capacity: usize,
}

impl<W: AsyncWrite> BufWriter<W> {
    /// A writer that gathers 8 KiB.
    pub fn new(inner: W) -> Self {
        Self::with_capacity(CAPACITY, inner)
    }

    /// A writer that gathers `capacity` bytes, for which memory is taken at the first write.
    pub fn with_capacity(capacity: usize, inner: W) -> Self {
        Self {
            inner,
            gathered: Vec::new(),
            written: 0,
            capacity,
        }
    }

    /// What has been gathered and not written.
    pub fn buffer(&self) -> &[u8] {
        &self.gathered[self.written..]
    }

    /// The writer.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer. What is written to it comes before [`buffer`](Self::buffer).
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The writer, without what [`buffer`](Self::buffer) shows.
    pub fn into_inner(self) -> W {
        self.inner
    }

    /// Writes what was gathered, without flushing the writer.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() {
            match ready!(self.inner.poll_write(cx, &self.gathered[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.gathered.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Makes room for `length` bytes, if so many are ever gathered.
    fn poll_room(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<()>> {
        if self.gathered.len().saturating_add(length) > self.capacity {
            ready!(self.poll_drain(cx))?;
        }
        if self.gathered.capacity() == 0 && length < self.capacity {
            self.gathered.reserve_exact(self.capacity);
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite> AsyncWrite for BufWriter<W> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx, bytes.len()))?;
        if bytes.len() >= self.capacity {
            return self.inner.poll_write(cx, bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts
            .iter()
            .fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        ready!(self.poll_room(cx, length))?;
        if length >= self.capacity {
            return self.inner.poll_write_vectored(cx, parts);
        }
        for part in parts {
            self.gathered.extend_from_slice(part);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.inner.poll_flush(cx)
    }

    fn poll_start_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.inner.poll_start_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.inner.poll_shutdown(cx)
    }
}

/// Read through from what it writes to.
impl<W: AsyncRead> AsyncRead for BufWriter<W> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        self.inner.poll_recv(cx)
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.inner.unread(bytes);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_read(cx, into)
    }
}

impl<W: AsyncBufRead> AsyncBufRead for BufWriter<W> {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.inner.poll_fill_buf(cx)
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }
}
