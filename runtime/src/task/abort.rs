//! A handle that ends a task without awaiting it.

use crate::scope::Reason;
use crate::task::raw::TaskRef;
use crate::task::{Id, join};

/// Cancels or aborts a task from anywhere; see [`JoinHandle::abort_handle`](super::JoinHandle).
#[derive(Debug)]
pub struct AbortHandle {
    task: TaskRef,
}

impl AbortHandle {
    pub(crate) fn new(task: TaskRef) -> Self {
        task.header().state.add_reference();
        Self { task }
    }

    /// As [`JoinHandle::cancel`](super::JoinHandle::cancel).
    pub fn cancel(&self) -> bool {
        self.task.cancel(Reason::Explicit)
    }

    /// As [`JoinHandle::abort`](super::JoinHandle::abort).
    pub fn abort(&self) {
        join::abort(self.task);
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.task.header().id
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        Self::new(self.task)
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        self.task.drop_reference();
    }
}
