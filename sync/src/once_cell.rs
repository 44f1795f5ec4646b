//! A value that is made once, by whoever needs it first. It needs no runtime and works under any
//! executor.
//!
//! Whoever makes the value has the turn: a permit of a `Permits` in [`wait`](crate::wait), closed once there is one.
//! (The standard library's cell would do, but cannot be made with a value in a `const`.)

#![expect(unsafe_code, reason = "the place of the value is shared")]

use crate::wait::{Permits, Refusal};
use heist_runtime::scope::Leaf;
use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

/// A value that is made once, asynchronously, by whoever needs it first, while others wait for it.
///
/// tokio's `OnceCell`, whose names and signatures it has; asyncio has none. For a value that is made
/// without an `await` the standard library's `OnceLock` and `LazyLock` are cheaper.
///
/// # Cancel safety
///
/// If the future that makes the value is dropped, panics or fails, the next in turn makes it, with a
/// function of its own. Dropping one that waits loses only its place in the queue.
///
/// # Examples
///
/// ```
/// use heist_sync::OnceCell;
///
/// static ADDRESS: OnceCell<String> = OnceCell::const_new();
///
/// async fn address() -> &'static str {
///     ADDRESS
///         .get_or_init(async || {
///             heist_runtime::yield_now().await; // look it up
///             "192.0.2.1".to_owned()
///         })
///         .await
/// }
/// # heist_runtime::block_on(async {
/// assert_eq!(address().await, "192.0.2.1");
/// assert_eq!(ADDRESS.get().map(String::as_str), Some("192.0.2.1"));
/// # });
/// ```
pub struct OnceCell<T> {
    /// Written once, by whoever has the turn, and only read once it `is_there`.
    value: UnsafeCell<Option<T>>,
    is_there: AtomicBool,
    /// One, for whoever makes the value. Closed once there is one.
    turn: Permits,
}

// SAFETY: shared, it gives shared references to the value, and takes one in that another thread may drop.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

// The value is whole once `is_there` is set, whatever panics.
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceCell<T> {}

/// The turn to make the value. Dropped without one, it goes to the next.
struct Turn<'a, T>(&'a OnceCell<T>);

impl<'a, T> Turn<'a, T> {
    fn finish(self, value: T) -> &'a T {
        let cell = self.0;
        // SAFETY: there is one turn at a time, and none any more once there is a value, so nobody else writes. Nobody
        // reads, since `is_there` is not set.
        let value = unsafe { (*cell.value.get()).insert(value) };
        // Whoever sees it set sees the value.
        cell.is_there.store(true, Ordering::Release);
        cell.turn.close();
        value
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        // If there is a value they are closed, and nobody will take it.
        self.0.turn.put(1);
    }
}

impl<T> OnceCell<T> {
    /// One without a value.
    pub fn new() -> Self {
        Self {
            value: UnsafeCell::new(None),
            is_there: AtomicBool::new(false),
            turn: Permits::new(1),
        }
    }

    /// Like [`new`](Self::new), for statics.
    #[cfg(not(loom))]
    pub const fn const_new() -> Self {
        Self {
            value: UnsafeCell::new(None),
            is_there: AtomicBool::new(false),
            turn: Permits::new(1),
        }
    }

    /// One with this value, for statics.
    ///
    /// ```
    /// use heist_sync::OnceCell;
    ///
    /// static ANSWER: OnceCell<u32> = OnceCell::const_new_with(42);
    /// assert_eq!(ANSWER.get(), Some(&42));
    /// assert!(ANSWER.set(1).is_err());
    /// ```
    #[cfg(not(loom))]
    pub const fn const_new_with(value: T) -> Self {
        Self {
            value: UnsafeCell::new(Some(value)),
            is_there: AtomicBool::new(true),
            turn: Permits::new_closed(),
        }
    }

    /// One with this value, or without.
    pub fn new_with(value: Option<T>) -> Self {
        let cell = Self::new();
        if let Some(value) = value {
            Turn(&cell).finish(value);
        }
        cell
    }

    /// Whether there is a value.
    pub fn initialized(&self) -> bool {
        self.get().is_some()
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        if !self.is_there.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: it was written before the flag, and is written only through `&mut self` from then on.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// The value, if there is one.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Gives it its value, without waiting.
    ///
    /// ```
    /// use heist_sync::{OnceCell, SetError};
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(SetError::AlreadyInitializedError(2)));
    /// ```
    ///
    /// # Errors
    ///
    /// The value, if there is one already or somebody is making one.
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        match self.turn.try_take(1) {
            Ok(()) => {
                Turn(self).finish(value);
                Ok(())
            }
            Err(Refusal::Closed) => Err(SetError::AlreadyInitializedError(value)),
            Err(Refusal::TooFew) => Err(SetError::InitializingError(value)),
        }
    }

    /// The value; if there is none it is made, or waited for if somebody makes it already.
    ///
    /// Whoever waits for the same cell while it makes its value waits for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the one that makes the value, if this does, and the next in turn
    /// starts anew; else it loses only the place in the queue.
    #[track_caller]
    pub fn get_or_init<F, Fut>(&self, make: F) -> impl Future<Output = &T>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let value = self.get_or_try_init(|| {
            let value = make();
            async { Ok::<T, Infallible>(value.await) }
        });
        async {
            let Ok(value) = value.await;
            value
        }
    }

    /// Like [`get_or_init`](Self::get_or_init), if making the value may fail.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// let cell = heist_sync::OnceCell::new();
    /// let failed: Result<&u32, _> = cell.get_or_try_init(async || "12x".parse()).await;
    /// assert!(failed.is_err());
    /// assert_eq!(cell.get_or_try_init(async || "12".parse()).await, Ok(&12));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// What making the value failed with. The next in turn tries it again.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_init`](Self::get_or_init).
    #[track_caller]
    pub fn get_or_try_init<E, F, Fut>(&self, make: F) -> impl Future<Output = Result<&T, E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let leaf = Leaf::here();
        async move {
            if self.turn.take(1, leaf).await.is_ok() {
                let turn = Turn(self);
                let value = make().await?;
                return Ok(turn.finish(value));
            }
            Ok(self.made())
        }
    }

    /// The value, for whoever was refused the turn.
    fn made(&self) -> &T {
        self.get()
            .expect("the turn is closed once there is a value")
    }

    /// Takes the value out, if there is one, and leaves none.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// The value, if there is one, when the cell is not needed any more.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

/// Why a cell was not given a value; with the value.
///
/// It is the [`OnceCell`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError<T> {
    /// There is one already.
    AlreadyInitializedError(T),
    /// Somebody is making one.
    InitializingError(T),
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInitializedError(_) => "the cell has a value already; read it with `get`",
            Self::InitializingError(_) => {
                "somebody is making the cell's value; await it with `get_or_init`"
            }
        })
    }
}

impl<T: fmt::Debug> Error for SetError<T> {}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        Self::new_with(Some(value))
    }
}

impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell")
            .field("value", &self.get())
            .finish_non_exhaustive()
    }
}
