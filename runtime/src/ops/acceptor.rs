//! Accepting connections, without losing one when nobody waits.

#![expect(unsafe_code, reason = "the multishot contract")]

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use io_uring::{opcode, squeue};

use crate::driver::completion::Completion;
use crate::driver::multishot::{Multishot, MultishotOperation, Next};
use crate::driver::op::Op;
use crate::driver::remote::Remote;
use crate::ops::SharedFd;
use crate::ops::fd::adopt;
use crate::ops::socket::{Accept, accept};
use crate::scope::{Leaf, leaf_fn};

/// A multishot accept in the kernel's hands.
#[derive(Debug)]
struct Armed {
    fd: SharedFd,
}

// SAFETY: the entry names the descriptor, which `self` keeps open, and no memory.
unsafe impl MultishotOperation for Armed {
    const BACKLOG: usize = 64;

    fn prepare(&mut self) -> squeue::Entry {
        opcode::AcceptMulti::new(self.fd.entry())
            .flags(libc::SOCK_CLOEXEC)
            .build()
    }

    fn dispose(&self, completion: Completion, _remote: &Arc<Remote>) {
        // A connection that nobody will take is closed.
        drop(completion.result().map(adopt));
    }
}

/// Accepts connections of a listening socket.
///
/// One multishot accept stays armed in the kernel. Connections that arrive while nobody waits are kept
/// for the next call (at most 64; then they wait in the listener's own backlog), and closed when the
/// acceptor is dropped.
///
/// # Cancel safety
///
/// Dropping the future of [`accept`](Self::accept) loses no connection.
#[derive(Debug)]
pub struct Acceptor {
    fd: SharedFd,
    armed: Option<Multishot<Armed>>,
    /// A single accept, which finds its way to a worker when polled outside of them.
    elsewhere: Option<Op<Accept>>,
}

impl Acceptor {
    /// An acceptor for the listening socket `fd`.
    #[must_use]
    pub fn new(fd: SharedFd) -> Self {
        Self {
            fd,
            armed: None,
            elsewhere: None,
        }
    }

    /// The socket.
    #[must_use]
    pub fn fd(&self) -> &SharedFd {
        &self.fd
    }

    /// Whether an accept is armed, which may take connections from the listener at any time.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.armed.is_some() || self.elsewhere.is_some()
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`. After `EMFILE` or `ENFILE` (too many open files) the listener still works:
    /// call again when descriptors have been closed, and not at once.
    #[track_caller]
    pub fn accept(&mut self) -> impl Future<Output = io::Result<OwnedFd>> + Send {
        leaf_fn(|cx| self.poll_accept(cx))
    }

    /// As [`accept`](Self::accept), for hand-written futures.
    ///
    /// In a cancelled scope it is pending, and what has come stays here.
    #[track_caller]
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        let leaf = Leaf::here();
        // At every poll, since nothing says whose wait it is. An accept elsewhere is not told: what it has accepted
        // would have nowhere to go.
        ready!(leaf.start());
        match self.poll_started(cx) {
            Poll::Pending => leaf.pending(),
            ready => ready,
        }
    }

    fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        loop {
            if let Some(accept) = &mut self.elsewhere {
                let accepted = ready!(Pin::new(accept).poll(cx));
                self.elsewhere = None;
                return Poll::Ready(accepted);
            }
            let Some(armed) = &mut self.armed else {
                match Multishot::arm(
                    Armed {
                        fd: self.fd.clone(),
                    },
                    cx,
                ) {
                    Ok(armed) => {
                        self.armed = Some(armed);
                        return Poll::Pending;
                    }
                    Err(_) => self.elsewhere = Some(accept(&self.fd)),
                }
                continue;
            };
            let completion = match ready!(armed.poll_next(cx)) {
                Next::More(completion) => completion,
                Next::Last(completion) => {
                    self.armed = None;
                    if completion.is_cancelled() {
                        continue;
                    }
                    completion
                }
            };
            return Poll::Ready(completion.result().map(adopt));
        }
    }
}
