//! A reference to a runtime, for spawning from anywhere.

#![expect(
    unsafe_code,
    reason = "tasks are allocated with a promise about their futures"
)]

use std::fmt;
use std::future::Future;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::context;
use crate::large::{carried, is_boxed_to_spawn, is_large};
use crate::metrics::RuntimeMetrics;
use crate::scheduler::shared::Shared;
use crate::scope::Scope;
use crate::seat::GuestWaker;
use crate::task::cell::Birth;
use crate::task::{Id, JoinHandle, TaskRef};

/// A reference to a [`Runtime`](crate::Runtime): clone it, send it to any thread, spawn with it.
///
/// It does not keep the runtime running: after the shutdown, what is spawned is cancelled at once.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("workers", &self.shared.peers.len())
            .finish_non_exhaustive()
    }
}

impl Handle {
    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The runtime this code runs in.
    ///
    /// # Panics
    ///
    /// Outside a runtime; see [`try_current`](Self::try_current).
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self::try_current().unwrap_or_else(|| {
            panic!(
                "this was called outside a Heist runtime; call it inside `block_on` or a spawned \
                 task, or hold a `Handle::enter` guard"
            )
        })
    }

    /// The runtime this code runs in, if any.
    #[must_use]
    pub fn try_current() -> Option<Self> {
        context::current_handle()
    }

    /// Whether this code runs in a runtime. It costs less than [`try_current`](Self::try_current), as there is no handle
    /// to be counted.
    #[must_use]
    pub fn has_current() -> bool {
        context::has_handle()
    }

    /// Makes this the current runtime of the calling thread while the guard lives, so that
    /// [`spawn`](crate::spawn) and I/O work outside `block_on`, for instance under another executor.
    #[must_use = "the runtime is current only while the guard lives"]
    pub fn enter(&self) -> EnterGuard {
        EnterGuard {
            _guard: context::enter_handle(self.clone()),
        }
    }

    /// Spawns a task from any thread. From a worker of this runtime it goes to that worker's own
    /// queue; from elsewhere through the injector.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        carried!(is_boxed_to_spawn::<F>(), future => self.spawn_named(None, future))
    }

    #[inline]
    #[track_caller]
    pub(crate) fn spawn_named<F>(&self, name: Option<Arc<str>>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_under(None, name, future)
    }

    /// Spawns a task below `scope`, if there is one, instead of as the root of a tree of its own.
    #[inline]
    #[track_caller]
    pub(crate) fn spawn_under<F>(
        &self,
        scope: Option<&Scope>,
        name: Option<Arc<str>>,
        future: F,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = new_task(&self.shared, name, future);
        if let Some(scope) = scope {
            // Before anybody else knows of the task.
            task.scope().link(Some(scope.node().clone()));
        }
        let handle = JoinHandle::new(task);
        let here = context::with_worker(|worker| {
            let ours = Arc::ptr_eq(worker.shared(), &self.shared);
            if ours {
                worker.spawn(task);
            }
            ours
        });
        if here != Some(true) {
            self.shared.spawn_foreign(task);
        }
        handle
    }

    /// Runs a closure that may block on the blocking pool; see [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    ///
    /// When the operating system cannot create the pool's first thread.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_blocking_under(None, None, f)
    }

    #[track_caller]
    pub(crate) fn spawn_blocking_under<F, T>(
        &self,
        scope: Option<&Scope>,
        name: Option<Arc<str>>,
        f: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let birth = Birth {
            id: Id::next(),
            name,
            pinned_to: None,
            blocking: true,
        };
        let shared = NonNull::from(&*self.shared);
        // SAFETY: the closure is `Send`, and so is its future.
        let task = unsafe { crate::task::cell::allocate(shared, birth, BlockingFuture(Some(f))) };
        if let Some(scope) = scope {
            // Before anybody else knows of the task.
            task.scope().link(Some(scope.node().clone()));
        }
        let handle = JoinHandle::new(task);
        if let Err(error) = self.shared.submit_blocking(task) {
            panic!("the blocking pool has no thread and cannot create one: {error}");
        }
        handle
    }

    /// Runs `future` to its end on the calling thread. Its tasks, I/O and timers run on the workers, so one that has
    /// a thread of its own is needed: with a single worker only [`Runtime::block_on`](crate::Runtime::block_on)
    /// makes progress.
    ///
    /// When the runtime ends, what the future waits for there may never come.
    ///
    /// # Panics
    ///
    /// Inside async code: it would block the worker it runs on. In a child by `fork(2)` of the process that built the runtime. And
    /// with the panic of `future`.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = heist_runtime::Builder::new().worker_threads(2).build()?;
    /// let handle = runtime.handle();
    /// let thread = std::thread::spawn(move || {
    ///     handle.block_on(async { heist_runtime::spawn(async { 7 }).await.unwrap() })
    /// });
    /// assert_eq!(thread.join().unwrap(), 7);
    /// # Ok::<(), heist_runtime::BuildError>(())
    /// ```
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        carried!(is_large::<F>(), future => self.block_on_carried(future))
    }

    #[track_caller]
    fn block_on_carried<F: Future>(&self, future: F) -> F::Output {
        let _blocking = context::enter_blocking();
        self.shared.must_not_be_of_parent();
        let _entered = context::enter_handle(self.clone());
        let mut future = std::pin::pin!(crate::runtime::in_scope(future));
        let guest = Arc::new(GuestWaker::new());
        let waker = Waker::from(guest.clone());
        let mut cx = Context::from_waker(&waker);
        loop {
            guest.wait();
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
        }
    }

    /// What the workers have done so far.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.shared.metrics()
    }
}

/// Ends [`Handle::enter`] when dropped.
#[derive(Debug)]
#[must_use = "the runtime is current only while the guard lives"]
pub struct EnterGuard {
    _guard: context::HandleGuard,
}

fn new_task<F>(shared: &Arc<Shared>, name: Option<Arc<str>>, future: F) -> TaskRef
where
    F: Future + Send + 'static,
{
    let birth = Birth {
        id: Id::next(),
        name,
        pinned_to: None,
        blocking: false,
    };
    // SAFETY: the future is `Send`.
    unsafe { crate::task::cell::allocate(NonNull::from(&**shared), birth, future) }
}

/// Spawns a task on the worker this thread is, or through the entered handle.
#[inline]
#[track_caller]
pub(crate) fn spawn_current<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut future = Some(future);
    let spawned = context::with_worker(|worker| {
        let task = new_task(worker.shared(), None, future.take().expect("called once"));
        worker.spawn(task);
        task
    });
    match spawned {
        Some(task) => JoinHandle::new(task),
        None => Handle::current().spawn(future.take().expect("not spawned")),
    }
}

/// A closure as a future that is ready at its first poll.
struct BlockingFuture<F>(Option<F>);

// The closure is moved out before it runs; it is never pinned.
impl<F> Unpin for BlockingFuture<F> {}

impl<F: FnOnce() -> T, T> Future for BlockingFuture<F> {
    type Output = T;

    fn poll(mut self: std::pin::Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<T> {
        let f = self.0.take().expect("a blocking task runs once");
        Poll::Ready(f())
    }
}
