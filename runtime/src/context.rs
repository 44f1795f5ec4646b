//! What the current thread is: a worker, a thread that entered a runtime, or neither.

#![expect(
    unsafe_code,
    reason = "a thread-local pointer to the worker that runs on this thread"
)]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::driver::local::Driver;
use crate::driver::remote::Remote;
use crate::handle::Handle;
use crate::scheduler::worker::Worker;
use crate::scope::Scope;
use crate::task::error::PanicHook;
use crate::task::waker::is_of;
use crate::task::{AbortHandle, Id, JoinHandle, TaskRef};
use crate::time::Timers;

thread_local! {
    /// The worker that runs on this thread. Const-initialised and without a destructor, so that the
    /// signal handler can read it.
    static WORKER: Cell<Option<NonNull<Worker>>> = const { Cell::new(None) };
    /// Runtimes entered on this thread, innermost last.
    static HANDLES: RefCell<Vec<Handle>> = const { RefCell::new(Vec::new()) };
    /// The hook for panics of the runtime whose blocking pool this thread belongs to.
    static PANIC_HOOK: RefCell<Option<PanicHook>> = const { RefCell::new(None) };
    /// Whether this thread is inside some `block_on`.
    static BLOCKING: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f` with the worker of this thread, if it is one.
#[inline(always)]
pub(crate) fn with_worker<R>(f: impl FnOnce(&Worker) -> R) -> Option<R> {
    let worker = WORKER.get()?;
    // SAFETY: the pointer is set only by `enter_worker`, whose guard clears it before the borrow of
    // the worker ends; and it is this thread's own.
    Some(f(unsafe { worker.as_ref() }))
}

/// Makes `worker` the current one until the guard is dropped.
pub(crate) fn enter_worker(worker: &Worker) -> WorkerGuard<'_> {
    let previous = WORKER.replace(Some(NonNull::from(worker)));
    WorkerGuard {
        previous,
        _worker: worker,
    }
}

/// Ends [`enter_worker`].
#[derive(Debug)]
pub(crate) struct WorkerGuard<'a> {
    previous: Option<NonNull<Worker>>,
    _worker: &'a Worker,
}

impl Drop for WorkerGuard<'_> {
    fn drop(&mut self) {
        WORKER.set(self.previous);
    }
}

/// The signal handler's part: enters the ring of the worker that was interrupted.
pub(crate) fn enter_ring_from_signal() {
    let entered = with_worker(|worker| {
        let driver = worker.driver();
        if driver.is_open() {
            // An error means that there was nothing to do; the owner enters by itself later.
            drop(driver.ring().enter_in_signal());
        }
    });
    let _: Option<()> = entered;
}

/// Calls `f` with the driver of this thread's worker, if it is one.
pub(crate) fn with_current_driver<R>(f: impl FnOnce(&Driver) -> R) -> Option<R> {
    with_worker(|worker| f(worker.driver()))
}

/// Whether this thread is a worker.
#[inline(always)]
pub(crate) fn is_worker() -> bool {
    WORKER.get().is_some()
}

/// Has the kernel take what this worker has submitted, and delivers what has completed.
pub(crate) fn submit_now() {
    let _: Option<bool> = with_worker(Worker::do_io);
}

/// Calls `f` with the driver if this thread is the worker that `remote` belongs to.
#[inline]
pub(crate) fn with_driver<R>(remote: &Arc<Remote>, f: impl FnOnce(&Driver) -> R) -> Option<R> {
    with_worker(|worker| {
        let driver = worker.driver();
        Arc::ptr_eq(driver.remote(), remote).then(|| f(driver))
    })
    .flatten()
}

/// Calls `f` with this worker's timers.
pub(crate) fn with_timers<R>(f: impl FnOnce(&Arc<Remote>, &Timers) -> R) -> Option<R> {
    with_worker(|worker| f(worker.driver().remote(), worker.timers()))
}

/// Calls `f` with the timers if this thread is the worker that `remote` belongs to.
pub(crate) fn with_own_timers<R>(remote: &Arc<Remote>, f: impl FnOnce(&Timers) -> R) -> Option<R> {
    with_worker(|worker| Arc::ptr_eq(worker.driver().remote(), remote).then(|| f(worker.timers())))
        .flatten()
}

/// Has the current worker take responsibility for a task that waits.
#[inline]
pub(crate) fn link_current(task: TaskRef) {
    let linked = with_worker(|worker| worker.link(task));
    debug_assert!(linked.is_some(), "tasks that wait run on workers");
}

/// Runs `f` with the wake-ups it causes going behind the tasks that wait already.
pub(crate) fn waking_to_back<R>(f: impl FnOnce() -> R) -> R {
    let mut f = Some(f);
    let done = with_worker(|worker| worker.waking_to_back(f.take().expect("called once")));
    done.unwrap_or_else(|| f.take().expect("not called")())
}

/// The id of the task that is being polled on this thread; `None` outside tasks, also in `block_on`'s
/// own future.
#[must_use]
pub fn current_task_id() -> Option<Id> {
    with_worker(|worker| worker.current().map(|task| task.header().id)).flatten()
}

/// A handle to the task that is being polled on this thread; `None` outside tasks, also in `block_on`'s own
/// future.
pub(crate) fn current_task_handle() -> Option<AbortHandle> {
    with_worker(|worker| worker.current().map(AbortHandle::new)).flatten()
}

/// When this worker last looked at its I/O.
pub(crate) fn last_io() -> Option<Instant> {
    with_worker(Worker::last_io)
}

/// How long the cleanup of a cancelled scope may take in the current runtime.
pub(crate) fn cleanup_grace() -> Option<Duration> {
    with_worker(|worker| worker.shared().config.cleanup_grace).flatten()
}

/// Who is to be told of a panic of a task that nobody sees, in the runtime that this thread belongs to.
#[cold]
pub(crate) fn panic_hook() -> Option<PanicHook> {
    with_worker(|worker| worker.shared().config.on_unobserved_panic.clone())
        .unwrap_or_else(|| PANIC_HOOK.with_borrow(Clone::clone))
}

/// Makes this thread, which is no worker, know its runtime's hook.
pub(crate) fn set_panic_hook(hook: PanicHook) {
    PANIC_HOOK.set(Some(hook));
}

/// The name of the task that is being polled on this thread, if it has one.
#[must_use]
pub fn current_task_name() -> Option<String> {
    let name = |worker: &Worker| worker.current()?.header().name().map(str::to_owned);
    with_worker(name).flatten()
}

/// Has the current task queued again when its poll ends, if `waker` is its own and not one around it.
#[inline]
pub(crate) fn give_way(waker: &Waker) -> bool {
    let given = with_worker(|worker| {
        let task = worker.current().filter(|task| is_of(waker, *task))?;
        task.header().gives_way.set(true);
        Some(())
    });
    given.flatten().is_some()
}

/// Whether the current task will be polled once more whatever else happens, if `waker` is its own and not one around
/// it; `false` says nothing.
#[inline]
pub(crate) fn is_woken(waker: &Waker) -> bool {
    let woken = with_worker(|worker| {
        let task = worker.current().filter(|task| is_of(waker, *task))?;
        let header = task.header();
        Some(header.gives_way.get() || header.state.is_woken())
    });
    woken.flatten() == Some(true)
}

/// Sends the current task to another worker when its poll ends woken.
pub(crate) fn migrate_current(to: usize) {
    let _: Option<()> = with_worker(|worker| worker.migrate_current(to));
}

/// The worker that the current task should move to for the sake of data arriving on `cpu`, if it may
/// and should move at all.
pub(crate) fn better_place(cpu: i32) -> Option<usize> {
    with_worker(|worker| worker.better_place(cpu)).flatten()
}

/// The current worker, if the current task should receive there from now on instead of through the ring
/// of `home`.
pub(crate) fn should_stay(home: &Remote, asked_now_and_then: bool) -> Option<usize> {
    with_worker(|worker| worker.should_stay(home, asked_now_and_then)).flatten()
}

/// Has every worker of the current runtime look at its timers.
#[cfg(feature = "test-util")]
pub(crate) fn wake_every_worker() {
    if let Some(handle) = Handle::try_current() {
        handle.shared().wake_all();
    }
}

/// Spawns a task bound to the current worker.
#[track_caller]
pub(crate) fn spawn_local<F>(
    scope: Option<&Scope>,
    name: Option<Arc<str>>,
    future: F,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let mut future = Some(future);
    let spawned = with_worker(|worker| {
        let birth = crate::task::cell::Birth {
            id: Id::next(),
            name,
            pinned_to: Some(worker.index() as u32),
            blocking: false,
        };
        let runtime = NonNull::from(&**worker.shared());
        let future = future.take().expect("called once");
        // SAFETY: the task is pinned to this worker, on whose thread we are.
        let task = unsafe { crate::task::cell::allocate(runtime, birth, future) };
        if let Some(scope) = scope {
            task.scope().link(Some(scope.node().clone()));
        }
        worker.spawn_pinned(task);
        task
    });
    let spawned = spawned.map(JoinHandle::new);
    spawned.unwrap_or_else(|| {
        panic!(
            "spawn_local was called outside the workers of a Heist runtime; \
             call it inside `block_on` or a spawned task"
        )
    })
}

/// The runtime of this thread: that of its worker, or the one entered last.
pub(crate) fn current_handle() -> Option<Handle> {
    with_worker(|worker| Handle::from_shared(worker.shared().clone())).or_else(|| {
        // `try_with`: a destructor of another thread local may ask.
        HANDLES
            .try_with(|handles| handles.borrow().last().cloned())
            .ok()
            .flatten()
    })
}

/// Whether there is such a runtime.
pub(crate) fn has_handle() -> bool {
    let entered = || HANDLES.try_with(|handles| !handles.borrow().is_empty());
    is_worker() || entered().unwrap_or(false)
}

/// Makes `handle` the current runtime of this thread until the guard is dropped.
pub(crate) fn enter_handle(handle: Handle) -> HandleGuard {
    let depth = HANDLES.with_borrow_mut(|handles| {
        handles.push(handle);
        handles.len()
    });
    HandleGuard {
        depth,
        not_send: std::marker::PhantomData,
    }
}

/// Ends [`enter_handle`].
#[derive(Debug)]
pub(crate) struct HandleGuard {
    depth: usize,
    not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for HandleGuard {
    fn drop(&mut self) {
        // Guards dropped out of order take the inner ones with them.
        let gone = HANDLES.try_with(|handles| {
            let mut handles = handles.borrow_mut();
            let keep = (self.depth - 1).min(handles.len());
            handles.split_off(keep)
        });
        drop(gone);
    }
}

/// Marks this thread as being inside `block_on` until the guard is dropped.
///
/// # Panics
///
/// When it is already.
#[track_caller]
pub(crate) fn enter_blocking() -> BlockingGuard {
    assert!(
        !BLOCKING.get() && WORKER.get().is_none(),
        "block_on was called inside a Heist runtime, where it would block the worker and everything \
         on it; use `.await`, or move the call into `spawn_blocking`"
    );
    BLOCKING.set(true);
    BlockingGuard {
        not_send: std::marker::PhantomData,
    }
}

/// Ends [`enter_blocking`].
#[derive(Debug)]
pub(crate) struct BlockingGuard {
    not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for BlockingGuard {
    fn drop(&mut self) {
        BLOCKING.set(false);
    }
}

/// Whether blocking this thread would block a worker or a `block_on`.
pub(crate) fn is_async() -> bool {
    BLOCKING.get() || WORKER.get().is_some()
}
