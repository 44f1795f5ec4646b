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
    held: Held<'a>,
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
    held: OwnedHeld<T>,
    // Shared between threads only if `T` may be, which the mutex does not ask for.
    value: PhantomData<T>,
}

/// Gives access to a part of the value of a locked [`Mutex`] which it keeps alive, and unlocks it when
/// dropped. Made by [`OwnedMutexGuard::map`].
#[must_use = "dropping it unlocks the mutex at once"]
#[clippy::has_significant_drop]
pub struct OwnedMappedMutexGuard<T: ?Sized, U: ?Sized = T> {
    // A pointer, as in `MappedMutexGuard`.
    value: NonNull<U>,
    held: OwnedHeld<T>,
    // Not to be exchanged for one of a shorter life: it is as a mutable reference.
    part: PhantomData<*mut U>,
}

// SAFETY: it is as good as a mutable reference to the part, and the mutex may go to other threads with its
// value.
unsafe impl<T: ?Sized + Send, U: ?Sized + Send> Send for OwnedMappedMutexGuard<T, U> {}
// SAFETY: shared, it gives shared access to the part, and none to the mutex.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send + Sync> Sync for OwnedMappedMutexGuard<T, U> {}

/// The permit of a mutex that is kept alive, given back when dropped.
struct OwnedHeld<T: ?Sized>(Arc<Mutex<T>>);

impl<T: ?Sized> Drop for OwnedHeld<T> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

/// The permit of a mutex, given back when dropped.
struct Held<'a>(&'a Permits);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.put(1);
    }
}

/// `map` and `try_map` of a guard: they make a guard of a part of `$value`, which is `$what`.
macro_rules! maps {
    ($what:literal, $value:ident => $mapped:ident<$first:tt>, $(#[$example:meta])*) => {
        #[doc = concat!("Keeps it locked for a part of ", $what, ".")]
        $(#[$example])*
        pub fn map<S, F>(mut this: Self, part: F) -> $mapped<$first, S>
        where
            S: ?Sized,
            F: FnOnce(&mut $value) -> &mut S,
        {
            let value = NonNull::from(part(&mut *this));
            $mapped {
                value,
                held: this.held,
                part: PhantomData,
            }
        }

        #[doc = concat!("Keeps it locked for a part of ", $what, ", if it has that part.")]
        ///
        /// # Errors
        ///
        /// The guard itself, if the closure returns `None`.
        pub fn try_map<S, F>(mut this: Self, part: F) -> Result<$mapped<$first, S>, Self>
        where
            S: ?Sized,
            F: FnOnce(&mut $value) -> Option<&mut S>,
        {
            let Some(value) = part(&mut *this).map(NonNull::from) else {
                return Err(this);
            };
            Ok($mapped {
                value,
                held: this.held,
                part: PhantomData,
            })
        }
    };
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

    maps!(
        "the value", T => MappedMutexGuard<'a>,
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
    );

    /// The mutex that it keeps locked.
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.lock
    }
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// For whoever has taken the permit.
    pub(super) fn new(lock: Arc<Mutex<T>>) -> Self {
        Self {
            held: OwnedHeld(lock),
            value: PhantomData,
        }
    }

    maps!(
        "the value", T => OwnedMappedMutexGuard<T>,
        ///
        /// ```
        /// # heist_runtime::block_on(async {
        /// use heist_sync::{Mutex, OwnedMutexGuard};
        /// use std::sync::Arc;
        ///
        /// let pair = Arc::new(Mutex::new((1, "two")));
        /// let guard = Arc::clone(&pair).lock_owned().await;
        /// let mut first = OwnedMutexGuard::map(guard, |pair| &mut pair.0);
        /// *first += 1;
        /// drop(first);
        /// assert_eq!(*pair.lock().await, (2, "two"));
        /// # });
        /// ```
    );

    /// The mutex that it keeps locked.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        &this.held.0
    }
}

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    maps!(
        "the part", T => MappedMutexGuard<'a>,
    );
}

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    maps!(
        "the part", U => OwnedMappedMutexGuard<T>,
    );
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
        unsafe { &*self.held.0.value() }
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the only permit, and is borrowed mutably.
        unsafe { &mut *self.held.0.value() }
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

impl<T: ?Sized, U: ?Sized> Deref for OwnedMappedMutexGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: it points into the value, which the guard keeps alive and has for itself, and is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> DerefMut for OwnedMappedMutexGuard<T, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: it points into the value, which the guard keeps alive and has for itself, and is borrowed
        // mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedMappedMutexGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
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
