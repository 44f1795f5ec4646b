//! How a body ends, and why it was cancelled.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::task::Poll;

use crate::scope::cancel_requested;

/// Why something was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody asked for it: [`JoinHandle::cancel`](crate::JoinHandle::cancel) and the like.
    Explicit,
    /// A deadline passed.
    Timeout,
    /// Another task of the same group failed.
    Sibling,
    /// Another future won the race.
    Race,
    /// The runtime ends.
    Shutdown,
}

impl Reason {
    pub(crate) fn to_raw(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_raw(raw: u8) -> Self {
        match raw {
            0 => Self::Explicit,
            1 => Self::Timeout,
            2 => Self::Sibling,
            3 => Self::Race,
            _ => Self::Shutdown,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Explicit => "on request",
            Self::Timeout => "by a timeout",
            Self::Sibling => "because another task of its group failed",
            Self::Race => "because another future won the race",
            Self::Shutdown => "by the shutdown of the runtime",
        })
    }
}

/// How the body of a scope ended; see [`catch`](super::catch()).
pub enum Exit<T> {
    /// With a value, which wins over a cancellation that came too late.
    Value(T),
    /// It was cancelled, and everything below has been cleaned up.
    Cancelled(Reason),
    /// With a panic, of the body or of a cleanup.
    Panicked(Box<dyn Any + Send>),
}

impl<T> Exit<T> {
    /// What a combinator does that catches nothing: returns the value, resumes the panic, or waits for the
    /// scope around it to be unwound.
    pub async fn propagate(self) -> T {
        match self {
            Self::Value(value) => value,
            Self::Panicked(payload) => resume_unwind(payload),
            Self::Cancelled(_) => unwound().await,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Exit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.debug_tuple("Value").field(value).finish(),
            Self::Cancelled(reason) => f.debug_tuple("Cancelled").field(reason).finish(),
            Self::Panicked(_) => f.write_str("Panicked(..)"),
        }
    }
}

/// Waits for ever, because what the caller waited for was unwound. The scope around sees that nothing below
/// it has anything left to do, and drops it.
///
/// # Panics
///
/// When it is polled in a scope that is not being cancelled: somebody kept a future that was unwound, for
/// instance by `timeout(d, &mut future)`, and polls it again.
pub async fn unwound<T>() -> T {
    poll_fn(|_| {
        assert!(
            cancel_requested(),
            "a future was polled again that had been unwound by a cancellation, as by \
             `timeout(d, &mut future)`; let the timeout own the future, or make a new one"
        );
        Poll::Pending
    })
    .await
}
