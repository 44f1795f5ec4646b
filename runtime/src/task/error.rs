//! Why a task has no value.

#![expect(
    unsafe_code,
    reason = "a payload that is Sync because of what it shows"
)]

use std::any::Any;
use std::fmt;

use crate::scope::Reason;
use crate::task::Id;

/// The error of a [`JoinHandle`](super::JoinHandle): the task was cancelled, aborted, or panicked.
pub struct JoinError {
    id: Id,
    cause: Cause,
}

enum Cause {
    Cancelled(Reason),
    Aborted,
    Panicked(Payload),
}

/// A panic payload that can be shared, because a shared one only ever shows its text.
struct Payload(Box<dyn Any + Send>);

// SAFETY: `text` looks only for `&str` and `String`, which are `Sync`; everything else needs ownership.
unsafe impl Sync for Payload {}

impl Payload {
    /// The text of the payload, when it is one.
    fn text(&self) -> Option<&str> {
        let payload = &*self.0;
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref().map(String::as_str))
    }
}

impl JoinError {
    pub(crate) fn cancelled(id: Id, reason: Reason) -> Self {
        Self {
            id,
            cause: Cause::Cancelled(reason),
        }
    }

    pub(crate) fn aborted(id: Id) -> Self {
        Self {
            id,
            cause: Cause::Aborted,
        }
    }

    pub(crate) fn panicked(id: Id, payload: Box<dyn Any + Send>) -> Self {
        Self {
            id,
            cause: Cause::Panicked(Payload(payload)),
        }
    }

    /// Whether the task ended because it was cancelled or aborted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// Whether the task was ended by [`abort`](super::JoinHandle::abort), without regard for cleanup.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        matches!(self.cause, Cause::Aborted)
    }

    /// Why the task was cancelled; `None` when it was aborted, or panicked.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.cause {
            Cause::Cancelled(reason) => Some(reason),
            Cause::Aborted | Cause::Panicked(_) => None,
        }
    }

    /// Whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panicked(_))
    }

    /// The payload of the task's panic.
    ///
    /// # Panics
    ///
    /// When the task did not panic; see [`try_into_panic`](Self::try_into_panic).
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("the task did not panic: {error}"),
        }
    }

    /// The payload of the task's panic, for `std::panic::resume_unwind`.
    ///
    /// # Errors
    ///
    /// The error itself, when the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.cause {
            Cause::Panicked(payload) => Ok(payload.0),
            cause => Err(Self { id: self.id, cause }),
        }
    }

    /// The task that failed.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled(reason) => write!(f, "task {} was cancelled {reason}", self.id),
            Cause::Aborted => write!(f, "task {} was aborted", self.id),
            Cause::Panicked(payload) => match payload.text() {
                Some(text) => write!(f, "task {} panicked: {text}", self.id),
                None => write!(f, "task {} panicked", self.id),
            },
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}
