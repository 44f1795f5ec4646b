//! The guards of writers.

use super::held::{Held, OwnedHeld};
use super::{OwnedRwLockReadGuard, RwLock, RwLockReadGuard};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// Gives access to the value of a [`RwLock`] to one alone. Dropping it unlocks.
///
/// It may be held across an `await`.
#[must_use = "dropping it unlocks at once"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    held: Held<'a>,
    // It is as a mutable reference.
    value: PhantomData<&'a mut T>,
}

/// Gives access to a part of the value of a [`RwLock`] to one alone. Dropping it unlocks. Made by
/// [`RwLockWriteGuard::map`].
///
/// It cannot be turned into a reader, since it could have changed the part into something that the
/// whole must not have.
#[must_use = "dropping it unlocks at once"]
#[clippy::has_significant_drop]
pub struct RwLockMappedWriteGuard<'a, T: ?Sized> {
    // A pointer, since a reference would claim the value for itself until the end of the function
    // that drops this, while somebody else has the lock already.
    value: NonNull<T>,
    _held: Held<'a>,
    part: PhantomData<&'a mut T>,
}

// SAFETY: it is as good as a mutable reference to the part.
unsafe impl<T: ?Sized + Send> Send for RwLockMappedWriteGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockMappedWriteGuard<'_, T> {}

/// Gives access to the value of a [`RwLock`] which it keeps alive, to one alone. Dropping it unlocks. Made
/// by [`RwLock::write_owned`]; good for moving into a task.
#[must_use = "dropping it unlocks at once"]
#[clippy::has_significant_drop]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    held: OwnedHeld<T>,
}

/// Gives access to a part of the value of a [`RwLock`] which it keeps alive, to one alone. Dropping it
/// unlocks. Made by [`OwnedRwLockWriteGuard::map`].
#[must_use = "dropping it unlocks at once"]
#[clippy::has_significant_drop]
pub struct OwnedRwLockMappedWriteGuard<T: ?Sized, U: ?Sized = T> {
    // A pointer, as in `RwLockMappedWriteGuard`.
    value: NonNull<U>,
    _held: OwnedHeld<T>,
    // Not to be exchanged for one of a shorter life: it is as a mutable reference.
    part: PhantomData<*mut U>,
}

// SAFETY: it is as good as a mutable reference to the part, and the lock may go to other threads with its
// value.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send> Send for OwnedRwLockMappedWriteGuard<T, U> {}
// SAFETY: shared, it gives shared access to the part, and none to the lock.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send + Sync> Sync
    for OwnedRwLockMappedWriteGuard<T, U>
{
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// For whoever has taken all permits.
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self {
            lock,
            held: Held::new(&lock.permits, lock.all()),
            value: PhantomData,
        }
    }

    /// Goes on as a reader, without anybody writing in between, and lets other readers in.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// let lock = heist_sync::RwLock::new(1);
    /// let mut writer = lock.write().await;
    /// *writer += 1;
    /// let reader = writer.downgrade();
    /// assert_eq!(*lock.read().await, 2);
    /// assert!(lock.try_write().is_err());
    /// # drop(reader);
    /// # });
    /// ```
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard::with_held(self.lock, self.held.keep_one())
    }

    /// Goes on as a reader of a part of the value, without anybody writing in between, and lets other readers in.
    /// The closure gets a shared reference (as with tokio): a mutable one could change the part into something
    /// that the whole must not have.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::{RwLock, RwLockWriteGuard};
    ///
    /// let pair = RwLock::new((1, "two"));
    /// let mut writer = pair.write().await;
    /// writer.1 = "three";
    /// let second = RwLockWriteGuard::downgrade_map(writer, |pair| &pair.1);
    /// assert_eq!((*second, pair.read().await.0), ("three", 1));
    /// # });
    /// ```
    pub fn downgrade_map<U, F>(this: Self, part: F) -> RwLockReadGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&T) -> &U,
    {
        let value = NonNull::from(part(&*this));
        RwLockReadGuard::of_part(this.held.keep_one(), value)
    }

    /// As [`downgrade_map`](Self::downgrade_map), if the value has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, still writing, if the closure returns `None`.
    pub fn try_downgrade_map<U, F>(this: Self, part: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&T) -> Option<&U>,
    {
        let Some(value) = part(&*this).map(NonNull::from) else {
            return Err(this);
        };
        Ok(RwLockReadGuard::of_part(this.held.keep_one(), value))
    }

    /// Keeps it locked for a part of the value.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::{RwLock, RwLockWriteGuard};
    ///
    /// let pair = RwLock::new((1, "two"));
    /// let mut first = RwLockWriteGuard::map(pair.write().await, |pair| &mut pair.0);
    /// *first += 1;
    /// drop(first);
    /// assert_eq!(*pair.read().await, (2, "two"));
    /// # });
    /// ```
    pub fn map<U, F>(mut this: Self, part: F) -> RwLockMappedWriteGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let value = NonNull::from(part(&mut *this));
        RwLockMappedWriteGuard {
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
    pub fn try_map<U, F>(mut this: Self, part: F) -> Result<RwLockMappedWriteGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Some(value) = part(&mut *this).map(NonNull::from) else {
            return Err(this);
        };
        Ok(RwLockMappedWriteGuard {
            value,
            _held: this.held,
            part: PhantomData,
        })
    }
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// For whoever has taken all permits.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        let all = lock.all();
        Self {
            held: OwnedHeld::new(lock, all),
        }
    }

    /// Goes on as a reader, without anybody writing in between, and lets other readers in.
    pub fn downgrade(self) -> OwnedRwLockReadGuard<T> {
        OwnedRwLockReadGuard::with_held(self.held.keep_one())
    }

    /// Goes on as a reader of a part of the value, without anybody writing in between, and lets other readers in.
    pub fn downgrade_map<U, F>(this: Self, part: F) -> OwnedRwLockReadGuard<T, U>
    where
        U: ?Sized,
        F: FnOnce(&T) -> &U,
    {
        let value = NonNull::from(part(&*this));
        OwnedRwLockReadGuard::of_part(this.held.keep_one(), value)
    }

    /// As [`downgrade_map`](Self::downgrade_map), if the value has that part.
    ///
    /// # Errors
    ///
    /// The guard itself, still writing, if the closure returns `None`.
    pub fn try_downgrade_map<U, F>(this: Self, part: F) -> Result<OwnedRwLockReadGuard<T, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&T) -> Option<&U>,
    {
        let Some(value) = part(&*this).map(NonNull::from) else {
            return Err(this);
        };
        Ok(OwnedRwLockReadGuard::of_part(this.held.keep_one(), value))
    }

    /// Keeps it locked for a part of the value.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::{OwnedRwLockWriteGuard, RwLock};
    /// use std::sync::Arc;
    ///
    /// let pair = Arc::new(RwLock::new((1, "two")));
    /// let guard = Arc::clone(&pair).write_owned().await;
    /// let mut first = OwnedRwLockWriteGuard::map(guard, |pair| &mut pair.0);
    /// *first += 1;
    /// drop(first);
    /// assert_eq!(*pair.read().await, (2, "two"));
    /// # });
    /// ```
    pub fn map<U, F>(mut this: Self, part: F) -> OwnedRwLockMappedWriteGuard<T, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let value = NonNull::from(part(&mut *this));
        OwnedRwLockMappedWriteGuard {
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
    pub fn try_map<U, F>(mut this: Self, part: F) -> Result<OwnedRwLockMappedWriteGuard<T, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Some(value) = part(&mut *this).map(NonNull::from) else {
            return Err(this);
        };
        Ok(OwnedRwLockMappedWriteGuard {
            value,
            _held: this.held,
            part: PhantomData,
        })
    }

    /// The lock it is of.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.held.lock
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has all permits, and is borrowed.
        unsafe { &*self.lock.value() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has all permits, and is borrowed mutably.
        unsafe { &mut *self.lock.value() }
    }
}

impl<T: ?Sized> Deref for OwnedRwLockWriteGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has all permits, and is borrowed.
        unsafe { &*self.held.lock.value() }
    }
}

impl<T: ?Sized> DerefMut for OwnedRwLockWriteGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has all permits, and is borrowed mutably.
        unsafe { &mut *self.held.lock.value() }
    }
}

impl<T: ?Sized> Deref for RwLockMappedWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it points into the value, which the guard has for itself, and is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for RwLockMappedWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: it points into the value, which the guard has for itself, and is borrowed
        // mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedRwLockMappedWriteGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: it points into the value, which the guard keeps alive and has for itself, and is borrowed.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> DerefMut for OwnedRwLockMappedWriteGuard<T, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: it points into the value, which the guard keeps alive and has for itself, and is borrowed
        // mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockMappedWriteGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockMappedWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
