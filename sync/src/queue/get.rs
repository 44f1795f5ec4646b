//! The future that waits for an item.

use super::core::{Core, Entry, Shared, wake};
use super::error::{QueueShutDown, TryGetError};
use super::store::Store;
use crate::wait::{State, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Waits for an item.
    pub(super) struct Get<'a, T, S>
    where
        S: Store<T>,
    {
        core: &'a Core<T, S>,
        // The item was passed on.
        done: bool,
        leaf: Leaf,
        #[pin]
        waiter: Waiter<'a, Entry<T>, Shared<S>>,
    }

    impl<T, S> PinnedDrop for Get<'_, T, S>
    where
        S: Store<T>,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !*this.done
                && this.waiter.as_mut().cancel() == State::Granted
                && let Some(item) = this.waiter.with_entry(Entry::take_get)
            {
                this.core.give_back(item);
            }
        }
    }
}

impl<'a, T, S: Store<T>> Get<'a, T, S> {
    pub(super) fn new(core: &'a Core<T, S>, leaf: Leaf) -> Self {
        Self {
            core,
            done: false,
            leaf,
            waiter: Waiter::new(&core.waiting, Entry::Get(None)),
        }
    }

    /// Takes an item or a place in the queue, whichever there is.
    fn poll_first(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<Result<T, QueueShutDown>> {
        let this = self.project();
        ready!(this.leaf.start());
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let mut waker = None;
        loop {
            let mut locked = this.core.lock();
            match this.core.get(&mut locked) {
                Ok((item, served)) => {
                    drop(locked);
                    wake(served);
                    return Poll::Ready(Ok(item));
                }
                Err(TryGetError::ShutDown) => return Poll::Ready(Err(QueueShutDown(()))),
                Err(TryGetError::Empty) => {}
            }
            if let Some(waker) = waker.take() {
                locked.enqueue(this.waiter.as_ref(), waker);
                return this.leaf.pending();
            }
            drop(locked);
            waker = Some(cx.waker().clone());
        }
    }
}

impl<T, S: Store<T>> Future for Get<'_, T, S> {
    type Output = Result<T, QueueShutDown>;

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
                let given = self.as_mut().project().waiter.with_entry(Entry::take_get);
                given.map(|given| given.item).ok_or(QueueShutDown(()))
            }
        };
        *self.project().done = true;
        Poll::Ready(outcome)
    }
}
