//! A fair mutex, whose guard may be held across an `await`. It works under any executor.
//!
//! In reading order:
//!
//! - `guard`: the guards, which unlock when they are dropped.
//! - `error`: why it was not locked without waiting.
//!
//! Locking is taking the only permit of a `Permits` in [`wait`](crate::wait).

#![expect(
    unsafe_code,
    reason = "the value is reached by whoever has the only permit"
)]

mod guard;
mod error;

pub use error::TryLockError;
pub use guard::{MappedMutexGuard, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard};

use crate::blocking;
use crate::wait::{Closed, Permits};
use heist_runtime::scope::Leaf;
use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// A value that one task at a time may use, also while it waits for something else.
///
/// asyncio's `Lock` with the value inside, and tokio's `Mutex`, whose names and signatures it
/// has. It is not poisoned: a panic while it is locked unlocks it. For a value that is never held
/// across an `await` the standard library's is cheaper.
///
/// # Fairness
///
/// First come, first served. Unlocking hands the lock to whoever has waited longest, and nobody who
/// comes later overtakes, [`try_lock`](Self::try_lock) included.
///
/// # Cancel safety
///
/// Dropping a wait loses its place in the queue. If it had been given the lock already, that goes
/// to the next in turn.
///
/// # Cost
///
/// Without contention locking and unlocking are one compare-and-swap each. Waiting takes a short
/// lock and no allocation.
///
/// # Examples
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::Mutex;
/// use std::sync::Arc;
///
/// let total = Arc::new(Mutex::new(0));
/// let tasks = [1, 2, 3].map(|n| {
///     let total = Arc::clone(&total);
///     heist_runtime::spawn(async move { *total.lock().await += n })
/// });
/// for task in tasks {
///     task.await.expect("no panic");
/// }
/// assert_eq!(*total.lock().await, 6);
/// # });
/// ```
pub struct Mutex<T: ?Sized> {
    permits: Permits,
    value: UnsafeCell<T>,
}

// SAFETY: shared, it gives out the value to one at a time, who may take it out: `T` has to be
// `Send`. The permit orders the accesses.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A mutex that is not locked.
    pub fn new(value: T) -> Self {
        Self {
            permits: Permits::new(1),
            value: UnsafeCell::new(value),
        }
    }

    /// Like [`new`](Self::new), for statics.
    ///
    /// ```
    /// static LOG: heist_sync::Mutex<Vec<u8>> = heist_sync::Mutex::const_new(Vec::new());
    /// LOG.try_lock().expect("nobody else has it").push(1);
    /// ```
    #[cfg(not(loom))]
    pub const fn const_new(value: T) -> Self {
        Self {
            permits: Permits::new(1),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, when the mutex is not needed any more.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    ///
    /// Whoever has the lock and waits for it again waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn lock(&self) -> impl Future<Output = MutexGuard<'_, T>> {
        self.lock_at(Leaf::here())
    }

    /// Waits for the lock in the name of another leaf.
    pub(crate) fn lock_at(&self, leaf: Leaf) -> impl Future<Output = MutexGuard<'_, T>> {
        self.permits.take(1, leaf).then(move |taken| {
            granted(taken);
            MutexGuard::new(self)
        })
    }

    /// Locks it if nobody has the lock or waits for it, without waiting.
    ///
    /// # Errors
    ///
    /// If somebody has the lock or waits for it.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError(()))?;
        Ok(MutexGuard::new(self))
    }

    /// Waits for the lock, with a guard that keeps the mutex alive, for moving into a task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> impl Future<Output = OwnedMutexGuard<T>> {
        let leaf = Leaf::here();
        async move {
            granted(self.permits.take(1, leaf).await);
            OwnedMutexGuard::new(self)
        }
    }

    /// Locks it if nobody has the lock or waits for it, with a guard that keeps the mutex alive.
    ///
    /// # Errors
    ///
    /// If somebody has the lock or waits for it.
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError(()))?;
        Ok(OwnedMutexGuard::new(self))
    }

    /// Blocks the thread until it has the lock, for threads that run no tasks.
    ///
    /// ```
    /// use heist_sync::Mutex;
    /// use std::sync::Arc;
    ///
    /// let mutex = Arc::new(Mutex::new(1));
    /// let thread = std::thread::spawn({
    ///     let mutex = Arc::clone(&mutex);
    ///     move || *mutex.blocking_lock() += 1
    /// });
    /// thread.join().expect("no panic");
    /// assert_eq!(*mutex.blocking_lock(), 2);
    /// ```
    ///
    /// # Panics
    ///
    /// In a task of the runtime, whose worker would be blocked with all its other tasks.
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        blocking::wait(self.lock())
    }

    /// Like [`blocking_lock`](Self::blocking_lock), with a guard that keeps the mutex alive.
    ///
    /// # Panics
    ///
    /// In a task of the runtime, whose worker would be blocked with all its other tasks.
    #[track_caller]
    pub fn blocking_lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        blocking::wait(self.lock_owned())
    }

    /// The value, which nobody else can be using.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn unlock(&self) {
        self.permits.put(1);
    }

    /// Where the value is, for the guards.
    fn value(&self) -> *mut T {
        self.value.get()
    }
}

fn granted(taken: Result<(), Closed>) {
    taken.expect("nobody closes the permits of a mutex");
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// Shows the value if it is not locked.
impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => f.field("value", &&*guard),
            Err(_) => f.field("value", &format_args!("<locked>")),
        };
        f.finish()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
