//! Reading and writing a connected socket.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll};

use heist_runtime::ops::{self, Buf, BufResult, IoBuf, Receiver, SharedFd};
use heist_runtime::scope::Leaf;
use socket2::SockRef;

/// A receive buffer of the runtime's, lent to the reader: `Deref` to the bytes received. Dropping it gives
/// the memory back.
pub type RecvBuf = Buf;

/// The reading side: a receiver, and what a short `read` left of its last buffer.
#[derive(Debug)]
pub(crate) struct Reader {
    receiver: Receiver,
    rest: Option<Buf>,
}

impl Reader {
    pub(crate) fn new(fd: SharedFd) -> Self {
        Self {
            receiver: Receiver::new(fd),
            rest: None,
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        self.receiver.fd()
    }

    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Buf>>> {
        match self.rest.take() {
            Some(rest) => Poll::Ready(Ok(Some(rest))),
            None => self.receiver.poll_recv(cx),
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let received = std::task::ready!(self.poll_recv(cx))?;
        let Some(mut buffer) = received else {
            return Poll::Ready(Ok(0));
        };
        let count = buffer.len().min(into.len());
        into[..count].copy_from_slice(&buffer[..count]);
        if count < buffer.len() {
            buffer.advance(count);
            self.rest = Some(buffer);
        }
        Poll::Ready(Ok(count))
    }

    /// Whether nothing has arrived that nobody has read, neither bytes nor the end. Exact for what the
    /// kernel had processed at the time.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if self.rest.is_some() {
            return false;
        }
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let socket = SockRef::from(self.receiver.fd());
        let peeked = socket.recv_with_flags(&mut byte, libc_flags::PEEK_NOW);
        if !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return false;
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.receiver.poll_recv(&mut cx) {
            Poll::Pending => true,
            Poll::Ready(received) => {
                self.rest = received.ok().flatten();
                false
            }
        }
    }
}

/// The two numbers of `recv(2)` and `send(2)` flags this crate needs.
mod libc_flags {
    /// `MSG_PEEK | MSG_DONTWAIT`.
    pub(super) const PEEK_NOW: i32 = 0x02 | 0x40;
    /// `MSG_DONTWAIT | MSG_NOSIGNAL`.
    pub(super) const SEND_NOW: i32 = 0x40 | 0x4000;
    /// `POLLOUT` of `poll(2)`.
    pub(super) const WRITABLE: u32 = 0x004;
    /// `MSG_WAITALL`.
    pub(super) const WHOLE: i32 = 0x100;
}

/// Runs a non-blocking send until it does not ask to wait. In a cancelled scope it sends nothing.
async fn when_writable(
    fd: &SharedFd,
    mut send: impl FnMut(&SockRef<'_>) -> io::Result<usize>,
) -> io::Result<usize> {
    let leaf = Leaf::here();
    poll_fn(|_| leaf.start()).await;
    loop {
        match send(&SockRef::from(fd)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ops::poll_ready(fd, libc_flags::WRITABLE).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

pub(crate) async fn write(fd: &SharedFd, bytes: &[u8]) -> io::Result<usize> {
    when_writable(fd, |socket| {
        socket.send_with_flags(bytes, libc_flags::SEND_NOW)
    })
    .await
}

pub(crate) async fn write_vectored(fd: &SharedFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    when_writable(fd, |socket| {
        socket.send_vectored_with_flags(parts, libc_flags::SEND_NOW)
    })
    .await
}

pub(crate) async fn write_all(fd: &SharedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = write(fd, bytes).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[count..];
    }
    Ok(())
}

pub(crate) async fn write_all_owned<B: IoBuf>(fd: &SharedFd, buffer: B) -> BufResult<(), B> {
    let length = buffer.init_len();
    let (mut sent, mut buffer) = (0, buffer);
    while sent < length {
        let (outcome, back) = ops::send(fd, buffer, sent, libc_flags::WHOLE).await;
        buffer = back;
        match outcome {
            Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), buffer),
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), buffer),
        }
    }
    (Ok(()), buffer)
}

pub(crate) fn shutdown(fd: &SharedFd, how: Shutdown) -> io::Result<()> {
    SockRef::from(fd).shutdown(how)
}
