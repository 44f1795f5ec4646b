//! A value that stays on its thread although its type says that it may move.
//!
//! The tasks of thread-per-core runtimes are not `Send`, those of the others have to be. The scenarios
//! are written for the latter, so what a thread-per-core runtime hands out is wrapped: it may be moved
//! to another thread by the types, and panics when it is used there. A task that was spawned on a thread
//! stays there, so this never happens; the check costs about a nanosecond.

#![expect(
    unsafe_code,
    reason = "`Send` is promised for values that check where they are used"
)]

use std::{
    fmt,
    future::Future,
    mem::ManuallyDrop,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    thread,
};

/// A number that no other thread of the process has or had.
fn here() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        // Relaxed: each number is taken once, and nothing else hangs on it.
        static HERE: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    HERE.with(|number| *number)
}

/// See the module.
pub struct Bound<T> {
    value: ManuallyDrop<T>,
    home: u64,
}

// SAFETY: the value is reached only through `check`, which panics on every thread but the one where the
// value was made; on another one it is not even dropped.
unsafe impl<T> Send for Bound<T> {}

// SAFETY: as above, a shared reference is of no use on another thread.
unsafe impl<T> Sync for Bound<T> {}

impl<T> Bound<T> {
    /// Binds a value to the calling thread.
    pub fn new(value: T) -> Self {
        Self {
            value: ManuallyDrop::new(value),
            home: here(),
        }
    }

    fn check(&self) {
        assert_eq!(self.home, here(), "the value is bound to another thread");
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// Panics on another thread.
    pub fn get(&self) -> &T {
        self.check();
        &self.value
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// Panics on another thread.
    pub fn get_mut(&mut self) -> &mut T {
        self.check();
        &mut self.value
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        if self.home != here() {
            // A second panic would end the process, and hide the first one; the value is leaked.
            assert!(thread::panicking(), "the value is bound to another thread");
            return;
        }
        // SAFETY: this is the value's only drop, as it is in `ManuallyDrop` and nothing takes it out.
        unsafe { ManuallyDrop::drop(&mut self.value) }
    }
}

impl<T: Clone> Clone for Bound<T> {
    fn clone(&self) -> Self {
        Self::new(self.get().clone())
    }
}

impl<T> fmt::Debug for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").finish_non_exhaustive()
    }
}

impl<F: Future> Future for Bound<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.check();
        // SAFETY: the value is pinned with the wrapper: it is never moved out, and `get_mut` cannot be
        // called through a pinned reference.
        let value = unsafe { self.map_unchecked_mut(|bound| &mut *bound.value) };
        value.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_bound_value_is_of_use_at_home_only() {
        let bound = Bound::new(Rc::new(7));
        assert_eq!(**bound.get(), 7);
        let elsewhere = thread::spawn(move || assert_eq!(**bound.get(), 7)).join();
        assert!(elsewhere.is_err());
    }
}
