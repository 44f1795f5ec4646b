//! `JoinSet`: tasks whose outputs come as they complete.

use futures_util::stream::FuturesUnordered;
use heist_runtime::scope::Leaf;
use heist_runtime::task::{AbortHandle, Id};
use heist_runtime::{Handle, JoinError, JoinHandle};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// A set of tasks with the same type of output, which is given out in the order in which they complete
/// (tokio: `JoinSet`; asyncio: `wait` with `FIRST_COMPLETED`).
///
/// Dropping it cancels the tasks, where tokio's aborts them; they unwind on their own.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::group::JoinSet;
///
/// let mut set: JoinSet<u32> = (0..10).map(|n| async move { n * n }).collect();
/// let mut sum = 0;
/// while let Some(square) = set.join_next().await {
///     sum += square.unwrap();
/// }
/// assert_eq!(sum, 285);
/// # });
/// ```
pub struct JoinSet<T> {
    tasks: FuturesUnordered<Member<T>>,
}

/// A task of the set, which says which one it is when it completes.
struct Member<T>(JoinHandle<T>);

/// What the next task to complete leaves, if there is one.
type Completed<T> = Option<(Id, Result<T, JoinError>)>;

fn without_id<T>(completed: Completed<T>) -> Option<Result<T, JoinError>> {
    completed.map(|(_, output)| output)
}

fn with_id<T>(completed: Completed<T>) -> Option<Result<(Id, T), JoinError>> {
    completed.map(|(id, output)| output.map(|output| (id, output)))
}

impl<T> Future for Member<T> {
    type Output = (Id, Result<T, JoinError>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.0.id();
        Pin::new(&mut self.0).poll(cx).map(|output| (id, output))
    }
}

impl<T> JoinSet<T> {
    /// A set without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tasks: FuturesUnordered::new(),
        }
    }

    /// How many tasks there are whose output was not given out yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Spawns a task into the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.insert(heist_runtime::spawn(future))
    }

    /// Spawns a task that stays on the current worker.
    ///
    /// # Panics
    ///
    /// Outside the workers of a runtime.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        self.insert(heist_runtime::spawn_local(future))
    }

    /// Runs a closure that may block, as one of the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.insert(heist_runtime::spawn_blocking(f))
    }

    /// Spawns a task into the set, in another runtime.
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.insert(handle.spawn(future))
    }

    /// Runs a closure that may block, as one of the set, on the threads of another runtime.
    ///
    /// # Panics
    ///
    /// As [`Handle::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.insert(handle.spawn_blocking(f))
    }

    /// Sets what a plain [`spawn`](Self::spawn) leaves open, such as the name of the task.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// let mut set = heist_sync::group::JoinSet::new();
    /// set.build_task().name("answer").spawn(async { heist_runtime::task::name() });
    /// let name = set.join_next().await.unwrap().unwrap();
    /// assert_eq!(name.as_deref(), Some("answer"));
    /// # });
    /// ```
    pub fn build_task(&mut self) -> Builder<'_, T> {
        Builder {
            set: self,
            builder: heist_runtime::task::Builder::new(),
        }
    }

    fn insert(&mut self, task: JoinHandle<T>) -> AbortHandle {
        let handle = task.abort_handle();
        self.tasks.push(Member(task));
        handle
    }

    /// Waits for the next task to complete; `None` if the set is empty.
    ///
    /// # Errors
    ///
    /// The [`JoinError`] of the task, if it was cancelled or panicked.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn join_next(&mut self) -> impl Future<Output = Option<Result<T, JoinError>>> {
        let leaf = Leaf::here();
        poll_fn(move |cx| self.poll_completed(cx, leaf).map(without_id))
    }

    /// As [`join_next`](Self::join_next), for hand-written futures.
    ///
    /// In a cancelled scope it is pending, and what there is stays in the set.
    #[track_caller]
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_completed(cx, Leaf::here()).map(without_id)
    }

    /// As [`join_next`](Self::join_next), with the id of the task; a [`JoinError`] has it anyway.
    ///
    /// # Errors
    ///
    /// As [`join_next`](Self::join_next).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    pub fn join_next_with_id(
        &mut self,
    ) -> impl Future<Output = Option<Result<(Id, T), JoinError>>> {
        let leaf = Leaf::here();
        poll_fn(move |cx| self.poll_completed(cx, leaf).map(with_id))
    }

    /// As [`join_next_with_id`](Self::join_next_with_id), for hand-written futures.
    ///
    /// In a cancelled scope it is pending, and what there is stays in the set.
    #[track_caller]
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        self.poll_completed(cx, Leaf::here()).map(with_id)
    }

    /// As [`try_join_next`](Self::try_join_next), with the id of the task.
    #[track_caller]
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_join_next_with_id(&mut cx) {
            Poll::Ready(output) => output,
            Poll::Pending => None,
        }
    }

    /// In a cancelled scope, asked at every poll, no handle is polled: it would not start, and who polls only
    /// what was woken would never poll it again, also when the set is used by the cleanup outside.
    fn poll_completed(&mut self, cx: &mut Context<'_>, leaf: Leaf) -> Poll<Completed<T>> {
        ready!(leaf.start());
        match futures_core::Stream::poll_next(Pin::new(&mut self.tasks), cx) {
            Poll::Pending => leaf.pending(),
            completed => completed,
        }
    }

    /// The output of a task that has completed, without waiting. In a cancelled scope there is none.
    #[track_caller]
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_join_next(&mut cx) {
            Poll::Ready(output) => output,
            Poll::Pending => None,
        }
    }

    /// Waits for all tasks; their outputs in the order in which they completed.
    ///
    /// # Panics
    ///
    /// With the panic of a task, and when one was cancelled.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(output) = self.join_next().await {
            match output.map_err(JoinError::try_into_panic) {
                Ok(output) => outputs.push(output),
                Err(Ok(payload)) => std::panic::resume_unwind(payload),
                Err(Err(error)) => panic!("{error}"),
            }
        }
        outputs
    }

    /// Cancels every task; their outputs can still be waited for.
    pub fn cancel_all(&mut self) {
        for Member(task) in &self.tasks {
            task.cancel();
        }
    }

    /// Aborts every task: cleanup that awaits is skipped, and counted.
    pub fn abort_all(&mut self) {
        for Member(task) in &self.tasks {
            task.abort();
        }
    }

    /// Cancels every task and waits until they have unwound. (tokio's aborts them.)
    pub async fn shutdown(&mut self) {
        self.cancel_all();
        while self.join_next().await.is_some() {}
    }

    /// Lets every task go on without the set.
    pub fn detach_all(&mut self) {
        self.tasks = FuturesUnordered::new();
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        for future in futures {
            set.spawn(future);
        }
        set
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

/// Sets what a plain spawn into a [`JoinSet`] leaves open. Made by [`JoinSet::build_task`]. (tokio's methods return an
/// `io::Result`.)
#[must_use = "it spawns nothing by itself"]
pub struct Builder<'a, T> {
    set: &'a mut JoinSet<T>,
    builder: heist_runtime::task::Builder,
}

impl<T> Builder<'_, T> {
    /// Names the task, for dumps and traces.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.builder = self.builder.name(name);
        self
    }

    /// As [`JoinSet::spawn`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.set.insert(self.builder.spawn(future))
    }

    /// As [`JoinSet::spawn_on`].
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.set.insert(self.builder.spawn_on(future, handle))
    }

    /// As [`JoinSet::spawn_local`].
    ///
    /// # Panics
    ///
    /// Outside the workers of a runtime.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        self.set.insert(self.builder.spawn_local(future))
    }

    /// As [`JoinSet::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.set.insert(self.builder.spawn_blocking(f))
    }

    /// As [`JoinSet::spawn_blocking_on`].
    ///
    /// # Panics
    ///
    /// As [`Handle::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking_on<F>(self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.set.insert(self.builder.spawn_blocking_on(f, handle))
    }
}

impl<T> fmt::Debug for Builder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}
