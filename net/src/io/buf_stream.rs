//! Both directions with a buffer.

use std::io;
use std::task::{Context, Poll};

use super::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, BufWriter, write_behind};

/// [`BufReader`] and [`BufWriter`] in one, for what is both a reader and a writer.
#[derive(Debug)]
pub struct BufStream<S> {
    inner: BufReader<BufWriter<S>>,
}

impl<S: AsyncRead + AsyncWrite> BufStream<S> {
    /// Gathers 8 KiB of writes.
    pub fn new(stream: S) -> Self {
        Self {
            inner: BufReader::new(BufWriter::new(stream)),
        }
    }

    /// Gathers `write_capacity` bytes. The reading side has no memory of its own, so unlike tokio's this takes one
    /// number.
    pub fn with_capacity(write_capacity: usize, stream: S) -> Self {
        Self {
            inner: BufReader::new(BufWriter::with_capacity(write_capacity, stream)),
        }
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref().get_ref()
    }

    /// The stream, past what was read ahead and before what was gathered.
    pub fn get_mut(&mut self) -> &mut S {
        self.inner.get_mut().get_mut()
    }

    pub(super) fn as_inner(&mut self) -> &mut BufReader<BufWriter<S>> {
        &mut self.inner
    }

    /// The stream, with what was read ahead put back, and without what was gathered and not flushed.
    pub fn into_inner(self) -> S {
        self.inner.into_inner().into_inner()
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for BufStream<S> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<crate::RecvBuf>>> {
        self.inner.poll_recv(cx)
    }

    fn unread(&mut self, bytes: crate::RecvBuf) {
        self.inner.unread(bytes);
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncBufRead for BufStream<S> {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.inner.poll_fill_buf(cx)
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for BufStream<S> {
    write_behind!(self => self.inner);
}
