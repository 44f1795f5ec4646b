//! How many items are not dealt with yet, and those who wait until all are.

use crate::primitives::AtomicUsize;
use crate::wait::{State, WaitQueue, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::task::{Context, Poll, Waker, ready};

pub(super) struct Tasks {
    unfinished: AtomicUsize,
    joiners: WaitQueue<()>,
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self {
            unfinished: AtomicUsize::new(0),
            joiners: WaitQueue::new(()),
        }
    }

    /// One more, before anybody can get it.
    pub(super) fn add(&self) {
        // Relaxed: whoever finishes it got the item through the lock of the queue.
        self.unfinished.fetch_add(1, Relaxed);
    }

    pub(super) fn unfinished(&self) -> usize {
        // Acquire, for what was done before the last one was finished.
        self.unfinished.load(Acquire)
    }

    /// So many are dealt with. `false`, and nothing is done, if there are not so many.
    pub(super) fn finish(&self, tasks: usize) -> bool {
        // Release, for what was done by then; acquire, to pass on what others did, since a joiner
        // may synchronise with nobody but the last.
        let subtract = |count: usize| count.checked_sub(tasks);
        let before = self.unfinished.fetch_update(AcqRel, Relaxed, subtract);
        if before == Ok(tasks) {
            let mut locked = self.joiners.lock();
            locked.release_all();
            locked.wake_released();
        }
        before.is_ok()
    }

    /// Forgets up to so many, which nobody will deal with.
    pub(super) fn forget(&self, tasks: usize) {
        let mut tasks = tasks;
        // Fewer only if somebody reported more than it got.
        while tasks > 0 && !self.finish(tasks) {
            tasks = tasks.min(self.unfinished());
        }
    }

    pub(super) fn join(&self, leaf: Leaf) -> Join<'_> {
        Join {
            tasks: self,
            leaf,
            waiter: Waiter::new(&self.joiners, ()),
        }
    }
}

pin_project! {
    /// Waits until all are dealt with.
    pub(super) struct Join<'a> {
        tasks: &'a Tasks,
        leaf: Leaf,
        #[pin]
        waiter: Waiter<'a, ()>,
    }
}

impl Join<'_> {
    /// Whether all are dealt with; if not, this has queued.
    fn queue(self: Pin<&mut Self>, waker: &Waker) -> bool {
        let this = self.project();
        if this.tasks.unfinished() == 0 {
            return true;
        }
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let waker = waker.clone();
        let mut locked = this.tasks.joiners.lock();
        // If this misses the last one, that takes the lock after us, and finds us.
        if this.tasks.unfinished() == 0 {
            drop(locked);
            return true;
        }
        locked.enqueue(this.waiter.as_ref(), waker);
        false
    }
}

impl Future for Join<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.waiter.state();
        if state == State::Waiting {
            state = self.tasks.joiners.refresh(&self.waiter, cx.waker());
        }
        let done = match state {
            State::Idle => {
                ready!(self.leaf.start());
                self.as_mut().queue(cx.waker())
            }
            State::Waiting => false,
            State::Granted | State::Released => true,
        };
        if done {
            Poll::Ready(())
        } else {
            self.leaf.pending()
        }
    }
}
