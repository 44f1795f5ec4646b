//! Connections that leave HTTP: WebSockets ([RFC 6455]), tunnels (`CONNECT`), and whatever a client asks for by `Upgrade`
//! ([RFC 9110, 7.8]).
//!
//! A service answers `101 Switching Protocols` (or 2xx to a `CONNECT`), and awaits [`on`] in a task of its own: the
//! connection is there when the response has been sent. hyper's own `upgrade::on` works, too; what it gives has the traits of
//! `hyper::rt`.
//!
//! HTTP/2 has no `Upgrade` and no 101: there a client sends a `CONNECT`, with a [`Protocol`] among the extensions if it is
//! one of [RFC 8441], as for WebSockets. Such are refused unless the server says beforehand that it knows them
//! (`enable_connect_protocol` of the builder in [`Serve::http2`](super::Serve::http2)).
//!
//! # Examples
//!
//! ```
//! use std::convert::Infallible;
//!
//! use heist_net::hyper::{Incoming, serve, upgrade};
//! use heist_net::io::{AsyncReadExt, AsyncWriteExt};
//! use heist_net::{TcpListener, http::Client};
//! use hyper::service::service_fn;
//! use hyper::{Request, Response, StatusCode, header};
//!
//! /// Switches to a protocol of one message each way.
//! async fn switch(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     heist_runtime::spawn(async move {
//!         let mut connection = upgrade::on(request).await?;
//!         let bytes = connection.recv().await?.expect("a question");
//!         connection.write_all(&bytes.to_ascii_uppercase()).await?;
//!         connection.shutdown().await
//!     });
//!     let mut response = Response::new(String::new());
//!     *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
//!     response.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
//!     response.headers_mut().insert(header::UPGRADE, "shout".parse().unwrap());
//!     Ok(response)
//! }
//!
//! # heist_runtime::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let server = heist_runtime::spawn(serve(listener, service_fn(switch)).into_future());
//!
//! let request = Client::new().get(format!("http://{address}/"));
//! let request = request.header("connection", "upgrade").header("upgrade", "shout");
//! let mut connection = request.send().await?.upgrade().await?;
//! connection.write_all(b"hello").await?;
//! let bytes = connection.recv().await?.expect("an answer");
//! assert_eq!(&*bytes, b"HELLO");
//! server.cancel();
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! [`Protocol`]: ::hyper::ext::Protocol
//! [RFC 8441]: https://www.rfc-editor.org/rfc/rfc8441
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
//! [RFC 9110, 7.8]: https://www.rfc-editor.org/rfc/rfc9110#section-7.8

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::hyper::Request;
use ::hyper::rt::{Read, ReadBuf, Write};
use ::hyper::upgrade as theirs;

use super::metrics::Tunnel;
use super::stream::Transport;
use crate::io::{AsyncRead, AsyncWrite, BufReader, Compat, Unread, read_through, write_behind};
use crate::{RecvBuf, TcpStream, UnixStream};

/// What is read at a time from a connection that is known by hyper's traits only.
const PIECE: usize = 8 * 1024;

/// The connection of a request that was answered by a change of the protocol, once the answer has been sent (hyper: the
/// function of the same name).
pub fn on<B>(request: Request<B>) -> OnUpgrade {
    OnUpgrade {
        tunnel: request.extensions().get().cloned(),
        inner: theirs::on(request),
    }
}

/// Waits for the connection; made by [`on`].
///
/// # Errors
///
/// When the answer changed no protocol, or the client had gone before it was sent.
///
/// # Cancel safety
///
/// Dropped, the connection is closed once the answer has been sent.
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct OnUpgrade {
    inner: theirs::OnUpgrade,
    tunnel: Option<Tunnel>,
}

impl Future for OnUpgrade {
    type Output = io::Result<Upgraded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let upgraded = ready!(Pin::new(&mut self.inner).poll(cx));
        let mut upgraded = Upgraded::from(upgraded.map_err(io::Error::other)?);
        upgraded._tunnel = self.tunnel.take();
        Poll::Ready(Ok(upgraded))
    }
}

/// A connection that speaks another protocol now.
///
/// What the client had sent along with its request is read first. The connection belongs to whoever holds it: the server's
/// limits of time no longer concern it, and its shutdown neither waits for it nor cancels it. Until it is dropped it counts
/// as open, and under [`max_connections`](super::Serve::max_connections).
///
/// With HTTP/2 it is one stream of a connection that stays the server's. Until it is dropped that connection is not idle, and
/// a shutdown waits for it as for a request: for no longer than the [grace](super::Serve::shutdown_grace).
pub struct Upgraded {
    stream: BufReader<Box<dyn Duplex>>,
    // Dropped last.
    _tunnel: Option<Tunnel>,
}

trait Duplex: AsyncRead + AsyncWrite {}

impl<T: AsyncRead + AsyncWrite> Duplex for T {}

impl From<theirs::Upgraded> for Upgraded {
    /// The server's own connections are taken out of what hyper has wrapped around them; others are read and written through
    /// hyper's traits, which copies what is read.
    fn from(upgraded: theirs::Upgraded) -> Self {
        let upgraded = match unwrapped::<Transport<TcpStream>>(upgraded) {
            Ok(this) => return this,
            Err(upgraded) => upgraded,
        };
        let upgraded = match unwrapped::<Transport<UnixStream>>(upgraded) {
            Ok(this) => return this,
            Err(upgraded) => upgraded,
        };
        let upgraded = match unwrapped::<TcpStream>(upgraded) {
            Ok(this) => return this,
            Err(upgraded) => upgraded,
        };
        let stream = Foreign {
            inner: upgraded,
            unread: Unread::new(),
        };
        Self {
            stream: BufReader::new(Box::new(stream)),
            _tunnel: None,
        }
    }
}

/// The connection without hyper's wrapping, if it is a `T` of ours.
fn unwrapped<T>(upgraded: theirs::Upgraded) -> Result<Upgraded, theirs::Upgraded>
where
    T: AsyncRead + AsyncWrite + 'static,
{
    let parts = upgraded.downcast::<Compat<T>>()?;
    let stream: Box<dyn Duplex> = Box::new(parts.io.into_inner());
    let mut stream = BufReader::new(stream);
    stream.unread(Vec::from(parts.read_buf).into());
    Ok(Upgraded {
        stream,
        _tunnel: None,
    })
}

read_through!(Upgraded, stream);

impl AsyncWrite for Upgraded {
    write_behind!(self => self.stream);
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("unread", &self.stream.buffer().len())
            .finish_non_exhaustive()
    }
}

/// A connection of hyper's, such as a stream of HTTP/2.
struct Foreign {
    inner: theirs::Upgraded,
    unread: Unread,
}

impl AsyncRead for Foreign {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        if let Some(bytes) = self.unread.take() {
            return Poll::Ready(Ok(Some(bytes)));
        }
        let mut piece = vec![0; PIECE];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer.unfilled()))?;
        let count = buffer.filled().len();
        piece.truncate(count);
        Poll::Ready(Ok((count > 0).then(|| piece.into())))
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }
}

impl AsyncWrite for Foreign {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
