//! How a runtime ends.
//!
//! ```text
//!   Running ──▶ Ending ──▶ Draining ──▶ (worker threads exit)
//! ```
//!
//! - **Ending**: every task is cancelled; workers run what that wakes, cleanups included, until no task is
//!   left anywhere or the grace period is over.
//! - **Draining**: tasks that are left are aborted, and their cleanups skipped. Each worker cancels what is in flight on its ring and reaps until nothing is, or
//!   nothing has ended for `DRAIN_LIMIT`. A ring that will not drain is leaked with everything its operations own: the
//!   kernel may still write there.
//!
//! A worker thread never exits with operations in flight, so that their task work always has a thread.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::scheduler::shared::Shared;
use crate::scheduler::worker::Worker;
use crate::scope::Reason;
use crate::task::TaskRef;
use crate::task::state::Wake;
use crate::trace;

/// How long a worker waits for the next cancelled operation to end before it gives its ring up.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Where a runtime is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Running = 0,
    Ending = 1,
    Draining = 2,
}

impl Phase {
    pub(crate) fn from_raw(raw: u8) -> Self {
        match raw {
            0 => Self::Running,
            1 => Self::Ending,
            _ => Self::Draining,
        }
    }
}

/// What a shutdown did and what it could not do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Worker threads that did not come back in time, because a task did not return from its poll.
    pub stuck_workers: usize,
    /// Threads of the blocking pool that still run a closure.
    pub stuck_blocking_threads: usize,
    /// Operations that the kernel would not let go of; their memory is leaked on purpose.
    pub leaked_operations: u64,
    /// Tasks that did not end, because something they share with a stuck one did not; leaked as well.
    pub unfinished_tasks: usize,
    /// Cleanups of tasks that were not run, since the grace period was over. Those of tasks that someone else aborted
    /// do not count.
    pub skipped_cleanups: u64,
}

impl ShutdownReport {
    /// Whether everything ended, was cleaned up, and was freed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// The bookkeeping of a shutdown.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Workers with nothing left to do in this phase.
    quiet: AtomicUsize,
    state: Mutex<EndingState>,
    changed: Condvar,
    workers: usize,
}

#[derive(Debug, Default)]
struct EndingState {
    /// When the grace period is over.
    deadline: Option<Instant>,
    exited: usize,
    cancelled_tasks: usize,
    leaked_operations: u64,
    unfinished_tasks: usize,
    /// Before the grace period was over. What is skipped until then is the doing of those who abort.
    skipped_before: Option<u64>,
}

impl Ending {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            quiet: AtomicUsize::new(0),
            state: Mutex::new(EndingState::default()),
            changed: Condvar::new(),
            workers,
        }
    }

    fn state(&self) -> MutexGuard<'_, EndingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grace_is_over(&self) -> bool {
        self.state()
            .deadline
            .is_none_or(|deadline| Instant::now() >= deadline)
    }

    fn worker_exits(&self, cancelled: usize, leaked: u64, unfinished: usize) {
        let mut state = self.state();
        state.exited += 1;
        state.cancelled_tasks += cancelled;
        state.leaked_operations += leaked;
        state.unfinished_tasks += unfinished;
        self.changed.notify_all();
    }

    /// A worker whose thread could not be started counts as gone.
    pub(crate) fn never_started(&self) {
        self.quiet.fetch_add(1, Ordering::SeqCst);
        self.worker_exits(0, 0, 0);
    }

    /// Tasks that the shutdown cancelled, on the workers that have exited.
    pub(crate) fn cancelled_tasks(&self) -> usize {
        self.state().cancelled_tasks
    }

    /// Waits until all workers have exited, and reports what they left.
    pub(crate) fn wait(&self, deadline: Instant) -> ShutdownReport {
        let mut state = self.state();
        while state.exited < self.workers {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                break;
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        ShutdownReport {
            stuck_workers: self.workers - state.exited,
            stuck_blocking_threads: 0,
            leaked_operations: state.leaked_operations,
            unfinished_tasks: state.unfinished_tasks,
            skipped_cleanups: 0,
        }
    }
}

impl Shared {
    /// Starts the end, once; later calls change nothing.
    pub(crate) fn begin_shutdown(&self, grace: Duration) {
        {
            let mut state = self.ending.state();
            if state.deadline.is_some() {
                return;
            }
            let now = Instant::now();
            state.deadline = Some(now.checked_add(grace).unwrap_or(now + DRAIN_LIMIT));
        }
        self.phase.store(Phase::Ending as u8, Ordering::SeqCst);
        self.wake_all();
        trace::shutdown_begins(grace);
    }

    /// Cleanups that were not run since the grace period was over. Exact for the workers that have exited.
    pub(crate) fn skipped_by_shutdown(&self) -> u64 {
        let before = self.ending.state().skipped_before;
        before.map_or(0, |before| {
            self.skipped_cleanups.load(Ordering::Relaxed) - before
        })
    }

    /// Returns whether this was the first call.
    fn begin_draining(&self) -> bool {
        // Before anyone sees the phase, and aborts.
        let skipped = self.skipped_cleanups.load(Ordering::Relaxed);
        self.ending.state().skipped_before.get_or_insert(skipped);
        let before = self.phase.swap(Phase::Draining as u8, Ordering::SeqCst);
        self.wake_all();
        Phase::from_raw(before) != Phase::Draining
    }

    /// Whether no queue of any worker holds a task.
    fn queues_are_empty(&self) -> bool {
        self.injector.is_empty()
            && self.peers.iter().all(|peer| {
                peer.stealer.is_empty()
                    && peer.due.is_empty()
                    && peer.lifo.is_empty()
                    && !peer.remote.has_mail()
            })
    }
}

/// What a worker remembers of the shutdown it takes part in.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    cancelled: Cell<bool>,
    aborted: Cell<bool>,
    cancelled_tasks: Cell<usize>,
    quiet: Cell<bool>,
}

impl Worker {
    /// Cancels every task this worker is responsible for, once; when the grace period is over, aborts
    /// them.
    fn end_own_tasks(&self) {
        let draining = self.shared().phase() == Phase::Draining;
        let done = if draining {
            &self.progress.aborted
        } else {
            &self.progress.cancelled
        };
        if done.replace(true) {
            return;
        }
        let mut tasks = Vec::with_capacity(self.list().len());
        self.list().for_each(|task| tasks.push(task));
        // Not while going through the list: a waker that is called may do anything.
        for task in tasks {
            if self.end_task(task) == Wake::Schedule {
                self.push_back(task);
            }
        }
    }

    /// Cancels a task, or aborts it when the grace period is over. Returns whether the caller has to queue
    /// it.
    pub(crate) fn end_task(&self, task: TaskRef) -> Wake {
        let first = task.cancel(Reason::Shutdown);
        let count = &self.progress.cancelled_tasks;
        count.set(count.get() + usize::from(first));
        if self.shared().phase() == Phase::Draining {
            task.abort().1
        } else {
            Wake::Nothing
        }
    }

    /// Whether a parking worker has something to do for the shutdown at once.
    pub(crate) fn must_continue_shutdown(&self) -> bool {
        match self.shared().phase() {
            Phase::Running => false,
            Phase::Ending => !self.progress.cancelled.get() || !self.progress.quiet.get(),
            Phase::Draining => true,
        }
    }

    /// One step of the shutdown, with nothing in this worker's own queue. Returns whether the worker
    /// is done and may exit.
    pub(crate) fn continue_shutdown(&self) -> bool {
        self.end_own_tasks();
        self.do_io();
        self.read_mail();
        if self.has_task() || self.take_injected() {
            self.set_quiet(false);
            return false;
        }
        if self.shared().phase() == Phase::Ending {
            let ending = &self.shared().ending;
            self.set_quiet(self.list().len() == 0);
            let all_quiet = ending.quiet.load(Ordering::SeqCst) == ending.workers;
            if all_quiet && self.shared().queues_are_empty() {
                self.shared().begin_draining();
            } else if ending.grace_is_over() {
                if self.shared().begin_draining() {
                    trace::grace_is_over();
                }
            } else {
                // Another worker has tasks left, or a task of ours waits for one over there.
                self.driver().enter(1, Some(Duration::from_millis(1)));
            }
            return false;
        }
        self.set_quiet(true);
        self.drain(DRAIN_LIMIT, || self.driver().in_flight());
        self.read_mail();
        if self.has_task() {
            // Woken by the last completions.
            return false;
        }
        self.shared().ending.worker_exits(
            self.progress.cancelled_tasks.get(),
            self.driver().in_flight(),
            self.list().len(),
        );
        true
    }

    /// Counts this worker among those with nothing left to do, or not.
    pub(crate) fn set_quiet(&self, quiet: bool) {
        if self.progress.quiet.replace(quiet) != quiet {
            let count = &self.shared().ending.quiet;
            if quiet {
                count.fetch_add(1, Ordering::SeqCst);
            } else {
                count.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// Cancels everything in flight on this ring and reaps until nothing is, or nothing has ended for as
    /// long as `limit`. Returns whether nothing is in flight.
    pub(crate) fn drain(&self, limit: Duration, in_flight: impl Fn() -> u64) -> bool {
        let mut last = (in_flight(), Instant::now());
        let mut pause = Duration::from_millis(1);
        loop {
            self.do_io();
            self.read_mail();
            self.driver().left().look(self.driver());
            let count = in_flight();
            if count == 0 {
                return true;
            }
            if count < last.0 {
                last = (count, Instant::now());
            }
            if last.1.elapsed() >= limit {
                return false;
            }
            // Again each time: an operation may have been on its way into the kernel before.
            self.driver().submit_cancel_all();
            self.driver().enter(1, Some(pause));
            pause = (pause * 2).min(limit / 8).min(Duration::from_millis(100));
        }
    }
}
