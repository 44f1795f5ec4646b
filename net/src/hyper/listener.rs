//! Where connections come from.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;

use crate::io::{AsyncRead, AsyncWrite};
use crate::{TcpListener, TcpStream, UnixListener, UnixStream};

/// What a server accepts connections from (axum: `serve::Listener`).
pub trait Listener: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Send + 'static;
    /// Where one comes from.
    type Addr: Clone + Debug + Send + Sync + 'static;

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of the listener. The server goes on after a pause, unless the error says that there is no listener
    /// (`EBADF`, `EINVAL`, `ENOTSOCK`).
    ///
    /// # Cancel safety
    ///
    /// It must lose no connection when it is dropped: the server drops it when it is told to end.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Self::Addr)>> + Send;
}

impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // A response is written when it is whole: waiting for more to send with it only delays it. A socket that has
        // gone meanwhile says so when it is read.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

impl Listener for UnixListener {
    type Io = UnixStream;
    type Addr = std::os::unix::net::SocketAddr;

    async fn accept(&mut self) -> io::Result<(Self::Io, Self::Addr)> {
        Self::accept(self).await
    }
}
