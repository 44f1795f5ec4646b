//! Which task-local values are inherited, and what has inherited them: tasks, and cleanups that go to another
//! scope.
//!
//! A thread notes the keys that are to be inherited and have a value, so that a spawn need not look at all
//! there are. As a rule there is none, which is one word to read.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::scope::{BoxedCleanup, BoxedFuture};
use crate::task::LocalKey;

thread_local! {
    /// How many keys are noted. Const-initialised and without a destructor: a plain load.
    static NOTED: Cell<usize> = const { Cell::new(0) };
    /// The keys that are inherited and have a value, in the order in which they got one.
    static KEYS: RefCell<Vec<&'static dyn Key>> = const { RefCell::new(Vec::new()) };
}

/// A key, whatever its values are.
pub(super) trait Key: Sync {
    /// A clone of the value, for somebody else to carry.
    fn carried(&'static self) -> Option<Box<dyn Carried>>;
}

/// The value of a key, whatever it is, that a task carries from poll to poll.
pub(super) trait Carried: Send {
    /// Puts the value in its place, before a poll.
    fn enter(&mut self);
    /// Takes it from there, after the poll.
    fn leave(&mut self);
}

struct Value<T: 'static> {
    key: &'static LocalKey<T>,
    value: Option<T>,
    noted: bool,
}

/// For a key that is inherited: its value as the caller sees it.
pub(super) fn carried<T: Clone + Send>(key: &'static LocalKey<T>) -> Option<Box<dyn Carried>> {
    let value = key.try_get().ok()?;
    Some(Box::new(Value {
        key,
        value: Some(value),
        noted: false,
    }))
}

impl<T: Send> Carried for Value<T> {
    fn enter(&mut self) {
        match self.key.exchange_in(&mut self.value) {
            Ok(noted) => self.noted = noted,
            Err(error) => error.panic(),
        }
    }

    fn leave(&mut self) {
        self.key.exchange_out(&mut self.value, self.noted);
    }
}

/// Notes a key that has got a value on this thread.
pub(super) fn note(key: &'static dyn Key) {
    let noted = KEYS.try_with(|keys| keys.borrow_mut().push(key));
    if noted.is_ok() {
        NOTED.set(NOTED.get() + 1);
    }
}

/// Takes back the last [`note`] of a key.
pub(super) fn forget(key: &'static dyn Key) {
    let forgotten = KEYS.try_with(|keys| {
        let mut keys = keys.borrow_mut();
        let at = keys.iter().rposition(|&noted| ptr::addr_eq(noted, key));
        at.map(|at| keys.remove(at)).is_some()
    });
    if forgotten == Ok(true) {
        NOTED.set(NOTED.get() - 1);
    }
}

/// What somebody has inherited.
pub(crate) struct Inherited {
    values: Vec<Box<dyn Carried>>,
    /// How many of them are in their places.
    entered: usize,
}

impl Inherited {
    /// Whether there may be anything to inherit here.
    #[inline]
    pub(crate) fn is_any() -> bool {
        NOTED.get() != 0
    }

    /// Clones of all values that are to be inherited, if there are any.
    #[cold]
    pub(crate) fn capture() -> Option<Self> {
        // One by one: cloning a value runs foreign code, which may set others meanwhile.
        let key = |at: usize| KEYS.try_with(|keys| keys.borrow().get(at).copied());
        let values: Vec<_> = (0..)
            .map_while(|at| key(at).ok().flatten())
            .filter_map(|key| key.carried())
            .collect();
        (!values.is_empty()).then_some(Self { values, entered: 0 })
    }

    /// Puts the values in their places.
    ///
    /// # Errors
    ///
    /// A panic, if one of them is being looked at; then none is.
    fn enter(&mut self) -> std::thread::Result<()> {
        let entered = &mut self.entered;
        let values = &mut self.values;
        let all = catch_unwind(AssertUnwindSafe(|| {
            for value in values {
                value.enter();
                *entered += 1;
            }
        }));
        if all.is_err() {
            self.leave();
        }
        all
    }

    /// Takes them from there, the last one first.
    fn leave(&mut self) {
        for value in self.values[..self.entered].iter_mut().rev() {
            value.leave();
        }
        self.entered = 0;
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited")
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}

/// What a task has inherited. Only whoever runs the task touches it, so the lock is never waited for.
#[derive(Debug)]
pub(crate) struct Locals(Mutex<Option<Inherited>>);

impl Locals {
    pub(crate) fn new(inherited: Inherited) -> Self {
        Self(Mutex::new(Some(inherited)))
    }

    /// Before the task is polled.
    ///
    /// # Errors
    ///
    /// A panic, in place of that of the task.
    pub(crate) fn enter(&self) -> std::thread::Result<()> {
        self.lock().as_mut().map_or(Ok(()), Inherited::enter)
    }

    /// After the task was polled.
    pub(crate) fn leave(&self) {
        if let Some(inherited) = &mut *self.lock() {
            inherited.leave();
        }
    }

    /// When the task is done, before anybody can know.
    pub(crate) fn end(&self) {
        self.leave();
        let inherited = self.lock().take();
        crate::panics::contain("destructor", || drop(inherited));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Inherited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cleanup that goes to another scope, with the values that it has here.
pub(crate) fn take_along(cleanup: BoxedCleanup) -> BoxedCleanup {
    if !Inherited::is_any() {
        return cleanup;
    }
    match Inherited::capture() {
        Some(inherited) => cleanup.within(|cleanup| {
            Box::pin(Heir {
                inherited,
                cleanup: Some(cleanup),
            })
        }),
        None => cleanup,
    }
}

/// A cleanup with values of its own.
struct Heir {
    inherited: Inherited,
    cleanup: Option<BoxedFuture>,
}

impl Heir {
    fn within<R>(&mut self, f: impl FnOnce(&mut Option<BoxedFuture>) -> R) -> R {
        if let Err(payload) = self.inherited.enter() {
            std::panic::resume_unwind(payload);
        }
        let result = catch_unwind(AssertUnwindSafe(|| f(&mut self.cleanup)));
        self.inherited.leave();
        result.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    }
}

impl Future for Heir {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.within(|cleanup| {
            let polled = match cleanup {
                Some(cleanup) => cleanup.as_mut().poll(cx),
                None => Poll::Ready(()),
            };
            if polled.is_ready() {
                *cleanup = None;
            }
            polled
        })
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if self.cleanup.is_some() && self.inherited.enter().is_ok() {
            let dropped = catch_unwind(AssertUnwindSafe(|| self.cleanup = None));
            self.inherited.leave();
            if let Err(payload) = dropped {
                std::panic::resume_unwind(payload);
            }
        }
    }
}
