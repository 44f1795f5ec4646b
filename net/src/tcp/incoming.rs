//! The connections of a listener as a stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use heist_sync::stream::Stream;

use super::{TcpListener, TcpStream};

/// The connections that come to a [`TcpListener`]. It never ends; what `accept` could not do is an error in
/// between. tokio-stream's, which has it among its wrappers.
///
/// ```no_run
/// # async fn serve(listener: heist_net::TcpListener) {
/// use heist_net::TcpListenerStream;
/// use heist_sync::stream::StreamExt;
///
/// TcpListenerStream::new(listener)
///     .for_each_concurrent(100, async |connection| {
///         if let Ok(mut stream) = connection {
///             let _ = stream.write_all(b"at most a hundred at a time\n").await;
///         }
///     })
///     .await;
/// # }
/// ```
///
/// # Cancel safety
///
/// Loses no connection, as [`accept`](TcpListener::accept).
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct TcpListenerStream {
    inner: TcpListener,
}

impl TcpListenerStream {
    /// A stream of what the listener accepts.
    pub fn new(listener: TcpListener) -> Self {
        Self { inner: listener }
    }

    /// The listener, with every connection that the stream has not returned.
    pub fn into_inner(self) -> TcpListener {
        self.inner
    }
}

impl Stream for TcpListenerStream {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = self.inner.poll_accept(cx);
        accepted.map(|accepted| Some(accepted.map(|(stream, _)| stream)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl AsRef<TcpListener> for TcpListenerStream {
    fn as_ref(&self) -> &TcpListener {
        &self.inner
    }
}

impl AsMut<TcpListener> for TcpListenerStream {
    fn as_mut(&mut self) -> &mut TcpListener {
        &mut self.inner
    }
}
