//! A fair readers-writer lock, whose guards may be held across an `await`. It works under any executor.
//!
//! In reading order:
//!
//! - `read`: the guards of readers; `write`: those of writers; `held`: the permits that they hold.
//!
//! It is a `Permits` in [`wait`](crate::wait) with as many permits as there may be readers: a reader
//! takes one, a writer all.

#![expect(
    unsafe_code,
    reason = "the value is reached by whoever has a permit, or all of them"
)]

mod read;
mod write;
mod held;

pub use read::{OwnedRwLockReadGuard, RwLockReadGuard};
pub use write::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockWriteGuard, RwLockMappedWriteGuard, RwLockWriteGuard,
};

use crate::TryLockError;
use crate::blocking;
use crate::wait::{Closed, Permits};
use heist_runtime::scope::Leaf;
use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// The most readers at a time, unless there are to be fewer.
const MAX_READERS: u32 = u32::MAX >> 3;

/// A value that many may read at a time, or one may change, also while they wait for something else.
///
/// tokio's `RwLock`, whose names and signatures it has; asyncio has none. It is not poisoned: a panic
/// while it is locked unlocks it. For a value that is never held across an `await` the standard
/// library's is cheaper, and where reading is short a [`Mutex`](crate::Mutex) is.
///
/// # Fairness
///
/// First come, first served. A reader that comes after a waiting writer waits behind it, so writers
/// are not starved; and so **one task that reads must not read again** while it has a guard: with a
/// writer between the two it waits for ever.
///
/// # Cancel safety
///
/// Dropping a wait loses its place in the queue. If it had been given the lock already, or a part of
/// what a writer needs, that goes to the next in turn.
///
/// # Cost
///
/// Without contention locking and unlocking are one compare-and-swap each. Waiting takes a short lock
/// and no allocation.
///
/// # Examples
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::RwLock;
///
/// let lock = RwLock::new(vec![1]);
/// {
///     let (one, other) = (lock.read().await, lock.read().await);
///     assert_eq!(*one, *other);
///     assert!(lock.try_write().is_err());
/// }
/// lock.write().await.push(2);
/// assert_eq!(*lock.read().await, [1, 2]);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    permits: Permits,
    max_readers: u32,
    value: UnsafeCell<T>,
}

// SAFETY: shared, it gives out the value to one who may take it out, hence `Send`, or to several who
// read it at a time, hence `Sync`. The permits order the accesses.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    /// One that is not locked.
    pub fn new(value: T) -> Self {
        Self::with_max_readers(value, MAX_READERS)
    }

    /// One that at most so many read at a time; the others wait.
    ///
    /// # Panics
    ///
    /// If that is none, or more than `u32::MAX >> 3`.
    #[track_caller]
    pub fn with_max_readers(value: T, max_readers: u32) -> Self {
        check(max_readers);
        Self {
            permits: Permits::new(max_readers as usize),
            max_readers,
            value: UnsafeCell::new(value),
        }
    }

    /// Like [`new`](Self::new), for statics.
    ///
    /// ```
    /// static CONFIG: heist_sync::RwLock<u32> = heist_sync::RwLock::const_new(1);
    /// assert_eq!(*CONFIG.try_read().expect("nobody writes"), 1);
    /// ```
    #[cfg(not(loom))]
    pub const fn const_new(value: T) -> Self {
        Self::const_with_max_readers(value, MAX_READERS)
    }

    /// Like [`with_max_readers`](Self::with_max_readers), for statics.
    ///
    /// # Panics
    ///
    /// If that is none, or more than `u32::MAX >> 3`.
    #[cfg(not(loom))]
    #[track_caller]
    pub const fn const_with_max_readers(value: T, max_readers: u32) -> Self {
        check(max_readers);
        Self {
            permits: Permits::new(max_readers as usize),
            max_readers,
            value: UnsafeCell::new(value),
        }
    }

    /// The value, when the lock is not needed any more.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until it may read, together with others.
    ///
    /// Whoever has a guard and waits for another may wait for ever, even if it only reads: see the
    /// section on fairness.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn read(&self) -> impl Future<Output = RwLockReadGuard<'_, T>> {
        self.permits.take(1, Leaf::here()).then(move |taken| {
            granted(taken);
            RwLockReadGuard::new(self)
        })
    }

    /// Waits until it may write, alone.
    ///
    /// Whoever has a guard and waits for this waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue, and lets those pass who waited behind it.
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = RwLockWriteGuard<'_, T>> {
        self.permits
            .take(self.all(), Leaf::here())
            .then(move |taken| {
                granted(taken);
                RwLockWriteGuard::new(self)
            })
    }

    /// Reads if nobody writes or waits to, without waiting.
    ///
    /// # Errors
    ///
    /// If somebody writes or waits for the lock, or there are as many readers as may be.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError(()))?;
        Ok(RwLockReadGuard::new(self))
    }

    /// Writes if nobody has the lock or waits for it, without waiting.
    ///
    /// # Errors
    ///
    /// If somebody has the lock or waits for it.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        self.permits
            .try_take(self.all())
            .map_err(|_| TryLockError(()))?;
        Ok(RwLockWriteGuard::new(self))
    }

    /// Like [`read`](Self::read), with a guard that keeps the lock alive, for moving into a task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn read_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockReadGuard<T>> {
        let leaf = Leaf::here();
        async move {
            granted(self.permits.take(1, leaf).await);
            OwnedRwLockReadGuard::new(self)
        }
    }

    /// Like [`write`](Self::write), with a guard that keeps the lock alive, for moving into a task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue, and lets those pass who waited behind it.
    #[track_caller]
    pub fn write_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockWriteGuard<T>> {
        let leaf = Leaf::here();
        async move {
            granted(self.permits.take(self.all(), leaf).await);
            OwnedRwLockWriteGuard::new(self)
        }
    }

    /// Like [`try_read`](Self::try_read), with a guard that keeps the lock alive.
    ///
    /// # Errors
    ///
    /// If somebody writes or waits for the lock, or there are as many readers as may be.
    pub fn try_read_owned(self: Arc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError(()))?;
        Ok(OwnedRwLockReadGuard::new(self))
    }

    /// Like [`try_write`](Self::try_write), with a guard that keeps the lock alive.
    ///
    /// # Errors
    ///
    /// If somebody has the lock or waits for it.
    pub fn try_write_owned(self: Arc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        self.permits
            .try_take(self.all())
            .map_err(|_| TryLockError(()))?;
        Ok(OwnedRwLockWriteGuard::new(self))
    }

    /// Blocks the thread until it may read, for threads that run no tasks.
    ///
    /// # Panics
    ///
    /// In a task of the runtime, whose worker would be blocked with all its other tasks.
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        blocking::wait(self.read())
    }

    /// Blocks the thread until it may write, for threads that run no tasks.
    ///
    /// # Panics
    ///
    /// In a task of the runtime, whose worker would be blocked with all its other tasks.
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        blocking::wait(self.write())
    }

    /// The value, which nobody else can be using.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The permits that a writer takes.
    fn all(&self) -> usize {
        self.max_readers as usize
    }

    /// Where the value is, for the guards.
    fn value(&self) -> *mut T {
        self.value.get()
    }
}

#[track_caller]
const fn check(max_readers: u32) {
    assert!(
        max_readers > 0 && max_readers <= MAX_READERS,
        "a lock has 1 to u32::MAX >> 3 readers at a time"
    );
}

fn granted(taken: Result<(), Closed>) {
    taken.expect("nobody closes the permits of a lock");
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// Shows the value if it may be read without waiting.
impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => f.field("value", &&*guard),
            Err(_) => f.field("value", &format_args!("<locked>")),
        };
        f.finish()
    }
}
