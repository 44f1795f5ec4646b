//! asyncio's queues: [`Queue`], [`PriorityQueue`] and [`LifoQueue`]. They need no runtime and work under
//! any executor.
//!
//! All are an [`AnyQueue`], which has the methods and the description.
//!
//! In reading order:
//!
//! - `store`: where the items are, in which order.
//! - `core`: the items, those who wait, and all that changes them.
//! - `get` and `put`: the futures.
//! - `tasks`: counting what is not dealt with yet.
//! - `error`: why nothing was put or got.

mod store;
mod core;
mod get;
mod put;
mod tasks;
mod error;

pub use error::{QueueShutDown, TryGetError, TryPutError};
pub use store::{Fifo, Lifo, Priority, Store};

use self::core::{Core, Refusal, wake};
use get::Get;
use heist_runtime::scope::Leaf;
use put::Put;
use std::fmt;
use std::future::Future;

/// A queue whose oldest item comes out first. asyncio's `Queue`.
pub type Queue<T> = AnyQueue<T, Fifo<T>>;

/// A queue whose smallest item comes out first, and of equal ones the oldest. asyncio's `PriorityQueue`.
///
/// Items are compared while the queue is locked. If their `Ord` panics, the put or get that compares them
/// has not happened, and its panic goes on; an item that comes in later, because there is room again or a
/// get was dropped, comes in all the same, but not in its place. An `Ord` that uses the queue panics.
///
/// ```
/// # heist_runtime::block_on(async {
/// let queue = heist_sync::PriorityQueue::unbounded();
/// for item in [(2, "later"), (1, "first"), (3, "last")] {
///     queue.put(item).await.expect("not shut down");
/// }
/// assert_eq!(queue.get().await, Ok((1, "first")));
/// # });
/// ```
pub type PriorityQueue<T> = AnyQueue<T, Priority<T>>;

/// A queue whose newest item comes out first. asyncio's `LifoQueue`.
///
/// ```
/// # heist_runtime::block_on(async {
/// let queue = heist_sync::LifoQueue::new(2);
/// queue.put("below").await.expect("not shut down");
/// queue.put("above").await.expect("not shut down");
/// assert_eq!(queue.get().await, Ok("above"));
/// # });
/// ```
pub type LifoQueue<T> = AnyQueue<T, Lifo<T>>;

/// A queue for any number of tasks that put and get, used by shared reference or in an `Arc`.
///
/// What [`Queue`], [`PriorityQueue`] and [`LifoQueue`] have in common; `S` is the order in which items
/// come out. It has no ends that close it when they are dropped, as a channel has: say so with
/// [`shutdown`](Self::shutdown). It also counts the items that were put and not yet
/// [dealt with](Self::task_done), so that one can [wait](Self::join) for the last.
///
/// # Fairness
///
/// First come, first served: a put hands its item to the get that has waited longest, a get lets in the
/// put that has waited longest, and nobody who comes later overtakes, `try_get` and `try_put` included.
///
/// # Cancel safety
///
/// A [`get`](Self::get) that is dropped loses nothing: an item that was handed to it goes to the next
/// in turn, or back to its place. For that the queue may hold more than `maxsize` items for a while. A
/// [`put`](Self::put) that is dropped has either put its item or drops it.
///
/// # Cost
///
/// Each operation takes a short lock. Waiting allocates nothing.
///
/// # Examples
///
/// Workers that share what there is to do:
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::Queue;
/// use std::sync::Arc;
///
/// let queue = Arc::new(Queue::new(4));
/// let workers = [(); 2].map(|()| {
///     let queue = Arc::clone(&queue);
///     heist_runtime::spawn(async move {
///         let mut sum = 0;
///         while let Ok(n) = queue.get().await {
///             sum += n;
///             queue.task_done();
///         }
///         sum
///     })
/// });
/// for n in 1..=10 {
///     queue.put(n).await.expect("not shut down");
/// }
/// queue.join().await; // all of them are added up
/// queue.shutdown(false);
/// let mut total = 0;
/// for worker in workers {
///     total += worker.await.expect("no panic");
/// }
/// assert_eq!(total, 55);
/// # });
/// ```
pub struct AnyQueue<T, S> {
    core: Core<T, S>,
}

impl<T, S: Store<T>> AnyQueue<T, S> {
    /// An empty queue with room for `maxsize` items.
    ///
    /// # Panics
    ///
    /// If that is 0, which means no limit to asyncio: see [`unbounded`](Self::unbounded).
    #[must_use]
    pub fn new(maxsize: usize) -> Self {
        assert!(
            maxsize > 0,
            "a queue has room for one item at least; `unbounded` makes one without a limit"
        );
        Self {
            core: Core::new(maxsize),
        }
    }

    /// An empty queue without a limit: nobody ever waits to put.
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            core: Core::new(usize::MAX),
        }
    }

    /// Puts an item, as soon as there is room.
    ///
    /// # Errors
    ///
    /// With the item, if the queue is shut down before it was put.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the place in the queue, and drops the item unless it was put. If the
    /// item must not be lost, [`try_put`](Self::try_put) gives it back.
    #[track_caller]
    pub fn put(&self, item: T) -> impl Future<Output = Result<(), QueueShutDown<T>>> {
        Put::new(&self.core, item, Leaf::here())
    }

    /// Gets the next item, as soon as there is one.
    ///
    /// # Errors
    ///
    /// If the queue is shut down and empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = Result<T, QueueShutDown>> {
        Get::new(&self.core, Leaf::here())
    }

    /// Puts an item if there is room, without waiting. asyncio's `put_nowait`.
    ///
    /// # Errors
    ///
    /// With the item, if the queue is full or shut down.
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        // Outside of the lock, in case of a panic.
        let mut item = Some(item);
        let mut locked = self.core.lock();
        let outcome = self.core.put(&mut locked, &mut item);
        drop(locked);
        match (outcome, item) {
            (Ok(served), _) => {
                wake(served);
                Ok(())
            }
            (Err(Refusal::Full), Some(item)) => Err(TryPutError::Full(item)),
            (Err(Refusal::ShutDown), Some(item)) => Err(TryPutError::ShutDown(item)),
            (Err(_), None) => unreachable!("what is refused stays"),
        }
    }

    /// Gets the next item if there is one, without waiting. asyncio's `get_nowait`.
    ///
    /// # Errors
    ///
    /// If the queue is empty.
    pub fn try_get(&self) -> Result<T, TryGetError> {
        let mut locked = self.core.lock();
        let outcome = self.core.get(&mut locked);
        drop(locked);
        let (item, served) = outcome?;
        wake(served);
        Ok(item)
    }

    /// Says that an item which was got is dealt with. [`join`](Self::join) waits for that.
    ///
    /// # Panics
    ///
    /// If it is called more often than items were put.
    #[track_caller]
    pub fn task_done(&self) {
        assert!(
            self.core.tasks.finish(1),
            "`task_done` was called more often than items were put"
        );
    }

    /// Waits until every item that was put is dealt with, that is until
    /// [`task_done`](Self::task_done) was called for each. Done at once if there is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = ()> {
        self.core.tasks.join(Leaf::here())
    }

    /// Shuts the queue down: puts fail from now on, those that wait included, and gets fail once it is
    /// empty. asyncio's `shutdown`.
    ///
    /// `immediate` throws the items away that are in it, and counts them as dealt with, so gets fail at
    /// once. An item that was handed to a get already is still returned by that.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::Queue;
    ///
    /// let queue = Queue::new(2);
    /// queue.put("last").await.expect("not shut down");
    /// queue.shutdown(false);
    /// assert!(queue.put("too late").await.is_err());
    /// assert_eq!(queue.get().await, Ok("last"));
    /// assert!(queue.get().await.is_err());
    /// # });
    /// ```
    pub fn shutdown(&self, immediate: bool) {
        self.core.shut_down(immediate);
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    pub fn is_shut_down(&self) -> bool {
        self.core.is_shut_down()
    }

    /// How many items are in it. asyncio's `qsize`. Those that were handed to a get which has not
    /// returned yet are not.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether there is no item in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room in it.
    pub fn is_full(&self) -> bool {
        self.len() >= self.core.maxsize
    }

    /// How many items it has room for, or `None` if it has no limit.
    pub fn maxsize(&self) -> Option<usize> {
        Some(self.core.maxsize).filter(|maxsize| *maxsize != usize::MAX)
    }
}

/// One without a limit.
impl<T, S: Store<T>> Default for AnyQueue<T, S> {
    fn default() -> Self {
        Self::unbounded()
    }
}

impl<T, S: Store<T>> fmt::Debug for AnyQueue<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyQueue")
            .field("len", &self.len())
            .field("maxsize", &self.maxsize())
            .field("unfinished", &self.core.tasks.unfinished())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
