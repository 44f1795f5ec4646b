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
#[must_use = "dropping it unlocks at once"]
#[clippy::has_significant_drop]
pub struct OwnedRwLockReadGuard<T: ?Sized> {
    held: OwnedHeld<T>,
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
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
        Self { held }
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

impl<T: ?Sized> Deref for OwnedRwLockReadGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has a permit, so nobody writes.
        unsafe { &*self.held.lock.value() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
