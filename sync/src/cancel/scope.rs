//! `cancel_scope`: a part of a task that can be cancelled by itself.

use super::deadline::Deadlined;
use heist_runtime::scope::{Exit, Reason, Scope, catch};
use heist_runtime::time::Instant;
use std::fmt;

/// Runs a part of a task that can be cancelled by itself: from within, by a deadline, or from elsewhere with
/// a handle (trio: `CancelScope`).
///
/// Cancellation is level-triggered: once cancelled, every wait within ends the scope, after the cleanup of
/// what runs in it. A value that it comes up with all the same wins.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::cancel::cancel_scope;
///
/// let result = cancel_scope(async |scope| {
///     scope.cancel();
///     std::future::pending::<()>().await
/// })
/// .await;
/// assert!(result.is_err());
/// # });
/// ```
///
/// # Errors
///
/// [`Cancelled`] if the scope itself was cancelled. A cancellation of something around it goes on unwinding.
///
/// # Cancel safety
///
/// Dropping the future drops what runs in it; cleanups that belong to it go to the scope around.
pub async fn cancel_scope<T>(body: impl AsyncFnOnce(&CancelScope) -> T) -> Result<T, Cancelled> {
    let scope = Scope::named("cancel_scope");
    let view = CancelScope(CancelHandle(scope.clone()));
    let exit = Deadlined::new(catch(&scope, body(&view))).await;
    caught(&scope, exit).await
}

/// What a scope makes of an exit: its own cancellation is an error, that of others goes on.
async fn caught<T>(scope: &Scope, exit: Exit<T>) -> Result<T, Cancelled> {
    match (exit, scope.reason()) {
        (Exit::Value(value), _) => Ok(value),
        (Exit::Cancelled(_), Some(reason)) => Err(Cancelled(reason)),
        (exit, _) => Ok(exit.propagate().await),
    }
}

/// The scope as what runs in it sees it; see [`cancel_scope`].
#[derive(Debug)]
pub struct CancelScope(CancelHandle);

impl CancelScope {
    /// Cancels what runs in the scope. Returns whether this was the first time.
    pub fn cancel(&self) -> bool {
        self.0.cancel()
    }

    /// Sets when the scope is cancelled, instead of what was set before.
    pub fn set_deadline(&self, deadline: Instant) {
        self.0.set_deadline(deadline);
    }

    /// Lets the scope take as long as it wants.
    pub fn clear_deadline(&self) {
        self.0.0.set_deadline(None);
    }

    /// When the scope is to be cancelled.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.0.0.deadline()
    }

    /// Whether it is being cancelled, by itself or by something around it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// For other tasks and threads.
    #[must_use]
    pub fn handle(&self) -> CancelHandle {
        self.0.clone()
    }
}

/// Cancels a scope from anywhere.
#[derive(Debug, Clone)]
pub struct CancelHandle(Scope);

impl CancelHandle {
    /// Cancels what runs in the scope. Returns whether this was the first time, on a scope that has not
    /// ended.
    pub fn cancel(&self) -> bool {
        self.0.cancel(Reason::Explicit)
    }

    /// Sets when the scope is cancelled.
    pub fn set_deadline(&self, deadline: Instant) {
        self.0.set_deadline(Some(deadline));
    }

    /// Whether it is being cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// The scope was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled(Reason);

impl Cancelled {
    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the scope was cancelled {}", self.0)
    }
}

impl std::error::Error for Cancelled {}
