//! The future that waits until a look at the channel finds something.

use crate::wait::{State, WaitQueue, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Waits in a queue until `look` finds something. That may run under the lock.
    ///
    /// Whoever changes what it looks at does so before it takes the lock to release all: either the
    /// look under the lock finds the change, or the release finds this in the queue.
    pub(super) struct Until<'a, F> {
        queue: &'a WaitQueue<()>,
        look: F,
        leaf: Leaf,
        started: bool,
        #[pin]
        waiter: Waiter<'a, ()>,
    }
}

impl<'a, F> Until<'a, F> {
    pub(super) fn new(queue: &'a WaitQueue<()>, leaf: Leaf, look: F) -> Self {
        Self {
            queue,
            look,
            leaf,
            started: false,
            waiter: Waiter::new(queue, ()),
        }
    }
}

impl<R, F: FnMut() -> Option<R>> Future for Until<'_, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let mut this = self.project();
        if !*this.started {
            ready!(this.leaf.start());
            *this.started = true;
        }
        if this.waiter.state() == State::Waiting
            && this.queue.refresh(&this.waiter, cx.waker()) == State::Waiting
        {
            return this.leaf.pending();
        }
        // It was released, or it comes for the first time: it is in no queue.
        this.waiter.as_mut().cancel();
        if let Some(found) = (this.look)() {
            return Poll::Ready(found);
        }
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let waker = cx.waker().clone();
        let mut locked = this.queue.lock();
        if let Some(found) = (this.look)() {
            drop(locked);
            return Poll::Ready(found);
        }
        locked.enqueue(this.waiter.as_ref(), waker);
        this.leaf.pending()
    }
}
