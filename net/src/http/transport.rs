//! What carries the bytes of a connection: a socket, or something around one.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite};
#[cfg(feature = "tls")]
use crate::tls::TlsStream;
use crate::{RecvBuf, TcpStream};

/// A way to a server. An enum, so that a plain socket costs no more than by itself.
#[derive(Debug)]
pub(super) enum Transport {
    /// A socket, to the server or to a proxy that passes everything on.
    Tcp(TcpStream),
    /// TLS over another transport.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Self>>),
}

/// Runs the same code for whatever the transport is.
macro_rules! each {
    ($transport:expr, $inner:ident => $run:expr) => {
        match $transport {
            Transport::Tcp($inner) => $run,
            #[cfg(feature = "tls")]
            Transport::Tls($inner) => $run,
        }
    };
}

impl Transport {
    /// Whether the server has agreed to HTTP/2.
    #[cfg(feature = "http2")]
    pub(super) fn agreed_on_http2(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Polls whether an idle transport is still open and silent. With TLS it is pending at most until what has come
    /// already can be looked at: that may be something which the protocol says to itself.
    #[cfg_attr(
        not(feature = "tls"),
        expect(unused_variables, reason = "a socket knows at once")
    )]
    pub(super) fn poll_is_quiet(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match self {
            Self::Tcp(stream) => Poll::Ready(stream.is_quiet()),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.poll_is_quiet(cx, Self::poll_is_quiet),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        each!(self, inner => inner.poll_recv(cx))
    }

    fn unread(&mut self, bytes: RecvBuf) {
        each!(self, inner => inner.unread(bytes));
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        each!(self, inner => inner.poll_read(cx, into))
    }
}

impl AsyncBufRead for Transport {
    fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        each!(self, inner => inner.poll_fill_buf(cx))
    }

    fn consume(&mut self, count: usize) {
        each!(self, inner => inner.consume(count));
    }
}

impl AsyncWrite for Transport {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, inner => inner.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, inner => inner.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => inner.poll_flush(cx))
    }

    fn poll_start_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => inner.poll_start_flush(cx))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, inner => inner.poll_shutdown(cx))
    }
}
