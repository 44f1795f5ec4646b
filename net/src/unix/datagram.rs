//! Unix datagrams.

use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use heist_runtime::ops::{self, BufResult, IoBuf, IoBufMut, SharedFd};
use rustix::net::SocketAddrUnix;
use socket2::{Domain, SockRef, Socket, Type};

use super::UCred;
use super::addr::{from_rustix, from_socket2, of_path, to_rustix, to_socket2};
use super::ancillary::{self, WithFds};
use super::patience::Patience;
use crate::ready::{READABLE, RECV, SEND, WRITABLE, into_owned, when};

/// A Unix socket for datagrams, which arrive in order and are not dropped on the way.
///
/// It may be used from several tasks at once, through a reference or an `Arc`: each datagram goes to one of
/// those that receive.
///
/// # Cancel safety
///
/// Every wait may be dropped at any time: a receive has then taken no datagram, and a send has sent none.
///
/// # Examples
///
/// ```
/// use heist_net::UnixDatagram;
///
/// # heist_runtime::block_on(async {
/// let (one, other) = UnixDatagram::pair()?;
/// one.send(b"hello").await?;
/// let mut datagram = [0; 64];
/// assert_eq!(other.recv(&mut datagram).await?, 5);
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct UnixDatagram {
    pub(super) fd: SharedFd,
}

impl UnixDatagram {
    /// A socket that has no address: it can send, and be answered by nobody.
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors.
    pub fn unbound() -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        Ok(Self::from_fd(OwnedFd::from(socket)))
    }

    /// Binds `path`, which makes a file that stays. If it starts with a zero byte the rest is a name of the
    /// abstract namespace.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)`: `AddrInUse` when the file exists; `InvalidInput` when the path is too long.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&of_path(path.as_ref())?)
    }

    /// Binds an address of the standard library's.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        let new = Self::unbound()?;
        new.socket().bind(&to_socket2(address)?)?;
        Ok(new)
    }

    /// Two sockets that are connected to each other (`socketpair(2)`).
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = Socket::pair(Domain::UNIX, Type::DGRAM, None)?;
        let new = |socket| Self::from_fd(OwnedFd::from(socket));
        Ok((new(one), new(other)))
    }

    fn from_fd(fd: OwnedFd) -> Self {
        Self {
            fd: SharedFd::new(fd),
        }
    }

    /// Takes over a socket of the standard library. Whether it is non-blocking does not matter.
    ///
    /// # Errors
    ///
    /// None at present; kept for the shape of tokio's.
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        Ok(Self::from_fd(OwnedFd::from(socket)))
    }

    /// Gives the socket to the standard library, in the mode it came in: one that was made here is blocking
    /// (tokio's is not).
    ///
    /// # Errors
    ///
    /// When a wait that was dropped a moment ago still holds the descriptor, it is duplicated, which fails
    /// when the process has too many.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        into_owned(self.fd).map(std::os::unix::net::UnixDatagram::from)
    }

    pub(super) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.fd)
    }

    /// Sets the address that [`send`](Self::send) sends to, the only one that is received from.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&of_path(path.as_ref())?)
    }

    /// As [`connect`](Self::connect), to an address of the standard library's.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`.
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.socket().connect(&to_socket2(address)?)
    }

    /// Sends a datagram to the connected address, and waits while that has too many. Yields its length.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`: `EMSGSIZE` when it is too long, `ConnectionRefused` when the other socket is
    /// gone.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send` has sent nothing.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
        when(&self.fd, WRITABLE, move |fd| {
            Ok(rustix::net::send(fd, bytes, SEND)?)
        })
    }

    /// As [`send`](Self::send), for an owned buffer, which is given back.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_owned` has sent nothing; the buffer is dropped with it.
    pub async fn send_owned<B: IoBuf + AsRef<[u8]>>(&self, buffer: B) -> BufResult<usize, B> {
        (self.send(buffer.as_ref()).await, buffer)
    }

    /// Sends at once, or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the receiver has too many, and those of [`send`](Self::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.fd, bytes, SEND)?)
    }

    /// Sends a datagram to the socket at `path`. Yields its length.
    ///
    /// A full receiver is tried again after pauses of up to 10 ms: the kernel tells only connected senders
    /// when there is room.
    ///
    /// # Errors
    ///
    /// Those of `sendto(2)`: `NotFound` when there is no such file, `ConnectionRefused` when nobody has it
    /// open.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_to` has sent nothing.
    pub async fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let address = of_path(path.as_ref())?;
        self.send_to_addr(bytes, &address).await
    }

    /// As [`send_to`](Self::send_to), to an address of the standard library's.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_to_addr` has sent nothing.
    pub async fn send_to_addr(&self, bytes: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let to: SocketAddrUnix = to_rustix(address)?;
        self.until_taken(|fd| Ok(rustix::net::sendto(fd, bytes, SEND, &to)?))
            .await
    }

    /// Repeats a send to a socket that this one is not connected to.
    async fn until_taken(
        &self,
        mut send: impl FnMut(&SharedFd) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut patience = Patience::new();
        loop {
            // Ready says that this socket has room, which a full receiver does not change.
            let mut tries = 0;
            let outcome = when(&self.fd, WRITABLE, |fd| match send(fd) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tries += 1;
                    if tries < 2 { Err(error) } else { Ok(None) }
                }
                outcome => outcome.map(Some),
            })
            .await?;
            if let Some(sent) = outcome {
                return Ok(sent);
            }
            patience.pause().await;
        }
    }

    /// Waits for a datagram and copies it into `into`. Yields how many bytes; what does not fit is lost, and
    /// so are descriptors.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a datagram is taken only by a call that returns it.
    #[track_caller]
    pub fn recv(&self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
        when(&self.fd, READABLE, move |fd| {
            let (count, _) = rustix::net::recv(fd, &mut *into, RECV)?;
            Ok(count)
        })
    }

    /// As [`recv`](Self::recv), into the whole of an owned buffer, from its start. It is not zeroed before.
    ///
    /// # Cancel safety
    ///
    /// Loses no datagram; the buffer is dropped with the future.
    pub async fn recv_owned<B: IoBufMut>(&self, mut buffer: B) -> BufResult<usize, B> {
        let received = when(&self.fd, READABLE, |fd| ops::recv_now(fd, &mut buffer, 0)).await;
        (received, buffer)
    }

    /// Receives what is there, and does not wait.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is nothing, and those of [`recv`](Self::recv).
    pub fn try_recv(&self, into: &mut [u8]) -> io::Result<usize> {
        let (count, _) = rustix::net::recv(&self.fd, into, RECV)?;
        Ok(count)
    }

    /// As [`recv`](Self::recv), with the address of the sender, which is unnamed if that is not bound.
    ///
    /// # Errors
    ///
    /// Those of `recvfrom(2)`.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a datagram is taken only by a call that returns it.
    #[track_caller]
    pub fn recv_from(
        &self,
        into: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send + Unpin {
        when(&self.fd, READABLE, move |fd| {
            let (count, _, from) = rustix::net::recvfrom(fd, &mut *into, RECV)?;
            Ok((count, from_rustix(from)?))
        })
    }

    /// Waits for a datagram, its sender and the descriptors that come with it (`SCM_RIGHTS`).
    ///
    /// # Errors
    ///
    /// Those of `recvmsg(2)`.
    ///
    /// # Cancel safety
    ///
    /// Loses neither datagrams nor descriptors: they are taken only by a call that returns them, and what
    /// nobody receives is closed with the socket.
    #[track_caller]
    pub fn recv_with_fds(
        &self,
        into: &mut [u8],
    ) -> impl Future<Output = io::Result<(WithFds, SocketAddr)>> + Send + Unpin {
        when(&self.fd, READABLE, move |fd| {
            let (found, from) = ancillary::recv(fd, into)?;
            Ok((found, from_rustix(from)?))
        })
    }

    /// Sends a datagram to the connected address, and the descriptors `fds` with it, at most 253.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there are too many descriptors, and those of `sendmsg(2)`.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_with_fds` has sent nothing.
    #[track_caller]
    pub fn send_with_fds(
        &self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
        when(&self.fd, WRITABLE, move |fd| {
            ancillary::send(fd, bytes, fds, None)
        })
    }

    /// As [`send_with_fds`](Self::send_with_fds), to an address; a full receiver is tried again as by
    /// [`send_to`](Self::send_to).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_with_fds_to` has sent nothing.
    pub async fn send_with_fds_to(
        &self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        address: &SocketAddr,
    ) -> io::Result<usize> {
        self.until_taken(|fd| ancillary::send(fd, bytes, fds, Some(address)))
            .await
    }

    /// Ends one or both directions (`shutdown(2)`).
    ///
    /// # Errors
    ///
    /// Those of `shutdown(2)`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how)
    }

    /// The address it is bound to, unnamed if to none.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        from_socket2(&self.socket().local_addr()?)
    }

    /// The address it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected` when there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        from_socket2(&self.socket().peer_addr()?)
    }

    /// Who made the pair that this socket is of (`SO_PEERCRED`).
    ///
    /// # Errors
    ///
    /// `NotConnected` when it is not of a pair.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        ops::peer_credentials(&self.fd)
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

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for UnixDatagram {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
