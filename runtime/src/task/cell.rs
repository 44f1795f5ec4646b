//! The typed part of a task: its future, later its output.

#![expect(unsafe_code, reason = "the stage belongs to whoever runs the task")]

use std::cell::Cell as StdCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use crate::context;
use crate::memory;
use crate::primitives::UnsafeCell;
use crate::scheduler::shared::Shared;
use crate::scope::drive::{Body, Unwinding, drive};
use crate::scope::flags::Kind;
use crate::scope::node::Node;
use crate::scope::{Exit, Reason, age, current};
use crate::task::raw::{Extras, Header, Links, NO_OWNER, Outcome, TaskRef, Vtable};
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
    /// What a task that is cancelled, or has adopted cleanups, needs.
    unwinding: UnsafeCell<Option<Box<Unwinding<F::Output>>>>,
    stage: UnsafeCell<Stage<F>>,
}

/// How a task is to be born.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) id: Id,
    pub(crate) name: Option<Arc<str>>,
    /// The worker a pinned task belongs to.
    pub(crate) pinned_to: Option<u32>,
    /// A closure on the blocking pool.
    pub(crate) blocking: bool,
}

/// Allocates a task for `future`. Its first turn is due: the caller queues it, and makes the one
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
    // Before there is memory, since this may run foreign code, and panic.
    let extras = Extras::new(birth.name);
    let special = extras
        .as_ref()
        .is_some_and(|extras| extras.locals().is_some());
    let place = memory::allocate::<Cell<F>>();
    let cell = Cell {
        header: Header {
            state: State::new(),
            vtable: &Typed::<F>::VTABLE,
            runtime,
            id: birth.id,
            owner: AtomicU32::new(birth.pinned_to.unwrap_or(NO_OWNER)),
            born: AtomicU32::new(0),
            pinned: birth.pinned_to.is_some(),
            blocking: birth.blocking,
            started: StdCell::new(false),
            special: StdCell::new(special),
            // Its first turn is as one after another.
            gives_way: StdCell::new(true),
            links: Links::default(),
            join_waker: UnsafeCell::new(None),
            extras,
            scope: Node::new(Kind::Root),
        },
        unwinding: UnsafeCell::new(None),
        stage: UnsafeCell::new(Stage::Future(future)),
    };
    // SAFETY: the memory is for a cell, and nobody else's.
    unsafe { place.write(cell) };
    TaskRef::from_header(place.cast())
}

/// Bytes that a task with future `F` takes.
#[cfg(all(test, not(loom)))]
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

/// The future of a task, for `drive`.
struct TaskBody<F>(TaskRef, std::marker::PhantomData<fn(F)>);

impl<F: Future> Body for TaskBody<F> {
    type Output = F::Output;

    fn is_there(&self) -> bool {
        let place = Typed::<F>::cell(self.0).stage.with(|place| place);
        // SAFETY: whoever drives the body runs the task, and owns the stage.
        matches!(unsafe { &*place }, Stage::Future(_))
    }

    fn may_begin(&self) -> bool {
        // A task that is cancelled before it began never begins.
        self.0.header().started.get()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> std::thread::Result<Poll<F::Output>> {
        Typed::<F>::poll_future(self.0, cx)
    }

    fn drop(&mut self) -> std::thread::Result<()> {
        Typed::<F>::set_stage(self.0, Stage::Spent)
    }
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

    fn poll_future(task: TaskRef, cx: &mut Context<'_>) -> std::thread::Result<Poll<F::Output>> {
        let place = Self::cell(task).stage.with_mut(|place| place);
        catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the worker that runs the task owns the stage.
            let Stage::Future(future) = (unsafe { &mut *place }) else {
                unreachable!("a scheduled task holds its future")
            };
            // SAFETY: the future stays in its allocation until it is dropped in place.
            let future = unsafe { Pin::new_unchecked(future) };
            future.poll(cx)
        }))
    }

    unsafe fn run(task: TaskRef) -> Outcome {
        let start = if task.header().gives_way.replace(false) {
            task.header().state.resume()
        } else {
            task.header().state.start_poll()
        };
        let scope = task.scope();
        let _entered = current::enter(&scope);
        if start == StartPoll::Abort {
            return Self::abort(task);
        }
        // SAFETY: the waker borrows the reference that keeps the task while it runs, and is not
        // dropped.
        let waker = ManuallyDrop::new(unsafe { waker::borrowed(task) });
        let mut cx = Context::from_waker(&waker);
        if task.header().scope.flags.get().needs_care() || task.header().special.get() {
            return Self::run_specially(task, &mut cx);
        }
        let exit = match Self::poll_future(task, &mut cx) {
            Ok(Poll::Pending) => return Self::pause(task),
            Ok(Poll::Ready(output)) => Exit::Value(output),
            Err(payload) => Exit::Panicked(payload),
        };
        if !task.header().scope.flags.get().is_touched() {
            return Self::finish(task, exit);
        }
        Self::unwind(task, Some(exit), &mut cx)
    }

    /// One poll of a task whose scope needs care, or which has inherited values.
    #[cold]
    fn run_specially(task: TaskRef, cx: &mut Context<'_>) -> Outcome {
        let Some(locals) = task.header().locals() else {
            return Self::unwind(task, None, cx);
        };
        if let Err(payload) = locals.enter() {
            return Self::unwind(task, Some(Exit::Panicked(payload)), cx);
        }
        let place = Self::cell(task).unwinding.with(|place| place);
        // SAFETY: it belongs to the worker that runs the task.
        let unwinds = unsafe { &*place }.is_some();
        if unwinds || task.header().scope.flags.get().needs_care() {
            return Self::unwind(task, None, cx);
        }
        let mut exit = match Self::poll_future(task, cx) {
            Ok(Poll::Pending) => {
                locals.leave();
                return Self::pause(task);
            }
            Ok(Poll::Ready(output)) => Exit::Value(output),
            Err(payload) => Exit::Panicked(payload),
        };
        if task.header().scope.flags.get().is_touched() {
            return Self::unwind(task, Some(exit), cx);
        }
        // The future is dropped while it has its values, and these before anybody learns of the end.
        match Self::set_stage(task, Stage::Spent) {
            // Of two panics the first one counts.
            Err(payload) if !matches!(exit, Exit::Panicked(_)) => exit = Exit::Panicked(payload),
            dropped => contained(dropped),
        }
        locals.end();
        Self::finish(task, exit)
    }

    /// After a poll that was pending.
    #[inline]
    fn pause(task: TaskRef) -> Outcome {
        if !task.header().started.replace(true) {
            // Relaxed: it is only ever shown.
            task.header().born.store(age::now(), Ordering::Relaxed);
            if !task.header().blocking {
                context::link_current(task);
            }
        }
        if task.header().gives_way.get() {
            return Outcome::Reschedule;
        }
        match task.header().state.finish_poll() {
            FinishPoll::Idle => Outcome::Idle,
            FinishPoll::Reschedule => Outcome::Reschedule,
        }
    }

    /// One poll of a task whose scope needs care, or has others below it when the future is done. What it
    /// has inherited is in its place.
    #[cold]
    fn unwind(task: TaskRef, exit: Option<Exit<F::Output>>, cx: &mut Context<'_>) -> Outcome {
        task.header().special.set(true);
        let place = Self::cell(task).unwinding.with_mut(|place| place);
        // SAFETY: it belongs to the worker that runs the task, and nothing below reaches it again.
        let unwinding = unsafe { &mut *place }.get_or_insert_default();
        let mut body = TaskBody::<F>(task, std::marker::PhantomData);
        if let Some(exit) = exit {
            unwinding.end_body(&mut body, exit);
        }
        unwinding.begin(&task.scope());
        match drive(&task.scope(), unwinding, &mut body, cx) {
            Poll::Pending => {
                if let Some(locals) = task.header().locals() {
                    locals.leave();
                }
                Self::pause(task)
            }
            Poll::Ready(exit) => {
                // SAFETY: as above; the borrow has ended.
                drop(unsafe { &mut *place }.take());
                if let Some(locals) = task.header().locals() {
                    locals.end();
                }
                Self::finish(task, exit)
            }
        }
    }

    /// Drops the future as it is.
    #[cold]
    fn abort(task: TaskRef) -> Outcome {
        if let Some(locals) = task.header().locals() {
            // Destructors do without what cannot be had.
            drop(locals.enter());
        }
        let place = Self::cell(task).unwinding.with_mut(|place| place);
        let dropped = Self::set_stage(task, Stage::Spent);
        // What it had adopted finds the scope aborted, and is skipped.
        // SAFETY: it belongs to the worker that runs the task.
        let unwinding = unsafe { &mut *place }.take();
        contained(catch_unwind(AssertUnwindSafe(|| drop(unwinding))));
        task.scope().close_skipping();
        if let Some(locals) = task.header().locals() {
            locals.end();
        }
        let id = task.header().id;
        let error = match dropped {
            Ok(()) if !task.header().started.get() => match task.scope().reason() {
                // It never began, so nothing was skipped.
                Some(Reason::Shutdown) => JoinError::cancelled(id, Reason::Shutdown),
                _ => JoinError::aborted(id),
            },
            Ok(()) => JoinError::aborted(id),
            Err(payload) => JoinError::panicked(id, payload),
        };
        Self::complete(task, Err(error))
    }

    fn finish(task: TaskRef, exit: Exit<F::Output>) -> Outcome {
        let id = task.header().id;
        Self::complete(
            task,
            match exit {
                Exit::Value(output) => Ok(output),
                Exit::Cancelled(reason) => Err(JoinError::cancelled(id, reason)),
                Exit::Panicked(payload) => Err(JoinError::panicked(id, payload)),
            },
        )
    }

    fn complete(task: TaskRef, output: Result<F::Output, JoinError>) -> Outcome {
        if let Err(payload) = Self::set_stage(task, Stage::Output(output)) {
            // The future's destructor panicked after its last poll: that is what the joiner learns.
            let error = Err(JoinError::panicked(task.header().id, payload));
            contained(Self::set_stage(task, Stage::Output(error)));
        }
        #[cfg(feature = "tracing")]
        Self::report(task);
        // One step less for a task that is in nobody's list.
        if task.owner() == NO_OWNER && task.header().state.complete_and_leave() {
            return Outcome::Gone;
        }
        let completed = task.header().state.complete();
        if completed.drop_output {
            // Nobody will ever see the output; a panic of its destructor has nobody to go to.
            contained(Self::set_stage(task, Stage::Spent));
        }
        if completed.wake_joiner {
            super::join::wake_joiner(task);
        }
        Outcome::Complete
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
        let Stage::Output(mut output) = stage else {
            panic!("a JoinHandle was polled after it had completed")
        };
        if let Err(error) = &mut output {
            error.note_seen();
        }
        // SAFETY: the `JoinHandle` passes a pointer to an `Option` of this type.
        unsafe { *to.cast::<Option<Result<F::Output, JoinError>>>() = Some(output) };
    }

    unsafe fn drop_output(task: TaskRef) {
        contained(Self::set_stage(task, Stage::Spent));
    }

    unsafe fn free(task: TaskRef) {
        let cell = task.as_ptr().cast::<Cell<F>>();
        if !task.header().is_bare() {
            // SAFETY: the last reference is gone.
            unsafe { cell.drop_in_place() };
        }
        // SAFETY: it comes from `allocate`, and nothing is left in it.
        unsafe { memory::deallocate(cell) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #[test]
    fn an_empty_task_takes_192_bytes() {
        let size = super::size_of_task(&async {});
        assert!(size <= 192, "{size}");
    }
}
