//! Readers and writers for libraries that know other traits.

/// The methods of another library's writer; `$shutdown` is what it calls a shutdown, and `$flush` what it means by a
/// flush.
#[cfg(any(feature = "futures-io", feature = "tokio", feature = "hyper"))]
macro_rules! write_methods {
    ($flush:ident, $shutdown:ident) => {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.get_mut().inner.poll_write(cx, bytes)
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.get_mut().inner.poll_write_vectored(cx, parts)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.get_mut().inner.$flush(cx)
        }

        fn $shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.get_mut().inner.poll_shutdown(cx)
        }
    };
}

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(feature = "hyper")]
mod hyper;

#[cfg(any(feature = "tokio", feature = "hyper"))]
use std::task::{Context, Poll};

/// A reader or writer of Heist's with the traits of other libraries, one feature for each:
///
/// | feature | traits |
/// |---|---|
/// | `futures-io` | `AsyncRead`, `AsyncBufRead` and `AsyncWrite` of `futures_io` |
/// | `tokio` | `AsyncRead`, `AsyncBufRead` and `AsyncWrite` of `tokio::io`; no runtime of tokio's comes with it |
/// | `hyper` | `Read` and `Write` of `hyper::rt` |
///
/// Bytes are copied once, into the library's memory, which need not be initialised; writes are not copied, and an
/// error is told by the call that meets it. A future of such a library says itself whether it may be dropped; no byte is
/// lost on this side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compat<T> {
    inner: T,
}

// What it holds is used by reference and never pinned.
impl<T> Unpin for Compat<T> {}

impl<T> Compat<T> {
    /// Puts the traits on `inner`.
    pub const fn new(inner: T) -> Self {
        Self { inner }
    }

    /// What is inside.
    pub const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What is inside.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// What is inside, with all that was not read.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

/// Reads at most `room` bytes and gives them to `put`; at the end it is not called.
#[cfg(any(feature = "tokio", feature = "hyper"))]
fn poll_put<R: super::AsyncRead>(
    reader: &mut R,
    cx: &mut Context<'_>,
    room: usize,
    put: impl FnOnce(&[u8]),
) -> Poll<std::io::Result<()>> {
    if room == 0 {
        return Poll::Ready(Ok(()));
    }
    if let Some(mut bytes) = std::task::ready!(reader.poll_recv(cx))? {
        let count = bytes.len().min(room);
        put(&bytes[..count]);
        if count < bytes.len() {
            bytes.advance(count);
            reader.unread(bytes);
        }
    }
    Poll::Ready(Ok(()))
}
