//! One TCP connection.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::task::{Context, Poll};
use std::time::Duration;

use heist_runtime::ops::{BufResult, IoBuf, SharedFd};
use heist_runtime::scope::leaf_fn;
use socket2::{SockAddr, SockRef};

use super::connect;
use super::io::{Reader, RecvBuf, Writer};
use super::split::{OwnedReadHalf, OwnedWriteHalf};
use crate::addr::ToSocketAddrs;
use crate::dns::{Name, Parts, Resolve, into_io};
use crate::io::{AsyncWriteExt, ReadExact, SpliceEnd, read_through, write_through};
use crate::tries::{into_std, read_now, readable, write_now};

/// A TCP connection.
///
/// Bytes arrive in buffers of the runtime's: [`recv`](Self::recv) lends them without a copy,
/// [`read`](Self::read) copies them into a slice. Writes of borrowed slices go straight to the socket and
/// wait for room only when there is none.
///
/// # Examples
///
/// ```
/// use heist_net::{TcpListener, TcpStream};
///
/// # heist_runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut server, _) = listener.accept().await?;
///
/// client.write_all(b"ping").await?;
/// let bytes = server.recv().await?.expect("not at the end");
/// assert_eq!(&*bytes, b"ping");
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpStream {
    reader: Reader,
    writer: Writer,
}

impl TcpStream {
    /// Connects to the first address of `to` that accepts; names are resolved off the workers (asyncio:
    /// `open_connection`).
    ///
    /// With several addresses this is a race (RFC 8305, "happy eyeballs"; tokio tries one after the other):
    /// IPv6 and IPv4 take turns, and every 250 ms, or when one fails, the next is tried besides.
    ///
    /// # Errors
    ///
    /// Those of the resolver, or of the last address that failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the sockets.
    pub async fn connect(to: impl ToSocketAddrs) -> io::Result<Self> {
        connect::first(to.resolve().await?).await.map(Self::from_fd)
    }

    /// As [`connect`](Self::connect), with a resolver of one's choice instead of the system's. Connecting begins when
    /// the first addresses are known.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when `host` is no name, those of the resolver, or of the last address that failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the lookup and closes the sockets.
    ///
    /// # Examples
    ///
    /// ```
    /// use heist_net::TcpStream;
    /// use heist_net::dns::SystemResolver;
    ///
    /// # heist_runtime::block_on(async {
    /// # let listener = heist_net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let port = listener.local_addr()?.port();
    /// let resolver = SystemResolver::with_concurrency(4);
    /// let stream = TcpStream::connect_with(&resolver, "localhost", port).await?;
    /// # drop(stream);
    /// # Ok::<(), std::io::Error>(()) }).unwrap();
    /// ```
    pub async fn connect_with<R: Resolve + ?Sized>(
        resolver: &R,
        host: &str,
        port: u16,
    ) -> io::Result<Self> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Self::connect((address, port)).await;
        }
        let name: Name = host.parse()?;
        let mut parts = Parts::new(resolver.resolve_parts(name), port);
        let addresses = parts.first().await.map_err(into_io)?;
        let (stream, _) = Self::connect_within(addresses, Some(parts), None).await?;
        Ok(stream)
    }

    /// As [`connect`](Self::connect), with the address that won, while more of them may come. Every address gets a
    /// share of `patience`; that it is over is the caller's to notice.
    pub(crate) async fn connect_within(
        addresses: Vec<SocketAddr>,
        more: Option<Parts>,
        patience: Option<Duration>,
    ) -> io::Result<(Self, SocketAddr)> {
        let (fd, address) = connect::race(addresses, more, patience).await?;
        Ok((Self::from_fd(fd), address))
    }

    pub(crate) fn from_fd(fd: SharedFd) -> Self {
        let writer = Writer::new(fd.clone());
        Self::from_parts(Reader::new(fd), writer)
    }

    pub(crate) fn from_parts(reader: Reader, writer: Writer) -> Self {
        Self { reader, writer }
    }

    /// Takes over a connected socket of the standard library.
    ///
    /// # Errors
    ///
    /// None at present; kept for the shape of tokio's.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        Ok(Self::from_fd(SharedFd::new(OwnedFd::from(stream))))
    }

    fn fd(&self) -> &SharedFd {
        self.reader.fd()
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self.fd())
    }

    /// Waits for the next bytes and lends the buffer they arrived in; `None` when the peer has finished
    /// sending.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing: what arrives after the drop is there for the next call.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = io::Result<Option<RecvBuf>>> + Send {
        leaf_fn(|cx| self.poll_recv(cx))
    }

    /// As [`recv`](Self::recv), for hand-written futures.
    ///
    /// In a cancelled scope it is pending, and what has arrived stays here.
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        self.reader.poll_recv(cx)
    }

    /// Waits for bytes and copies them into `into`. Yields how many; 0 when the peer has finished sending
    /// or `into` is empty.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing; bytes that do not fit are kept for the next call.
    #[track_caller]
    pub fn read(&mut self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        leaf_fn(|cx| self.poll_read(cx, into))
    }

    /// As [`read`](Self::read), for hand-written futures. Pending in a cancelled scope.
    #[track_caller]
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reader.poll_read(cx, into)
    }

    /// Fills `into` entirely.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the peer finishes first, and those of `recv(2)`.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing (tokio's does): what a dropped or failed `read_exact` has read is there for the next
    /// call.
    #[track_caller]
    pub fn read_exact<'a>(
        &'a mut self,
        into: &'a mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send {
        let mut reading = ReadExact::new(self, into);
        leaf_fn(move |cx| reading.poll(cx).map_ok(drop))
    }

    /// Writes part of `bytes`, at least one unless it is empty. Yields how many.
    ///
    /// Up to 4 KiB are copied and leave with the worker's next turn, together with what other connections send,
    /// which a dropped stream does not prevent. To know that the kernel has them, before the process exits for
    /// instance, await `flush` of [`AsyncWriteExt`](crate::io::AsyncWriteExt).
    ///
    /// # Errors
    ///
    /// Those of `send(2)`, also of what was written before; no SIGPIPE is raised.
    ///
    /// # Cancel safety
    ///
    /// A dropped `write` has written nothing.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> + Send {
        AsyncWriteExt::write(self, bytes)
    }

    /// As [`write`](Self::write), for hand-written futures. Pending in a cancelled scope.
    #[track_caller]
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writer.poll_write(cx, bytes)
    }

    /// Writes part of the slices, as if they were one (`writev(2)`).
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// A dropped `write_vectored` has written nothing.
    #[track_caller]
    pub fn write_vectored(
        &mut self,
        parts: &[IoSlice<'_>],
    ) -> impl Future<Output = io::Result<usize>> + Send {
        AsyncWriteExt::write_vectored(self, parts)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// A dropped `write_all` may have written a part, and does not say how much; use
    /// [`write`](Self::write) in a loop to know.
    #[track_caller]
    pub fn write_all<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Future<Output = io::Result<()>> + Send {
        AsyncWriteExt::write_all(self, bytes)
    }

    /// Sends all of an owned buffer in the background, without a copy: it returns when the runtime has the buffer, which
    /// it frees when the kernel has let go of it. With [`recv`](Self::recv), whose buffers may be sent on, no byte is
    /// copied on its way through the program.
    ///
    /// One buffer of a connection is on its way at a time, so that a peer that reads slowly holds the sender back.
    ///
    /// # Errors
    ///
    /// Those of what was sent before; its own may be told by the next call. The buffer is dropped then.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send` has sent nothing, and has dropped the buffer. After a
    /// [`flush`](crate::io::AsyncWriteExt::flush) it does not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use heist_net::TcpStream;
    /// async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    ///     while let Some(bytes) = stream.recv().await? {
    ///         stream.send(bytes).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn send<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = io::Result<()>> + Send {
        self.writer.send(buffer)
    }

    /// Writes all of an owned buffer through the ring and gives it back. For large buffers: the kernel
    /// waits for room by itself.
    ///
    /// # Cancel safety
    ///
    /// As for [`write_all`](Self::write_all); the buffer is freed when the kernel has let go of it.
    pub async fn write_all_owned<B: IoBuf>(&mut self, buffer: B) -> BufResult<(), B> {
        self.writer.write_all_owned(buffer).await
    }

    /// Ends one or both directions (`shutdown(2)`).
    ///
    /// # Errors
    ///
    /// `NotConnected` when the connection is gone.
    ///
    /// # Cancel safety
    ///
    /// It never waits.
    #[expect(clippy::unused_async, reason = "tokio's shape, and TLS will wait here")]
    pub async fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.writer.shutdown(how)
    }

    /// Whether nothing has arrived that was not read, neither bytes nor the end: what a pool asks before
    /// it uses a connection again.
    pub fn is_quiet(&mut self) -> bool {
        self.reader.is_quiet()
    }

    /// Splits the connection into halves that may go to different tasks.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        (
            OwnedReadHalf::new(self.reader),
            OwnedWriteHalf::new(self.writer),
        )
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        inet(&self.socket().peer_addr()?)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(&self.socket().local_addr()?)
    }

    /// Sends small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket().set_tcp_nodelay(on)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket().tcp_nodelay()
    }

    /// Probes an idle peer after `idle`, or never (`SO_KEEPALIVE`, `TCP_KEEPIDLE`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        match idle {
            None => self.socket().set_keepalive(false),
            Some(idle) => {
                let probes = socket2::TcpKeepalive::new().with_time(idle);
                self.socket().set_tcp_keepalive(&probes)
            }
        }
    }

    /// How long closing waits for unsent data, `None` for not at all (`SO_LINGER`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.socket().set_linger(duration)
    }

    /// How long closing waits for unsent data.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket().linger()
    }

    /// Hops a packet may take (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.socket().set_ttl_v4(hops)
    }

    /// Hops a packet may take.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket().ttl_v4()
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

read_through!(TcpStream, reader);
read_now!(TcpStream, reader);
readable!(TcpStream, reader);
write_through!(TcpStream, writer);
write_now!(TcpStream, writer);
into_std!(TcpStream, std::net::TcpStream);

/// The IP address and port of a socket address.
pub(crate) fn inet(address: &SockAddr) -> io::Result<SocketAddr> {
    address
        .as_socket()
        .ok_or_else(|| io::Error::other("not an IP socket"))
}

impl SpliceEnd for TcpStream {
    fn poll_disarm(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        self.reader.poll_disarm(cx)
    }

    fn shared(&self) -> &SharedFd {
        self.fd()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.fd().as_raw_fd()
    }
}
