//! Accepting Unix connections.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::task::{Context, Poll};

use heist_runtime::ops::SharedFd;
use heist_runtime::scope::leaf_fn;
use socket2::{Domain, SockRef, Socket, Type};

use super::addr::{from_socket2, of_path, to_socket2};
use super::stream::UnixStream;
use crate::accept::{BACKLOG, Incoming};

/// A Unix socket that accepts connections.
///
/// Its file stays when it is dropped, as is usual; remove it before the next
/// [`bind`](Self::bind), which otherwise fails.
///
/// # Examples
///
/// ```
/// use heist_net::{UnixListener, UnixStream};
///
/// # heist_runtime::block_on(async {
/// // A leading zero: a name of the abstract namespace, without a file.
/// let name = format!("\0example of {}", std::process::id());
/// let listener = UnixListener::bind(&name)?;
/// let mut client = UnixStream::connect(&name).await?;
/// let (mut server, _) = listener.accept().await?;
/// client.write_all(b"ping").await?;
/// assert_eq!(&*server.recv().await?.expect("not at the end"), b"ping");
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct UnixListener {
    incoming: Incoming,
}

impl UnixListener {
    /// Binds `path`, which makes a file, and listens. If it starts with a zero byte the rest is a name of
    /// the abstract namespace.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`: `AddrInUse` when the file exists; `InvalidInput` when the path is too long.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&of_path(path.as_ref())?)
    }

    /// Binds an address of the standard library's, and listens.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&to_socket2(address)?)?;
        socket.listen(BACKLOG)?;
        Ok(Self::from_fd(OwnedFd::from(socket)))
    }

    fn from_fd(fd: OwnedFd) -> Self {
        Self {
            incoming: Incoming::new(SharedFd::new(fd)),
        }
    }

    /// Takes over a listening socket of the standard library.
    ///
    /// # Errors
    ///
    /// None at present; kept for the shape of tokio's.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        Ok(Self::from_fd(OwnedFd::from(listener)))
    }

    /// Gives the listener to the standard library. Set whether it blocks; tokio's does not.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it has been waited at for connections: the runtime may have accepted some that would be lost.
    /// A duplicate of the descriptor (`as_fd().try_clone_to_owned()`) may be had at any time.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        self.incoming.into_fd().map(Into::into)
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`. When no descriptor is left the error is told and the next call waits a
    /// moment, as for [`TcpListener`](crate::TcpListener::accept).
    ///
    /// # Cancel safety
    ///
    /// Loses no connection: one that arrives after the drop is there for the next call, and closed with
    /// the listener.
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(UnixStream, SocketAddr)>> + Send {
        leaf_fn(|cx| self.poll_accept(cx))
    }

    /// As [`accept`](Self::accept), for hand-written futures.
    ///
    /// In a cancelled scope it is pending, and what has come stays here.
    #[track_caller]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        self.incoming.poll_accept(cx, |fd| {
            let stream = UnixStream::from_fd(SharedFd::new(fd));
            let peer = stream.peer_addr()?;
            Ok((stream, peer))
        })
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        from_socket2(&SockRef::from(self.incoming.fd()).local_addr()?)
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.incoming.fd().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.incoming.fd().as_raw_fd()
    }
}
