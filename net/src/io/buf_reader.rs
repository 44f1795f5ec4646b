//! A reader with a look ahead.

use std::io;
use std::task::{Context, Poll, ready};

use super::{AsyncBufRead, AsyncRead, AsyncWrite, Unread, write_behind};
use crate::RecvBuf;

/// Makes any reader one whose next bytes can be looked at, as lines need it.
///
/// Differs from tokio's: it has no memory of its own but keeps the buffer that the reader hands out, so it has no
/// capacity, and reads of any size go through it without a further copy. A socket needs none.
///
/// Dropping it, or taking the reader out of it, loses nothing but what only [`buffer`](Self::buffer) shows, and
/// [`into_inner`](Self::into_inner) puts that back.
#[derive(Debug)]
pub struct BufReader<R> {
    inner: R,
    ahead: Unread,
}

impl<R: AsyncRead> BufReader<R> {
    /// A reader with nothing read ahead.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            ahead: Unread::new(),
        }
    }

    /// What was read ahead.
    pub fn buffer(&self) -> &[u8] {
        &self.ahead
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader. Its next bytes are those behind [`buffer`](Self::buffer).
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The reader, with what was read ahead put back (tokio's loses it).
    pub fn into_inner(mut self) -> R {
        self.put_back();
        self.inner
    }

    /// Puts back what was read ahead.
    pub(super) fn put_back(&mut self) -> &mut R {
        if let Some(ahead) = self.ahead.take() {
            self.inner.unread(ahead);
        }
        &mut self.inner
    }
}

impl<R: AsyncRead> AsyncRead for BufReader<R> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        match self.ahead.take() {
            Some(ahead) => Poll::Ready(Ok(Some(ahead))),
            None => self.inner.poll_recv(cx),
        }
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.ahead.put_back(bytes);
    }
}

impl<R: AsyncRead> AsyncBufRead for BufReader<R> {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.ahead.is_empty()
            && let Some(bytes) = ready!(self.inner.poll_recv(cx))?
        {
            self.ahead.put_back(bytes);
        }
        Poll::Ready(Ok(&self.ahead))
    }

    fn consume(&mut self, count: usize) {
        self.ahead.consume(count);
    }
}

/// Written through to what it reads from.
impl<R: AsyncWrite> AsyncWrite for BufReader<R> {
    write_behind!(self => self.inner);
}
