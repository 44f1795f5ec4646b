//! A file as a stream: its position, the read that nobody has taken, and the write under way.
//!
//! Where a file has a position it is kept here, and every read and write names its offset. So a read that is dropped
//! needs no undoing: the position moves when the bytes are taken. It stays in flight, for the next call. What has no
//! position is read and written in order, by one operation each way.

use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use heist_net::RecvBuf;
use heist_net::io::Unread;
use heist_runtime::ops::{
    self, BufResult, IoBuf, Op, PollReady, ReadAt, SharedFd, Slice, WriteBehind,
};
use heist_runtime::scope::{Leaf, leaf_fn};
use rustix::fs::{FileType, OFlags, SeekFrom as Whence, fcntl_getfl, fstat, fstatfs, seek};
use rustix::io::Errno;

/// `POLLIN` and `POLLOUT` of `poll(2)`.
const READABLE: u32 = 0x001;
const WRITABLE: u32 = 0x004;

/// How many writes' worth of bytes are accepted while one is under way, to be the next one.
const GATHERED: usize = 4;

/// The offset that stands for the descriptor's own position.
pub(super) const OWN: u64 = u64::MAX;

/// Where the next byte is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where the kernel says: nobody has asked yet, or a write has appended.
    Unknown,
    /// There, behind what was put back.
    At(u64),
    /// One after the other: a pipe, a terminal.
    Nowhere,
}

/// The read that is under way.
enum Reading {
    Read(Op<ReadAt<Vec<u8>>>),
    /// The descriptor does not block, and has nothing.
    Wait(Op<PollReady>),
}

/// See the module.
pub(crate) struct Stream {
    behind: WriteBehind,
    reading: Option<Reading>,
    unread: Unread,
    place: Place,
    /// Whether writes go to the end; `None` until the first one.
    appends: Option<bool>,
    /// Whether several writes may become one; `None` until that is asked.
    gathers: Option<bool>,
}

impl Stream {
    pub(super) fn new(fd: SharedFd) -> Self {
        Self {
            behind: WriteBehind::new(fd),
            reading: None,
            unread: Unread::new(),
            place: Place::Unknown,
            appends: None,
            gathers: None,
        }
    }

    fn fd(&self) -> &SharedFd {
        self.behind.fd()
    }

    /// Whether no write is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.behind.is_idle()
    }

    /// Polls until the kernel has all that was written. After an error the position is where the write stopped.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let drained = ready!(self.behind.poll_drain(cx));
        if drained.is_err() {
            self.step_back();
        }
        Poll::Ready(drained)
    }

    /// After an error: to where the write stopped.
    fn step_back(&mut self) {
        let lost = self.behind.take_unwritten() as u64;
        if let Place::At(at) = &mut self.place {
            *at = at.saturating_sub(lost);
        }
    }

    /// Where the kernel reads next, when nothing is being written; `None` for what has no position.
    fn locate(&mut self) -> io::Result<Option<u64>> {
        if self.place == Place::Unknown {
            self.place = match seek(self.fd(), Whence::Current(0)) {
                Ok(at) => Place::At(at),
                Err(Errno::SPIPE) => Place::Nowhere,
                Err(error) => return Err(error.into()),
            };
        }
        Ok(match self.place {
            Place::At(at) => Some(at),
            Place::Unknown | Place::Nowhere => None,
        })
    }

    /// Forgets what was read ahead, as the position is about to be `at`.
    fn move_to(&mut self, at: u64) {
        self.reading = None;
        self.unread = Unread::new();
        self.place = Place::At(at);
    }

    /// The position that a program sees: behind what was put back nothing has been taken.
    fn here(&self, at: u64) -> u64 {
        at.saturating_sub(self.unread.len() as u64)
    }

    /// Makes the kernel's position this one, for others that use the descriptor. Nothing is being written.
    pub(super) fn publish_position(&mut self) {
        self.reading = None;
        if let Place::At(at) = self.place {
            // A file that has a position can be sent to it.
            let _moved = seek(self.fd(), Whence::Start(self.here(at)));
        }
    }

    /// A stream of another descriptor of the same file, at the same position. Nothing is being written.
    pub(super) fn clone_at(&mut self, fd: SharedFd) -> io::Result<Self> {
        let mut clone = Self::new(fd);
        if let Some(at) = self.locate()? {
            clone.place = Place::At(self.here(at));
        }
        Ok(clone)
    }

    /// Polls for the next bytes: those put back, or at most `limit` of the file.
    #[track_caller]
    pub(super) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<io::Result<Option<RecvBuf>>> {
        ready!(Leaf::here().start());
        if let Some(bytes) = self.unread.take() {
            return Poll::Ready(Ok(Some(bytes)));
        }
        let at = match self.place {
            // What has no position is read while it is written.
            Place::Nowhere => None,
            Place::Unknown | Place::At(_) => {
                ready!(self.poll_drain(cx))?;
                self.locate()?
            }
        };
        loop {
            match &mut self.reading {
                None => {
                    let buffer = Vec::with_capacity(limit);
                    let read = ops::read_at(self.fd(), buffer, at.unwrap_or(OWN));
                    self.reading = Some(Reading::Read(read));
                }
                Some(Reading::Read(read)) => {
                    let (read, bytes) = ready!(Pin::new(read).poll(cx));
                    self.reading = None;
                    match read {
                        Ok(0) => return Poll::Ready(Ok(None)),
                        Ok(count) => {
                            if let Place::At(at) = &mut self.place {
                                *at += count as u64;
                            }
                            return Poll::Ready(Ok(Some(bytes.into())));
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            let wait = ops::poll_ready(self.fd(), READABLE);
                            self.reading = Some(Reading::Wait(wait));
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Some(Reading::Wait(wait)) => {
                    let waited = ready!(Pin::new(wait).poll(cx));
                    self.reading = None;
                    waited?;
                }
            }
        }
    }

    pub(super) fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }

    #[track_caller]
    pub(super) fn poll_fill_buf(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<io::Result<&[u8]>> {
        if self.unread.is_empty()
            && let Some(bytes) = ready!(self.poll_recv(cx, limit))?
        {
            self.unread.put_back(bytes);
        }
        Poll::Ready(Ok(&self.unread))
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.unread.consume(count);
    }

    /// Polls until a write may begin, and yields its offset.
    fn poll_offset(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        ready!(self.poll_drain(cx))?;
        let Some(at) = self.locate()? else {
            return Poll::Ready(Ok(OWN));
        };
        let appends = match self.appends {
            Some(appends) => appends,
            None => fcntl_getfl(self.fd())?.contains(OFlags::APPEND),
        };
        self.appends = Some(appends);
        let here = self.here(at);
        self.move_to(here);
        if !appends {
            return Poll::Ready(Ok(here));
        }
        // Where the end will have been only the kernel knows.
        self.place = Place::Unknown;
        Poll::Ready(Ok(OWN))
    }

    /// Polls to begin a write of the first `limit` bytes of `parts`.
    #[track_caller]
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        ready!(Leaf::here().start());
        if parts.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if !self.behind.is_idle() && self.continues()? {
            let most = limit.saturating_mul(GATHERED);
            match ready!(self.behind.poll_append(cx, parts, limit, most)) {
                Ok(None) => {}
                Ok(Some(count)) => {
                    self.advance(count);
                    return Poll::Ready(Ok(count));
                }
                Err(error) => {
                    self.step_back();
                    return Poll::Ready(Err(error));
                }
            }
        }
        let offset = ready!(self.poll_offset(cx))?;
        let count = self.behind.start(cx, parts, limit, offset);
        self.advance(count);
        Poll::Ready(Ok(count))
    }

    /// Whether a write now goes on where the one under way ends: everything else that moves the position waits for its
    /// end first. Only in files of bytes: other readers, and devices, may see where each write ends.
    fn continues(&mut self) -> io::Result<bool> {
        let in_order = match self.place {
            Place::At(_) => true,
            Place::Unknown => self.appends == Some(true),
            Place::Nowhere => false,
        };
        if !in_order || self.reading.is_some() || !self.unread.is_empty() {
            return Ok(false);
        }
        let gathers = match self.gathers {
            Some(gathers) => gathers,
            // In /proc, /sys and the like, whose files are regular and which have no blocks, each write is a command.
            None => {
                FileType::from_raw_mode(fstat(self.fd())?.st_mode).is_file()
                    && fstatfs(self.fd()).is_ok_and(|system| system.f_blocks > 0)
            }
        };
        self.gathers = Some(gathers);
        Ok(gathers)
    }

    fn advance(&mut self, count: usize) {
        if let Place::At(at) = &mut self.place {
            *at += count as u64;
        }
    }

    /// Writes an owned buffer from where it lies.
    pub(super) async fn write_all_owned<B: IoBuf>(&mut self, buffer: B) -> BufResult<(), B> {
        let mut offset = match leaf_fn(|cx| self.poll_offset(cx)).await {
            Ok(offset) => offset,
            Err(error) => return (Err(error), buffer),
        };
        let mut rest = Slice::new(buffer, 0);
        while !rest.is_empty() {
            let (written, back) = ops::write_at(self.fd(), rest, offset).await;
            rest = back;
            let outcome = match written {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest.advance(count);
                    self.advance(count);
                    if offset != OWN {
                        offset += count as u64;
                    }
                    Ok(())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ops::poll_ready(self.fd(), WRITABLE).await.map(drop)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                return (Err(error), rest.into_inner());
            }
        }
        (Ok(()), rest.into_inner())
    }

    /// Polls to move the position.
    #[track_caller]
    pub(super) fn poll_seek(
        &mut self,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        ready!(Leaf::here().start());
        ready!(self.poll_drain(cx))?;
        Poll::Ready(self.seek(to))
    }

    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let Some(at) = self.locate()? else {
            return Err(Errno::SPIPE.into());
        };
        let here = self.here(at);
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => here.checked_add_signed(by),
            // The kernel's position is nobody's, so it may move.
            SeekFrom::End(by) => seek(self.fd(), Whence::End(0))?.checked_add_signed(by),
        };
        let target = target.filter(|at| i64::try_from(*at).is_ok());
        let target = target.ok_or_else(|| {
            let message = "a file's position is at least 0 and at most 2^63 - 1";
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        // Asking where it is forgets nothing.
        if target != here {
            self.move_to(target);
        }
        Ok(target)
    }
}
