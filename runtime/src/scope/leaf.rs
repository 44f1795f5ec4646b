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

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

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

/// As [`std::future::poll_fn`], for the wait of one caller at something that is polled by hand, such as a receiver:
/// the future is a leaf. It does not begin in a cancelled scope, and says where it was made.
///
/// What is polled keeps nothing of a wait, since the next one may be another's. If it hands something out, it asks the
/// scope at every poll: what is not taken stays where it is.
///
/// # Examples
///
/// ```
/// use heist_runtime::scope::{Exit, Reason, Scope, catch, leaf_fn};
/// use std::task::Poll;
///
/// heist_runtime::block_on(async {
///     assert_eq!(leaf_fn(|_| Poll::Ready(1)).await, 1);
///
///     let scope = Scope::new();
///     scope.cancel(Reason::Explicit);
///     let exit = catch(&scope, leaf_fn(|_| -> Poll<()> { unreachable!("not begun") })).await;
///     assert!(matches!(exit, Exit::Cancelled(_)));
/// });
/// ```
#[track_caller]
pub const fn leaf_fn<T, F>(poll: F) -> LeafFn<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<T>,
{
    LeafFn {
        poll,
        leaf: Leaf::here(),
        started: false,
    }
}

/// The future of [`leaf_fn`].
#[must_use = "futures do nothing unless polled"]
pub struct LeafFn<F> {
    poll: F,
    leaf: Leaf,
    started: bool,
}

impl<F> fmt::Debug for LeafFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeafFn")
            .field("leaf", &self.leaf)
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}

// The function is called where it lies and never pinned.
impl<F> Unpin for LeafFn<F> {}

impl<T, F> Future for LeafFn<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<T>,
{
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        if !this.started {
            ready!(this.leaf.start());
            this.started = true;
        }
        match (this.poll)(cx) {
            Poll::Pending => this.leaf.pending(),
            ready => ready,
        }
    }
}
