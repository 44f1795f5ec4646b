//! Pipes: a stream of bytes in one direction, within a process or between two
//! ([`pipe(7)`](https://man7.org/linux/man-pages/man7/pipe.7.html)). After tokio's module of this name.
//!
//! Reads and writes are tried at once, and only the waiting is left to the ring: what a dropped future has not returned is
//! still in the pipe.
//!
//! ```
//! use heist_net::io::{AsyncReadExt, AsyncWriteExt};
//! use heist_net::unix::pipe;
//!
//! # heist_runtime::block_on(async {
//! let (mut sender, mut receiver) = pipe::pipe()?;
//! sender.write_all(b"through").await?;
//! drop(sender);
//! let mut text = String::new();
//! receiver.read_to_string(&mut text).await?;
//! assert_eq!(text, "through");
//! # Ok::<(), std::io::Error>(()) }).unwrap();
//! ```

use std::fs::{File, OpenOptions as StdOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::task::{Context, Poll, ready};

use heist_runtime::ops::SharedFd;
use heist_runtime::scope::Leaf;
use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::RecvBuf;
use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite, Unread, shown_unread};
use crate::ready::{READABLE, WRITABLE, Waiting, into_owned, until};

/// Bytes that are asked for at first, and at most.
const LEAST: usize = 4 * 1024;
const MOST: usize = 64 * 1024;

/// A new pipe: what is written to one end is read from the other.
///
/// # Errors
///
/// When the process has too many descriptors.
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((Sender::new(write), Receiver::new(read)))
}

/// How to open a pipe that has a name
/// ([`fifo(7)`](https://man7.org/linux/man-pages/man7/fifo.7.html)).
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// One direction, and nothing but a pipe.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens both ends, so that a sender needs no receiver to begin, and a receiver does not see the end when the last
    /// sender goes. A Linux feature.
    pub fn read_write(&mut self, yes: bool) -> &mut Self {
        self.read_write = yes;
        self
    }

    /// Takes whatever is at the path, as long as it can be polled.
    pub fn unchecked(&mut self, yes: bool) -> &mut Self {
        self.unchecked = yes;
        self
    }

    /// Opens the end that is read. It need not be written by anybody yet; until the first sender comes a read finds the
    /// end.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there is no pipe at the path, and those of `open(2)`.
    pub fn open_receiver(&self, path: impl AsRef<Path>) -> io::Result<Receiver> {
        let file = self.open(path.as_ref(), true)?;
        Ok(Receiver::new(file.into()))
    }

    /// Opens the end that is written.
    ///
    /// # Errors
    ///
    /// `ENXIO` when nobody has the other end open: try again later. `InvalidInput` when there is no pipe at the path, and
    /// those of `open(2)`.
    pub fn open_sender(&self, path: impl AsRef<Path>) -> io::Result<Sender> {
        let file = self.open(path.as_ref(), false)?;
        Ok(Sender::new(file.into()))
    }

    fn open(&self, path: &Path, reads: bool) -> io::Result<File> {
        let file = StdOptions::new()
            .read(reads || self.read_write)
            .write(!reads || self.read_write)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)?;
        if !self.unchecked {
            check_is_pipe(&file)?;
        }
        Ok(file)
    }
}

fn check_is_pipe(fd: impl AsFd) -> io::Result<()> {
    let mode = fstat(fd)?.st_mode;
    if FileType::from_raw_mode(mode) == FileType::Fifo {
        return Ok(());
    }
    let message = "this is no pipe; open it as a file, or say `unchecked`";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Checks that `fd` is the end of a pipe that allows one of `accesses`, and has it not block.
fn prepare(fd: &OwnedFd, access: OFlags) -> io::Result<()> {
    check_is_pipe(fd)?;
    let flags = fcntl_getfl(fd)?;
    let allowed = flags & OFlags::RWMODE;
    if allowed != access && allowed != OFlags::RDWR {
        let message = "this is the other end of the pipe";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    set_blocking(fd, false)
}

fn set_blocking(fd: &OwnedFd, blocks: bool) -> io::Result<()> {
    let flags = fcntl_getfl(fd)?;
    let mut wanted = flags;
    wanted.set(OFlags::NONBLOCK, !blocks);
    if wanted != flags {
        fcntl_setfl(fd, wanted)?;
    }
    Ok(())
}

/// The end of a pipe that is written.
///
/// A write has written what fits at once, and waits only while nothing does. It fails with `BrokenPipe` when every
/// receiver is gone.
///
/// Differs from tokio's: `shutdown` closes it, and so tells the receiver that nothing more will come.
///
/// # Cancel safety
///
/// A `write` that is dropped has written nothing.
#[derive(Debug)]
pub struct Sender {
    /// `None` once it is shut down.
    fd: Option<SharedFd>,
    room: Waiting,
}

impl Sender {
    fn new(fd: OwnedFd) -> Self {
        Self {
            fd: Some(SharedFd::new(fd)),
            room: Waiting::new(),
        }
    }

    /// Takes over the writing end of a pipe, and has it not block, for all who share it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is none.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Self> {
        prepare(&fd, OFlags::WRONLY)?;
        Ok(Self::new(fd))
    }

    /// As [`from_owned_fd`](Self::from_owned_fd), of a file that was opened.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_file(file: File) -> io::Result<Self> {
        Self::from_owned_fd(file.into())
    }

    fn open(&self) -> io::Result<&SharedFd> {
        self.fd.as_ref().ok_or_else(closed)
    }

    /// Waits until something can be written, or the last receiver is gone.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` after a shutdown.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        until(self.open()?, WRITABLE).await
    }

    /// Writes what fits at once. Yields how many bytes.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing fits, and those of `write(2)`.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(self.open()?, bytes)?)
    }

    /// As [`try_write`](Self::try_write), of several slices.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::writev(self.open()?, parts)?)
    }

    /// The descriptor, which blocks from now on, for a program that is started.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` after a shutdown, and those of `fcntl(2)`.
    pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
        let fd = self.into_nonblocking_fd()?;
        set_blocking(&fd, true)?;
        Ok(fd)
    }

    /// The descriptor, which does not block.
    ///
    /// # Errors
    ///
    /// As for [`into_blocking_fd`](Self::into_blocking_fd).
    pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
        drop(self.room);
        into_owned(self.fd.ok_or_else(closed)?)
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "this end of the pipe was shut down",
    )
}

impl AsyncWrite for Sender {
    #[track_caller]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let fd = self.fd.as_ref().ok_or_else(closed)?;
        let write = || Ok(rustix::io::write(fd, bytes)?);
        self.room.poll_when(cx, fd, WRITABLE, write)
    }

    #[track_caller]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let fd = self.fd.as_ref().ok_or_else(closed)?;
        // The kernel takes no more at a time.
        let parts = &parts[..parts.len().min(1024)];
        let write = || Ok(rustix::io::writev(fd, parts)?);
        self.room.poll_when(cx, fd, WRITABLE, write)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is in the pipe.
    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.room = Waiting::new();
        self.fd = None;
        Poll::Ready(Ok(()))
    }
}

/// # Panics
///
/// After a shutdown.
impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let fd = self.fd.as_ref();
        fd.expect("the sender has been shut down").as_fd()
    }
}

/// # Panics
///
/// After a shutdown.
impl AsRawFd for Sender {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// The end of a pipe that is read.
///
/// # Cancel safety
///
/// Loses nothing: what a dropped read has not returned is in the pipe, or kept for the next one.
#[derive(Debug)]
pub struct Receiver {
    fd: SharedFd,
    bytes: Waiting,
    unread: Unread,
    /// How many bytes are asked for: more while they come, since a slow writer needs less memory.
    size: usize,
}

impl Receiver {
    fn new(fd: OwnedFd) -> Self {
        Self {
            fd: SharedFd::new(fd),
            bytes: Waiting::new(),
            unread: Unread::new(),
            size: LEAST,
        }
    }

    /// Takes over the reading end of a pipe, and has it not block, for all who share it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when it is none.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Self> {
        prepare(&fd, OFlags::RDONLY)?;
        Ok(Self::new(fd))
    }

    /// As [`from_owned_fd`](Self::from_owned_fd), of a file that was opened.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_file(file: File) -> io::Result<Self> {
        Self::from_owned_fd(file.into())
    }

    /// Waits until there is something to be read, or the end.
    ///
    /// # Errors
    ///
    /// None in practice.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn readable(&self) -> io::Result<()> {
        if !self.unread.is_empty() {
            return Ok(());
        }
        until(&self.fd, READABLE).await
    }

    /// Reads what is there. Yields how many bytes; 0 at the end, or when `into` is empty. Unlike tokio's it needs the
    /// receiver for itself, which may have kept something.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is nothing, and those of `read(2)`.
    pub fn try_read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return Ok(rustix::io::read(&self.fd, into)?);
        }
        Ok(self.take_unread(into))
    }

    fn take_unread(&mut self, into: &mut [u8]) -> usize {
        let count = self.unread.len().min(into.len());
        into[..count].copy_from_slice(&self.unread[..count]);
        self.unread.consume(count);
        count
    }

    /// The descriptor, which blocks from now on, for a program that is started.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when something was read ahead or put back, which would be lost; and those of `fcntl(2)`.
    pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
        let fd = self.into_nonblocking_fd()?;
        set_blocking(&fd, true)?;
        Ok(fd)
    }

    /// The descriptor, which does not block.
    ///
    /// # Errors
    ///
    /// As for [`into_blocking_fd`](Self::into_blocking_fd).
    pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
        if !self.unread.is_empty() {
            let message = "bytes that were read ahead would be lost; read them first";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        drop(self.bytes);
        into_owned(self.fd)
    }

    /// The size of the next buffer, after one that `count` bytes were read into.
    fn adapt(&mut self, count: usize) {
        if count >= self.size {
            self.size = (self.size * 2).min(MOST);
        } else if count < self.size / 4 {
            self.size = (self.size / 2).max(LEAST);
        }
    }
}

impl AsyncRead for Receiver {
    #[track_caller]
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        ready!(Leaf::here().start());
        if let Some(bytes) = self.unread.take() {
            return Poll::Ready(Ok(Some(bytes)));
        }
        let (fd, size) = (&self.fd, self.size);
        let read = || {
            let mut bytes = Vec::with_capacity(size);
            rustix::io::read(fd, spare_capacity(&mut bytes))?;
            Ok(bytes)
        };
        let bytes = ready!(self.bytes.poll_when(cx, fd, READABLE, read))?;
        self.adapt(bytes.len());
        Poll::Ready(Ok((!bytes.is_empty()).then(|| bytes.into())))
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }

    /// Copies nothing.
    #[track_caller]
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(Leaf::here().start());
        if into.is_empty() || !self.unread.is_empty() {
            return Poll::Ready(Ok(self.take_unread(into)));
        }
        let fd = &self.fd;
        let read = || Ok(rustix::io::read(fd, &mut *into)?);
        self.bytes.poll_when(cx, fd, READABLE, read)
    }
}

impl AsyncBufRead for Receiver {
    shown_unread!();
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Receiver {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
