//! Why a task has no value.

#![expect(
    unsafe_code,
    reason = "a payload that is Sync because of what it shows"
)]

use std::any::Any;
use std::fmt;
use std::sync::Arc;

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
    /// Boxed: the room for it is in every task.
    Panicked(Box<Payload>),
}

/// What [`Builder::on_unobserved_panic`](crate::Builder::on_unobserved_panic) was given.
pub(crate) type PanicHook = Arc<dyn Fn(JoinError) + Send + Sync>;

/// A panic payload that can be shared, because a shared one only ever shows its text.
struct Payload {
    id: Id,
    payload: Box<dyn Any + Send>,
    /// Who is to be told if it is dropped before anybody has seen it.
    unseen: Option<PanicHook>,
}

// SAFETY: `text` looks only for `&str` and `String`, which are `Sync`; everything else needs ownership. The hook is
// `Sync`.
unsafe impl Sync for Payload {}

impl Drop for Payload {
    fn drop(&mut self) {
        if let Some(hook) = self.unseen.take() {
            let error = JoinError::with_payload(self.id, self.take(), None);
            crate::panics::contain("hook", || hook(error));
        }
    }
}

impl Payload {
    /// The payload, which is seen with this.
    fn take(&mut self) -> Box<dyn Any + Send> {
        self.unseen = None;
        std::mem::replace(&mut self.payload, Box::new(()))
    }

    /// The text of the payload, when it is one.
    fn text(&self) -> Option<&str> {
        let payload = &*self.payload;
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

    /// The error of a task of the runtime that this thread belongs to, whose hook is told if nobody sees it.
    pub(crate) fn panicked(id: Id, payload: Box<dyn Any + Send>) -> Self {
        Self::with_payload(id, payload, crate::context::panic_hook())
    }

    fn with_payload(id: Id, payload: Box<dyn Any + Send>, unseen: Option<PanicHook>) -> Self {
        Self {
            id,
            cause: Cause::Panicked(Box::new(Payload {
                id,
                payload,
                unseen,
            })),
        }
    }

    /// It goes to whoever has waited for the task.
    pub(crate) fn note_seen(&mut self) {
        if let Cause::Panicked(payload) = &mut self.cause {
            payload.unseen = None;
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
            Cause::Panicked(mut payload) => Ok(payload.take()),
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
