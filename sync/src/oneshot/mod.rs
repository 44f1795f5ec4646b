//! One value, from one task to another. It needs no runtime and works under any executor.
//!
//! asyncio's `Future` with its `set_result`; tokio's `oneshot` in names and signatures. A channel is
//! one allocation; sending is one atomic operation, and so is leaving a waker when the value is not
//! there yet.
//!
//! ```
//! # heist_runtime::block_on(async {
//! use heist_sync::oneshot;
//!
//! let (sender, receiver) = oneshot::channel();
//! heist_runtime::spawn(async move { sender.send("done") });
//! assert_eq!(receiver.await, Ok("done"));
//! # });
//! ```
//!
//! In reading order:
//!
//! - `state`: the state word and its bits.
//! - `shared`: the allocation, and all that either end can do to it.
//! - `error`: why no value was received.

mod state;
mod shared;
/// The errors of [`channel`].
pub mod error;

use self::error::{RecvError, TryRecvError};
use self::shared::{End, Rx, Tx};
use self::state::{CLOSED, SENT, TX_GONE};
use crate::blocking;
use heist_runtime::scope::Leaf;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A channel for one value.
///
/// The receiver waits where this was called, as far as a dump of the waiting tasks is concerned.
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = shared::pair();
    let sender = Sender { end: sender };
    let receiver = Receiver {
        end: Some(receiver),
        started: false,
        leaf: Leaf::here(),
    };
    (sender, receiver)
}

/// Sends one value. Made by [`channel`].
///
/// Dropping it without sending fails the receiver.
pub struct Sender<T> {
    end: End<T, Tx>,
}

/// Receives one value: await it. Made by [`channel`].
///
/// # Errors
///
/// The output is [`RecvError`] if the sender is dropped without sending, or after [`close`](Self::close).
///
/// # Panics
///
/// When it is polled again after it was done.
///
/// # Cancel safety
///
/// Awaited by reference (`(&mut receiver).await`), it loses nothing: the value stays in the channel.
/// Dropping the receiver drops a value that was sent, and fails a `send` that comes later.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Receiver<T> {
    /// There until the outcome was returned.
    end: Option<End<T, Rx>>,
    /// Polled before, in a scope that was not cancelled.
    started: bool,
    leaf: Leaf,
}

impl<T> Sender<T> {
    /// Sends the value. Never waits.
    ///
    /// That it was sent does not mean that it will be received: the receiver may be dropped with it.
    ///
    /// # Errors
    ///
    /// The value, if the receiver was closed or dropped.
    pub fn send(self, value: T) -> Result<(), T> {
        self.end.send(value)
    }

    /// Waits until the receiver is closed or dropped, to stop work that nobody wants any more.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// let (mut sender, receiver) = heist_sync::oneshot::channel::<u32>();
    /// drop(receiver);
    /// sender.closed().await;
    /// assert_eq!(sender.send(1), Err(1));
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn closed(&mut self) -> Closed<'_, T> {
        Closed {
            sender: self,
            started: false,
            leaf: Leaf::here(),
        }
    }

    /// Whether the receiver was closed or dropped, so that sending would fail.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.end.state().has(CLOSED)
    }

    /// As [`closed`](Self::closed), for hand-written futures. Only the waker of the last call is woken.
    ///
    /// Pending in a cancelled scope. (tokio has no scopes.)
    #[track_caller]
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let leaf = Leaf::here();
        ready!(leaf.start());
        self.poll_started(cx, leaf)
    }

    fn poll_started(&mut self, cx: &Context<'_>, leaf: Leaf) -> Poll<()> {
        if self.end.register(cx.waker()) {
            return leaf.pending();
        }
        Poll::Ready(())
    }
}

impl<T> Receiver<T> {
    /// Lets the sender send no more. A value that was sent before can still be received.
    pub fn close(&mut self) {
        if let Some(end) = &self.end {
            end.close();
        }
    }

    /// Receives the value if it was sent.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if it was not sent yet, [`TryRecvError::Closed`] if it will not be.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let state = match &self.end {
            Some(end) => end.state(),
            None => return Err(TryRecvError::Closed),
        };
        if !state.has(TX_GONE | CLOSED) {
            return Err(TryRecvError::Empty);
        }
        self.leave().ok_or(TryRecvError::Closed)
    }

    /// Receives the value, blocking the thread until it is there. For threads outside the runtime.
    ///
    /// # Errors
    ///
    /// As awaiting it.
    ///
    /// # Panics
    ///
    /// In a task, and if the outcome was returned before.
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        blocking::wait(self)
    }

    /// Whether there is nothing to be received now: nothing was sent yet, or nothing ever will be,
    /// or it was received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !matches!(&self.end, Some(end) if end.state().has(SENT))
    }

    /// Whether the outcome was returned, so that polling it again would panic.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.end.is_none()
    }

    /// Gives the channel up, with the value if it was sent.
    fn leave(&mut self) -> Option<T> {
        self.end.take().and_then(End::leave)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let end = this.end.as_mut().expect("polled again after it was done");
        if !this.started {
            ready!(this.leaf.start());
            this.started = true;
        }
        if end.register(cx.waker()) {
            return this.leaf.pending();
        }
        Poll::Ready(this.leave().ok_or(RecvError(())))
    }
}

// No end is ever pinned, and neither is a value.
impl<T> Unpin for Receiver<T> {}

/// Waits until the receiver is closed or dropped. Made by [`Sender::closed`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Closed<'s, T> {
    sender: &'s mut Sender<T>,
    started: bool,
    leaf: Leaf,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.started {
            ready!(self.leaf.start());
            self.started = true;
        }
        let leaf = self.leaf;
        self.sender.poll_started(cx, leaf)
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("is_empty", &self.is_empty())
            .field("is_terminated", &self.is_terminated())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
