//! Leaves: the futures at the bottom, which wait for something that is not a future.
//!
//! A leaf keeps these rules, so that a cancelled task unwinds and nothing is lost:
//!
//! 1. Polled for the first time in a cancelled scope it does not start: it stays pending.
//! 2. Once started it may stay as it is when its scope is cancelled: the scope polls it once more and drops
//!    it. What it was given meanwhile it returns from that poll.
//! 3. An operation that the kernel works on is cancelled there and keeps its scope busy until the kernel
//!    has let go of it.
//! 4. Whenever it is pending it says where it was made.

use std::panic::Location;
use std::task::Poll;

use crate::scope::current;

/// Whether the innermost scope that is being polled on this thread is being cancelled, and not shielded.
///
/// `false` outside of scopes, and under other executors.
#[must_use]
#[inline]
pub fn cancel_requested() -> bool {
    current::is_cancelled()
}

/// The place in the source where a leaf was made, and the two questions every leaf has to ask.
///
/// # Examples
///
/// A leaf that waits until a flag is set:
///
/// ```
/// use heist_runtime::scope::Leaf;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::task::{Context, Poll, ready};
///
/// struct Wait<'a> {
///     flag: &'a AtomicBool,
///     leaf: Leaf,
///     started: bool,
/// }
///
/// impl Wait<'_> {
///     fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
///         if !self.started {
///             ready!(self.leaf.start());
///             self.started = true;
///         }
///         if self.flag.load(Ordering::Acquire) {
///             return Poll::Ready(());
///         }
///         cx.waker().wake_by_ref(); // a real leaf leaves the waker with whoever sets the flag
///         self.leaf.pending()
///     }
/// }
/// # let flag = AtomicBool::new(true);
/// # let mut wait = Wait { flag: &flag, leaf: Leaf::here(), started: false };
/// # assert!(wait.poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Leaf {
    at: &'static Location<'static>,
}

impl Leaf {
    /// A leaf made by the caller of the function that calls this, if that has `#[track_caller]`.
    #[must_use]
    #[track_caller]
    pub const fn here() -> Self {
        Self {
            at: Location::caller(),
        }
    }

    /// Before a leaf starts, at its first poll: pending in a cancelled scope.
    #[inline]
    pub fn start(&self) -> Poll<()> {
        if cancel_requested() {
            return self.pending();
        }
        Poll::Ready(())
    }

    /// Notes that the current scope waits here, and is pending.
    #[inline]
    pub fn pending<T>(&self) -> Poll<T> {
        current::note_wait(self.at);
        Poll::Pending
    }

    /// Where the leaf was made.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.at
    }
}

/// The same for what is polled again and again and is no future by itself, such as a receiver: each wait, from
/// a first poll to a result, is a leaf.
#[derive(Debug, Clone, Copy)]
pub struct PollLeaf {
    leaf: Leaf,
    waits: bool,
}

impl PollLeaf {
    /// Made by the caller of the function that calls this, if that has `#[track_caller]`.
    #[must_use]
    #[track_caller]
    pub const fn here() -> Self {
        Self {
            leaf: Leaf::here(),
            waits: false,
        }
    }

    /// Before each poll: pending when a wait would begin in a cancelled scope.
    #[inline]
    pub fn start(&self) -> Poll<()> {
        if self.waits {
            return Poll::Ready(());
        }
        self.leaf.start()
    }

    /// After each poll.
    #[inline]
    pub fn polled<T>(&mut self, result: Poll<T>) -> Poll<T> {
        self.waits = result.is_pending();
        if self.waits {
            return self.leaf.pending();
        }
        result
    }

    /// A wait was given up: the next poll begins another.
    pub fn reset(&mut self) {
        self.waits = false;
    }
}
