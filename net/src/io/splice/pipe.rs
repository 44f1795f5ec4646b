//! A pipe that bytes pass through.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::pipe::{PipeFlags, SpliceFlags};

/// What is asked for: what an unprivileged process may have. A user has a limit for all pipes, beyond which they stay as
/// they are made, with 64 KiB.
const ROOM: usize = 1 << 20;

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

#[derive(Debug)]
pub(super) struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    held: usize,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Self> {
        let (out, into) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Smaller is slower and as good.
        let _ = rustix::pipe::fcntl_setpipe_size(&into, ROOM);
        Ok(Self { out, into, held: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Moves what `from` has into the pipe, which is to be empty: `WouldBlock` is about `from`. Returns whether there was
    /// anything before the end.
    pub(super) fn fill(&mut self, from: impl AsFd) -> io::Result<bool> {
        debug_assert!(
            self.is_empty(),
            "a full pipe would look like an empty socket"
        );
        self.held = rustix::pipe::splice(from, None, &self.into, None, ROOM, FLAGS)?;
        Ok(!self.is_empty())
    }

    /// Moves from the pipe what `to` has room for. Returns how much.
    pub(super) fn empty(&mut self, to: impl AsFd) -> io::Result<usize> {
        let count = rustix::pipe::splice(&self.out, None, to, None, self.held, FLAGS)?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.held -= count;
        Ok(count)
    }

    /// The bytes that are in the pipe.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.held);
        while bytes.len() < self.held {
            match rustix::io::read(&self.out, spare_capacity(&mut bytes)) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    debug_assert!(false, "a pipe has what was moved there: {error}");
                    break;
                }
            }
        }
        bytes
    }
}
