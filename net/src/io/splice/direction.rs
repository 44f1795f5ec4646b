//! One direction between two sockets.
//!
//! ```text
//!            256 KiB             disarmed, flushed
//!   Copying ─────────▶ Draining ───────────────────▶ Spliced
//!    │   ▲                │                           │   │
//!    │   └── no pipe ─────┘                           │   │
//!    │   └── the kernel refuses ──────────────────────┘   │
//!    └──── end ─────▶ Ended ──▶ Closed ◀──── end ─────────┘
//! ```
//!
//! Each direction is in a state of its own, so that one whose writer has no room never holds up the other, for which the
//! peer may be waiting.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;

use super::pipe::Pipe;
use super::{Mode, SpliceEnd};
use crate::RecvBuf;
use crate::io::copy::{Pumped, poll_held, poll_pump};
use crate::ready::{READABLE, WRITABLE, Waiting};

/// Bytes after which a direction is spliced: four times what fits into a pipe as it is made.
const ENOUGH: u64 = 256 * 1024;
/// How often a pipe is filled in one turn, so that others get theirs.
const FILLINGS: u32 = 16;

pub(super) struct Direction {
    held: Option<RecvBuf>,
    written: u64,
    state: State,
    reading: Waiting,
    writing: Waiting,
}

enum State {
    /// Until so many bytes are written.
    Copying(u64),
    /// What the runtime has received is written; nothing more is received.
    Draining(Pipe),
    Spliced(Pipe),
    /// The reader is at its end.
    Ended,
    /// And the writer has been told.
    Closed,
}

impl Direction {
    pub(super) fn new() -> Self {
        Self {
            held: None,
            written: 0,
            state: State::Copying(ENOUGH),
            reading: Waiting::new(),
            writing: Waiting::new(),
        }
    }

    pub(super) fn poll<R: SpliceEnd, W: SpliceEnd>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        modes: &mut Option<[Mode; 2]>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<u64>> {
        loop {
            match self.state {
                State::Copying(enough) => {
                    let (held, written) = (&mut self.held, &mut self.written);
                    let pumped = ready!(poll_pump(reader, writer, held, written, enough, cx))?;
                    self.state = match pumped {
                        Pumped::All => State::Ended,
                        Pumped::Enough => begin(reader, writer, modes),
                    };
                }
                State::Draining(_) => {
                    ready!(self.poll_drain(reader, writer, cx))?;
                    if let State::Draining(pipe) = self.copy_on() {
                        self.state = State::Spliced(pipe);
                    }
                }
                State::Spliced(_) => match ready!(self.poll_splice(reader, writer, cx)) {
                    Ok(()) => self.state = State::Ended,
                    Err(error) if self.is_refused(&error) => drop(self.copy_on()),
                    Err(error) => return Poll::Ready(Err(error)),
                },
                State::Ended => {
                    ready!(writer.poll_shutdown(cx))?;
                    self.state = State::Closed;
                }
                State::Closed => return Poll::Ready(Ok(self.written)),
            }
        }
    }

    /// Goes on copying, to the end. Returns the state from before.
    fn copy_on(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Copying(u64::MAX))
    }

    /// Ready when the runtime has no bytes in hand, and the writer's kernel has all before them.
    fn poll_drain<R: SpliceEnd, W: SpliceEnd>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(poll_held(writer, &mut self.held, &mut self.written, cx))?;
            match ready!(reader.poll_disarm(cx))? {
                None => return writer.poll_flush(cx),
                received => self.held = received,
            }
        }
    }

    /// Ready at the end of the reader.
    fn poll_splice<R: SpliceEnd, W: SpliceEnd>(
        &mut self,
        reader: &R,
        writer: &W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let State::Spliced(pipe) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let (from, to) = (reader.shared(), writer.shared());
        for _ in 0..FILLINGS {
            while !pipe.is_empty() {
                let emptied = (self.writing).poll_when(cx, to, WRITABLE, || pipe.empty(to));
                self.written += ready!(emptied)? as u64;
            }
            let filled = (self.reading).poll_when(cx, from, READABLE, || pipe.fill(from));
            if !ready!(filled)? {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether an error says that these sockets cannot be spliced, rather than that one has failed. Nothing is in the pipe
    /// that the kernel could not move there.
    fn is_refused(&self, error: &io::Error) -> bool {
        let refused = matches!(
            Errno::from_io_error(error),
            Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
        );
        refused && matches!(&self.state, State::Spliced(pipe) if pipe.is_empty())
    }

    /// Puts back what was read and not written.
    pub(super) fn put_back<R: SpliceEnd>(&mut self, reader: &mut R) {
        if let State::Draining(pipe) | State::Spliced(pipe) = self.copy_on()
            && !pipe.is_empty()
        {
            reader.unread(pipe.into_bytes().into());
        }
        if let Some(held) = self.held.take() {
            reader.unread(held);
        }
    }
}

/// The state after a first stretch that was copied.
fn begin<R: SpliceEnd, W: SpliceEnd>(
    reader: &R,
    writer: &W,
    modes: &mut Option<[Mode; 2]>,
) -> State {
    // Without descriptors, say.
    let pipe = Mode::of_both(modes, reader.shared(), writer.shared()).and_then(|()| Pipe::new());
    pipe.map_or(State::Copying(u64::MAX), State::Draining)
}
