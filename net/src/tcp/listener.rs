//! Accepting TCP connections.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use heist_runtime::ops::SharedFd;
use heist_runtime::scope::leaf_fn;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::stream::{TcpStream, inet};
use crate::accept::{BACKLOG, Incoming};
use crate::addr::{ToSocketAddrs, no_address};

/// A socket that accepts TCP connections.
///
/// # Examples
///
/// ```no_run
/// # async fn serve() -> std::io::Result<()> {
/// let mut listener = heist_net::TcpListener::bind("0.0.0.0:8080").await?;
/// loop {
///     let (mut stream, peer) = listener.accept().await?;
///     heist_runtime::spawn(async move {
///         while let Ok(Some(bytes)) = stream.recv().await {
///             if stream.write_all(&bytes).await.is_err() {
///                 break;
///             }
///         }
///         println!("{peer} has left");
///     });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    incoming: Incoming,
}

impl TcpListener {
    /// Binds the first address of `to` that can be had, with `SO_REUSEADDR`, and listens.
    ///
    /// # Errors
    ///
    /// Those of the resolver, or of `bind(2)` and `listen(2)` for the last address tried.
    pub async fn bind(to: impl ToSocketAddrs) -> io::Result<Self> {
        let mut last = None;
        for address in to.resolve().await? {
            match Self::bind_one(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| no_address("bind")))
    }

    fn bind_one(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(BACKLOG)?;
        Ok(Self::from_fd(OwnedFd::from(socket)))
    }

    fn from_fd(fd: OwnedFd) -> Self {
        Self::from_shared(SharedFd::new(fd))
    }

    pub(super) fn from_shared(fd: SharedFd) -> Self {
        Self {
            incoming: Incoming::new(fd),
        }
    }

    /// Takes over a listening socket of the standard library.
    ///
    /// # Errors
    ///
    /// None at present; kept for the shape of tokio's.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self::from_fd(OwnedFd::from(listener)))
    }

    /// Gives the listener to the standard library. Set whether it blocks; tokio's does not.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it has been waited at for connections: the runtime may have accepted some that would be lost.
    /// A duplicate of the descriptor (`as_fd().try_clone_to_owned()`) may be had at any time.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.incoming.into_fd().map(Into::into)
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`. When no descriptor is left the error is told and the next call waits a
    /// moment, so that a plain loop does not spin; connections wait in the backlog meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Loses no connection: one that arrives after the drop is there for the next call, and closed with
    /// the listener.
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        leaf_fn(|cx| self.poll_accept(cx))
    }

    /// As [`accept`](Self::accept), for hand-written futures.
    ///
    /// In a cancelled scope it is pending, and what has come stays here.
    #[track_caller]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.incoming.poll_accept(cx, |fd| {
            let stream = TcpStream::from_fd(SharedFd::new(fd));
            let peer = stream.peer_addr()?;
            Ok((stream, peer))
        })
    }

    /// Hops a packet may take, for the connections that come (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        SockRef::from(self.incoming.fd()).set_ttl_v4(hops)
    }

    /// Hops a packet may take.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        SockRef::from(self.incoming.fd()).ttl_v4()
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(&SockRef::from(self.incoming.fd()).local_addr()?)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.incoming.fd().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.incoming.fd().as_raw_fd()
    }
}
