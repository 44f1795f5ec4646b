//! The typed part of a task: its future, later its output.

#![expect(unsafe_code, reason = "the stage belongs to whoever runs the task")]

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll};

use crate::context;
use crate::primitives::UnsafeCell;
use crate::scheduler::shared::Shared;
use crate::task::raw::{Header, Links, Outcome, TaskRef, Vtable};
use crate::task::state::{FinishPoll, StartPoll, State};
use crate::task::{Id, JoinError, waker};

/// What a task holds over its life.
enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Spent,
}

/// A task: one allocation.
#[repr(C)]
struct Cell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// How a task is to be born.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) id: Id,
    pub(crate) name: Option<Arc<str>>,
    /// The worker a pinned task belongs to.
    pub(crate) pinned_to: Option<u32>,
}

/// Allocates a task for `future`. It is born scheduled: the caller queues it, and makes the one
/// `JoinHandle` it counts.
///
/// # Safety
///
/// `future` is `Send`, or pinned to a worker on whose thread this is called.
pub(crate) unsafe fn allocate<F: Future>(
    runtime: NonNull<Shared>,
    birth: Birth,
    future: F,
) -> TaskRef {
    crate::trace::task_spawned(&birth);
    let cell = Box::new(Cell {
        header: Header {
            state: State::new(),
            vtable: &Typed::<F>::VTABLE,
            runtime,
            id: birth.id,
            owner: AtomicU32::new(birth.pinned_to.unwrap_or(super::raw::NO_OWNER)),
            pinned: birth.pinned_to.is_some(),
            links: Links::default(),
            join_waker: UnsafeCell::new(None),
            name: birth.name,
        },
        stage: UnsafeCell::new(Stage::Future(future)),
    });
    TaskRef::from_header(NonNull::from(Box::leak(cell)).cast())
}

/// Bytes that a task with future `F` takes.
#[cfg(test)]
pub(crate) const fn size_of_task<F: Future>(_: &F) -> usize {
    size_of::<Cell<F>>()
}

/// Lets a destructor's panic, caught by `set_stage`, go no further.
fn contained(outcome: std::thread::Result<()>) {
    crate::panics::contain("destructor", || {
        if let Err(payload) = outcome {
            std::panic::resume_unwind(payload);
        }
    });
}

struct Typed<F>(F);

impl<F: Future> Typed<F> {
    const VTABLE: Vtable = Vtable {
        run: Self::run,
        take_output: Self::take_output,
        drop_output: Self::drop_output,
        free: Self::free,
    };

    fn cell<'a>(task: TaskRef) -> &'a Cell<F> {
        // SAFETY: this vtable is only put into a `Cell<F>`, which the caller's reference keeps alive.
        unsafe { task.as_ptr().cast::<Cell<F>>().as_ref() }
    }

    /// Replaces the stage, dropping the old one. A panic of the old one's destructor is returned.
    fn set_stage(task: TaskRef, stage: Stage<F>) -> std::thread::Result<()> {
        let place = Self::cell(task).stage.with_mut(|place| place);
        // SAFETY: the caller owns the stage (see the table in `raw`).
        let old = catch_unwind(AssertUnwindSafe(|| unsafe {
            std::ptr::drop_in_place(place)
        }));
        // SAFETY: the old stage has been dropped (a panic in a destructor still drops the rest).
        unsafe { place.write(stage) };
        old
    }

    fn poll_future(task: TaskRef) -> std::thread::Result<Poll<F::Output>> {
        // SAFETY: the waker borrows the reference that keeps the task while it runs, and is not
        // dropped.
        let waker = ManuallyDrop::new(unsafe { waker::borrowed(task) });
        let mut cx = Context::from_waker(&waker);
        let place = Self::cell(task).stage.with_mut(|place| place);
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the worker that runs the task owns the stage.
            let Stage::Future(future) = (unsafe { &mut *place }) else {
                unreachable!("a scheduled task holds its future")
            };
            // SAFETY: the future stays in its allocation until it is dropped in place.
            let future = unsafe { Pin::new_unchecked(future) };
            future.poll(&mut cx)
        }))
    }

    unsafe fn run(task: TaskRef) -> Outcome {
        let id = task.header().id;
        let output = match task.header().state.start_poll() {
            StartPoll::Poll => match Self::poll_future(task) {
                Ok(Poll::Pending) => {
                    context::link_current(task);
                    return match task.header().state.finish_poll() {
                        FinishPoll::Idle => Outcome::Idle,
                        FinishPoll::Reschedule => Outcome::Reschedule,
                    };
                }
                Ok(Poll::Ready(output)) => Ok(output),
                Err(payload) => Err(JoinError::panicked(id, payload)),
            },
            StartPoll::Cancel { aborted } => match Self::set_stage(task, Stage::Spent) {
                Ok(()) => Err(JoinError::cancelled(id, aborted)),
                Err(payload) => Err(JoinError::panicked(id, payload)),
            },
        };
        Self::finish(task, output);
        Outcome::Complete
    }

    fn finish(task: TaskRef, output: Result<F::Output, JoinError>) {
        if let Err(payload) = Self::set_stage(task, Stage::Output(output)) {
            // The future's destructor panicked after its last poll: that is what the joiner learns.
            let error = Err(JoinError::panicked(task.header().id, payload));
            contained(Self::set_stage(task, Stage::Output(error)));
        }
        #[cfg(feature = "tracing")]
        Self::report(task);
        let completed = task.header().state.complete();
        if completed.drop_output {
            // Nobody will ever see the output; a panic of its destructor has nobody to go to.
            contained(Self::set_stage(task, Stage::Spent));
        }
        if completed.wake_joiner {
            super::join::wake_joiner(task);
        }
    }

    /// Emits the event of a task's end, before anybody else can learn of it.
    #[cfg(feature = "tracing")]
    fn report(task: TaskRef) {
        let place = Self::cell(task).stage.with(|place| place);
        // SAFETY: the task runs still, so the stage belongs to this worker and stays as it is.
        if let Stage::Output(output) = unsafe { &*place } {
            crate::trace::task_ended(task.header(), output.as_ref().err());
        }
    }

    unsafe fn take_output(task: TaskRef, to: *mut ()) {
        let place = Self::cell(task).stage.with_mut(|place| place);
        // SAFETY: the task is complete, so the stage belongs to the `JoinHandle`.
        let stage = unsafe { std::ptr::replace(place, Stage::Spent) };
        let Stage::Output(output) = stage else {
            panic!("a JoinHandle was polled after it had completed")
        };
        // SAFETY: the `JoinHandle` passes a pointer to an `Option` of this type.
        unsafe { *to.cast::<Option<Result<F::Output, JoinError>>>() = Some(output) };
    }

    unsafe fn drop_output(task: TaskRef) {
        contained(Self::set_stage(task, Stage::Spent));
    }

    unsafe fn free(task: TaskRef) {
        let cell = task.as_ptr().cast::<Cell<F>>().as_ptr();
        // SAFETY: the cell was leaked by `allocate`, and the last reference is gone.
        drop(unsafe { Box::from_raw(cell) });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #[test]
    fn an_empty_task_leaves_room_for_its_scope() {
        // The budget of a spawned empty task is 192 bytes; a third is kept for the root scope.
        assert!(
            super::size_of_task(&async {}) <= 128,
            "{}",
            super::size_of_task(&async {})
        );
    }
}
