//! `AsyncClose`: what a resource does at its end.

use heist_runtime::scope::Exit;
use std::future::Future;

/// How it came to a cleanup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum How {
    /// The body returned.
    Done,
    /// The body was cancelled.
    Cancelled,
    /// The body panicked.
    Panicked,
    /// The future was dropped half-way, by code that does not unwind.
    Dropped,
}

impl How {
    pub(crate) fn of<T>(exit: &Exit<T>) -> Self {
        match exit {
            Exit::Value(_) => Self::Done,
            Exit::Cancelled(_) => Self::Cancelled,
            Exit::Panicked(_) => Self::Panicked,
        }
    }
}

/// A resource whose end takes an await (asyncio: `__aexit__`).
pub trait AsyncClose: Send + 'static {
    /// Puts the resource away. Runs shielded: a cancellation waits for it, for as long as the runtime's
    /// `cleanup_grace`.
    fn close(self, how: How) -> impl Future<Output = ()> + Send;
}
