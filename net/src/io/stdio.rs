//! The streams that a program is started with.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use heist_runtime::ops::{self, Op, PollReady, ReadAt, SharedFd, WriteBehind};
use heist_runtime::scope::Leaf;

use super::{AsyncBufRead, AsyncRead, AsyncWrite, Unread, shown_unread};
use crate::RecvBuf;
use crate::ready::READABLE;

/// Bytes of one read.
const READ: usize = 8 * 1024;
/// Most bytes of one write.
const WRITE: usize = 64 * 1024;
/// The offset that stands for the descriptor's own position.
const OWN: u64 = u64::MAX;

/// A duplicate of a stream's descriptor, for operations to own. It may be shared with other processes, so its flags are left
/// alone.
fn duplicate(stream: impl AsFd) -> io::Result<SharedFd> {
    Ok(SharedFd::new(stream.as_fd().try_clone_to_owned()?))
}

/// The standard input of the process.
///
/// On the ring, whatever it is: a pipe, a terminal, a file. A read waits until there is something, and only then takes it.
/// So nothing is taken from others that share it by one who just waits, no thread is kept, and a program that ends does not
/// wait for a key (tokio's does).
///
/// What a handle has read ahead it keeps to itself, so make one and keep it.
#[must_use]
pub fn stdin() -> Stdin {
    Stdin {
        fd: None,
        step: None,
        unread: Unread::new(),
    }
}

/// The standard output of the process; see [`Stdout`].
#[must_use]
pub fn stdout() -> Stdout {
    Stdout(Output::new())
}

/// The standard error of the process; see [`Stderr`].
#[must_use]
pub fn stderr() -> Stderr {
    Stderr(Output::new())
}

/// What is under way.
enum Step {
    Wait(Op<PollReady>),
    Read(Op<ReadAt<Vec<u8>>>),
}

/// The standard input; from [`stdin`].
///
/// # Cancel safety
///
/// Loses nothing: what a dropped read has not returned is there for the next one of this handle.
pub struct Stdin {
    /// From the first read on.
    fd: Option<SharedFd>,
    step: Option<Step>,
    unread: Unread,
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

impl AsyncRead for Stdin {
    #[track_caller]
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
        ready!(Leaf::here().start());
        if let Some(bytes) = self.unread.take() {
            return Poll::Ready(Ok(Some(bytes)));
        }
        let fd = match &mut self.fd {
            Some(fd) => fd,
            none => none.insert(duplicate(io::stdin())?),
        };
        loop {
            match &mut self.step {
                None => self.step = Some(Step::Wait(ops::poll_ready(fd, READABLE))),
                Some(Step::Wait(wait)) => {
                    let waited = ready!(Pin::new(wait).poll(cx));
                    self.step = None;
                    waited?;
                    // Should somebody else have been quicker, the kernel waits.
                    let read = ops::read_at(fd, Vec::with_capacity(READ), OWN);
                    self.step = Some(Step::Read(read));
                }
                Some(Step::Read(read)) => {
                    let (read, bytes) = ready!(Pin::new(read).poll(cx));
                    self.step = None;
                    match read {
                        Ok(0) => return Poll::Ready(Ok(None)),
                        Ok(_) => return Poll::Ready(Ok(Some(bytes.into()))),
                        Err(error) if again(&error) => {}
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            }
        }
    }

    fn unread(&mut self, bytes: RecvBuf) {
        self.unread.put_back(bytes);
    }
}

fn again(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, WouldBlock};
    matches!(error.kind(), Interrupted | WouldBlock)
}

impl AsyncBufRead for Stdin {
    shown_unread!();
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        static STDIN: LazyLock<io::Stdin> = LazyLock::new(io::stdin);
        STDIN.as_fd()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// What standard output and standard error have in common.
struct Output {
    /// From the first write on.
    behind: Option<WriteBehind>,
}

impl Output {
    const fn new() -> Self {
        Self { behind: None }
    }

    #[track_caller]
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
        open: impl FnOnce() -> io::Result<SharedFd>,
    ) -> Poll<io::Result<usize>> {
        ready!(Leaf::here().start());
        let behind = match &mut self.behind {
            Some(behind) => behind,
            none => none.insert(WriteBehind::new(open()?)),
        };
        ready!(behind.poll_drain(cx))?;
        Poll::Ready(Ok(behind.start(cx, parts, WRITE, OWN)))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.behind
            .as_mut()
            .map_or(Poll::Ready(Ok(())), |behind| behind.poll_drain(cx))
    }
}

macro_rules! output {
    ($(#[$doc:meta])+ $name:ident, $std:path) => {
        $(#[$doc])+
        ///
        /// A write copies its bytes, up to 64 KiB at a time, and goes on in the background, on the ring; an error of it is
        /// told by the next call. What two handles write at the same time may mix. **Flush before the program ends**: what
        /// is still under way then is lost.
        ///
        /// # Cancel safety
        ///
        /// A `write` that is dropped has written nothing.
        pub struct $name(Output);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl AsyncWrite for $name {
            #[track_caller]
            fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
            }

            #[track_caller]
            fn poll_write_vectored(
                &mut self,
                cx: &mut Context<'_>,
                parts: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write(cx, parts, || duplicate($std()))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }

            /// What was written is on its way already.
            fn poll_start_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Flushes, and closes nothing: the stream is the process's.
            fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }
        }
    };
}

output! {
    /// The standard output; from [`stdout`].
    Stdout, io::stdout
}

output! {
    /// The standard error; from [`stderr`].
    Stderr, io::stderr
}
