//! A flag that tasks wait for. It needs no runtime and works under any executor.
//!
//! The flag changes under the lock of the queue, together with the release of those who wait, and is
//! read without.

use crate::primitives::AtomicUsize;
use crate::wait::{State, WaitQueue, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Poll, Waker, ready};

/// A flag that can be set, cleared and waited for.
///
/// asyncio's `Event`; tokio has none. It is clear at first. Those who wait go on once it is set, and so
/// do those who come as long as it is: other than with [`Notify`](crate::Notify), nobody has to be there
/// in time.
///
/// # Cancel safety
///
/// Dropping a wait loses nothing.
///
/// # Cost
///
/// Waiting for a set one is a load. Setting, clearing and waiting for a clear one take a short lock and
/// no allocation.
///
/// # Examples
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::Event;
/// use std::sync::Arc;
///
/// let ready = Arc::new(Event::new());
/// let task = heist_runtime::spawn({
///     let ready = Arc::clone(&ready);
///     async move { ready.wait().await }
/// });
/// assert!(!ready.is_set());
/// ready.set();
/// task.await.expect("no panic");
/// ready.wait().await; // at once
/// # });
/// ```
pub struct Event {
    /// 1 if set, else 0.
    flag: AtomicUsize,
    queue: WaitQueue<()>,
}

impl Event {
    /// One that is clear.
    pub fn new() -> Self {
        Self {
            flag: AtomicUsize::new(0),
            queue: WaitQueue::new(()),
        }
    }

    /// Like [`new`](Self::new), for statics.
    ///
    /// ```
    /// static STARTED: heist_sync::Event = heist_sync::Event::const_new();
    /// STARTED.set();
    /// # assert!(STARTED.is_set());
    /// ```
    #[cfg(not(loom))]
    pub const fn const_new() -> Self {
        Self {
            flag: AtomicUsize::new(0),
            queue: WaitQueue::new(()),
        }
    }

    /// Sets it: everybody who waits goes on, also if it is cleared again before they run.
    pub fn set(&self) {
        // Locked also if it is set already: whoever clears it next is to see what we wrote before.
        let mut locked = self.queue.lock();
        self.flag.store(1, Release);
        locked.release_all();
        locked.wake_released();
    }

    /// Clears it: those who come from now on wait until it is set again.
    ///
    /// What was written before a [`set`](Self::set) that this undoes is seen afterwards. So a consumer
    /// may clear it, look for work, and wait if there is none.
    pub fn clear(&self) {
        let _locked = self.queue.lock();
        self.flag.store(0, Release);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        // Acquire, for what was written before it was set.
        self.flag.load(Acquire) != 0
    }

    /// Waits until it is set, and is done at once if it is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = ()> {
        Wait {
            event: self,
            leaf: Leaf::here(),
            waiter: Waiter::new(&self.queue, ()),
        }
    }
}

pin_project! {
    /// Waits until an event is set.
    struct Wait<'a> {
        event: &'a Event,
        leaf: Leaf,
        #[pin]
        waiter: Waiter<'a, ()>,
    }
}

impl Wait<'_> {
    /// Whether it is set; if not, this has queued.
    fn queue(self: Pin<&mut Self>, waker: &Waker) -> bool {
        let this = self.project();
        if this.event.is_set() {
            return true;
        }
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let waker = waker.clone();
        let mut locked = this.event.queue.lock();
        if this.event.is_set() {
            drop(locked);
            return true;
        }
        locked.enqueue(this.waiter.as_ref(), waker);
        false
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.waiter.state();
        if state == State::Waiting {
            state = self.event.queue.refresh(&self.waiter, cx.waker());
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

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .finish_non_exhaustive()
    }
}
