//! The guards of readers.

use super::RwLock;
use super::held::{Held, OwnedHeld};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// Gives access to the value of a [`RwLock`], or a part of it, together with other readers. Dropping it
/// unlocks.
///
/// It may be held across an `await`.
#[must_use = "dropping it unlocks at once"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // A pointer, since a reference would promise that nobody writes until the end of the function that
    // drops this, while somebody does already.
    value: NonNull<T>,
    held: Held<'a>,
    part: PhantomData<&'a T>,
}

// SAFETY: it is as good as a shared reference to the value.
unsafe impl<T: ?Sized + Sync> Send for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}

/// Gives access to the value of a [`RwLock`] which it keeps alive, together with other readers. Dropping
/// it unlocks. Made by [`RwLock::read_owned`]; good for moving into a task.
///
/// Of a part of the value if it was [mapped](Self::map): `U` is what it gives access to.
#[must_use = "dropping it unlocks at once"]
#[clippy::has_significant_drop]
pub struct OwnedRwLockReadGuard<T: ?Sized, U: ?Sized = T> {
    // A pointer, as in `RwLockReadGuard`.
    value: NonNull<U>,
    held: OwnedHeld<T>,
    part: PhantomData<*const U>,
}

// SAFETY: it is as good as a shared reference to the part, and the lock may go to other threads with its value.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Send for OwnedRwLockReadGuard<T, U> {}
// SAFETY: shared, it gives shared access to the part, and to the lock, which may be shared.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Sync for OwnedRwLockReadGuard<T, U> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// For a part of what somebody holds who has one permit left.
    pub(super) fn of_part(held: Held<'a>, value: NonNull<T>) -> Self {
        Self {
            value,
            held,
            part: PhantomData,
        }
    }

    /// For whoever has taken a permit.
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self::with_held(lock, Held::new(&lock.permits, 1))
    }

    /// For whoever has one left.
    pub(super) fn with_held(lock: &'a RwLock<T>, held: Held<'a>) -> Self {
        Self {
            value: NonNull::new(lock.value()).expect("a place in a reference is not null"),
            held,
            part: PhantomData,
        }
    }

    /// Keeps it locked for a part of the value.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::{RwLock, RwLockReadGuard};
    ///
    /// let pair = RwLock::new((1, "two"));
    /// let second = RwLockReadGuard::map(pair.read().await, |pair| &pair.1);
    /// assert_eq!(*second, "two");
    /// # });
    /// ```
    pub fn map<U, F>(this: Self, part: F) -> RwLockReadGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&T) -> &U,
    {
        let value = NonNull::from(part(&*this));
        RwLockReadGuard {
            value,
            held: this.held,
            part: PhantomData,
        }
    }

    /// Keeps it locked for a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, if the closure returns `None`.
    pub fn try_map<U, F>(this: Self, part: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&T) -> Option<&U>,
    {
        let Some(value) = part(&*this).map(NonNull::from) else {
            return Err(this);
        };
        Ok(RwLockReadGuard {
            value,
            held: this.held,
            part: PhantomData,
        })
    }
}

impl<T: ?Sized> OwnedRwLockReadGuard<T> {
    /// For whoever has taken a permit.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self::with_held(OwnedHeld::new(lock, 1))
    }

    /// For whoever has one left.
    pub(super) fn with_held(held: OwnedHeld<T>) -> Self {
        Self {
            value: NonNull::new(held.lock.value()).expect("a place in a reference is not null"),
            held,
            part: PhantomData,
        }
    }
}

impl<T: ?Sized, U: ?Sized> OwnedRwLockReadGuard<T, U> {
    /// For a part of what somebody holds who has one permit left.
    pub(super) fn of_part(held: OwnedHeld<T>, value: NonNull<U>) -> Self {
        Self {
            value,
            held,
            part: PhantomData,
        }
    }

    /// Keeps it locked for a part of the value.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::{OwnedRwLockReadGuard, RwLock};
    /// use std::sync::Arc;
    ///
    /// let pair = Arc::new(RwLock::new((1, "two")));
    /// let second = OwnedRwLockReadGuard::map(pair.read_owned().await, |pair| &pair.1);
    /// assert_eq!(*second, "two");
    /// # });
    /// ```
    pub fn map<V, F>(this: Self, part: F) -> OwnedRwLockReadGuard<T, V>
    where
        V: ?Sized,
        F: FnOnce(&U) -> &V,
    {
        let value = NonNull::from(part(&*this));
        OwnedRwLockReadGuard::of_part(this.held, value)
    }

    /// Keeps it locked for a part of the value, if it has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, if the closure returns `None`.
    pub fn try_map<V, F>(this: Self, part: F) -> Result<OwnedRwLockReadGuard<T, V>, Self>
    where
        V: ?Sized,
        F: FnOnce(&U) -> Option<&V>,
    {
        let Some(value) = part(&*this).map(NonNull::from) else {
            return Err(this);
        };
        Ok(OwnedRwLockReadGuard::of_part(this.held, value))
    }

    /// The lock it is of.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.held.lock
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it points to the value or into it; the guard has a permit, so nobody writes.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedRwLockReadGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: it points to the value or into it, which the guard keeps alive; the guard has a permit, so
        // nobody writes.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockReadGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
