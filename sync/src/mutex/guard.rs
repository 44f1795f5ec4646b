//! The guards of a mutex: dropping one unlocks it.

use super::Mutex;
use crate::wait::Permits;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// Gives access to the value of a locked [`Mutex`], and unlocks it when dropped.
///
/// It may be held across an `await`.
#[must_use = "dropping it unlocks the mutex at once"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized> {
    lock: &'a Mutex<T>,
    held: Held<'a>,
    // It is as a mutable reference: shared between threads only if `T` may be.
    value: PhantomData<&'a mut T>,
}

/// Gives access to a part of the value of a locked [`Mutex`], and unlocks it when dropped. Made by
/// [`MutexGuard::map`].
#[must_use = "dropping it unlocks the mutex at once"]
#[clippy::has_significant_drop]
pub struct MappedMutexGuard<'a, T: ?Sized> {
    // A pointer, since a reference would claim the value for itself until the end of the function
    // that drops this, while somebody else has locked the mutex already.
    value: NonNull<T>,
    _held: Held<'a>,
    part: PhantomData<&'a mut T>,
}

// SAFETY: it is as good as a mutable reference to the part.
unsafe impl<T: ?Sized + Send> Send for MappedMutexGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for MappedMutexGuard<'_, T> {}

/// Gives access to the value of a locked [`Mutex`] which it keeps alive, and unlocks it when
/// dropped. Made by [`Mutex::lock_owned`]; good for moving into a task.
#[must_use = "dropping it unlocks the mutex at once"]
#[clippy::has_significant_drop]
pub struct OwnedMutexGuard<T: ?Sized> {
    lock: Arc<Mutex<T>>,
    // Shared between threads only if `T` may be, which the mutex does not ask for.
    value: PhantomData<T>,
}

/// The permit of a mutex, given back when dropped.
struct Held<'a>(&'a Permits);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.put(1);
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// For whoever has taken the permit.
    pub(super) fn new(lock: &'a Mutex<T>) -> Self {
        Self {
            lock,
            held: Held(&lock.permits),
            value: PhantomData,
        }
    }

    /// Keeps it locked for a part of the value.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::{Mutex, MutexGuard};
    ///
    /// let pair = Mutex::new((1, "two"));
    /// let mut first = MutexGuard::map(pair.lock().await, |pair| &mut pair.0);
    /// *first += 1;
    /// drop(first);
    /// assert_eq!(*pair.lock().await, (2, "two"));
    /// # });
    /// ```
    pub fn map<U, F>(mut this: Self, part: F) -> MappedMutexGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let value = NonNull::from(part(&mut *this));
        MappedMutexGuard {
            value,
            _held: this.held,
            part: PhantomData,
        }
    }

    /// Keeps it locked for a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, if the closure returns `None`.
    pub fn try_map<U, F>(mut this: Self, part: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Some(value) = part(&mut *this).map(NonNull::from) else {
            return Err(this);
        };
        Ok(MappedMutexGuard {
            value,
            _held: this.held,
            part: PhantomData,
        })
    }

    /// The mutex that it keeps locked.
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.lock
    }
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// For whoever has taken the permit.
    pub(super) fn new(lock: Arc<Mutex<T>>) -> Self {
        Self {
            lock,
            value: PhantomData,
        }
    }

    /// The mutex that it keeps locked.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        &this.lock
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    fn drop(&mut self) {
        self.lock.unlock();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has the only permit, and is borrowed.
        unsafe { &*self.lock.value() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the only permit, and is borrowed mutably.
        unsafe { &mut *self.lock.value() }
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has the only permit, and is borrowed.
        unsafe { &*self.lock.value() }
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the only permit, and is borrowed mutably.
        unsafe { &mut *self.lock.value() }
    }
}

impl<T: ?Sized> Deref for MappedMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it points into the value, which the guard has for itself, and is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MappedMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: it points into the value, which the guard has for itself, and is borrowed
        // mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MappedMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
