//! Receiving.

use super::error::{RecvError, TryRecvError};
use super::ring::{Ring, Tail};
use crate::blocking;
use crate::wait::{State, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Receives every item that is sent while it exists, in the order in which they were sent. Made by
/// [`channel`](super::channel) and [`Sender::subscribe`](super::Sender::subscribe).
pub struct Receiver<T> {
    ring: Arc<Ring<T>>,
    /// The position of the next item to be read.
    next: u64,
}

impl<T> Receiver<T> {
    /// A receiver of what is sent from now on.
    pub(super) fn new(ring: Arc<Ring<T>>) -> Self {
        let next = ring.subscribe();
        Self { ring, next }
    }

    /// Another receiver, of what is sent from now on. It does not get what this one has still to read.
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        Self::new(Arc::clone(&self.ring))
    }

    /// How many items were sent that this has not received. If they are more than the capacity, some
    /// are lost, and the next receive says so.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn len(&self) -> usize {
        let behind = self.ring.tail.lock().position - self.next;
        usize::try_from(behind).unwrap_or(usize::MAX)
    }

    /// Whether this has received everything that was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all senders were dropped. Items may be left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender_strong_count() == 0
    }

    /// How many senders there are.
    #[must_use]
    pub fn sender_strong_count(&self) -> usize {
        self.ring.tail.lock().senders
    }

    /// How many weak senders there are.
    #[must_use]
    pub fn sender_weak_count(&self) -> usize {
        self.ring.tail.lock().weak_senders
    }

    /// Whether both receive from the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ring, &other.ring)
    }
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next item. The last receiver of an item gets the item itself, the others a clone.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] if this was so slow that items were overwritten; it goes on with the
    /// oldest that there is. [`RecvError::Closed`] if all senders were dropped and nothing is left.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: an item counts as received with the poll that returns it.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Result<T, RecvError>> {
        let ring: &Ring<T> = &self.ring;
        Recv {
            ring,
            next: &mut self.next,
            started: false,
            leaf: Leaf::here(),
            waiter: Waiter::new(&ring.tail, ()),
        }
    }

    /// Receives the next item if there is one, without waiting.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if there is none now; else as [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.ring.read(&mut self.next)
    }

    /// Receives the next item, blocking the thread until there is one. For threads outside the runtime.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// In a task.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        blocking::wait(self.recv())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.ring.unsubscribe(self.next);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// Waits for an item.
    struct Recv<'r, T> {
        ring: &'r Ring<T>,
        next: &'r mut u64,
        started: bool,
        leaf: Leaf,
        #[pin]
        waiter: Waiter<'r, (), Tail>,
    }
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if !*this.started {
            ready!(this.leaf.start());
            *this.started = true;
        }
        let queue = &this.ring.tail;
        if this.waiter.state() == State::Waiting
            && queue.refresh(&this.waiter, cx.waker()) == State::Waiting
        {
            return this.leaf.pending();
        }
        // A release is for everybody, so there is nothing to pass on.
        this.waiter.as_mut().cancel();
        loop {
            match this.ring.read(this.next) {
                Ok(item) => return Poll::Ready(Ok(item)),
                Err(TryRecvError::Closed) => return Poll::Ready(Err(RecvError::Closed)),
                Err(TryRecvError::Lagged(missed)) => {
                    return Poll::Ready(Err(RecvError::Lagged(missed)));
                }
                Err(TryRecvError::Empty) => {}
            }
            let waker = cx.waker().clone();
            let mut tail = queue.lock();
            if tail.position == **this.next && tail.senders > 0 {
                tail.enqueue(this.waiter.as_ref(), waker);
                return this.leaf.pending();
            }
            // Something came before we had the lock. The waker is dropped after the lock.
            drop(tail);
        }
    }
}
