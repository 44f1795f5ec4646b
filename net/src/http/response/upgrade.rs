//! The connection itself, for another protocol.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use crate::RecvBuf;
use crate::http::transport::Transport;
use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite, Unread};

/// A connection that has switched protocols; made by [`Response::upgrade`](super::Response::upgrade).
///
/// It reads and writes what the other protocol sends; what came along with the response's head is read
/// first.
#[derive(Debug)]
pub struct Upgraded {
    transport: Transport,
    unread: Unread,
}

impl Upgraded {
    pub(super) fn new(transport: Transport, bytes: Vec<u8>) -> Self {
        let mut unread = Unread::new();
        unread.put_back(bytes.into());
        Self { transport, unread }
    }
}

impl AsyncRead for Upgraded {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        match self.unread.take() {
            Some(bytes) => Poll::Ready(Ok(Some(bytes))),
            None => self.transport.poll_recv(cx),
        }
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }
}

impl AsyncBufRead for Upgraded {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.unread.is_empty()
            && let Some(bytes) = ready!(self.transport.poll_recv(cx))?
        {
            self.unread.put_back(bytes);
        }
        Poll::Ready(Ok(&self.unread))
    }

    fn consume(&mut self, count: usize) {
        self.unread.consume(count);
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.transport.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.transport.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_flush(cx)
    }

    fn poll_start_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_start_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_shutdown(cx)
    }
}
