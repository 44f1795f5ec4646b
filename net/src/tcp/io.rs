//! Reading and writing a connected socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use bytes::BufMut;

use heist_runtime::ops::{self, Buf, BufResult, IoBuf, Receiver, Sender, SharedFd};
use heist_runtime::scope::{Leaf, leaf_fn};
use socket2::SockRef;

use crate::io::Unread;
use crate::ready::into_owned;

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
        ready!(self.poll_fill_buf(cx))?;
        Poll::Ready(Ok(self.take_rest_into(into)))
    }

    /// Looks for bytes if there are none in `rest`, without waiting.
    fn fill_now(&mut self) -> io::Result<()> {
        if self.rest.is_empty()
            && let Some(received) = self.receiver.recv_now()?
        {
            self.rest.put_back(received);
        }
        Ok(())
    }

    pub(crate) fn try_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        self.fill_now()?;
        Ok(self.take_rest_into(into))
    }

    fn take_rest_into(&mut self, into: &mut [u8]) -> usize {
        let count = self.rest.len().min(into.len());
        into[..count].copy_from_slice(&self.rest[..count]);
        self.consume(count);
        count
    }

    pub(crate) fn try_read_vectored(&mut self, parts: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if parts.iter().all(|part| part.is_empty()) {
            return Ok(0);
        }
        self.fill_now()?;
        Ok(parts.iter_mut().map(|part| self.take_rest_into(part)).sum())
    }

    pub(crate) fn try_read_buf<B: BufMut>(&mut self, into: &mut B) -> io::Result<usize> {
        let room = into.remaining_mut();
        if room == 0 {
            return Ok(0);
        }
        self.fill_now()?;
        let count = self.rest.len().min(room);
        into.put_slice(&self.rest[..count]);
        self.consume(count);
        Ok(count)
    }

    #[track_caller]
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_fill_buf(cx).map_ok(drop)
    }

    /// Copies the next bytes, as many as have arrived, and leaves them here.
    #[track_caller]
    pub(crate) fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Leaf::here().start());
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_fill_buf(cx))?;
        // Else a caller that waits for more than were here would never see them.
        while !self.rest.is_empty() && self.rest.len() < into.len() {
            match self.receiver.recv_now() {
                Ok(Some(more)) => self.append(more),
                Ok(None) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let count = self.rest.len().min(into.len());
        into[..count].copy_from_slice(&self.rest[..count]);
        Poll::Ready(Ok(count))
    }

    fn append(&mut self, more: Buf) {
        let front = self.rest.take();
        self.rest.put_back(more);
        if let Some(front) = front {
            self.rest.put_back(front);
        }
    }

    /// As [`poll_recv`](Self::poll_recv), of what has been taken from the socket; then nobody takes more, and it is
    /// `None`.
    #[track_caller]
    pub(crate) fn poll_disarm(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Buf>>> {
        ready!(Leaf::here().start());
        match self.rest.take() {
            Some(rest) => Poll::Ready(Ok(Some(rest))),
            None => self.receiver.poll_disarm(cx),
        }
    }

    /// Whether nothing has been taken from the socket, nor will be.
    fn is_untouched(&self) -> bool {
        self.rest.is_empty() && !self.receiver.is_armed()
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
    /// `MSG_WAITALL`.
    pub(super) const WHOLE: i32 = 0x100;
}

/// The writing side: a sender, and whether its direction has been ended.
#[derive(Debug)]
pub(crate) struct Writer {
    sender: Sender,
    /// Once both directions have been ended, the kernel knows the connection no more.
    is_shut: bool,
}

impl Writer {
    pub(crate) fn new(fd: SharedFd) -> Self {
        Self {
            sender: Sender::new(fd),
            is_shut: false,
        }
    }

    pub(crate) fn fd(&self) -> &SharedFd {
        self.sender.fd()
    }

    #[track_caller]
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sender.poll_send(cx, bytes)
    }

    #[track_caller]
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.sender.poll_send_vectored(cx, parts)
    }

    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sender.send_now(bytes)
    }

    pub(crate) fn try_write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.sender.send_vectored_now(parts)
    }

    #[track_caller]
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.poll_writable(cx)
    }

    /// Until the kernel has everything.
    #[track_caller]
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.poll_flush(cx)
    }

    /// The error of what was written before, if there is one.
    pub(crate) fn take_error(&mut self) -> io::Result<()> {
        self.sender.take_error().map_or(Ok(()), Err)
    }

    #[track_caller]
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_shut {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_flush(cx))?;
        Poll::Ready(self.shutdown(Shutdown::Write))
    }

    pub(crate) fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.sender.shutdown(how)?;
        self.is_shut |= how != Shutdown::Read;
        Ok(())
    }

    /// Sends all of `buffer` in the background.
    pub(crate) async fn send<B: IoBuf>(&mut self, buffer: B) -> io::Result<()> {
        let mut buffer = Some(buffer);
        leaf_fn(|cx| self.sender.poll_send_owned(cx, &mut buffer)).await?;
        match buffer {
            None => Ok(()),
            // Outside of the workers, which is rare, and would be a part of every future that sends.
            Some(buffer) => Box::pin(write_all_owned(self.fd(), buffer)).await.0,
        }
    }

    pub(crate) async fn write_all_owned<B: IoBuf>(&mut self, buffer: B) -> BufResult<(), B> {
        if let Err(error) = leaf_fn(|cx| self.poll_flush(cx)).await {
            return (Err(error), buffer);
        }
        write_all_owned(self.fd(), buffer).await
    }
}

/// The socket alone, if nothing is lost by that.
pub(crate) fn into_fd(reader: Reader, mut writer: Writer) -> io::Result<OwnedFd> {
    if !reader.is_untouched() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the runtime may have received bytes that would be lost; call `into_std_with_unread`, which yields them",
        ));
    }
    writer.sender.check_idle()?;
    let fd = reader.fd().clone();
    drop((reader, writer));
    into_owned(fd)
}

/// As [`into_fd`], after everything has been sent, with what was received and not read.
pub(crate) async fn into_fd_with_unread(
    mut reader: Reader,
    mut writer: Writer,
) -> io::Result<(OwnedFd, Vec<u8>)> {
    leaf_fn(|cx| writer.poll_flush(cx)).await?;
    let mut unread = Vec::new();
    while let Some(bytes) = leaf_fn(|cx| reader.poll_disarm(cx)).await? {
        unread.extend_from_slice(&bytes);
    }
    Ok((into_fd(reader, writer)?, unread))
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
