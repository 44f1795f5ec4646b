//! The transport of a connection.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::metrics::Opened;
use crate::RecvBuf;
use crate::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// What was accepted, counted.
pub(super) struct Counted<S> {
    stream: S,
    opened: Opened,
}

/// The same with TLS, or without.
pub(super) enum Transport<S> {
    Plain(Counted<S>),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Counted<S>>>),
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, opened: Opened) -> Self {
        Self { stream, opened }
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(count)) => self.opened.account.send(*count),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.opened.account.block(),
        }
        written
    }
}

impl<S: AsyncRead> AsyncRead for Counted<S> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        let bytes = ready!(self.stream.poll_recv(cx))?;
        if let Some(bytes) = &bytes {
            self.opened.account.receive(bytes.len());
        }
        Poll::Ready(Ok(bytes))
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.opened.account.unreceive(bytes.len());
        self.stream.unread(bytes);
    }
}

impl<S: AsyncWrite> AsyncWrite for Counted<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream.poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream.poll_write_vectored(cx, parts);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_start_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_start_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}

/// Calls a method of whichever it is.
macro_rules! forward {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self {
            Self::Plain($stream) => $call,
            #[cfg(feature = "tls")]
            Self::Tls($stream) => $call,
        }
    };
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for Transport<S> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        forward!(self, stream => stream.poll_recv(cx))
    }

    fn unread(&mut self, bytes: RecvBuf) {
        forward!(self, stream => stream.unread(bytes));
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        forward!(self, stream => stream.poll_read(cx, into))
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Transport<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, stream => stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        forward!(self, stream => stream.is_write_vectored())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_flush(cx))
    }

    fn poll_start_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_start_flush(cx))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_shutdown(cx))
    }
}
