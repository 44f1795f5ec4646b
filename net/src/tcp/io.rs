//! Reading and writing a connected socket.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use heist_runtime::ops::{self, Buf, BufResult, IoBuf, Op, PollReady, Receiver, SharedFd};
use heist_runtime::scope::Leaf;
use socket2::SockRef;

use crate::io::Unread;

/// A receive buffer of the runtime's, lent to the reader: `Deref` to the bytes received. Dropping it gives
/// the memory back.
pub type RecvBuf = Buf;

/// The reading side: a receiver, and what a short `read` left of its last buffer.
#[derive(Debug)]
pub(crate) struct Reader {
    receiver: Receiver,
    rest: Unread,
}

impl Reader {
    pub(crate) fn new(fd: SharedFd) -> Self {
        Self {
            receiver: Receiver::new(fd),
            rest: Unread::new(),
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        self.receiver.fd()
    }

    /// Pending in a cancelled scope, as all that reads.
    #[track_caller]
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Buf>>> {
        ready!(Leaf::here().start());
        match self.rest.take() {
            Some(rest) => Poll::Ready(Ok(Some(rest))),
            None => self.receiver.poll_recv(cx),
        }
    }

    pub(crate) fn unread(&mut self, bytes: Buf) {
        self.rest.put_back(bytes);
    }

    /// What was shown is shown again in a cancelled scope as well.
    #[track_caller]
    pub(crate) fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.rest.is_empty()
            && let Some(received) = ready!(self.receiver.poll_recv(cx))?
        {
            self.rest.put_back(received);
        }
        Poll::Ready(Ok(&self.rest))
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.rest.consume(count);
    }

    #[track_caller]
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Leaf::here().start());
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let bytes = ready!(self.poll_fill_buf(cx))?;
        let count = bytes.len().min(into.len());
        into[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Poll::Ready(Ok(count))
    }

    /// Whether nothing has arrived that nobody has read, neither bytes nor the end. Exact for what the
    /// kernel had processed at the time.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if !self.rest.is_empty() {
            return false;
        }
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let socket = SockRef::from(self.receiver.fd());
        let peeked = socket.recv_with_flags(&mut byte, libc_flags::PEEK_NOW);
        if !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            return false;
        }
        match self.receiver.try_recv() {
            Ok(Some(received)) => {
                self.rest.put_back(received);
                false
            }
            Ok(None) => false,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
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

/// The writing side: sends that do not block, and the wait for room between them.
#[derive(Debug)]
pub(crate) struct Writer {
    fd: SharedFd,
    waiting: Option<Op<PollReady>>,
    /// The direction has been ended: once both have, the kernel knows the connection no more.
    is_shut: bool,
}

impl Writer {
    pub(crate) fn new(fd: SharedFd) -> Self {
        Self {
            fd,
            waiting: None,
            is_shut: false,
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        &self.fd
    }

    #[track_caller]
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| {
            socket.send_with_flags(bytes, libc_flags::SEND_NOW)
        })
    }

    #[track_caller]
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| {
            socket.send_vectored_with_flags(parts, libc_flags::SEND_NOW)
        })
    }

    /// Sends until the socket does not ask to wait. In a cancelled scope nothing is sent any more, so what
    /// was not told to be written has not been.
    #[track_caller]
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: impl FnMut(&SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let leaf = Leaf::here();
        // At every poll, since nothing says whose wait it is.
        if leaf.start().is_pending() {
            // Dropped and not polled: the wait may outlive the future that began it, and must not keep a
            // scope waiting for the kernel's answer.
            self.waiting = None;
            return Poll::Pending;
        }
        match self.poll_started(cx, send) {
            Poll::Pending => leaf.pending(),
            ready => ready,
        }
    }

    fn poll_started(
        &mut self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                let ready = ready!(Pin::new(waiting).poll(cx));
                self.waiting = None;
                ready?;
            }
            match send(&SockRef::from(&self.fd)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting = Some(ops::poll_ready(&self.fd, libc_flags::WRITABLE));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// Sockets send at once.
    pub(crate) fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.shutdown(Shutdown::Write))
    }

    pub(crate) fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        shutdown(&self.fd, how)?;
        self.is_shut |= how != Shutdown::Read;
        Ok(())
    }

    pub(crate) async fn write_all_owned<B: IoBuf>(&mut self, buffer: B) -> BufResult<(), B> {
        write_all_owned(&self.fd, buffer).await
    }
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
