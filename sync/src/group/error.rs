//! Why a group has no value.

use std::any::Any;
use std::fmt;

/// Everything that went wrong in a task group (asyncio: `ExceptionGroup`).
pub struct GroupError<E> {
    pub(super) errors: Vec<E>,
    pub(super) panics: Vec<Box<dyn Any + Send>>,
    pub(super) cancelled: bool,
}

impl<E> GroupError<E> {
    /// The errors of the tasks in the order in which they came, the one of the body last.
    #[must_use]
    pub fn errors(&self) -> &[E] {
        &self.errors
    }

    /// The errors, owned.
    #[must_use]
    pub fn into_errors(self) -> Vec<E> {
        self.errors
    }

    /// How many tasks panicked.
    #[must_use]
    pub fn panics(&self) -> usize {
        self.panics.len()
    }

    /// The payloads of the panics, for `std::panic::resume_unwind`.
    #[must_use]
    pub fn into_panics(self) -> Vec<Box<dyn Any + Send>> {
        self.panics
    }

    /// Whether nothing failed, but the group was cancelled by [`TaskGroup::cancel`](super::TaskGroup).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cancelled {
            return f.write_str("the task group was cancelled");
        }
        write!(f, "{} failed in a task group", self.errors.len())?;
        if !self.panics.is_empty() {
            write!(f, ", {} panicked", self.panics.len())?;
        }
        let mut separator = ": ";
        for error in &self.errors {
            write!(f, "{separator}{error}")?;
            separator = "; ";
        }
        Ok(())
    }
}

impl<E: fmt::Debug> fmt::Debug for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupError")
            .field("errors", &self.errors)
            .field("panics", &self.panics.len())
            .field("cancelled", &self.cancelled)
            .finish()
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for GroupError<E> {}
