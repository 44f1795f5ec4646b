//! `task_group`: tasks that end before their block does.

use super::GroupError;
use crate::wait::wake;
use heist_runtime::JoinHandle;
use heist_runtime::scope::{Exit, LeafToken, Reason, Scope, cancel_requested, catch, unwound};
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What the first error of a group does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnError {
    /// Cancels the other tasks and the body.
    #[default]
    CancelAll,
    /// Nothing: the others go on, and the errors are reported together at the end.
    Collect,
}

/// Runs `body`, which may spawn tasks into the group, and waits for all of them (asyncio: `TaskGroup`).
///
/// The first error or panic, of a task or of the body, cancels the others, waits for their cleanup, and
/// all errors are returned together. No task of the group goes on after this has returned.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::group::task_group;
///
/// let total = task_group(async |group| {
///     let a = group.spawn(async { Ok::<_, std::io::Error>(20) });
///     let b = group.spawn(async { Ok(22) });
///     Ok(a.await.unwrap_or(0) + b.await.unwrap_or(0))
/// })
/// .await;
/// assert_eq!(total.unwrap(), 42);
/// # });
/// ```
///
/// # Errors
///
/// [`GroupError`] if anything failed or panicked, or the group was cancelled from within. Errors beat
/// cancellations. A cancellation of something around the group goes on unwinding when the tasks have ended.
///
/// # Panics
///
/// With the panic of the body, after the tasks have ended.
///
/// # Cancel safety
///
/// Dropping the future cancels the tasks; the scope around waits for them.
pub async fn task_group<T, E: Send + 'static>(
    body: impl AsyncFnOnce(&TaskGroup<E>) -> Result<T, E>,
) -> Result<T, GroupError<E>> {
    task_group_with(OnError::CancelAll, body).await
}

/// As [`task_group`], which says what an error does.
///
/// # Errors
///
/// As [`task_group`].
///
/// # Panics
///
/// As [`task_group`].
///
/// # Cancel safety
///
/// As [`task_group`].
pub async fn task_group_with<T, E: Send + 'static>(
    on_error: OnError,
    body: impl AsyncFnOnce(&TaskGroup<E>) -> Result<T, E>,
) -> Result<T, GroupError<E>> {
    let group = TaskGroup {
        shared: Arc::new(Shared {
            scope: Scope::named("task_group"),
            on_error,
            state: Mutex::new(State::default()),
        }),
    };
    let abandoned = Abandoned {
        shared: Some(group.shared.clone()),
        around: Scope::current(),
    };
    // The tasks are below the group's scope, which lasts until they have ended. When it is cancelled, the
    // body unwinds and the wait, which holds a token, goes on.
    let whole = async {
        let exit = catch(&Scope::named("body"), body(&group)).await;
        let failed = !matches!(exit, Exit::Value(Ok(_)));
        if failed && (on_error == OnError::CancelAll || !matches!(exit, Exit::Value(Err(_)))) {
            group.shared.scope.cancel(Reason::Sibling);
        }
        Wait::new(group.shared.clone()).await;
        exit
    };
    let exit = catch(&group.shared.scope, whole).await;
    abandoned.disarm();
    let exit = match exit {
        Exit::Value(exit) => exit,
        Exit::Panicked(payload) => Exit::Panicked(payload),
        Exit::Cancelled(reason) => Exit::Cancelled(reason),
    };
    settle(&group.shared, exit).await
}

/// What the group makes of how its body and its tasks ended.
async fn settle<T, E>(shared: &Shared<E>, exit: Exit<Result<T, E>>) -> Result<T, GroupError<E>> {
    let (mut errors, panics, lost) = {
        let mut state = shared.state();
        let errors = std::mem::take(&mut state.errors);
        (errors, std::mem::take(&mut state.panics), state.lost)
    };
    let clean = errors.is_empty() && panics.is_empty();
    let mut cancelled = false;
    match exit {
        // `Ok` promises that every task has finished: an outer cancellation of them must not come out as
        // a value.
        Exit::Value(Ok(_)) if clean && lost > 0 && cancel_requested() => unwound().await,
        Exit::Value(Ok(value)) if clean => return Ok(value),
        Exit::Value(Ok(_)) => {}
        Exit::Value(Err(error)) => errors.push(error),
        Exit::Panicked(payload) => std::panic::resume_unwind(payload),
        Exit::Cancelled(_) if clean => {
            // Whose was it? One from outside goes on; that of the group ends here.
            if cancel_requested() {
                return unwound().await;
            }
            cancelled = true;
        }
        Exit::Cancelled(_) => {}
    }
    Err(GroupError {
        errors,
        panics,
        cancelled,
    })
}

/// A group as its body sees it; see [`task_group`]. A clone of it is the same group, for tasks of the group that spawn
/// others into it; the group does not wait for clones.
pub struct TaskGroup<E> {
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    scope: Scope,
    on_error: OnError,
    state: Mutex<State<E>>,
}

struct State<E> {
    live: usize,
    errors: Vec<E>,
    panics: Vec<Box<dyn Any + Send>>,
    /// Tasks that were cancelled.
    lost: usize,
    closed: bool,
    waker: Option<Waker>,
}

impl<E> Default for State<E> {
    fn default() -> Self {
        Self {
            live: 0,
            errors: Vec::new(),
            panics: Vec::new(),
            lost: 0,
            closed: false,
            waker: None,
        }
    }
}

impl<E> Shared<E> {
    fn state(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, record: impl FnOnce(&mut State<E>)) {
        record(&mut self.state());
        if self.on_error == OnError::CancelAll {
            self.scope.cancel(Reason::Sibling);
        }
    }
}

impl<E: Send + 'static> TaskGroup<E> {
    /// Spawns a task into the group.
    ///
    /// # Panics
    ///
    /// When the group has ended, or outside a runtime.
    #[track_caller]
    pub fn spawn<T, F>(&self, future: F) -> GroupTask<T>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
    {
        {
            let mut state = self.shared.state();
            assert!(!state.closed, "the task group has ended");
            state.live += 1;
        }
        // Now, so that a task that never begins is counted, too.
        let mut member = Member {
            shared: self.shared.clone(),
            ended: false,
        };
        let task = async move {
            let exit = catch(&Scope::named("member"), future).await;
            member.ended = !matches!(exit, Exit::Cancelled(_));
            match exit {
                Exit::Value(Ok(value)) => return Some(value),
                Exit::Value(Err(error)) => member.shared.fail(|state| state.errors.push(error)),
                Exit::Panicked(payload) => member.shared.fail(|state| state.panics.push(payload)),
                Exit::Cancelled(_) => {}
            }
            None
        };
        let builder = heist_runtime::task::Builder::new().scope(&self.shared.scope);
        GroupTask(builder.spawn(task))
    }

    /// Cancels every task and the body.
    pub fn cancel(&self) {
        self.shared.scope.cancel(Reason::Explicit);
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.state().live
    }

    /// Whether every task has ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("live", &self.shared.state().live)
            .finish_non_exhaustive()
    }
}

/// A task's place in its group, until it has ended or is dropped.
struct Member<E> {
    shared: Arc<Shared<E>>,
    ended: bool,
}

impl<E> Drop for Member<E> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.shared.state();
            state.live -= 1;
            state.lost += usize::from(!self.ended);
            if state.live > 0 {
                return;
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

/// A task of a group: awaiting it gives its value, or `None` if it failed, panicked or was cancelled; the
/// group has the error.
///
/// Dropping it changes nothing: the group waits for the task all the same.
#[derive(Debug)]
pub struct GroupTask<T>(JoinHandle<Option<T>>);

impl<T> GroupTask<T> {
    /// Cancels this task only, which is no error for the group. Returns whether this was the first request
    /// on a live task.
    pub fn cancel(&self) -> bool {
        self.0.cancel()
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for GroupTask<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let joined = Pin::new(&mut self.0).poll(cx);
        joined.map(|output| output.ok().flatten())
    }
}

/// Waits until every task of a group has ended, also in a cancelled scope.
struct Wait<E> {
    shared: Arc<Shared<E>>,
    token: LeafToken,
}

impl<E> Wait<E> {
    fn new(shared: Arc<Shared<E>>) -> Self {
        Self {
            shared,
            token: LeafToken::new(),
        }
    }
}

impl<E> Future for Wait<E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        {
            let mut state = this.shared.state();
            if state.live > 0 {
                state.waker = Some(cx.waker().clone());
            } else {
                state.closed = true;
            }
            if !state.closed {
                drop(state);
                this.token.hold();
                return Poll::Pending;
            }
        }
        this.token.release();
        Poll::Ready(())
    }
}

/// Has the scope around wait for the tasks of a group whose future was dropped half-way.
struct Abandoned<E: Send + 'static> {
    shared: Option<Arc<Shared<E>>>,
    around: Option<Scope>,
}

impl<E: Send + 'static> Abandoned<E> {
    fn disarm(mut self) {
        self.shared = None;
    }
}

impl<E: Send + 'static> Drop for Abandoned<E> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        shared.scope.cancel(Reason::Sibling);
        if let Some(around) = self.around.take() {
            around.adopt_wait(Wait::new(shared));
        }
    }
}
