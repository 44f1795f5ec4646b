//! Waiting until a locked value changes. It works under any executor.

use crate::MutexGuard;
use crate::wait::{State, WaitQueue, Waiter, WakeBatch};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Tasks that wait until the value of a [`Mutex`](crate::Mutex) changes.
///
/// asyncio's `Condition`, with the lock outside: a wait takes the guard, unlocks while it waits, and
/// returns a guard once it was notified and has the lock again. tokio has none. Whoever changes the
/// value notifies, as a rule with the lock held; other than in asyncio that is not asked for.
///
/// # Fairness
///
/// First come, first served: [`notify`](Self::notify) wakes who has waited longest. It then takes its
/// turn at the mutex.
///
/// # Cancel safety
///
/// Dropping a wait loses its place in the queue, and the lock: it is not taken again. If it was chosen
/// by [`notify`](Self::notify) and had not returned, the notification goes to the next in turn.
///
/// # Examples
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::{Condition, Mutex};
/// use std::sync::Arc;
///
/// let shared = Arc::new((Mutex::new(Vec::new()), Condition::new()));
/// let task = heist_runtime::spawn({
///     let shared = Arc::clone(&shared);
///     async move {
///         let (items, changed) = &*shared;
///         let mut items = changed.wait_for(items.lock().await, |items| items.len() == 2).await;
///         items.drain(..).sum::<u32>()
///     }
/// });
/// for item in 1..3 {
///     shared.0.lock().await.push(item);
///     shared.1.notify(1);
/// }
/// assert_eq!(task.await.expect("no panic"), 3);
/// # });
/// ```
pub struct Condition {
    queue: WaitQueue<()>,
}

impl Condition {
    /// One for which nobody waits.
    pub fn new() -> Self {
        Self {
            queue: WaitQueue::new(()),
        }
    }

    /// Like [`new`](Self::new), for statics.
    #[cfg(not(loom))]
    pub const fn const_new() -> Self {
        Self {
            queue: WaitQueue::new(()),
        }
    }

    /// Unlocks, waits to be notified, and locks again.
    ///
    /// Nobody can notify between the unlocking and the wait. There are no spurious wake-ups, but somebody
    /// else may have locked and changed the value before it is this one's turn: look again, or use
    /// [`wait_for`](Self::wait_for). Until its first poll the future keeps the mutex locked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the place in the queue and the lock, and no notification.
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
    ) -> impl Future<Output = MutexGuard<'a, T>> {
        self.wait_at(guard, Leaf::here())
    }

    /// Waits until the predicate holds for the value, and returns with the mutex locked. It is asked at
    /// once, and after every notification.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the place in the queue and the lock, and no notification but those after
    /// which the predicate did not hold.
    #[track_caller]
    pub fn wait_for<'a, T, F>(
        &self,
        guard: MutexGuard<'a, T>,
        mut predicate: F,
    ) -> impl Future<Output = MutexGuard<'a, T>>
    where
        T: ?Sized,
        F: FnMut(&mut T) -> bool,
    {
        let leaf = Leaf::here();
        async move {
            std::future::poll_fn(|_| leaf.start()).await;
            let mut guard = guard;
            while !predicate(&mut guard) {
                guard = self.wait_at(guard, leaf).await;
            }
            guard
        }
    }

    /// Wakes up to so many of those who have waited longest. Nothing is kept for those who come later.
    pub fn notify(&self, n: usize) {
        let mut left = n;
        let mut batch = WakeBatch::new();
        loop {
            let mut locked = self.queue.lock();
            while left > 0
                && !batch.is_full()
                && let Some(waker) = locked.pop_front()
            {
                batch.push(waker);
                left -= 1;
            }
            let done = left == 0 || locked.is_empty();
            drop(locked);
            batch.wake();
            if done {
                return;
            }
        }
    }

    /// Wakes everybody who waits now.
    pub fn notify_all(&self) {
        let mut locked = self.queue.lock();
        locked.release_all();
        locked.wake_released();
    }

    async fn wait_at<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        leaf: Leaf,
    ) -> MutexGuard<'a, T> {
        let mutex = MutexGuard::mutex(&guard);
        let chosen = Wait {
            condition: self,
            guard: Some(guard),
            leaf,
            done: false,
            waiter: Waiter::new(&self.queue, ()),
        };
        let chosen = chosen.await;
        let guard = mutex.lock_at(leaf).await;
        if let Some(chosen) = chosen {
            chosen.keep();
        }
        guard
    }
}

/// A notification that was meant for one alone: dropped, it goes to the next in turn.
struct Chosen<'a>(&'a Condition);

impl Chosen<'_> {
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Chosen<'_> {
    fn drop(&mut self) {
        self.0.notify(1);
    }
}

pin_project! {
    /// Unlocks and waits to be notified.
    struct Wait<'c, 'a, T: ?Sized> {
        condition: &'c Condition,
        // Until it has queued.
        guard: Option<MutexGuard<'a, T>>,
        leaf: Leaf,
        // The notification was passed on to whoever awaits this.
        done: bool,
        #[pin]
        waiter: Waiter<'c, ()>,
    }

    impl<T: ?Sized> PinnedDrop for Wait<'_, '_, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.done && this.waiter.cancel() == State::Granted {
                this.condition.notify(1);
            }
        }
    }
}

impl<'c, T: ?Sized> Future for Wait<'c, '_, T> {
    type Output = Option<Chosen<'c>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let queue = &this.condition.queue;
        let mut state = this.waiter.state();
        if state == State::Waiting {
            state = queue.refresh(&this.waiter, cx.waker());
        }
        let chosen = match state {
            State::Idle => {
                ready!(this.leaf.start());
                let waker = cx.waker().clone();
                queue.lock().enqueue(this.waiter.as_ref(), waker);
                // Only now, so that nobody can change the value and notify in between.
                *this.guard = None;
                return this.leaf.pending();
            }
            State::Waiting => return this.leaf.pending(),
            State::Granted => Some(Chosen(this.condition)),
            State::Released => None,
        };
        *this.done = true;
        Poll::Ready(chosen)
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").finish_non_exhaustive()
    }
}
