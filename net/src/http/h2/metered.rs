//! The transport of a connection, counted.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use crate::RecvBuf;
use crate::http::metrics::Account;
use crate::http::total::Permit;
use crate::http::transport::Transport;
use crate::io::{AsyncRead, AsyncWrite};

/// A transport and what lasts as long as it is open.
#[derive(Debug)]
pub(in crate::http) struct Metered {
    transport: Transport,
    sent: u64,
    received: u64,
    account: Account,
    _permit: Option<Permit>,
}

impl Metered {
    pub(in crate::http) fn new(
        transport: Transport,
        account: Account,
        permit: Option<Permit>,
    ) -> Self {
        Self {
            transport,
            sent: 0,
            received: 0,
            account,
            _permit: permit,
        }
    }

    fn wrote(&mut self, count: usize) -> usize {
        self.sent += count as u64;
        self.account.settle(self.sent, self.received);
        count
    }
}

impl AsyncRead for Metered {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        let bytes = ready!(self.transport.poll_recv(cx))?;
        self.received += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.account.settle(self.sent, self.received);
        Poll::Ready(Ok(bytes))
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.received -= bytes.len() as u64;
        self.transport.unread(bytes);
    }
}

impl AsyncWrite for Metered {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(self.transport.poll_write(cx, bytes))?;
        Poll::Ready(Ok(self.wrote(count)))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.transport.poll_write_vectored(cx, parts))?;
        Poll::Ready(Ok(self.wrote(count)))
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // h2 flushes after each of its frames, and wants them sent and not to know when.
        self.transport.poll_start_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_shutdown(cx)
    }
}
