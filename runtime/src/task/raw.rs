//! The untyped part of a task: what schedulers and wakers know of it.
//!
//! # Who may touch which field when
//!
//! | field | who |
//! |---|---|
//! | `state` | anybody, through its verbs |
//! | `vtable`, `runtime`, `id`, `name`, `pinned` | anybody; written once, before the task is shared |
//! | `owner` | written by the worker that links the task, while the task runs; read by whoever runs or ends it later, and fixed from birth for pinned tasks |
//! | `links` | the owner's thread; while there is none, the holder of the owner's `absence` lock |
//! | `join_waker` | by the `JOIN_WAKER` bit, see `state` |
//! | the stage (in `cell`) | whoever runs the task; after `COMPLETE` the `JoinHandle`, or the completing worker if there is none |

#![expect(unsafe_code, reason = "one allocation shared by counted references")]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use crate::primitives::UnsafeCell;
use crate::scheduler::shared::Shared;
use crate::task::Id;
use crate::task::state::State;

/// The owner of a task that no worker has linked.
pub(crate) const NO_OWNER: u32 = u32::MAX;

/// What the type of a task's future is needed for.
#[derive(Debug)]
pub(crate) struct Vtable {
    /// Polls or cancels a scheduled task.
    pub(crate) run: unsafe fn(TaskRef) -> Outcome,
    /// Moves the output of a complete task to the `Option<Result<T, JoinError>>` pointed to.
    pub(crate) take_output: unsafe fn(TaskRef, *mut ()),
    /// Drops the output of a complete task.
    pub(crate) drop_output: unsafe fn(TaskRef),
    /// Frees the allocation; the stage is spent.
    pub(crate) free: unsafe fn(TaskRef),
}

/// What running a task led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outcome {
    /// Nothing to do; the task may be running elsewhere by now.
    Idle,
    /// The task was woken while it ran: queue it.
    Reschedule,
    /// The task is complete; the reference of the runtime is to be dropped.
    Complete,
}

/// Neighbours in the owner's list.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) previous: Cell<Option<TaskRef>>,
    pub(crate) next: Cell<Option<TaskRef>>,
}

/// The head of every task's allocation.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) state: State,
    pub(crate) vtable: &'static Vtable,
    /// The runtime, which outlives every task that is not complete.
    pub(crate) runtime: NonNull<Shared>,
    pub(crate) id: Id,
    pub(crate) owner: AtomicU32,
    pub(crate) pinned: bool,
    pub(crate) links: Links,
    pub(crate) join_waker: UnsafeCell<Option<Waker>>,
    pub(crate) name: Option<Arc<str>>,
}

/// A pointer to a task. It counts no reference by itself: each use says what keeps the task alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: a task is made to be used from several threads; the table above says how.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    pub(crate) fn from_header(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(crate) fn as_ptr(self) -> NonNull<Header> {
        self.0
    }

    /// The task's header, for as long as the caller's reason for the task to be alive holds.
    #[inline(always)]
    pub(crate) fn header<'a>(self) -> &'a Header {
        // SAFETY: whoever holds a `TaskRef` knows of a reference that keeps the allocation: a queue or
        // list holds it before completion, a waker or join handle counts its own.
        unsafe { self.0.as_ref() }
    }

    /// The runtime the task belongs to.
    ///
    /// # Safety
    ///
    /// The task is not complete, and cannot become so during `'a`: the caller runs it, or is the one
    /// who has to queue it.
    #[inline(always)]
    pub(crate) unsafe fn runtime<'a>(self) -> &'a Shared {
        // SAFETY: the runtime waits for its tasks to complete before it is freed, or is leaked.
        unsafe { self.header().runtime.as_ref() }
    }

    pub(crate) fn owner(self) -> u32 {
        self.header().owner.load(Ordering::Relaxed)
    }

    /// Polls a task taken from a queue, or drops its future if it was cancelled.
    #[inline]
    pub(crate) fn run(self) -> Outcome {
        // SAFETY: the vtable is that of this task, and the task came from a queue: it is scheduled,
        // and nobody else runs it.
        unsafe { (self.header().vtable.run)(self) }
    }

    /// Drops one counted reference, and the task with the last one.
    #[inline]
    pub(crate) fn drop_reference(self) {
        if self.header().state.drop_reference() {
            self.free();
        }
    }

    pub(crate) fn free(self) {
        // SAFETY: the last reference is gone, and tasks are complete before that.
        unsafe { (self.header().vtable.free)(self) };
    }
}
