//! The pipes to and from a child.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::{self, Stdio};
use std::task::{Context, Poll};

use heist_net::RecvBuf;
use heist_net::io::{AsyncBufRead, AsyncRead, AsyncWrite};
use heist_net::unix::pipe::{Receiver, Sender};

/// What all three have.
macro_rules! pipe {
    ($name:ident, $std:ty, $end:ident) => {
        impl $name {
            /// Takes over one of the standard library's.
            ///
            /// # Errors
            ///
            /// Those of `fcntl(2)`.
            pub fn from_std(std: $std) -> io::Result<Self> {
                $end::from_owned_fd(std.into()).map(Self)
            }

            /// The descriptor, which blocks from now on, as other programs expect it.
            ///
            /// # Errors
            ///
            /// Those of `fcntl(2)`; `InvalidInput` when something was read ahead, which would be lost, and `BrokenPipe`
            /// after a shutdown.
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                self.0.into_blocking_fd()
            }
        }

        /// For the next program in a pipeline.
        impl TryFrom<$name> for Stdio {
            type Error = io::Error;

            fn try_from(pipe: $name) -> io::Result<Self> {
                pipe.into_owned_fd().map(Self::from)
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }
    };
}

macro_rules! readable {
    ($name:ident) => {
        impl AsyncRead for $name {
            #[track_caller]
            fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
                self.0.poll_recv(cx)
            }

            fn unread(&mut self, bytes: RecvBuf) {
                self.0.unread(bytes);
            }

            #[track_caller]
            fn poll_read(
                &mut self,
                cx: &mut Context<'_>,
                into: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_read(cx, into)
            }
        }

        impl AsyncBufRead for $name {
            #[track_caller]
            fn poll_fill_buf(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
                self.0.poll_fill_buf(cx)
            }

            fn consume(&mut self, count: usize) {
                self.0.consume(count);
            }
        }
    };
}

/// What a child reads as its standard input. It sees the end when this is dropped or shut down.
///
/// A write fails with `BrokenPipe` when the child has ended, or closed its input.
#[derive(Debug)]
pub struct ChildStdin(Sender);

/// What a child writes to its standard output.
#[derive(Debug)]
pub struct ChildStdout(Receiver);

/// What a child writes to its standard error.
#[derive(Debug)]
pub struct ChildStderr(Receiver);

pipe!(ChildStdin, process::ChildStdin, Sender);
pipe!(ChildStdout, process::ChildStdout, Receiver);
pipe!(ChildStderr, process::ChildStderr, Receiver);

readable!(ChildStdout);
readable!(ChildStderr);

impl AsyncWrite for ChildStdin {
    #[track_caller]
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    #[track_caller]
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}
