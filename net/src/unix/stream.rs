//! One Unix connection.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use heist_runtime::ops::{self, BufResult, IoBuf, SharedFd};
use heist_runtime::scope::leaf_fn;
use socket2::{Domain, SockRef, Socket, Type};

use super::UCred;
use super::addr::{from_socket2, of_path, to_socket2};
use super::ancillary::{self, WithFds};
use super::patience::Patience;
use super::split::{OwnedReadHalf, OwnedWriteHalf};
use crate::io::{AsyncWriteExt, ReadExact, SpliceEnd, read_through, write_through};
use crate::ready::{READABLE, WRITABLE, until, when};
use crate::tcp::io::{Reader, RecvBuf, Writer};
use crate::tries::{into_std, read_now, write_now};

/// A Unix connection.
///
/// It reads and writes as a [`TcpStream`](crate::TcpStream) does, and carries descriptors besides.
///
/// # Examples
///
/// ```
/// use heist_net::UnixStream;
///
/// # heist_runtime::block_on(async {
/// let (mut one, mut other) = UnixStream::pair()?;
/// one.write_all(b"hello").await?;
/// assert_eq!(&*other.recv().await?.expect("not at the end"), b"hello");
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct UnixStream {
    reader: Reader,
    writer: Writer,
    /// Bytes have been asked for without descriptors: a receive may be armed that drops these.
    reads: bool,
}

impl UnixStream {
    /// Connects to the listener at `path`. If it starts with a zero byte the rest is a name of the abstract
    /// namespace. While the listener has too many connections to accept it is tried again, after pauses of up
    /// to 10 ms.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`: `NotFound` when there is no such file, `ConnectionRefused` when nobody
    /// listens.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let address = of_path(path.as_ref())?;
        Self::connect_addr(&address).await
    }

    /// Connects to an address of the standard library's.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the socket.
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        leaf_fn(|_| Poll::Ready(())).await;
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        let address = to_socket2(address)?;
        let mut patience = Patience::new();
        loop {
            match socket.connect(&address) {
                Ok(()) => break,
                // The kernel would wait on a thread of its own, and has no readiness for it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => patience.pause().await,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        socket.set_nonblocking(false)?;
        Ok(Self::from_fd(SharedFd::new(OwnedFd::from(socket))))
    }

    /// Two sockets that are connected to each other (`socketpair(2)`).
    ///
    /// # Errors
    ///
    /// When the process has too many descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        let new = |socket| Self::from_fd(SharedFd::new(OwnedFd::from(socket)));
        Ok((new(one), new(other)))
    }

    pub(super) fn from_fd(fd: SharedFd) -> Self {
        Self {
            writer: Writer::new(fd.clone()),
            reader: Reader::new(fd),
            reads: false,
        }
    }

    pub(super) fn from_parts(reader: Reader, writer: Writer) -> Self {
        Self {
            writer,
            reader,
            reads: true,
        }
    }

    /// Takes over a connected socket of the standard library.
    ///
    /// # Errors
    ///
    /// None at present; kept for the shape of tokio's.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        Ok(Self::from_fd(SharedFd::new(OwnedFd::from(stream))))
    }

    fn fd(&self) -> &SharedFd {
        self.reader.fd()
    }

    /// The reader, for reads that drop descriptors.
    fn reading(&mut self) -> &mut Reader {
        self.reads = true;
        &mut self.reader
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
        self.reading().poll_recv(cx)
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
        self.reading().poll_read(cx, into)
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

    /// Waits until there are bytes to read, or the end. Before the first read it receives nothing, so that
    /// [`recv_with_fds`](Self::recv_with_fds) may follow.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`, which tokio leaves to the next read.
    ///
    /// # Cancel safety
    ///
    /// It takes nothing.
    pub async fn readable(&mut self) -> io::Result<()> {
        if self.reads {
            return leaf_fn(|cx| self.reader.poll_readable(cx)).await;
        }
        until(self.fd(), READABLE).await
    }

    /// Waits for bytes, and the descriptors that come with them (`SCM_RIGHTS`). A length of 0 is the end, if
    /// `into` is not empty.
    ///
    /// The other reads keep a receive armed that closes descriptors, so this must come before the first of
    /// them, as often as descriptors may come; bytes without any it receives as well.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when another read has come before, and those of `recvmsg(2)`.
    ///
    /// # Cancel safety
    ///
    /// Loses neither bytes nor descriptors: they are taken only by a call that returns them, and what
    /// nobody receives is closed with the socket.
    #[track_caller]
    pub fn recv_with_fds(
        &mut self,
        into: &mut [u8],
    ) -> impl Future<Output = io::Result<WithFds>> + Send + Unpin {
        let reads = self.reads;
        when(self.fd(), READABLE, move |fd| {
            if reads {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "recv_with_fds: another read, which drops descriptors, has come before",
                ));
            }
            ancillary::recv(fd, into).map(|(found, _)| found)
        })
    }

    /// Writes part of `bytes`, at least one, and the descriptors `fds` with the first of them; at most 253.
    /// Yields how many bytes; write the rest without the descriptors.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there are too many descriptors, or none of the bytes that are to carry them,
    /// and those of `sendmsg(2)`.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send_with_fds` has written nothing.
    #[track_caller]
    pub fn send_with_fds(
        &mut self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
        let Self { reader, writer, .. } = self;
        let mut sending = when(reader.fd(), WRITABLE, move |fd| {
            if bytes.is_empty() && !fds.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "send_with_fds: a stream carries descriptors only with bytes",
                ));
            }
            ancillary::send(fd, bytes, fds, None)
        });
        let mut has_flushed = false;
        leaf_fn(move |cx| {
            if !has_flushed {
                ready!(writer.poll_flush(cx))?;
                has_flushed = true;
            }
            Pin::new(&mut sending).poll(cx)
        })
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

    /// Sends all of an owned buffer in the background, without a copy, as
    /// [`TcpStream::send`](crate::TcpStream::send) does.
    ///
    /// # Errors
    ///
    /// Those of what was sent before; its own may be told by the next call. The buffer is dropped then.
    ///
    /// # Cancel safety
    ///
    /// A dropped `send` has sent nothing, and has dropped the buffer.
    pub fn send<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = io::Result<()>> + Send {
        self.writer.send(buffer)
    }

    /// Writes all of an owned buffer through the ring and gives it back.
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
    #[expect(clippy::unused_async, reason = "tokio's shape, and TcpStream's")]
    pub async fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.writer.shutdown(how)
    }

    /// Splits the connection into halves that may go to different tasks.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        (
            OwnedReadHalf::new(self.reader),
            OwnedWriteHalf::new(self.writer),
        )
    }

    /// The address of the peer, as a rule unnamed.
    ///
    /// # Errors
    ///
    /// `NotConnected` when there is no peer.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        from_socket2(&self.socket().peer_addr()?)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        from_socket2(&self.socket().local_addr()?)
    }

    /// Who connected or listened at the other end, as the kernel noted it then (`SO_PEERCRED`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        ops::peer_credentials(self.fd())
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

read_through!(UnixStream, reading());
read_now!(UnixStream, reading());
write_through!(UnixStream, writer);
write_now!(UnixStream, writer);
into_std!(UnixStream, std::os::unix::net::UnixStream);

impl SpliceEnd for UnixStream {
    fn poll_disarm(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        self.reading().poll_disarm(cx)
    }

    fn shared(&self) -> &SharedFd {
        self.fd()
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd().as_fd()
    }
}

impl AsRawFd for UnixStream {
    fn as_raw_fd(&self) -> RawFd {
        self.fd().as_raw_fd()
    }
}
