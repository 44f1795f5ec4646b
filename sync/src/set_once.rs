//! A value that is set once, and tasks that wait for it. It needs no runtime and works under any executor.

use crate::event::Event;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::OnceLock;

/// A place for a value that is set once, by anybody, and that tasks can wait for.
///
/// tokio's `SetOnce`; for one who waits, asyncio's `Future`. Use [`OnceCell`](crate::OnceCell) if whoever
/// needs the value first is to make it, and [`watch`](crate::watch) if it can change.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::SetOnce;
///
/// static ADDRESS: SetOnce<String> = SetOnce::const_new();
///
/// let waits = heist_runtime::spawn(async { ADDRESS.wait().await.len() });
/// assert_eq!(ADDRESS.set("192.0.2.1".to_owned()), Ok(()));
/// assert_eq!(waits.await.unwrap(), 9);
/// assert!(ADDRESS.set("too late".to_owned()).is_err());
/// # });
/// ```
pub struct SetOnce<T> {
    value: OnceLock<T>,
    /// Set after the value.
    is_set: Event,
}

impl<T> SetOnce<T> {
    /// One without a value.
    pub fn new() -> Self {
        Self {
            value: OnceLock::new(),
            is_set: Event::new(),
        }
    }

    /// Like [`new`](Self::new), for statics.
    #[cfg(not(loom))]
    pub const fn const_new() -> Self {
        Self {
            value: OnceLock::new(),
            is_set: Event::const_new(),
        }
    }

    /// One with this value, or without.
    pub fn new_with(value: Option<T>) -> Self {
        value.map_or_else(Self::new, Self::from)
    }

    /// Gives it its value, and wakes those who wait for it.
    ///
    /// # Errors
    ///
    /// The value, if there is one already.
    pub fn set(&self, value: T) -> Result<(), SetOnceError<T>> {
        self.value.set(value).map_err(SetOnceError)?;
        self.is_set.set();
        Ok(())
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Whether there is a value.
    pub fn initialized(&self) -> bool {
        self.get().is_some()
    }

    /// The value, if there is one.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Waits for the value.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = &T> {
        let is_set = self.is_set.wait();
        async move {
            is_set.await;
            let Some(value) = self.get() else {
                unreachable!("the event is set after the value")
            };
            value
        }
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for SetOnce<T> {
    fn from(value: T) -> Self {
        let is_set = Event::new();
        is_set.set();
        Self {
            value: OnceLock::from(value),
            is_set,
        }
    }
}

impl<T: Clone> Clone for SetOnce<T> {
    /// Another one, with a clone of the value if there is one.
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for SetOnce<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for SetOnce<T> {}

impl<T: fmt::Debug> fmt::Debug for SetOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetOnce")
            .field("value", &self.get())
            .finish()
    }
}

/// There is a value already. Has the one that was not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetOnceError<T>(pub T);

impl<T> fmt::Display for SetOnceError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value was set before")
    }
}

impl<T: fmt::Debug> Error for SetOnceError<T> {}
