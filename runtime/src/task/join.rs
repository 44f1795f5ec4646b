//! The handle to a task's output.

#![expect(
    unsafe_code,
    reason = "the join waker cell changes hands by a bit of the state"
)]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use crate::panics;
use crate::scheduler;
use crate::scope::{Leaf, LeafToken, Reason, cancel_requested};
use crate::task::raw::TaskRef;
use crate::task::state::Wake;
use crate::task::{AbortHandle, CancelOnDrop, Id, JoinError};

/// Awaits a spawned task: `Ok` with its value, or a [`JoinError`] when it was cancelled, aborted or
/// panicked.
///
/// Dropping the handle detaches the task, which keeps running (asyncio: `Task`; tokio: `JoinHandle`).
///
/// # Cancel safety
///
/// Dropping a `JoinHandle` or a future that awaits `&mut` of one never disturbs the task; awaiting it
/// again later works.
///
/// # Panics
///
/// When polled again after it has returned the output.
///
/// # Examples
///
/// ```
/// heist_runtime::block_on(async {
///     let task = heist_runtime::spawn(async { 6 * 7 });
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
pub struct JoinHandle<T> {
    task: TaskRef,
    leaf: Leaf,
    progress: Progress,
    /// Whether a cancelled scope waits for the task, a closure on the blocking pool: one that has not begun
    /// is withdrawn, and one that has is waited for. Otherwise the task goes on without the scope.
    holds: bool,
    token: Option<Box<LeafToken>>,
    output: PhantomData<fn() -> T>,
}

/// How far a handle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    New,
    Polled,
    /// It has returned the output.
    Done,
    /// The scope was cancelled, and with it a closure that had not begun: there is no output to return.
    Withdrawn,
}

// SAFETY: the handle moves the output to its own thread, so the output must be `Send`; everything else
// it touches is made for several threads.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: as above; `&JoinHandle` gives no access to the output.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// Takes over the reference and the join interest a task is born with.
    #[track_caller]
    pub(crate) fn new(task: TaskRef) -> Self {
        Self {
            task,
            leaf: Leaf::here(),
            progress: Progress::New,
            holds: task.header().blocking,
            token: None,
            output: PhantomData,
        }
    }

    /// Asks the task to unwind: its scopes end from the innermost outwards, each after its cleanup, and
    /// awaiting the handle gives a [`JoinError`] with `is_cancelled`. A task that completes first keeps its
    /// value; one that had not begun never begins.
    ///
    /// Returns whether this was the first request on a task that had not completed (asyncio:
    /// `Task.cancel`).
    pub fn cancel(&self) -> bool {
        self.task.cancel(Reason::Explicit)
    }

    /// Cancels the task and waits until it has unwound. What it returns is as when the handle is awaited.
    ///
    /// # Errors
    ///
    /// A [`JoinError`], as a rule with `is_cancelled`.
    ///
    /// # Cancel safety
    ///
    /// The task stays cancelled when the future is dropped.
    #[track_caller]
    pub fn cancel_and_join(self) -> Self {
        self.cancel();
        self
    }

    /// Ends the task as soon as its current poll returns, without regard for cleanup. Cleanup that awaits
    /// is skipped, and counted; prefer [`cancel`](Self::cancel).
    pub fn abort(&self) {
        abort(self.task);
    }

    /// A handle that cancels the task when it is dropped, instead of detaching it.
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop::new(self)
    }

    /// For a closure on the blocking pool: a scope that awaits it and is cancelled does not wait for it any
    /// more, so the closure may go on after everything around it is gone. By default the scope waits.
    #[must_use]
    pub fn abandon_on_cancel(mut self) -> Self {
        self.holds = false;
        self
    }

    /// A handle that can cancel or abort the task and nothing else.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(self.task)
    }

    /// Whether the task has completed, was cancelled, or has panicked.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.task.header().id
    }

    /// The task's name, if it was spawned with one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.task.header().name()
    }
}

/// Aborts `task`, which the caller's reference keeps.
pub(crate) fn abort(task: TaskRef) {
    let (_first, wake) = task.abort();
    if wake == Wake::Schedule {
        scheduler::schedule(task);
    } else if task.header().blocking {
        task.withdraw();
    }
}

fn with_join_waker<R>(task: TaskRef, f: impl FnOnce(&mut Option<Waker>) -> R) -> R {
    // SAFETY: callers own the cell: the joiner while `JOIN_WAKER` is clear and the task not complete,
    // or whoever the state's verbs named.
    task.header()
        .join_waker
        .with_mut(|cell| f(unsafe { &mut *cell }))
}

/// Completing worker: calls the join waker that [`complete`](super::state::State::complete) handed over.
pub(crate) fn wake_joiner(task: TaskRef) {
    task.header().join_waker.with(|cell| {
        // SAFETY: `JOIN_WAKER` was set on completion: the cell is read only, by this worker.
        if let Some(waker) = unsafe { &*cell } {
            crate::context::waking_to_back(|| panics::contain("waker", || waker.wake_by_ref()));
        }
    });
    if task.header().state.release_join_waker() {
        panics::contain("destructor", || {
            with_join_waker(task, |waker| drop(waker.take()))
        });
    }
}

impl<T> JoinHandle<T> {
    /// Whether `waker` will be called on completion; `false` when the task has completed.
    fn register(&self, waker: &Waker) -> bool {
        let state = &self.task.header().state;
        if state.has_join_waker() {
            let same = self.task.header().join_waker.with(|cell| {
                // SAFETY: with `JOIN_WAKER` set, the cell is only read, here and by the completing
                // worker.
                unsafe { &*cell }
                    .as_ref()
                    .is_some_and(|old| old.will_wake(waker))
            });
            if same {
                return !state.is_complete();
            }
            if !state.retract_join_waker() {
                return false;
            }
        }
        with_join_waker(self.task, |cell| *cell = Some(waker.clone()));
        state.publish_join_waker()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.progress == Progress::New {
            ready!(self.leaf.start());
            self.progress = Progress::Polled;
        }
        if self.progress == Progress::Withdrawn {
            return self.leaf.pending();
        }
        let state = &self.task.header().state;
        if !state.is_complete() && self.register(cx.waker()) {
            if cancel_requested() {
                self.meet_cancellation();
            }
            return self.leaf.pending();
        }
        let mut output: Option<Self::Output> = None;
        let to = std::ptr::from_mut(&mut output).cast();
        // SAFETY: complete; `T` is the output type the task was spawned with.
        unsafe { (self.task.header().vtable.take_output)(self.task, to) };
        let output = output.expect("a complete task has an output");
        self.progress = Progress::Done;
        if self.token.is_some() && self.was_withdrawn(&output) {
            self.progress = Progress::Withdrawn;
            return self.leaf.pending();
        }
        Poll::Ready(output)
    }
}

impl<T> JoinHandle<T> {
    /// In a cancelled scope, pending.
    #[cold]
    fn meet_cancellation(&mut self) {
        if self.holds {
            let token = self.token.get_or_insert_with(|| {
                self.task.cancel(Reason::Explicit);
                Box::default()
            });
            token.hold();
        }
    }

    /// Whether `output` is an error that [`meet_cancellation`](Self::meet_cancellation) has brought about.
    #[cold]
    fn was_withdrawn(&mut self, output: &Result<T, JoinError>) -> bool {
        let withdrawn = self.token.take().is_some();
        withdrawn && cancel_requested() && output.as_ref().is_err_and(JoinError::is_cancelled)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.progress == Progress::Done && self.task.header().state.is_left_to_caller() {
            with_join_waker(self.task, |waker| drop(waker.take()));
            self.task.free();
            return;
        }
        let detached = self.task.header().state.detach();
        if detached.drop_output {
            // SAFETY: complete, and the interest that owned the output is gone.
            unsafe { (self.task.header().vtable.drop_output)(self.task) };
        }
        if detached.drop_waker {
            with_join_waker(self.task, |waker| drop(waker.take()));
        }
        self.task.drop_reference();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("finished", &self.is_finished())
            .finish()
    }
}
