//! The future that waits for room.

use super::core::{Core, Entry, Refusal, Shared, wake};
use super::error::QueueShutDown;
use super::store::Store;
use crate::wait::{State, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Waits for room for an item. Dropped, it drops the item if nobody took that.
    pub(super) struct Put<'a, T, S> {
        core: &'a Core<T, S>,
        // It was put, or given back.
        done: bool,
        leaf: Leaf,
        // Leaves the queue by itself when dropped: nothing was given to it.
        #[pin]
        waiter: Waiter<'a, Entry<T>, Shared<S>>,
    }
}

impl<'a, T, S: Store<T>> Put<'a, T, S> {
    pub(super) fn new(core: &'a Core<T, S>, item: T, leaf: Leaf) -> Self {
        Self {
            core,
            done: false,
            leaf,
            waiter: Waiter::new(&core.waiting, Entry::Put(Some(item))),
        }
    }

    /// Puts the item or takes a place in the queue.
    fn poll_first(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<Result<(), QueueShutDown<T>>> {
        let mut this = self.project();
        ready!(this.leaf.start());
        // Here, so that it is dropped outside of the lock if there is a panic.
        let mut item = this.waiter.as_mut().with_entry(Entry::take_put);
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let mut waker = None;
        loop {
            let mut locked = this.core.lock();
            match this.core.put(&mut locked, &mut item) {
                Ok(served) => {
                    drop(locked);
                    wake(served);
                    return Poll::Ready(Ok(()));
                }
                Err(Refusal::ShutDown) => {
                    let item = item.expect("what is refused stays");
                    return Poll::Ready(Err(QueueShutDown(item)));
                }
                Err(Refusal::Full) => {}
            }
            if let Some(waker) = waker.take() {
                let fill = |entry: &mut Entry<T>| *entry = Entry::Put(item.take());
                this.waiter.as_mut().with_entry(fill);
                locked.enqueue(this.waiter.as_ref(), waker);
                return this.leaf.pending();
            }
            drop(locked);
            waker = Some(cx.waker().clone());
        }
    }
}

impl<T, S: Store<T>> Future for Put<'_, T, S> {
    type Output = Result<(), QueueShutDown<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.done, "polled again after it was done");
        let mut state = self.waiter.state();
        if state == State::Waiting {
            state = self.core.waiting.refresh(&self.waiter, cx.waker());
        }
        let outcome = match state {
            State::Idle => ready!(self.as_mut().poll_first(cx)),
            State::Waiting => return self.leaf.pending(),
            State::Granted | State::Released => {
                let left = self.as_mut().project().waiter.with_entry(Entry::take_put);
                left.map_or(Ok(()), |item| Err(QueueShutDown(item)))
            }
        };
        *self.project().done = true;
        Poll::Ready(outcome)
    }
}
