//! Writing to a descriptor that is no socket: in the background, one write at a time.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::handle::Handle;
use crate::ops::file::{WriteAt, write_at};
use crate::ops::socket::{PollReady, poll_ready};
use crate::ops::{Op, SharedFd, Slice};
use crate::scope::leaf_fn;

/// `POLLOUT` of `poll(2)`.
const WRITABLE: u32 = 0x004;

/// What is under way.
enum Stage {
    Write(Op<WriteAt<Slice<Vec<u8>>>>),
    /// The descriptor does not block, and has no room.
    Wait(Op<PollReady>, Slice<Vec<u8>>),
}

/// Writes on a descriptor, as those of a file or a terminal, in the background and in the order of the calls.
///
/// A write copies its bytes, starts, and has succeeded: the kernel takes them while the caller goes on. One is under way
/// at a time, so the next call waits for it, and is told its error. [`poll_drain`](Self::poll_drain) waits until the
/// kernel has everything.
///
/// A write that is under way when this is dropped goes on, unless the runtime ends.
///
/// # Cancel safety
///
/// Loses nothing: no future owns the bytes.
pub struct WriteBehind {
    work: Work,
}

/// What a task may go on with.
struct Work {
    fd: SharedFd,
    stage: Option<Stage>,
    /// Where the write under way goes; `u64::MAX` for the descriptor's own position.
    offset: u64,
    /// What a write has ended with that was done as soon as it was submitted.
    failed: Option<io::Error>,
    /// Bytes of a write that failed, which have not been written.
    unwritten: usize,
    /// Memory of the last write, for the next.
    spare: Vec<u8>,
}

impl fmt::Debug for WriteBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind")
            .field("fd", &self.fd())
            .field("is_idle", &self.is_idle())
            .finish_non_exhaustive()
    }
}

impl WriteBehind {
    /// Nothing under way.
    #[must_use]
    pub fn new(fd: SharedFd) -> Self {
        Self {
            work: Work::new(fd, None, 0),
        }
    }

    /// The descriptor.
    #[must_use]
    pub fn fd(&self) -> &SharedFd {
        &self.work.fd
    }

    /// Whether no write is under way. Only then may one be started.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.work.stage.is_none() && self.work.failed.is_none()
    }

    /// How many bytes the write that has failed last did not write; 0 when asked again.
    pub fn take_unwritten(&mut self) -> usize {
        std::mem::take(&mut self.work.unwritten)
    }

    /// Starts to write the first `limit` bytes of `parts`, as if they were one, at `offset`; `u64::MAX` stands for the
    /// descriptor's own position. Yields how many bytes that are.
    ///
    /// # Panics
    ///
    /// When a write is under way.
    #[track_caller]
    pub fn start(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        limit: usize,
        offset: u64,
    ) -> usize {
        assert!(self.is_idle(), "one write is under way at a time");
        let mut bytes = std::mem::take(&mut self.work.spare);
        bytes.clear();
        for part in parts {
            let room = limit - bytes.len();
            bytes.extend_from_slice(&part[..part.len().min(room)]);
        }
        let count = bytes.len();
        if count > 0 {
            self.work.offset = offset;
            self.work.write(Slice::new(bytes, 0));
            // To the kernel with it; the next call asks what has become of it.
            self.work.submit(cx);
        }
        count
    }

    /// Polls until the kernel has everything that was started.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`, each told once; `WriteZero` when the descriptor takes no more.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.work.poll(cx)
    }
}

impl Drop for WriteBehind {
    /// A task sees to it that what was accepted is written.
    fn drop(&mut self) {
        let work = &mut self.work;
        let Some(stage) = work.stage.take() else {
            return;
        };
        if let Some(handle) = Handle::try_current() {
            let mut heir = Work::new(work.fd.clone(), Some(stage), work.offset);
            // There is nobody left to be told of an error.
            drop(handle.spawn(leaf_fn(move |cx| heir.poll(cx).map(drop))));
        }
    }
}

impl Work {
    fn new(fd: SharedFd, stage: Option<Stage>, offset: u64) -> Self {
        Self {
            fd,
            stage,
            offset,
            failed: None,
            unwritten: 0,
            spare: Vec::new(),
        }
    }

    fn write(&mut self, rest: Slice<Vec<u8>>) {
        self.stage = Some(Stage::Write(write_at(&self.fd, rest, self.offset)));
    }

    /// The first poll of a write. It is pending, unless another thread is quick.
    fn submit(&mut self, cx: &mut Context<'_>) {
        if let Some(Stage::Write(op)) = &mut self.stage
            && let Poll::Ready((written, rest)) = Pin::new(op).poll(cx)
        {
            self.stage = None;
            self.failed = self.settle(written, rest).err();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        loop {
            match &mut self.stage {
                None => return Poll::Ready(Ok(())),
                Some(Stage::Write(op)) => {
                    let (written, rest) = ready!(Pin::new(op).poll(cx));
                    self.stage = None;
                    self.settle(written, rest)?;
                }
                Some(Stage::Wait(wait, _)) => {
                    let outcome = ready!(Pin::new(wait).poll(cx));
                    let Some(Stage::Wait(_, rest)) = self.stage.take() else {
                        unreachable!("just matched")
                    };
                    match outcome {
                        Ok(_) => self.write(rest),
                        Err(error) => return Poll::Ready(Err(self.fail(rest, error))),
                    }
                }
            }
        }
    }

    /// After a write: the next step, if there is any.
    fn settle(&mut self, written: io::Result<usize>, mut rest: Slice<Vec<u8>>) -> io::Result<()> {
        match written {
            Ok(0) => return Err(self.fail(rest, io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                rest.advance(count);
                if self.offset != u64::MAX {
                    self.offset += count as u64;
                }
                if rest.is_empty() {
                    self.spare = rest.into_inner();
                } else {
                    self.write(rest);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.write(rest),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.stage = Some(Stage::Wait(poll_ready(&self.fd, WRITABLE), rest));
            }
            Err(error) => return Err(self.fail(rest, error)),
        }
        Ok(())
    }

    fn fail(&mut self, rest: Slice<Vec<u8>>, error: io::Error) -> io::Error {
        self.unwritten = rest.len();
        self.spare = rest.into_inner();
        error
    }
}
