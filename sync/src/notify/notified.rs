//! The future that waits for a notification.

use super::{Notify, Order, WAITERS};
use crate::wait::{State, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

pin_project! {
    /// Waits to be notified. Made by [`Notify::notified`].
    ///
    /// Once done it stays done: polled again it is ready again.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses only its place in the queue: a notification that was meant for it alone goes
    /// to the next in turn.
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Notified<'a> {
        notify: &'a Notify,
        // How often everybody had been notified when this was made.
        calls: usize,
        // The notification was passed on to whoever awaits this.
        done: bool,
        leaf: Leaf,
        // The entry says how it was chosen, so that a notification is passed on in the same way.
        #[pin]
        waiter: Waiter<'a, Order>,
    }

    impl PinnedDrop for Notified<'_> {
        fn drop(this: Pin<&mut Self>) {
            if !this.done {
                this.leave();
            }
        }
    }
}

impl<'a> Notified<'a> {
    pub(super) fn new(notify: &'a Notify, calls: usize, leaf: Leaf) -> Self {
        Self {
            notify,
            calls,
            done: false,
            leaf,
            waiter: Waiter::new(&notify.queue, Order::First),
        }
    }

    /// Takes the permit or its place in the queue now instead of at the first poll, and returns whether
    /// it is done: notified, or with the permit.
    ///
    /// With it one can look at a state after having queued, and so miss no notification of a change.
    /// It does not wait, so it works in a cancelled scope too.
    pub fn enable(mut self: Pin<&mut Self>) -> bool {
        if !self.done {
            let done = match self.waiter.state() {
                State::Idle => self.as_mut().queue(Waker::noop()),
                // It queued before it was counted, so a newer count means that it was released.
                State::Waiting => self.notify.calls() != self.calls,
                State::Granted | State::Released => true,
            };
            *self.as_mut().project().done = done;
        }
        self.done
    }

    /// Takes the permit, if that or a notification of everybody is there, or a place in the queue.
    fn queue(self: Pin<&mut Self>, waker: &Waker) -> bool {
        let this = self.project();
        if this.notify.take_or_set(*this.calls, 0) {
            return true;
        }
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let waker = waker.clone();
        let mut locked = this.notify.queue.lock();
        if this.notify.take_or_set(*this.calls, WAITERS) {
            drop(locked);
            return true;
        }
        locked.enqueue(this.waiter.as_ref(), waker);
        false
    }

    /// Leaves the queue, and passes on what was meant for this one alone.
    fn leave(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.waiter.state() == State::Waiting {
            let mut locked = this.notify.queue.lock();
            let (_, waker) = locked.remove(&this.waiter);
            this.notify.note_leaving(&locked);
            drop(locked);
            drop(waker);
        }
        if this.waiter.state() == State::Granted {
            let order = this.waiter.as_mut().with_entry(|order| *order);
            this.notify.notify(order);
        }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.done {
            return Poll::Ready(());
        }
        let mut state = self.waiter.state();
        if state == State::Waiting {
            state = self.notify.queue.refresh(&self.waiter, cx.waker());
        }
        let done = match state {
            State::Idle => {
                ready!(self.leaf.start());
                self.as_mut().queue(cx.waker())
            }
            State::Waiting => false,
            State::Granted | State::Released => true,
        };
        if !done {
            return self.leaf.pending();
        }
        *self.project().done = true;
        Poll::Ready(())
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified")
            .field("state", &self.waiter.state())
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
