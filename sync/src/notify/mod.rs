//! Wake-ups without a value. They need no runtime and work under any executor.
//!
//! In reading order:
//!
//! - `notified`: the future that waits for one.
//!
//! # The word
//!
//! One word is for the fast paths, the queue of [`wait`](crate::wait) for the rest.
//!
//! | bits | meaning |
//! |---|---|
//! | 0, `PERMIT` | somebody was to be notified, but nobody waited |
//! | 1, `WAITERS` | the queue may not be empty; set and cleared under its lock |
//! | 2 and up | how often everybody was notified |
//!
//! `PERMIT` and `WAITERS` exclude each other. Whoever queues sets `WAITERS` with the same operation
//! that finds neither a permit nor a newer count, so no wake-up can come unseen between the two.
//! Whoever grants to the last one leaves the bit set, since another often comes at once and finds it
//! there; only who comes to grant and finds nobody clears it.
//!
//! Every notification is a read-modify-write of the word, or goes through the lock, so it is ordered
//! against every wait: what one wrote before it notified is seen by whoever was too late to be woken.

mod notified;

pub use notified::Notified;

use crate::primitives::AtomicUsize;
use crate::wait::{Locked, WaitQueue, wake};
use heist_runtime::scope::Leaf;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

const PERMIT: usize = 1;
const WAITERS: usize = 2;
/// One call of `notify_waiters`, in the word.
const CALL: usize = 4;

/// Who is notified if several wait.
#[derive(Clone, Copy)]
enum Order {
    First,
    Last,
}

/// Wakes one task, or all that wait, without telling them anything.
///
/// It is what other primitives are made of: keep the state under a lock of your own, change it, and
/// notify. tokio's `Notify` is the model; asyncio has none, its nearest kin is a `Condition` without
/// the lock. If those who come later are to go on as well, see [`Event`](crate::Event).
///
/// [`notify_one`](Self::notify_one) wakes who has waited longest. If nobody waits it leaves a permit
/// for the next who comes; there is one permit at most, however often it is called.
/// [`notify_waiters`](Self::notify_waiters) wakes everybody and leaves no permit.
///
/// # Cancel safety
///
/// Dropping a [`Notified`] loses its place in the queue. If `notify_one` had chosen it already, the
/// notification goes to the next in turn, or becomes the permit.
///
/// # Cost
///
/// Notifying when nobody waits, and taking the permit, are one compare-and-swap each. Waiting takes a
/// short lock and no allocation.
///
/// # Examples
///
/// A channel without a limit, for any number of receivers:
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::Notify;
/// use std::collections::VecDeque;
/// use std::sync::{Arc, Mutex};
///
/// #[derive(Default)]
/// struct Channel {
///     items: Mutex<VecDeque<u32>>,
///     notify: Notify,
/// }
///
/// impl Channel {
///     fn send(&self, item: u32) {
///         self.items.lock().expect("no panic").push_back(item);
///         self.notify.notify_one();
///     }
///
///     async fn recv(&self) -> u32 {
///         loop {
///             let notified = self.notify.notified();
///             let mut notified = std::pin::pin!(notified);
///             // In the queue before it looks: two that are sent now wake two.
///             notified.as_mut().enable();
///             if let Some(item) = self.items.lock().expect("no panic").pop_front() {
///                 return item;
///             }
///             notified.await;
///         }
///     }
/// }
///
/// let channel = Arc::new(Channel::default());
/// let receivers = [(); 2].map(|()| {
///     let channel = Arc::clone(&channel);
///     heist_runtime::spawn(async move { channel.recv().await })
/// });
/// channel.send(1);
/// channel.send(2);
/// let [one, other] = receivers;
/// assert_eq!(one.await.expect("no panic") + other.await.expect("no panic"), 3);
/// # });
/// ```
pub struct Notify {
    word: AtomicUsize,
    queue: WaitQueue<Order>,
}

impl Notify {
    /// One without a permit.
    pub fn new() -> Self {
        Self {
            word: AtomicUsize::new(0),
            queue: WaitQueue::new(()),
        }
    }

    /// Like [`new`](Self::new), for statics.
    ///
    /// ```
    /// static NOTIFY: heist_sync::Notify = heist_sync::Notify::const_new();
    /// NOTIFY.notify_one();
    /// # heist_runtime::block_on(NOTIFY.notified());
    /// ```
    #[cfg(not(loom))]
    pub const fn const_new() -> Self {
        Self {
            word: AtomicUsize::new(0),
            queue: WaitQueue::new(()),
        }
    }

    /// Waits to be notified, or takes the permit.
    ///
    /// Its place in the queue is that of its first poll or of [`Notified::enable`], whichever is
    /// earlier. [`notify_waiters`](Self::notify_waiters) reaches it from now on, polled or not.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        Notified::new(self, self.calls(), Leaf::here())
    }

    /// Like [`notified`](Self::notified), with a future that keeps this alive, for moving into a task.
    /// It has no `enable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn notified_owned(self: Arc<Self>) -> impl Future<Output = ()> {
        let (calls, leaf) = (self.calls(), Leaf::here());
        async move { Notified::new(&self, calls, leaf).await }
    }

    /// Wakes who has waited longest, or leaves a permit for the next who comes.
    ///
    /// There is one permit at most: notified twice while nobody waits, two who come find it gone for
    /// the second.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// let notify = heist_sync::Notify::new();
    /// notify.notify_one();
    /// notify.notified().await; // at once
    /// # });
    /// ```
    pub fn notify_one(&self) {
        self.notify(Order::First);
    }

    /// Wakes who came last, or leaves a permit for the next who comes.
    ///
    /// It is unfair: the others may wait for ever. It suits a pool whose idle members are alike, where
    /// whoever worked last has the warmest caches.
    pub fn notify_last(&self) {
        self.notify(Order::Last);
    }

    /// Wakes everybody who waits, and leaves no permit. It also reaches those whose
    /// [`notified`](Self::notified) was called but not yet polled.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// let notify = heist_sync::Notify::new();
    /// let early = notify.notified();
    /// notify.notify_waiters();
    /// early.await; // at once
    /// # });
    /// ```
    pub fn notify_waiters(&self) {
        let mut word = self.word.load(Relaxed);
        while word & WAITERS == 0 {
            match self.swap(word, word.wrapping_add(CALL)) {
                Ok(()) => return,
                Err(actual) => word = actual,
            }
        }
        let mut locked = self.queue.lock();
        locked.release_all();
        self.update(|word| (word & !WAITERS).wrapping_add(CALL));
        locked.wake_released();
    }

    /// How often everybody was notified.
    fn calls(&self) -> usize {
        // Acquire: one that was notified too early for this wait, but not seen to be, must have
        // published what it wrote before.
        self.word.load(Acquire) / CALL
    }

    fn notify(&self, order: Order) {
        let mut word = self.word.load(Relaxed);
        while word & WAITERS == 0 {
            // Also if the permit is there: whoever takes it is to see what we wrote before.
            match self.swap(word, word | PERMIT) {
                Ok(()) => return,
                Err(actual) => word = actual,
            }
        }
        let mut locked = self.queue.lock();
        let waker = match order {
            Order::First => {
                locked.with_front(|entry| *entry = order);
                locked.pop_front()
            }
            Order::Last => {
                locked.with_back(|entry| *entry = order);
                locked.pop_back()
            }
        };
        if waker.is_none() {
            // Nobody waits, and nobody who comes can queue while we have the lock.
            self.update(|word| (word & !WAITERS) | PERMIT);
        }
        drop(locked);
        if let Some(waker) = waker {
            wake(waker);
        }
    }

    /// Notes that nobody waits any more, if that is so, after somebody has left.
    fn note_leaving(&self, locked: &Locked<'_, Order, ()>) {
        if locked.is_empty() {
            self.word.fetch_and(!WAITERS, AcqRel);
        }
    }

    /// Whether somebody who came after so many calls may go on, which uses up the permit unless
    /// everybody was notified since. If not, sets the bits given, together with the finding.
    fn take_or_set(&self, calls: usize, bits: usize) -> bool {
        let mut word = self.word.load(Acquire);
        loop {
            if word / CALL != calls {
                return true;
            }
            let taken = word & PERMIT != 0;
            let next = if taken { word & !PERMIT } else { word | bits };
            if next == word {
                return false;
            }
            match self.swap(word, next) {
                Ok(()) => return taken,
                Err(actual) => word = actual,
            }
        }
    }

    fn update(&self, next: impl Fn(usize) -> usize) {
        let mut word = self.word.load(Relaxed);
        while let Err(actual) = self.swap(word, next(word)) {
            word = actual;
        }
    }

    fn swap(&self, old: usize, new: usize) -> Result<(), usize> {
        // Release, for what was written before the notification; acquire, for who is notified.
        self.word
            .compare_exchange_weak(old, new, AcqRel, Acquire)
            .map(drop)
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permit = self.word.load(Relaxed) & PERMIT != 0;
        f.debug_struct("Notify")
            .field("permit", &permit)
            .field("waited_for", &!self.queue.lock().is_empty())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    /// If the note that somebody waits stayed behind for good, the fast path would never come back.
    ///
    /// Control, tried: a `notify_one` that finds nobody and leaves `WAITERS` set.
    #[test]
    fn the_fast_path_comes_back_when_nobody_waits() {
        for end in 0..4 {
            let notify = Notify::new();
            let mut cx = Context::from_waker(Waker::noop());
            {
                let mut notified = pin!(notify.notified());
                assert!(notified.as_mut().poll(&mut cx).is_pending());
                assert_eq!(notify.word.load(Relaxed), WAITERS);
                match end {
                    0 => notify.notify_one(),
                    1 => notify.notify_last(),
                    2 => notify.notify_waiters(),
                    _ => {}
                }
                assert_eq!(notified.poll(&mut cx).is_ready(), end < 3);
            }
            assert_eq!(notify.word.load(Relaxed) & PERMIT, 0);
            notify.notify_one();
            assert_eq!(notify.word.load(Relaxed) & (PERMIT | WAITERS), PERMIT);
        }
    }
}
