//! A TCP socket before it listens or connects.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use heist_runtime::ops::{self, SharedFd};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::{TcpListener, TcpStream, inet};

/// A TCP socket whose options are set before it listens or connects.
///
/// # Examples
///
/// Several listeners share a port, and the kernel spreads the connections over them (`SO_REUSEPORT`):
///
/// ```
/// use heist_net::TcpSocket;
///
/// # heist_runtime::block_on(async {
/// let listen = |address| {
///     let socket = TcpSocket::new_v4()?;
///     socket.set_reuseport(true)?;
///     socket.bind(address)?;
///     socket.listen(1024)
/// };
/// let one = listen("127.0.0.1:0".parse().unwrap())?;
/// let other = listen(one.local_addr()?)?;
/// assert_eq!(one.local_addr()?, other.local_addr()?);
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    fd: SharedFd,
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors, or the kernel has no IPv6.
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<Self> {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        Ok(Self {
            fd: SharedFd::new(OwnedFd::from(socket)),
        })
    }

    /// Takes over a socket that neither listens nor is connected, as `socket2` makes them.
    #[must_use]
    pub fn from_std_stream(socket: std::net::TcpStream) -> Self {
        Self {
            fd: SharedFd::new(OwnedFd::from(socket)),
        }
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.fd)
    }

    /// Binds the address; port 0 lets the kernel choose one.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.socket().bind(&SockAddr::from(address))
    }

    /// Listens, with up to `backlog` connections that wait to be accepted.
    ///
    /// # Errors
    ///
    /// Those of `listen(2)`.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        self.socket().listen(backlog)?;
        Ok(TcpListener::from_shared(self.fd))
    }

    /// Connects to `address`.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket.
    pub async fn connect(self, address: SocketAddr) -> io::Result<TcpStream> {
        ops::connect(&self.fd, SockAddr::from(address)).await?;
        Ok(TcpStream::from_fd(self.fd))
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(&self.socket().local_addr()?)
    }

    /// Lets several sockets that all say so be bound to one address: of listeners each gets its share of
    /// the connections (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_reuseport(&self, on: bool) -> io::Result<()> {
        self.socket().set_reuse_port(on)
    }

    /// Whether several sockets may be bound to one address.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.socket().reuse_port()
    }

    /// Lets an address be bound although old connections of it have not quite ended (`SO_REUSEADDR`).
    /// [`TcpListener::bind`] does.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_reuseaddr(&self, on: bool) -> io::Result<()> {
        self.socket().set_reuse_address(on)
    }

    /// Whether an address may be bound although old connections of it have not quite ended.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.socket().reuse_address()
    }

    /// Bytes of what has arrived that the kernel keeps (`SO_RCVBUF`); it doubles the figure and has a
    /// maximum. Connections that are accepted have the same.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_recv_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.socket().set_recv_buffer_size(bytes as usize)
    }

    /// Bytes of what has arrived that the kernel keeps, as the kernel counts them: twice what was set.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket().recv_buffer_size().map(saturated)
    }

    /// Bytes of what is to be sent that the kernel keeps (`SO_SNDBUF`); it doubles the figure and has a
    /// maximum. Connections that are accepted have the same.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_send_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.socket().set_send_buffer_size(bytes as usize)
    }

    /// Bytes of what is to be sent that the kernel keeps, as the kernel counts them: twice what was set.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket().send_buffer_size().map(saturated)
    }

    /// Sends small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket().set_tcp_nodelay(on)
    }

    /// Probes an idle peer (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_keepalive(&self, on: bool) -> io::Result<()> {
        self.socket().set_keepalive(on)
    }

    /// How long closing waits for unsent data, `None` for not at all (`SO_LINGER`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.socket().set_linger(duration)
    }

    /// The error that waits at the socket, taken from it (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }
}

fn saturated(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
