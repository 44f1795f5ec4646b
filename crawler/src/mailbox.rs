//! The way from the fetches to the crawl loop: many senders, one receiver.
//!
//! At most one event per fetch under way is ever inside, so the queue needs no bound of its own.

use std::collections::VecDeque;
use std::fmt;
use std::future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// An unbounded queue with one waiting receiver.
pub(crate) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    events: VecDeque<T>,
    receiver: Option<Waker>,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                events: VecDeque::new(),
                receiver: None,
            }),
        }
    }

    /// Adds an event and wakes the receiver. Callable from any thread.
    pub(crate) fn post(&self, event: T) {
        let receiver = {
            let mut inner = self.lock();
            inner.events.push_back(event);
            inner.receiver.take()
        };
        // Woken outside the lock, so that it does not run into it at once.
        if let Some(waker) = receiver {
            waker.wake();
        }
    }

    pub(crate) fn try_take(&self) -> Option<T> {
        self.lock().events.pop_front()
    }

    /// Waits for the next event. Cancel safe: an event leaves the queue only by being returned.
    pub(crate) async fn take(&self) -> T {
        future::poll_fn(|cx| {
            let mut inner = self.lock();
            if let Some(event) = inner.events.pop_front() {
                return Poll::Ready(event);
            }
            match &mut inner.receiver {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }

    /// A panic elsewhere cannot leave the queue half changed, so poison carries no information.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("events", &self.lock().events.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_waiting_receiver_is_woken_once_and_loses_nothing() {
        let mailbox = Mailbox::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);

        let mut take = Box::pin(mailbox.take());
        assert!(take.as_mut().poll(&mut cx).is_pending());
        mailbox.post(1);
        mailbox.post(2);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        // The receiver gives up after it was woken: the events stay.
        drop(take);
        assert_eq!(
            Box::pin(mailbox.take()).as_mut().poll(&mut cx),
            Poll::Ready(1)
        );
        assert_eq!(mailbox.try_take(), Some(2));
        assert_eq!(mailbox.try_take(), None);
    }

    #[test]
    fn the_latest_waker_counts() {
        let mailbox = Mailbox::new();
        let first = Arc::new(Count::default());
        let second = Arc::new(Count::default());
        let mut take = Box::pin(mailbox.take());
        for count in [&first, &second] {
            let waker = Waker::from(Arc::clone(count));
            assert!(
                take.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        mailbox.post(());
        assert_eq!(first.0.load(Ordering::Relaxed), 0);
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
    }
}
