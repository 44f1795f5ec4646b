//! The untyped part of a task: what schedulers and wakers know of it.
//!
//! # Who may touch which field when
//!
//! | field | who |
//! |---|---|
//! | `state` | anybody, through its verbs |
//! | `vtable`, `runtime`, `id`, `extras`, `pinned`, `blocking` | anybody; written once, before the task is shared |
//! | `scope` | see `scope/node` |
//! | `born` | written by whoever runs the task, when it is linked; read by anybody |
//! | `started`, `special`, `gives_way` | whoever runs the task |
//! | `owner` | written by the worker that links the task, while the task runs; read by whoever runs or ends it later, and fixed from birth for pinned tasks |
//! | `links` | the owner's thread; while there is none, the holder of the owner's `absence` lock |
//! | `join_waker` | by the `JOIN_WAKER` bit, see `state` |
//! | `unwinding` (in `cell`) | whoever runs the task |
//! | the stage (in `cell`) | whoever runs the task; after `COMPLETE` the `JoinHandle`, or the completing worker if there is none |

#![expect(unsafe_code, reason = "one allocation shared by counted references")]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use crate::primitives::UnsafeCell;
use crate::scheduler::shared::Shared;
use crate::scope::Reason;
use crate::scope::node::{Node, NodeRef};
use crate::task::Id;
use crate::task::inherit::{Inherited, Locals};
use crate::task::state::{State, Wake};

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
    /// The task is complete, and may be freed already.
    Gone,
}

/// Neighbours in the owner's list.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) previous: Cell<Option<TaskRef>>,
    pub(crate) next: Cell<Option<TaskRef>>,
}

/// What few tasks have.
#[derive(Debug)]
pub(crate) struct Extras {
    name: Option<Arc<str>>,
    locals: Option<Locals>,
}

impl Extras {
    /// For a task of this name that is spawned here. None, if there is nothing.
    #[inline]
    pub(crate) fn new(name: Option<Arc<str>>) -> Option<Box<Self>> {
        if name.is_none() && !Inherited::is_any() {
            return None;
        }
        Some(Self::boxed(name))
    }

    pub(crate) fn locals(&self) -> Option<&Locals> {
        self.locals.as_ref()
    }

    #[cold]
    fn boxed(name: Option<Arc<str>>) -> Box<Self> {
        let locals = Inherited::capture().map(Locals::new);
        Box::new(Self { name, locals })
    }
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
    /// When its first poll was over, see `scope/age`: before that nobody asks, and spawning looks at no
    /// clock.
    pub(crate) born: AtomicU32,
    pub(crate) pinned: bool,
    /// A closure on the blocking pool.
    pub(crate) blocking: bool,
    /// Its first poll was pending.
    pub(crate) started: Cell<bool>,
    /// A poll takes more than a poll: its scope has needed care, so `unwinding` knows how far it is, or it
    /// has inherited task-local values.
    pub(crate) special: Cell<bool>,
    /// It is queued, or will be when its poll ends, without anybody's wake: see `state`.
    pub(crate) gives_way: Cell<bool>,
    pub(crate) links: Links,
    pub(crate) join_waker: UnsafeCell<Option<Waker>>,
    pub(crate) extras: Option<Box<Extras>>,
    /// The root of the task's scopes.
    pub(crate) scope: Node,
}

impl Header {
    /// Whether dropping it would do nothing: true of most tasks. The caller holds the last reference, and
    /// neither a join waker nor a stage is left.
    #[inline]
    pub(crate) fn is_bare(&self) -> bool {
        self.extras.is_none() && !self.special.get() && self.scope.is_bare()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.extras.as_ref()?.name.as_deref()
    }

    /// The task-local values that it has inherited.
    pub(crate) fn locals(&self) -> Option<&Locals> {
        self.extras.as_ref()?.locals()
    }
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

    /// The root of the task's scopes.
    #[inline(always)]
    pub(crate) fn scope_ptr(self) -> NonNull<Node> {
        // SAFETY: the field lies within the allocation, to the whole of which the pointer is.
        unsafe { self.0.byte_add(std::mem::offset_of!(Header, scope)) }.cast()
    }

    /// The task whose root `scope` is.
    ///
    /// # Safety
    ///
    /// `scope` comes from [`scope_ptr`](Self::scope_ptr), whose pointer is one to the whole allocation.
    pub(crate) unsafe fn of_scope(scope: NonNull<Node>) -> Self {
        // SAFETY: by the contract, that is where the header begins.
        Self(unsafe { scope.byte_sub(std::mem::offset_of!(Header, scope)) }.cast())
    }

    /// The root scope, as long as the caller's reason for the task to be alive holds.
    #[inline(always)]
    pub(crate) fn scope(self) -> std::mem::ManuallyDrop<NodeRef> {
        // SAFETY: whoever holds a `TaskRef` knows what keeps the task, see `header`.
        unsafe { NodeRef::borrowed(self.scope_ptr()) }
    }

    /// Asks the task to unwind. Returns whether this was the first request on a live task.
    pub(crate) fn cancel(self, reason: Reason) -> bool {
        !self.header().state.is_complete() && self.scope().cancel(reason)
    }

    /// Ends a closure on the blocking pool that was cancelled or aborted, if no thread has begun it. Its entry
    /// in the pool's queue stays, and is passed over.
    #[cold]
    pub(crate) fn withdraw(self) {
        // Of the entry.
        self.header().state.add_reference();
        if self.header().state.claim() {
            let outcome = self.run();
            let ended = self.release_if_complete(outcome);
            debug_assert!(ended, "what is cancelled before it began ends at once");
        } else {
            self.drop_reference();
        }
    }

    /// Has the task's future dropped as it is. Returns whether this was the first request on a live task,
    /// and whether the caller has to queue it.
    pub(crate) fn abort(self) -> (bool, Wake) {
        // Before the state, so that whoever drops the future finds the mark.
        self.header().scope.flags.abort();
        self.header().state.abort()
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

    /// After a run outside the workers: gives the runtime's reference back if the task is complete, and says
    /// whether it is.
    pub(crate) fn release_if_complete(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Complete => self.drop_reference(),
            Outcome::Gone => {}
            Outcome::Idle | Outcome::Reschedule => return false,
        }
        true
    }

    /// Drops one counted reference, and the task with the last one.
    #[inline]
    pub(crate) fn drop_reference(self) {
        if self.header().state.drop_reference() {
            self.free();
        }
    }

    pub(crate) fn free(self) {
        drop(self.free_below());
    }

    /// Frees the task, and returns the scope that it was below.
    pub(crate) fn free_below(self) -> Option<NodeRef> {
        let parent = self.header().scope.give_up_parent();
        // SAFETY: the last reference is gone, and tasks are complete before that.
        unsafe { (self.header().vtable.free)(self) };
        parent
    }
}
