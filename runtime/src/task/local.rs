//! `task_local!`: values that belong to a part of a task.
//!
//! A key is a place in thread-local storage. Between polls the value is in the future that sets it; it is
//! exchanged with the place around each poll, and around the drop of what runs within.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem;
use std::panic::panic_any;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

use crate::task::inherit::{self, Carried, Key, carried};

/// Declares keys of task-local values, each a [`LocalKey`].
///
/// tokio's macro, and asyncio's `contextvars` for keys with the attribute `#[inherit]`: with that, what is
/// spawned while the key has a value starts with a clone of it.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_runtime::{spawn, task_local};
///
/// task_local! {
///     /// Which attempt this is.
///     pub static ATTEMPT: u32;
///
///     /// Whom the work is for.
///     #[inherit]
///     static USER: String;
/// }
///
/// let work = USER.scope("ada".to_owned(), ATTEMPT.scope(1, async {
///     assert_eq!(ATTEMPT.get(), 1);
///     let task = spawn(async { (USER.get(), ATTEMPT.try_get().is_err()) });
///     assert_eq!(task.await.unwrap(), ("ada".to_owned(), true));
/// }));
/// work.await;
/// # });
/// ```
///
/// The value of a key that is inherited must be [`Clone`] and [`Send`]. It is inherited by tasks,
/// [`spawn_local`](crate::spawn_local) and [`spawn_blocking`](crate::spawn_blocking) included, and by cleanups
/// that another scope takes over.
#[macro_export]
macro_rules! task_local {
    () => {};
    ($($tokens:tt)+) => {
        $crate::__task_local!(() __new $($tokens)+);
    };
}

/// Looks for `#[inherit]` among the attributes of the first key.
#[doc(hidden)]
#[macro_export]
macro_rules! __task_local {
    (($($attribute:tt)*) $make:ident #[inherit] $($rest:tt)*) => {
        $crate::__task_local!(($($attribute)*) __inherited $($rest)*);
    };
    (($($attribute:tt)*) $make:ident #[$($more:tt)*] $($rest:tt)*) => {
        $crate::__task_local!(($($attribute)* #[$($more)*]) $make $($rest)*);
    };
    (($($attribute:tt)*) $make:ident $vis:vis static $name:ident: $t:ty; $($rest:tt)*) => {
        $crate::__task_local!(($($attribute)*) $make $vis static $name: $t);
        $crate::task_local!($($rest)*);
    };
    (($($attribute:tt)*) $make:ident $vis:vis static $name:ident: $t:ty) => {
        $($attribute)*
        $vis static $name: $crate::task::LocalKey<$t> = {
            ::std::thread_local! {
                static PLACE: ::std::cell::RefCell<::std::option::Option<$t>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::$make(PLACE)
        };
    };
}

/// Clones the value of a key, if there is one.
type Clones<T> = fn(&'static LocalKey<T>) -> Option<Box<dyn Carried>>;

/// A key of task-local values. Made by [`task_local!`](crate::task_local).
pub struct LocalKey<T: 'static> {
    place: thread::LocalKey<RefCell<Option<T>>>,
    /// For a key that is inherited: how.
    clones: Option<Clones<T>>,
}

impl<T: 'static> LocalKey<T> {
    /// For the macro.
    #[doc(hidden)]
    pub const fn __new(place: thread::LocalKey<RefCell<Option<T>>>) -> Self {
        Self {
            place,
            clones: None,
        }
    }

    /// For the macro.
    #[doc(hidden)]
    pub const fn __inherited(place: thread::LocalKey<RefCell<Option<T>>>) -> Self
    where
        T: Clone + Send,
    {
        Self {
            place,
            clones: Some(carried),
        }
    }

    /// Runs `future` with `value` as the value of the key, and drops the value with it.
    ///
    /// # Panics
    ///
    /// When the future is polled within [`with`](Self::with) of the same key.
    ///
    /// # Cancel safety
    ///
    /// As safe as `future`, which sees the value when it is dropped, too.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture {
            key: self,
            value: Some(value),
            future: Some(future),
            pinned: PhantomPinned,
        }
    }

    /// Calls `f` with `value` as the value of the key.
    ///
    /// # Panics
    ///
    /// When called within [`with`](Self::with) of the same key.
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let mut value = Some(value);
        match self.enter(&mut value) {
            Ok(_entered) => f(),
            Err(error) => error.panic(),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic_any(error.to_string()),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        // The place is borrowed mutably only while values are exchanged, which runs no foreign code. In a
        // thread that ends it may be gone.
        let result = self.place.try_with(|place| place.borrow().as_ref().map(f));
        result.ok().flatten().ok_or(AccessError(()))
    }

    /// A clone of the value.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// A clone of the value.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn try_get(&'static self) -> Result<T, AccessError>
    where
        T: Clone,
    {
        self.try_with(T::clone)
    }

    /// Makes `value` that of the key until the guard is dropped.
    fn enter<'a>(&'static self, value: &'a mut Option<T>) -> Result<Entered<'a, T>, EnterError> {
        let noted = self.exchange_in(value)?;
        Ok(Entered {
            key: self,
            value,
            noted,
        })
    }

    /// Puts the value in its place, and what was there in `value`. Returns whether what is spawned has to
    /// look at this key from now on.
    pub(super) fn exchange_in(&'static self, value: &mut Option<T>) -> Result<bool, EnterError> {
        let exchange = |place: &RefCell<Option<T>>| match place.try_borrow_mut() {
            Ok(mut place) => {
                mem::swap(&mut *place, value);
                Ok(place.is_some())
            }
            Err(_) => Err(EnterError::Borrowed),
        };
        let is_set = (self.place.try_with(exchange)).unwrap_or(Err(EnterError::ThreadEnds))?;
        let noted = self.clones.is_some() && is_set && value.is_none();
        if noted {
            inherit::note(self);
        }
        Ok(noted)
    }

    /// Takes back what [`exchange_in`](Self::exchange_in) has done.
    pub(super) fn exchange_out(&'static self, value: &mut Option<T>, noted: bool) {
        let exchange = |place: &RefCell<Option<T>>| {
            // Whoever borrows it has stopped before what entered it does.
            if let Ok(mut place) = place.try_borrow_mut() {
                mem::swap(&mut *place, value);
            }
        };
        let _ = self.place.try_with(exchange);
        if noted {
            inherit::forget(self);
        }
    }
}

impl<T: 'static> Key for LocalKey<T> {
    fn carried(&'static self) -> Option<Box<dyn Carried>> {
        self.clones.and_then(|clones| clones(self))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey")
            .field("inherited", &self.clones.is_some())
            .finish_non_exhaustive()
    }
}

/// Exchanges the values back when dropped.
struct Entered<'a, T: 'static> {
    key: &'static LocalKey<T>,
    value: &'a mut Option<T>,
    noted: bool,
}

impl<T: 'static> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        self.key.exchange_out(self.value, self.noted);
    }
}

/// Why a value could not be put in its place.
#[derive(Debug, Clone, Copy)]
pub(super) enum EnterError {
    Borrowed,
    ThreadEnds,
}

impl EnterError {
    #[track_caller]
    pub(super) fn panic(self) -> ! {
        match self {
            Self::Borrowed => panic!(
                "a task-local value was set inside `with` of the same key; `get` does not keep it \
                 borrowed"
            ),
            Self::ThreadEnds => panic!("a task-local value was set while its thread ends"),
        }
    }
}

pin_project! {
    /// Runs a future with a task-local value. Made by [`LocalKey::scope`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct TaskLocalFuture<T: 'static, F> {
        key: &'static LocalKey<T>,
        value: Option<T>,
        // None once it is over.
        #[pin]
        future: Option<F>,
        #[pin]
        pinned: PhantomPinned,
    }

    impl<T: 'static, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                // Without the value if that cannot be had: its thread ends, or it is within `with`.
                let _entered = this.key.enter(this.value);
                this.future.set(None);
            }
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value, which is there except during a poll. What is polled afterwards finds none.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _entered = match this.key.enter(this.value) {
            Ok(entered) => entered,
            Err(error) => error.panic(),
        };
        let future = this.future.as_mut().as_pin_mut();
        let polled = future
            .expect("a `TaskLocalFuture` was polled after its end")
            .poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture")
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

/// The key has no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task-local value was asked for outside the `scope` that sets it")
    }
}

impl Error for AccessError {}
