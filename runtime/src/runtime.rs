//! The runtime: workers from start to end.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_deque::{Stealer, Worker as Queue};

use crate::builder::{Config, resource};
use crate::context;
use crate::driver::choice::{self, Driver};
use crate::driver::local;
use crate::driver::probe;
use crate::driver::remote::Remote;
use crate::error::BuildError;
use crate::handle::{EnterGuard, Handle};
use crate::large::{carried, is_large};
use crate::metrics::RuntimeMetrics;
use crate::scheduler::idle::IdleSet;
use crate::scheduler::shared::{Peer, Shared};
use crate::scheduler::shutdown::ShutdownReport;
use crate::scheduler::signal;
use crate::scheduler::worker::Worker;
use crate::scope::{Exit, Scope, catch};
use crate::seat::{DROP_GRACE, GuestWaker, Seat};
use crate::task::{JoinHandle, TaskRef};
use crate::threads;
use crate::trace;

/// A set of workers that run tasks and their I/O.
///
/// Worker 0 is the thread inside [`block_on`](Self::block_on), so that the main future pays no
/// cross-thread wake-ups; the other workers have threads of their own. With a single worker, tasks make
/// progress only inside `block_on`.
///
/// Dropping it shuts it down with a grace of 5 seconds; inside async code, in the background.
///
/// It belongs to the process that has built it. In a child by `fork(2)` there are no workers, `block_on` panics, and dropping it or
/// shutting it down does nothing; a child forked inside async code must call `execve(2)` or `_exit(2)`, and is ended
/// by SIGSEGV when it goes on. A program that becomes a daemon builds its runtime afterwards.
///
/// # Examples
///
/// ```
/// let runtime = heist_runtime::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let parts: Vec<_> = (0..10).map(|i| heist_runtime::spawn(async move { i * i })).collect();
///     let mut sum = 0;
///     for part in parts {
///         sum += part.await.unwrap();
///     }
///     sum
/// });
/// assert_eq!(sum, 285);
/// # Ok::<(), heist_runtime::BuildError>(())
/// ```
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    seat: Mutex<Option<Seat>>,
    /// Threads inside `block_on` that wait for the seat or for their future.
    guests: Mutex<Vec<Arc<GuestWaker>>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    ended: bool,
}

impl Runtime {
    /// A runtime with the defaults of [`Builder`](crate::Builder).
    ///
    /// # Errors
    ///
    /// See [`Builder::build`](crate::Builder::build).
    pub fn new() -> Result<Self, BuildError> {
        crate::Builder::new().build()
    }

    pub(crate) fn start(config: Config) -> Result<Self, BuildError> {
        match config.driver {
            Driver::Poll => Self::start_on_poll(config),
            Driver::Uring => Self::start_on_uring(config),
            Driver::Auto => match Self::start_on_uring(config.clone()) {
                Err(error) if error.can_do_without_ring() => {
                    choice::warn_of_fallback(&error);
                    Self::start_on_poll(config)
                }
                started => started,
            },
        }
    }

    fn start_on_uring(mut config: Config) -> Result<Self, BuildError> {
        config.driver = Driver::Uring;
        config.ring = probe::ring_config(config.ring)?;
        Self::start_workers(config)
    }

    fn start_on_poll(mut config: Config) -> Result<Self, BuildError> {
        config.driver = Driver::Poll;
        config.ring.emulated = true;
        Self::start_workers(config)
    }

    fn start_workers(mut config: Config) -> Result<Self, BuildError> {
        prepare_rescue(&mut config)?;
        let workers = config.workers;
        let idle = Arc::new(IdleSet::new(workers));
        let mut queues = Vec::with_capacity(workers);
        let mut peers = Vec::with_capacity(workers);
        for index in 0..workers {
            let remote = Remote::new(index, config.buffers, idle.clone())
                .map_err(resource("a worker's eventfd and buffers"))?;
            let (queue, due) = (Queue::new_fifo(), Queue::new_fifo());
            peers.push(Peer::new(Arc::new(remote), queue.stealer(), due.stealer()));
            queues.push((queue, due));
        }
        let shared = Arc::new(Shared::new(config, peers.into_boxed_slice(), idle));
        let mut workers = queues.into_iter().enumerate().map(|(index, queues)| {
            let driver = local::Driver::new(shared.peers[index].remote.clone(), shared.config.iowq);
            Worker::new(shared.clone(), index, driver, queues)
        });
        let first = workers.next().expect("at least one worker");
        let mut seat = Seat::new(Box::new(first));
        seat.open()?;
        let runtime = Self {
            handle: Handle::from_shared(shared.clone()),
            seat: Mutex::new(Some(seat)),
            guests: Mutex::default(),
            threads: Mutex::new(Vec::new()),
            ended: false,
        };
        let mut failed = None;
        for worker in workers {
            if failed.is_some() {
                shared.ending.never_started();
                continue;
            }
            match threads::start(worker) {
                Ok(handle) => runtime.threads().push(handle),
                Err(error) => {
                    shared.ending.never_started();
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            // Dropping the runtime ends the threads that did start.
            return Err(error);
        }
        trace::runtime_built(&shared.config);
        Ok(runtime)
    }

    fn seat(&self) -> MutexGuard<'_, Option<Seat>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn threads(&self) -> MutexGuard<'_, Vec<thread::JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `future` to its end on the calling thread, which is worker 0 meanwhile and runs other tasks
    /// too (asyncio: `run_until_complete`). The future may borrow and need not be `Send`.
    ///
    /// While another thread is inside `block_on` of the same runtime, the future runs on this thread
    /// all the same, but its I/O and timers go through the workers until it can take over that place.
    ///
    /// When the future is done, operations of other tasks that were begun on this thread are moved to the
    /// other workers. Those that the kernel does not cancel any more (it is reading from a slow disk, say)
    /// delay the return by 100 ms at most after the last one that ended; then they stay with this thread.
    /// Their tasks go on when this thread is worker 0 again, or when it exits.
    ///
    /// # Panics
    ///
    /// Inside async code: it would block the worker it runs on. When this thread cannot have a ring. In a child by
    /// `fork(2)` of the process that built the runtime. And with the panic of `future`.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        carried!(is_large::<F>(), future => self.block_on_carried(future))
    }

    #[track_caller]
    fn block_on_carried<F: Future>(&self, future: F) -> F::Output {
        let _blocking = context::enter_blocking();
        self.handle.shared().must_not_be_of_parent();
        let future = in_scope(future);
        if let Some(seat) = self.take_seat() {
            return self.on_seat(seat).block_on(future);
        }
        self.block_on_as_guest(future)
    }

    fn take_seat(&self) -> Option<Seat> {
        self.seat().take()
    }

    /// Puts the seat back when dropped, also when the future panics.
    fn on_seat(&self, seat: Seat) -> TakenSeat<'_> {
        TakenSeat {
            runtime: self,
            seat: Some(seat),
        }
    }

    /// Runs `future` on a thread that is no worker, because another thread is worker 0. Its I/O and timers
    /// run on the workers. When the seat comes free, this thread takes it.
    fn block_on_as_guest<F: Future>(&self, future: F) -> F::Output {
        let _entered = context::enter_handle(self.handle.clone());
        let mut future = std::pin::pin!(future);
        let guest = Arc::new(GuestWaker::new());
        let waker = Waker::from(guest.clone());
        let mut cx = Context::from_waker(&waker);
        trace::guest_waits();
        loop {
            guest.wait();
            // Registered before the look, so that a seat that comes free later is not missed.
            self.register_guest(&guest);
            if let Some(seat) = self.take_seat() {
                return self.on_seat(seat).block_on(future);
            }
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
        }
    }

    fn register_guest(&self, guest: &Arc<GuestWaker>) {
        let mut guests = self.guests();
        if !guests.iter().any(|other| Arc::ptr_eq(other, guest)) {
            guests.push(guest.clone());
        }
    }

    fn guests(&self) -> MutexGuard<'_, Vec<Arc<GuestWaker>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spawns a task; see [`spawn`](crate::spawn).
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a closure that may block; see [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    ///
    /// When the operating system cannot create the pool's first thread.
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle.spawn_blocking(f)
    }

    /// A reference for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// See [`Handle::enter`].
    pub fn enter(&self) -> EnterGuard {
        self.handle.enter()
    }

    /// What the workers have done so far.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Cancels every task, lets what that wakes run for at most `grace`, then cancels every operation
    /// and waits until the kernel has let go of all of them. What will not end is leaked and counted,
    /// never freed under the kernel's or a task's feet. In a child by `fork(2)` of the process that built the runtime nothing
    /// can be done, and the report says that all workers are stuck.
    ///
    /// # Panics
    ///
    /// Inside async code, where it would wait for itself.
    #[track_caller]
    pub fn shutdown(mut self, grace: Duration) -> ShutdownReport {
        assert!(
            !context::is_async(),
            "Runtime::shutdown was called inside async code, where it would wait for itself; \
             drop the runtime there, or shut it down on a thread of its own"
        );
        self.end(grace)
    }

    /// As [`shutdown`](Self::shutdown), without the report (tokio's name).
    ///
    /// # Panics
    ///
    /// As there.
    #[track_caller]
    pub fn shutdown_timeout(self, duration: Duration) {
        let _report = self.shutdown(duration);
    }

    /// Shuts down without waiting for it, inside async code too: a thread of its own does, with a grace of 5
    /// seconds. (tokio's drops the tasks; here their cleanups run.)
    ///
    /// When the process ends meanwhile, what is left of the tasks is not run.
    pub fn shutdown_background(mut self) {
        self.end_in_background();
    }

    /// What is left of a runtime in a child by `fork(2)`. The seat's ring is not there, and the threads are not either; nothing of
    /// theirs is touched.
    fn leave_to_parent(&mut self) -> ShutdownReport {
        self.ended = true;
        // Past the locks: who had one when the process was copied has it for ever.
        let seat = self.seat.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::forget(seat.take());
        let threads = self.threads.get_mut();
        std::mem::forget(std::mem::take(
            threads.unwrap_or_else(PoisonError::into_inner),
        ));
        ShutdownReport {
            stuck_workers: self.handle.shared().peers.len(),
            ..ShutdownReport::default()
        }
    }

    fn end(&mut self, grace: Duration) -> ShutdownReport {
        if self.handle.shared().is_of_parent() {
            return self.leave_to_parent();
        }
        self.ended = true;
        let shared = self.handle.shared().clone();
        let began = Instant::now();
        shared.begin_shutdown(grace);
        let deadline = Instant::now().checked_add(grace);
        let deadline = deadline.unwrap_or_else(|| Instant::now() + DROP_GRACE);
        if let Some(mut seat) = self.seat().take() {
            let _blocking = context::enter_blocking();
            seat.run_to_end();
        }
        let report = wait_for_the_end(&shared, deadline);
        crate::memory::clear();
        if report.stuck_workers == 0 {
            for thread in self.threads().drain(..) {
                // A panic of a worker thread has been printed already.
                drop(thread.join());
            }
        }
        trace::runtime_ended(&report, shared.ending.cancelled_tasks(), began.elapsed());
        report
    }
}

/// Runs the future of a `block_on` in a scope of its own, which runs the cleanups that are left to it.
pub(crate) async fn in_scope<F: Future>(future: F) -> F::Output {
    match catch(&Scope::named("block_on"), future).await {
        Exit::Value(output) => output,
        Exit::Panicked(payload) => std::panic::resume_unwind(payload),
        Exit::Cancelled(reason) => panic!(
            "the future of `block_on` has cancelled its own outermost scope {reason}, so there is no \
             value; cancel a scope within it"
        ),
    }
}

/// Waits for the blocking pool and the workers.
fn wait_for_the_end(shared: &Shared, deadline: Instant) -> ShutdownReport {
    let stuck_blocking_threads = shared.blocking.shutdown(deadline);
    // A worker that drains takes its own time for it; one that is stuck in a task does not come.
    let limit = deadline.max(Instant::now() + Duration::from_millis(100));
    let report = shared.ending.wait(limit);
    ShutdownReport {
        stuck_blocking_threads,
        skipped_cleanups: shared.skipped_by_shutdown(),
        ..report
    }
}

/// Worker 0's seat while a thread inside `block_on` has it.
struct TakenSeat<'a> {
    runtime: &'a Runtime,
    seat: Option<Seat>,
}

impl TakenSeat<'_> {
    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.seat
            .as_mut()
            .expect("in its place until dropped")
            .block_on(future)
    }
}

impl Drop for TakenSeat<'_> {
    fn drop(&mut self) {
        *self.runtime.seat() = self.seat.take();
        let guests = std::mem::take(&mut *self.runtime.guests());
        for guest in guests {
            guest.wake();
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if !context::is_async() {
            self.end(DROP_GRACE);
            return;
        }
        // This thread must not wait.
        self.end_in_background();
    }
}

impl Runtime {
    /// Has a thread of its own wait for the end.
    fn end_in_background(&mut self) {
        if self.handle.shared().is_of_parent() {
            self.leave_to_parent();
            return;
        }
        self.ended = true;
        let shared = self.handle.shared().clone();
        let began = Instant::now();
        shared.begin_shutdown(DROP_GRACE);
        let seat = self.seat().take();
        let ended = thread::Builder::new()
            .name("heist-shutdown".to_owned())
            .spawn(move || {
                if let Some(mut seat) = seat {
                    seat.run_to_end();
                }
                let report = wait_for_the_end(&shared, Instant::now() + DROP_GRACE);
                crate::memory::clear();
                trace::runtime_ended(&report, shared.ending.cancelled_tasks(), began.elapsed());
            });
        // Without a thread worker 0's tasks stay unfinished, which leaks them; nothing dangles.
        if let Err(error) = ended {
            trace::no_thread_for_the_shutdown(&error);
        }
    }
}

/// Runs `future` on a runtime of its own with the defaults, then shuts that down (asyncio: `run`).
///
/// # Panics
///
/// When the runtime cannot be built (with the cause and the remedy), inside async code, and with the
/// panic of `future`.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    carried!(is_large::<F>(), future => block_on_own(future))
}

#[track_caller]
fn block_on_own<F: Future>(future: F) -> F::Output {
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("{error}"),
    }
}

impl Peer {
    fn new(remote: Arc<Remote>, stealer: Stealer<TaskRef>, due: Stealer<TaskRef>) -> Self {
        Self {
            remote,
            stealer,
            due,
            lifo: crossbeam_utils::CachePadded::default(),
            tick: crossbeam_utils::CachePadded::default(),
            mean_poll: std::sync::atomic::AtomicU32::new(0),
            has_lasting_backlog: std::sync::atomic::AtomicBool::new(false),
            present: std::sync::atomic::AtomicBool::new(false),
            tasks: crate::scheduler::absence::OwnTasks::default(),
        }
    }
}

/// Prepares what the chosen profile's rescue needs.
fn prepare_rescue(config: &mut Config) -> Result<(), BuildError> {
    if config.workers == 1 {
        config.watch_interval = None;
    }
    if config.watch_interval.is_none() || config.ring.emulated {
        // What an emulated ring holds back, whoever enters it brings to light.
        config.rescue_signal = None;
        return Ok(());
    }
    if let Some(number) = config.rescue_signal {
        signal::install(number).map_err(resource("the handler of the rescue signal"))?;
    } else if !crate::scheduler::register_membarrier() {
        // Without it a busy worker keeps its completions until its next system call.
        config.watch_interval = None;
    }
    Ok(())
}
