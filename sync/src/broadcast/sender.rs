//! Sending.

use super::error::SendError;
use super::receiver::Receiver;
use super::ring::Ring;
use crate::wait::{State, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A channel that keeps the last `capacity` items for those receivers that have not read them yet.
/// (tokio rounds the capacity up to a power of two; this does not.)
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::broadcast::{self, error::RecvError};
///
/// let (sender, mut one) = broadcast::channel(2);
/// let mut other = sender.subscribe();
/// sender.send("a").unwrap();
/// assert_eq!(one.recv().await, Ok("a"));
/// assert_eq!(other.recv().await, Ok("a"));
///
/// for item in ["b", "c", "d"] {
///     sender.send(item).unwrap();
/// }
/// drop(sender);
/// assert_eq!(one.recv().await, Err(RecvError::Lagged(1)));
/// assert_eq!(one.recv().await, Ok("c"));
/// assert_eq!(one.recv().await, Ok("d"));
/// assert_eq!(one.recv().await, Err(RecvError::Closed));
/// # });
/// ```
///
/// An item is cloned while its place in the channel is locked, for every receiver but the last. So `Clone` should be
/// quick, as that of an `Arc` is, and must not use the channel, on which it would wait for itself.
///
/// # Panics
///
/// If the capacity is 0 or more than `usize::MAX / 2`.
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// Sends items to all receivers. Made by [`channel`]; clone it for more senders.
///
/// When all of them are dropped, the receivers get what is left, and then an error.
pub struct Sender<T> {
    ring: Arc<Ring<T>>,
}

/// Does not keep the channel open: when all other senders are dropped, the receivers are told so. Made by
/// [`Sender::downgrade`].
///
/// It keeps the memory of the channel, with the items in it.
pub struct WeakSender<T> {
    ring: Arc<Ring<T>>,
}

impl<T> Sender<T> {
    /// A channel without a receiver yet. See [`channel`].
    ///
    /// # Panics
    ///
    /// As [`channel`].
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a channel keeps one item at least");
        assert!(
            capacity <= usize::MAX / 2,
            "a channel keeps at most usize::MAX / 2 items"
        );
        Self {
            ring: Arc::new(Ring::new(capacity)),
        }
    }

    /// Sends an item to all who are subscribed now, and returns how many these are. Never waits, and
    /// overwrites the oldest item if the channel is full.
    ///
    /// # Errors
    ///
    /// The item, if there is no receiver. There may be one later.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        self.ring.send(value)
    }

    /// A receiver of what is sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(Arc::clone(&self.ring))
    }

    /// Waits until there is a moment without any receiver.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> {
        Closed {
            ring: &self.ring,
            leaf: Leaf::here(),
            waiter: Waiter::new(&self.ring.gone, ()),
        }
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.ring.tail.lock().receivers
    }

    /// How many senders there are.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        self.ring.tail.lock().senders
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        self.ring.tail.lock().weak_senders
    }

    /// A sender that does not keep the channel open.
    #[must_use = "it does nothing by itself"]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::new(&self.ring)
    }

    /// How many items are kept for somebody who has not read them yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.unread()
    }

    /// Whether everybody has read everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ring, &other.ring)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.ring.tail.lock().senders += 1;
        Self {
            ring: Arc::clone(&self.ring),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut tail = self.ring.tail.lock();
        tail.senders -= 1;
        if tail.senders == 0 {
            tail.release_all();
            tail.wake_released();
        }
    }
}

impl<T> WeakSender<T> {
    fn new(ring: &Arc<Ring<T>>) -> Self {
        ring.tail.lock().weak_senders += 1;
        Self {
            ring: Arc::clone(ring),
        }
    }

    /// A sender, unless all were dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let mut tail = self.ring.tail.lock();
        if tail.senders == 0 {
            return None;
        }
        tail.senders += 1;
        drop(tail);
        Some(Sender {
            ring: Arc::clone(&self.ring),
        })
    }

    /// How many senders there are.
    #[must_use]
    pub fn strong_count(&self) -> usize {
        self.ring.tail.lock().senders
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn weak_count(&self) -> usize {
        self.ring.tail.lock().weak_senders
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self::new(&self.ring)
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        self.ring.tail.lock().weak_senders -= 1;
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("receivers", &self.receiver_count())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// Waits until there is no receiver.
    struct Closed<'s, T> {
        ring: &'s Ring<T>,
        leaf: Leaf,
        #[pin]
        waiter: Waiter<'s, ()>,
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let state = match this.waiter.state() {
            State::Idle => {
                ready!(this.leaf.start());
                let waker = cx.waker().clone();
                let mut gone = this.ring.gone.lock();
                // Under the lock of the queue, which the last receiver takes after it was counted.
                if this.ring.tail.lock().receivers == 0 {
                    drop(gone);
                    return Poll::Ready(());
                }
                gone.enqueue(this.waiter.as_ref(), waker);
                State::Waiting
            }
            State::Waiting => this.ring.gone.refresh(&this.waiter, cx.waker()),
            state => state,
        };
        if state == State::Waiting {
            return this.leaf.pending();
        }
        Poll::Ready(())
    }
}
