//! Permits as values: dropping one gives it back.

use super::Semaphore;
use std::fmt;
use std::mem;
use std::sync::Arc;

/// Permits of a semaphore, given back when this is dropped. Made by
/// [`Semaphore::acquire`] and its kin.
#[must_use = "dropping it gives the permits back at once"]
#[clippy::has_significant_drop]
pub struct SemaphorePermit<'s> {
    semaphore: &'s Semaphore,
    permits: usize,
}

/// Permits of a semaphore that they keep alive, given back when this is dropped. Made by
/// [`Semaphore::acquire_owned`] and its kin; good for moving into a task.
#[must_use = "dropping it gives the permits back at once"]
#[clippy::has_significant_drop]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

impl<'s> SemaphorePermit<'s> {
    pub(super) fn new(semaphore: &'s Semaphore, permits: usize) -> Self {
        Self { semaphore, permits }
    }

    /// Drops it without giving the permits back: the semaphore has fewer from now on.
    /// [`Semaphore::add_permits`] is the reverse.
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// Adds the permits of another, which is used up.
    ///
    /// # Panics
    ///
    /// If they are of different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(std::ptr::eq(self.semaphore, other.semaphore), "{DIFFERENT}");
        self.permits += mem::take(&mut other.permits);
    }

    /// Splits off `n` permits; `None` if it has fewer.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(Self {
            semaphore: self.semaphore,
            permits: n,
        })
    }

    /// How many permits it holds.
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

impl OwnedSemaphorePermit {
    pub(super) fn new(semaphore: Arc<Semaphore>, permits: usize) -> Self {
        Self { semaphore, permits }
    }

    /// Drops it without giving the permits back: the semaphore has fewer from now on.
    /// [`Semaphore::add_permits`] is the reverse.
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// Adds the permits of another, which is used up.
    ///
    /// # Panics
    ///
    /// If they are of different semaphores.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.semaphore, &other.semaphore),
            "{DIFFERENT}"
        );
        self.permits += mem::take(&mut other.permits);
    }

    /// Splits off `n` permits; `None` if it has fewer.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(Self {
            semaphore: Arc::clone(&self.semaphore),
            permits: n,
        })
    }

    /// The semaphore it is of.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// How many permits it holds.
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

const DIFFERENT: &str = "permits of different semaphores cannot be merged";

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.semaphore.give_back(self.permits);
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.give_back(self.permits);
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit")
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSemaphorePermit")
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}
