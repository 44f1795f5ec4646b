//! The blocking pool: one mutex, a queue, and threads that come and go.
//!
//! # Why no job is left waiting
//!
//! All counts change under the mutex. `idle` counts the threads that will look at the queue before
//! they do anything else: those that wait, those that were notified and have yet to run, and those
//! that have just been created. A job is queued under the same lock, and with it
//!
//! 1. a new thread, if more jobs are queued than threads are idle and there may be more threads;
//! 2. otherwise a notification. If a thread waits, it is one of the idle ones and wakes. If none
//!    waits, every idle thread is on its way to the lock and looks at the queue, and every busy one
//!    does when its job is done.
//!
//! A thread whose wait has timed out looks at the queue once more, and leaves `idle` under the
//! same lock, so nobody counts on a thread that is about to exit.
//!
//! Nothing of the user's runs under the lock: not jobs, nor their destructors, nor hooks, nor the
//! function that names threads. All of these may submit jobs themselves. Creating a thread does
//! happen under it (tens of microseconds, when the pool grows), so that a failure is known before
//! the job is accepted.

use super::{Hook, Job, PoolConfig};
use crate::trace;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// A set of threads that run jobs which may block. Dropping it refuses further jobs and drops the
/// queued ones, without waiting for those that run.
pub(crate) struct Pool<J: Job> {
    shared: Arc<Shared<J>>,
}

/// What the pool's owner and its threads share.
struct Shared<J> {
    config: PoolConfig,
    state: Mutex<State<J>>,
    /// Idle threads wait here for a job or the shutdown.
    work: Condvar,
    /// `shutdown` waits here for threads to exit.
    exited: Condvar,
}

/// Everything that changes, under one lock.
struct State<J> {
    queue: VecDeque<J>,
    /// Threads that run jobs or will look for one.
    threads: usize,
    /// Those of `threads` that will look at the queue next.
    idle: usize,
    /// Threads that run their last hook.
    leaving: usize,
    /// Names a thread's handle.
    next_id: u64,
    /// The handles of `threads` and `leaving`.
    handles: HashMap<u64, JoinHandle<()>>,
    /// The thread that left last. It has joined the one before, so joining it joins them all.
    departed: Option<JoinHandle<()>>,
    shut_down: bool,
    /// How many more threads the system will create, for tests of its refusal.
    #[cfg(test)]
    creatable: usize,
}

/// Why a job was refused. It comes back unharmed.
#[derive(Debug)]
pub(crate) enum SubmitError<J> {
    /// The pool has been shut down.
    ShutDown(J),
    /// The pool has no thread, and the system would not create one.
    NoThread(J, io::Error),
}

impl<J> SubmitError<J> {
    /// The job that was refused.
    #[cfg(test)]
    pub(crate) fn into_job(self) -> J {
        match self {
            Self::ShutDown(job) | Self::NoThread(job, _) => job,
        }
    }
}

/// A moment in the life of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolMetrics {
    /// Threads there are.
    pub(crate) threads: usize,
    /// Those of them that have no job.
    pub(crate) idle: usize,
    /// Jobs that wait for a thread, without those that were withdrawn.
    pub(crate) queued: usize,
}

impl<J: Job> Pool<J> {
    /// A pool without any thread yet.
    pub(crate) fn new(config: PoolConfig) -> Self {
        let state = State {
            queue: VecDeque::new(),
            threads: 0,
            idle: 0,
            leaving: 0,
            next_id: 0,
            handles: HashMap::new(),
            departed: None,
            shut_down: false,
            #[cfg(test)]
            creatable: usize::MAX,
        };
        let shared = Shared {
            config,
            state: Mutex::new(state),
            work: Condvar::new(),
            exited: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Queues a job, with a thread to run it if all are busy and there may be more.
    ///
    /// # Errors
    ///
    /// [`SubmitError::ShutDown`] after the shutdown. [`SubmitError::NoThread`] if the first thread
    /// could not be created; a failure to create further ones only means waiting for a busy one.
    pub(crate) fn submit(&self, job: J) -> Result<(), SubmitError<J>> {
        let mut name = None;
        loop {
            let mut state = self.shared.lock();
            if state.shut_down {
                return Err(SubmitError::ShutDown(job));
            }
            if state.queue.len() >= state.idle && state.threads < self.max_threads() {
                let Some(name) = name.take() else {
                    drop(state);
                    // A thread cannot be called what no C string can hold.
                    name = Some((self.shared.config.thread_name)().replace('\0', ""));
                    continue;
                };
                if let Err(error) = self.grow(&mut state, name) {
                    return self.accept_without(error, state, job);
                }
            }
            self.accept(state, job);
            return Ok(());
        }
    }

    fn accept(&self, mut state: MutexGuard<'_, State<J>>, job: J) {
        state.queue.push_back(job);
        drop(state);
        self.shared.work.notify_one();
    }

    /// Accepts a job without the thread it should have had, if there is any other.
    fn accept_without(
        &self,
        error: io::Error,
        state: MutexGuard<'_, State<J>>,
        job: J,
    ) -> Result<(), SubmitError<J>> {
        let threads = state.threads;
        if threads == 0 {
            drop(state);
            trace::blocking_thread_refused(threads, &error);
            return Err(SubmitError::NoThread(job, error));
        }
        self.accept(state, job);
        trace::blocking_thread_refused(threads, &error);
        Ok(())
    }

    /// Creates a thread; it finds its job in the queue.
    fn grow(&self, state: &mut State<J>, name: String) -> io::Result<()> {
        #[cfg(test)]
        {
            let refused = io::Error::from(io::ErrorKind::WouldBlock);
            state.creatable = state.creatable.checked_sub(1).ok_or(refused)?;
        }
        let id = state.next_id;
        let shared = Arc::clone(&self.shared);
        // The thread waits for the lock before it touches any count.
        let handle = Builder::new()
            .name(name)
            .spawn(move || shared.thread_main(id))?;
        state.handles.insert(id, handle);
        state.next_id += 1;
        state.threads += 1;
        state.idle += 1;
        Ok(())
    }

    fn max_threads(&self) -> usize {
        self.shared.config.max_threads.max(1)
    }

    /// Refuses further jobs, drops those that have not started, waits until the others are done or
    /// `deadline` is reached, and returns how many threads are still running. Those threads exit
    /// once their job returns, if it ever does. May be called again, to wait longer.
    ///
    /// When it returns zero every thread has been joined. Called from within a job it counts that
    /// job's thread, and so waits until the deadline.
    pub(crate) fn shutdown(&self, deadline: Instant) -> usize {
        self.shared.close();
        let mut state = self.shared.lock();
        let running = loop {
            let running = state.threads + state.leaving;
            let left = deadline.saturating_duration_since(Instant::now());
            if running == 0 || left.is_zero() {
                break running;
            }
            let waited = self.shared.exited.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        let departed = state.departed.take();
        drop(state);
        join(departed);
        running
    }

    /// How many threads and jobs there are right now.
    pub(crate) fn metrics(&self) -> PoolMetrics {
        let state = self.shared.lock();
        PoolMetrics {
            threads: state.threads + state.leaving,
            idle: state.idle,
            queued: state.queue.iter().filter(|job| !job.is_withdrawn()).count(),
        }
    }
}

impl<J: Job> Drop for Pool<J> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<J: Job> std::fmt::Debug for Pool<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("config", &self.shared.config)
            .field("metrics", &self.metrics())
            .finish()
    }
}

impl<J> Shared<J> {
    /// Nothing that can panic happens under the lock, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Job> Shared<J> {
    /// Refuses further jobs, sends idle threads home and drops the queued jobs.
    fn close(&self) {
        let mut state = self.lock();
        state.shut_down = true;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        self.work.notify_all();
        for job in queue {
            contain("job", || drop(job));
        }
    }

    /// The life of a thread.
    fn thread_main(&self, id: u64) {
        call(self.config.on_thread_start.as_ref());
        trace::blocking_thread_started();
        let mut next = self.next_job(false);
        while let Some(job) = next {
            contain("job", || job.run());
            next = self.next_job(true);
        }
        call(self.config.on_thread_stop.as_ref());
        trace::blocking_thread_ended();

        let mut state = self.lock();
        state.leaving -= 1;
        let own = state.handles.remove(&id);
        let before = std::mem::replace(&mut state.departed, own);
        drop(state);
        self.exited.notify_all();
        // It has nothing left to do but to join the one before it, so this does not wait.
        join(before);
    }

    /// Waits for a job, as an idle thread, which it becomes here if it comes from another job.
    /// `None` means that the thread has been struck off.
    fn next_job(&self, from_job: bool) -> Option<J> {
        let mut state = self.lock();
        state.idle += usize::from(from_job);
        let mut idle_since = None;
        loop {
            if let Some(job) = state.queue.pop_front() {
                state.idle -= 1;
                return Some(job);
            }
            let idle_for = idle_since.get_or_insert_with(Instant::now).elapsed();
            let left = self.config.keep_alive.saturating_sub(idle_for);
            if state.shut_down || left.is_zero() {
                state.idle -= 1;
                state.threads -= 1;
                state.leaving += 1;
                return None;
            }
            let waited = self.work.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Calls a hook, if there is one.
fn call(hook: Option<&Hook>) {
    if let Some(hook) = hook {
        contain("hook", || hook());
    }
}

/// Calls the user's code and survives its panic, which the panic hook has reported already.
fn contain(what: &'static str, call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        trace::panic_contained(what, &*payload);
        // The destructor of the payload is the user's too. What that throws is given up: a chain of
        // panicking payloads could go on for ever.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(payload);
        }
    }
}

/// Joins a thread that has left.
fn join(departed: Option<JoinHandle<()>>) {
    if let Some(handle) = departed {
        // All panics are contained, so this cannot be an error worth reporting.
        let _ = handle.join();
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
