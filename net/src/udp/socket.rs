//! Sending and receiving datagrams.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use heist_runtime::ops::{self, BufResult, IoBuf, IoBufMut, SharedFd};
use rustix::net::{RecvFlags, SocketAddrAny};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::segments::Cutting;
use crate::addr::{ToSocketAddrs, first_of, no_address};
use crate::ready::{READABLE, RECV, SEND, WRITABLE, into_owned, until, when};
use crate::tcp::inet;

/// A UDP socket.
///
/// It may be used from several tasks at once, through a reference or an `Arc`: each datagram goes to one of
/// those that receive.
///
/// # Cancel safety
///
/// Every wait may be dropped at any time: a receive has then taken no datagram, and a send has sent none.
/// Datagrams wait in the socket's own buffer, and the kernel drops those that do not fit, as UDP does.
///
/// # Examples
///
/// ```
/// use heist_net::UdpSocket;
///
/// # heist_runtime::block_on(async {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.connect(server.local_addr()?).await?;
///
/// client.send(b"ping").await?;
/// let mut datagram = [0; 1500];
/// let (length, from) = server.recv_from(&mut datagram).await?;
/// assert_eq!(&datagram[..length], b"ping");
///
/// server.send_to(b"pong", from).await?;
/// assert_eq!(client.recv(&mut datagram).await?, 4);
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    pub(super) fd: SharedFd,
    pub(super) cutting: Cutting,
}

impl UdpSocket {
    /// Binds the first address of `to` that can be had; port 0 lets the kernel choose one.
    ///
    /// # Errors
    ///
    /// Those of the resolver, or of `bind(2)` for the last address tried.
    ///
    /// # Cancel safety
    ///
    /// Dropping it binds nothing.
    pub async fn bind(to: impl ToSocketAddrs) -> io::Result<Self> {
        let mut last = None;
        for address in to.resolve().await? {
            match Self::bind_one(address) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| no_address("bind")))
    }

    fn bind_one(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&SockAddr::from(address))?;
        Ok(Self::from_fd(OwnedFd::from(socket)))
    }

    fn from_fd(fd: OwnedFd) -> Self {
        Self {
            fd: SharedFd::new(fd),
            cutting: Cutting::default(),
        }
    }

    /// Takes over a socket of the standard library; with `socket2` it may have been made with any option,
    /// such as `SO_REUSEPORT`. Whether it is non-blocking does not matter.
    ///
    /// # Errors
    ///
    /// None at present; kept for the shape of tokio's.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        Ok(Self::from_fd(OwnedFd::from(socket)))
    }

    /// Gives the socket to the standard library, in the mode it came in: one that was bound here is
    /// blocking (tokio's is not).
    ///
    /// # Errors
    ///
    /// When a wait that was dropped a moment ago still holds the descriptor, it is duplicated, which fails
    /// when the process has too many.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        into_owned(self.fd).map(std::net::UdpSocket::from)
    }

    #[cfg(feature = "dns")]
    pub(crate) fn shared(&self) -> &SharedFd {
        &self.fd
    }

    pub(super) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.fd)
    }

    /// Sets the address that [`send`](Self::send) sends to, the only one that is received from: the first
    /// of `to` that works.
    ///
    /// # Errors
    ///
    /// Those of the resolver, or of `connect(2)` for the last address tried.
    ///
    /// # Cancel safety
    ///
    /// It only waits for the resolver; dropped there, nothing has changed.
    pub async fn connect(&self, to: impl ToSocketAddrs) -> io::Result<()> {
        let mut last = None;
        for address in to.resolve().await? {
            // For datagrams it sends nothing and does not wait.
            match self.socket().connect(&SockAddr::from(address)) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| no_address("connect")))
    }

    /// Sends a datagram to the connected address. Yields its length.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`: `EMSGSIZE` when it is too long, `ConnectionRefused` when an earlier one was
    /// refused.
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
    /// `WouldBlock` when the socket's buffer is full, and those of [`send`](Self::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.fd, bytes, SEND)?)
    }

    /// Sends a datagram to the first address of `to`. Yields its length.
    ///
    /// # Errors
    ///
    /// Those of the resolver and of `sendto(2)`.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_to` has sent nothing.
    pub async fn send_to(&self, bytes: &[u8], to: impl ToSocketAddrs) -> io::Result<usize> {
        let to = first_of(to, "send_to").await?;
        when(&self.fd, WRITABLE, |fd| {
            Ok(rustix::net::sendto(fd, bytes, SEND, &to)?)
        })
        .await
    }

    /// As [`send_to`](Self::send_to), for an owned buffer, which is given back.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_to_owned` has sent nothing; the buffer is dropped with it.
    pub async fn send_to_owned<B: IoBuf + AsRef<[u8]>>(
        &self,
        buffer: B,
        to: impl ToSocketAddrs,
    ) -> BufResult<usize, B> {
        (self.send_to(buffer.as_ref(), to).await, buffer)
    }

    /// Sends to `to` at once, or not at all.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the socket's buffer is full, and those of `sendto(2)`.
    pub fn try_send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        Ok(rustix::net::sendto(&self.fd, bytes, SEND, &to)?)
    }

    /// Waits for a datagram and copies it into `into`. Yields how many bytes; what does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`: `ConnectionRefused` when a datagram sent to the connected address was refused.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: a datagram is taken only by a call that returns it.
    #[track_caller]
    pub fn recv(&self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
        when(&self.fd, READABLE, move |fd| recv(fd, into, RECV))
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
        recv(&self.fd, into, RECV)
    }

    /// As [`recv`](Self::recv), with the address of the sender.
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
        when(&self.fd, READABLE, move |fd| recv_from(fd, into, RECV))
    }

    /// As [`recv_owned`](Self::recv_owned), with the address of the sender.
    ///
    /// # Cancel safety
    ///
    /// Loses no datagram; the buffer is dropped with the future.
    pub async fn recv_from_owned<B: IoBufMut>(
        &self,
        mut buffer: B,
    ) -> BufResult<(usize, SocketAddr), B> {
        let received = when(&self.fd, READABLE, |fd| {
            let (count, from) = ops::recv_from_now(fd, &mut buffer, 0)?;
            Ok((count, inet(&from)?))
        })
        .await;
        (received, buffer)
    }

    /// Receives what is there with the address of the sender, and does not wait.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is nothing, and those of `recvfrom(2)`.
    pub fn try_recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        recv_from(&self.fd, into, RECV)
    }

    /// As [`recv`](Self::recv), and leaves the datagram where it is.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// It takes nothing anyway.
    #[track_caller]
    pub fn peek(&self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
        let flags = RECV.union(RecvFlags::PEEK);
        when(&self.fd, READABLE, move |fd| recv(fd, into, flags))
    }

    /// As [`recv_from`](Self::recv_from), and leaves the datagram where it is.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// It takes nothing anyway.
    #[track_caller]
    pub fn peek_from(
        &self,
        into: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send + Unpin {
        let flags = RECV.union(RecvFlags::PEEK);
        when(&self.fd, READABLE, move |fd| recv_from(fd, into, flags))
    }

    /// Waits until there is something to receive, or an error. Another task may be quicker to take it.
    ///
    /// # Errors
    ///
    /// Those of the ring.
    ///
    /// # Cancel safety
    ///
    /// It takes nothing.
    #[track_caller]
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + Send + Unpin {
        until(&self.fd, READABLE)
    }

    /// Waits until there is room to send, or an error.
    ///
    /// # Errors
    ///
    /// Those of the ring.
    ///
    /// # Cancel safety
    ///
    /// It sends nothing.
    #[track_caller]
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> + Send + Unpin {
        until(&self.fd, WRITABLE)
    }
}

pub(super) fn recv(fd: &SharedFd, into: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(fd, into, flags)?;
    Ok(count)
}

pub(super) fn recv_from(
    fd: &SharedFd,
    into: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, SocketAddr)> {
    let (count, _, from) = rustix::net::recvfrom(fd, into, flags)?;
    let from: Option<SocketAddrAny> = from;
    match from.and_then(|from| SocketAddr::try_from(from).ok()) {
        Some(from) => Ok((count, from)),
        None => Err(io::Error::other("not an IP socket")),
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
