//! The atomics, locks and cells that the models replace.
//!
//! Under `--cfg loom` they are loom's, which explores every interleaving; else the standard
//! library's, with the cell in loom's shape, so that the code that uses it is the same.

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize},
    sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard},
    thread::yield_now,
};

#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize},
    sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard},
    thread::yield_now,
};

/// A cell whose content is reached through a raw pointer, inside a closure.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        access(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}
