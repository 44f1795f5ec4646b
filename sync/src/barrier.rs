//! A point where tasks wait for each other. It needs no runtime and works under any executor.

use crate::wait::{State, WaitQueue, Waiter};
use heist_runtime::scope::Leaf;
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

/// A point where a number of tasks wait for each other. It opens when the last of them arrives, and
/// closes behind them for the next round.
///
/// tokio's `Barrier`, whose names and signatures it has; asyncio's without `abort` and `reset`.
///
/// # Cancel safety
///
/// A wait that is dropped has not arrived: the others wait for one more. (At tokio's barrier its arrival
/// counts.) After the barrier has opened dropping a wait changes nothing.
///
/// # Examples
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::Barrier;
/// use std::sync::Arc;
///
/// let barrier = Arc::new(Barrier::new(3));
/// let tasks = [(); 3].map(|()| {
///     let barrier = Arc::clone(&barrier);
///     heist_runtime::spawn(async move { barrier.wait().await.is_leader() })
/// });
/// let mut leaders = 0;
/// for task in tasks {
///     leaders += usize::from(task.await.expect("no panic"));
/// }
/// assert_eq!(leaders, 1);
/// # });
/// ```
pub struct Barrier {
    size: usize,
    /// With the number of those who have arrived.
    queue: WaitQueue<(), usize>,
}

impl Barrier {
    /// One that opens for so many at a time. 0 means 1.
    pub fn new(n: usize) -> Self {
        Self {
            size: n.max(1),
            queue: WaitQueue::new(0),
        }
    }

    /// Like [`new`](Self::new), for statics.
    #[cfg(not(loom))]
    pub const fn const_new(n: usize) -> Self {
        Self {
            size: if n == 0 { 1 } else { n },
            queue: WaitQueue::new(0),
        }
    }

    /// Arrives, at the first poll, and waits for the others. The last to arrive is the leader of the
    /// round.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the arrival back, unless the barrier has opened.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = BarrierWaitResult> {
        Wait {
            barrier: self,
            leaf: Leaf::here(),
            waiter: Waiter::new(&self.queue, ()),
        }
    }
}

/// What a wait for a [`Barrier`] returns.
#[derive(Clone, Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this one arrived last. There is one in every round.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

pin_project! {
    /// Waits for the others.
    struct Wait<'a> {
        barrier: &'a Barrier,
        leaf: Leaf,
        #[pin]
        waiter: Waiter<'a, (), usize>,
    }

    impl PinnedDrop for Wait<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.state() == State::Waiting {
                let mut locked = this.barrier.queue.lock();
                let (state, waker) = locked.remove(&this.waiter);
                if state == State::Waiting {
                    *locked -= 1;
                }
                drop(locked);
                drop(waker);
            }
        }
    }
}

impl Wait<'_> {
    /// Whether it is the last to arrive, which opens the barrier; if not, this has queued.
    fn arrive(self: Pin<&mut Self>, waker: &Waker) -> bool {
        let this = self.project();
        // Cloned, and if need be dropped, outside the lock: both run foreign code.
        let waker = waker.clone();
        let mut locked = this.barrier.queue.lock();
        if *locked + 1 < this.barrier.size {
            *locked += 1;
            locked.enqueue(this.waiter.as_ref(), waker);
            return false;
        }
        *locked = 0;
        locked.release_all();
        locked.wake_released();
        true
    }
}

impl Future for Wait<'_> {
    type Output = BarrierWaitResult;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.waiter.state();
        if state == State::Waiting {
            state = self.barrier.queue.refresh(&self.waiter, cx.waker());
        }
        match state {
            State::Idle => {
                ready!(self.leaf.start());
                if self.as_mut().arrive(cx.waker()) {
                    return Poll::Ready(BarrierWaitResult(true));
                }
                self.leaf.pending()
            }
            State::Waiting => self.leaf.pending(),
            State::Granted | State::Released => Poll::Ready(BarrierWaitResult(false)),
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrived = *self.queue.lock();
        f.debug_struct("Barrier")
            .field("size", &self.size)
            .field("arrived", &arrived)
            .finish_non_exhaustive()
    }
}
