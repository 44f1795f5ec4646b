//! A fair counting semaphore. It needs no runtime and works under any executor.
//!
//! In reading order:
//!
//! - `permit`: permits as values, which give themselves back.
//! - `error`: why permits were not given.
//!
//! The counting and the waiting is `Permits` in [`wait`](crate::wait).

mod permit;
mod error;

pub use error::{AcquireError, TryAcquireError};
pub use permit::{OwnedSemaphorePermit, SemaphorePermit};

use crate::blocking;
use crate::wait::{MAX_PERMITS, Permits};
use heist_runtime::scope::Leaf;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// A number of permits, for those who come to take and give back.
///
/// It bounds how much goes on at a time: requests in flight, open files, memory. asyncio's
/// `Semaphore` and tokio's are the models; names and signatures follow tokio's.
///
/// # Fairness
///
/// First come, first served. Permits given back go to whoever has waited longest, even if it wants
/// more than there are, and nobody who comes later overtakes, `try_acquire` included. So a large
/// [`acquire_many`](Self::acquire_many) is not starved by small ones; it makes them wait.
///
/// # Cancel safety
///
/// Dropping a future of this type loses nothing but its place in the queue: a permit that it was
/// given but had not returned yet goes to the next in turn.
///
/// # Cost
///
/// Without contention, taking and giving back are one compare-and-swap each. Waiting takes a short
/// lock and no allocation: the queue runs through the waiting futures themselves.
///
/// # Examples
///
/// At most two at a time:
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::{Semaphore, join_all};
///
/// let semaphore = Semaphore::new(2);
/// let squares = join_all((0..10).map(async |n: u32| {
///     let _permit = semaphore.acquire().await.expect("it is never closed");
///     n * n
/// }))
/// .await;
/// assert_eq!(squares[9], 81);
/// assert_eq!(semaphore.available_permits(), 2);
/// # });
/// ```
pub struct Semaphore {
    permits: Permits,
}

impl Semaphore {
    /// The most permits a semaphore can have.
    pub const MAX_PERMITS: usize = MAX_PERMITS;

    /// A semaphore with so many free permits.
    ///
    /// # Panics
    ///
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        Self {
            permits: Permits::new(permits),
        }
    }

    /// Like [`new`](Self::new), for statics.
    ///
    /// ```
    /// use heist_sync::Semaphore;
    ///
    /// static SLOTS: Semaphore = Semaphore::const_new(8);
    /// assert_eq!(SLOTS.available_permits(), 8);
    /// ```
    ///
    /// # Panics
    ///
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[cfg(not(loom))]
    pub const fn const_new(permits: usize) -> Self {
        Self {
            permits: Permits::new(permits),
        }
    }

    /// How many permits are free at the moment.
    pub fn available_permits(&self) -> usize {
        self.permits.available()
    }

    /// Adds permits, and so serves those who wait.
    ///
    /// # Panics
    ///
    /// If there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS) free ones.
    pub fn add_permits(&self, n: usize) {
        self.give_back(n);
    }

    /// Takes up to `n` free permits away for good, and returns how many. Permits that are held or
    /// waited for are not affected; to reduce those, [`forget`](SemaphorePermit::forget) them.
    pub fn forget_permits(&self, n: usize) -> usize {
        self.permits.take_up_to(n)
    }

    /// Waits for a permit.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or was closed during the wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        self.acquire_many(1)
    }

    /// Waits for `n` permits, which are given all together.
    ///
    /// Having reached the front of the queue it collects permits as they are given back, while all
    /// who came later wait. More permits than the semaphore ever has are waited for for ever.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or was closed during the wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue; what it had collected goes to the
    /// next in turn.
    #[track_caller]
    pub fn acquire_many(
        &self,
        n: u32,
    ) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        let n = n as usize;
        self.permits.take(n, Leaf::here()).then(move |taken| {
            taken?;
            Ok(SemaphorePermit::new(self, n))
        })
    }

    /// Takes a permit, blocking the thread until there is one. For threads outside the runtime. (tokio has no
    /// such method.)
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// In a task.
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        blocking::wait(self.acquire())
    }

    /// Takes `n` permits, blocking the thread until there are so many. For threads outside the runtime.
    ///
    /// # Errors
    ///
    /// As [`acquire_many`](Self::acquire_many).
    ///
    /// # Panics
    ///
    /// In a task.
    #[track_caller]
    pub fn blocking_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        blocking::wait(self.acquire_many(n))
    }

    /// Takes a permit that keeps the semaphore alive, blocking the thread until there is one. For threads
    /// outside the runtime.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// In a task.
    #[track_caller]
    pub fn blocking_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        blocking::wait(self.acquire_owned())
    }

    /// Takes a permit if one is free, without waiting.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::Closed`] if the semaphore is closed, else
    /// [`TryAcquireError::NoPermits`] if none is free or others wait for them.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if they are free, without waiting.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::Closed`] if the semaphore is closed, else
    /// [`TryAcquireError::NoPermits`] if too few are free or others wait for them.
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        let n = n as usize;
        self.permits.try_take(n)?;
        Ok(SemaphorePermit::new(self, n))
    }

    /// Waits for a permit that keeps the semaphore alive, for moving into a task.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let semaphore = Arc::new(Semaphore::new(3));
    /// let permit = Arc::clone(&semaphore).acquire_owned().await.expect("it is never closed");
    /// let task = heist_runtime::spawn(async move { permit.num_permits() });
    /// assert_eq!(task.await.expect("no panic"), 1);
    /// assert_eq!(semaphore.available_permits(), 3);
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or was closed during the wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn acquire_owned(
        self: Arc<Self>,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        self.acquire_many_owned(1)
    }

    /// Waits for `n` permits that keep the semaphore alive. See
    /// [`acquire_many`](Self::acquire_many).
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or was closed during the wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        let n = n as usize;
        let leaf = Leaf::here();
        async move {
            self.permits.take(n, leaf).await?;
            Ok(OwnedSemaphorePermit::new(self, n))
        }
    }

    /// Takes a permit that keeps the semaphore alive if one is free, without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// Takes `n` permits that keep the semaphore alive if they are free, without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_acquire_many`](Self::try_acquire_many).
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let n = n as usize;
        self.permits.try_take(n)?;
        Ok(OwnedSemaphorePermit::new(self, n))
    }

    /// Gives out no permits from now on: those who wait, and those who come, get an error. Permits
    /// already held stay valid.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// let semaphore = heist_sync::Semaphore::new(1);
    /// semaphore.close();
    /// assert!(semaphore.acquire().await.is_err());
    /// # });
    /// ```
    pub fn close(&self) {
        self.permits.close();
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    fn give_back(&self, n: usize) {
        if n > 0 {
            self.permits.put(n);
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
