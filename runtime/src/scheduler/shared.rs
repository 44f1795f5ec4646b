//! What the workers of one runtime share.

#![expect(unsafe_code, reason = "tasks point to their runtime without counting")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

use crossbeam_deque::{Injector, Stealer};
use crossbeam_utils::CachePadded;

use crate::blocking::{Job, Pool, SubmitError};
use crate::builder::Config;
use crate::driver::remote::{Message, Remote};
use crate::metrics::RuntimeMetrics;
use crate::scheduler::absence::OwnTasks;
use crate::scheduler::idle::IdleSet;
use crate::scheduler::queues::LifoSlot;
use crate::scheduler::shutdown::{Ending, Phase};
use crate::scope::Reason;
use crate::task::TaskRef;

/// A worker as its siblings see it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) remote: Arc<Remote>,
    pub(crate) stealer: Stealer<TaskRef>,
    /// Of the tasks that timers have woken.
    pub(crate) due: Stealer<TaskRef>,
    pub(crate) lifo: CachePadded<LifoSlot>,
    /// Twice the polls the worker has started, less one during a poll. A sibling sees by it whether the
    /// worker gets on, and whether it is in a task now.
    pub(crate) tick: CachePadded<AtomicU32>,
    /// Nanoseconds a poll takes on average, as the worker last estimated it; 0 means next to nothing.
    pub(crate) mean_poll: AtomicU32,
    /// Whether its queue has had many tasks in it for long, and nobody has taken any since.
    pub(crate) has_lasting_backlog: AtomicBool,
    /// Whether a thread runs this worker; before the end only worker 0 is ever without one. Changed under
    /// the lock of `tasks`.
    pub(crate) present: AtomicBool,
    pub(crate) tasks: OwnTasks,
}

/// What the workers of one runtime share. Freed only when no task of it is left (see
/// [`Ending`](super::shutdown::Ending)).
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) peers: Box<[Peer]>,
    pub(crate) injector: CachePadded<Injector<TaskRef>>,
    pub(crate) idle: Arc<IdleSet>,
    pub(crate) blocking: Pool<BlockingJob>,
    /// Threads that are inside `schedule_foreign`: they may touch this after their task is gone.
    foreign: CachePadded<AtomicUsize>,
    /// Idle workers that keep watch over busy ones.
    pub(crate) watchers: CachePadded<AtomicUsize>,
    pub(crate) phase: AtomicU8,
    pub(crate) ending: Ending,
    /// Cleanups that the workers could not run.
    pub(crate) skipped_cleanups: AtomicU64,
    /// The process that has the workers.
    process: u32,
}

impl Shared {
    pub(crate) fn new(config: Config, peers: Box<[Peer]>, idle: Arc<IdleSet>) -> Self {
        let blocking = Pool::new(config.blocking.clone());
        Self {
            ending: Ending::new(peers.len()),
            config,
            peers,
            injector: CachePadded::default(),
            idle,
            blocking,
            foreign: CachePadded::default(),
            watchers: CachePadded::default(),
            phase: AtomicU8::new(Phase::Running as u8),
            skipped_cleanups: AtomicU64::new(0),
            process: std::process::id(),
        }
    }

    /// Whether this is a child of the process that has the workers: of a runtime nothing but memory survives a `fork(2)`.
    pub(crate) fn is_of_parent(&self) -> bool {
        self.process != std::process::id()
    }

    /// Panics in such a child, for whom nobody would do what it waits for.
    #[track_caller]
    pub(crate) fn must_not_be_of_parent(&self) {
        assert!(
            !self.is_of_parent(),
            "this process is a child by `fork` of the one that built the runtime, whose workers stayed there; \
             build a runtime after the fork"
        );
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        Phase::from_raw(self.phase.load(Ordering::Acquire))
    }

    /// Queues a scheduled task from a thread that is no worker of its runtime.
    pub(crate) fn schedule_foreign(task: TaskRef) {
        // SAFETY: the task is scheduled and not queued, so it cannot complete before it is queued
        // below; and from the increment on, the runtime waits for the decrement.
        let shared = unsafe { task.runtime() };
        shared.foreign.fetch_add(1, Ordering::Acquire);
        shared.inject(task);
        shared.foreign.fetch_sub(1, Ordering::Release);
    }

    /// Queues a new task from a thread that holds a handle; a runtime that has ended cancels it at once.
    pub(crate) fn spawn_foreign(&self, task: TaskRef) {
        if self.phase() != Phase::Running {
            end_outside(task);
            return;
        }
        self.inject(task);
        // The workers look at the injector once more after the phase has changed. If they had done so
        // before the push, this load sees the change.
        fence(Ordering::SeqCst);
        if self.phase() == Phase::Draining {
            self.end_injected();
        }
    }

    /// Cancels what is left in the injector when no worker will look there again.
    fn end_injected(&self) {
        loop {
            match self.injector.steal() {
                crossbeam_deque::Steal::Success(task) => end_outside(task),
                crossbeam_deque::Steal::Retry => {}
                crossbeam_deque::Steal::Empty => return,
            }
        }
    }

    /// Queues a task from outside the workers.
    pub(crate) fn inject(&self, task: TaskRef) {
        if task.header().pinned {
            self.peers[task.owner() as usize]
                .remote
                .send(Message::Run(task));
            return;
        }
        self.injector.push(task);
        self.notify_injected();
    }

    /// Sees to it that somebody looks at the injector.
    fn notify_injected(&self) {
        if let Some(worker) = self.idle.claim_for_injected(0) {
            self.peers[worker].remote.ring_the_bell();
        }
    }

    /// Wakes some sleeping worker. Returns whether there was one.
    pub(crate) fn wake_one(&self, start: usize) -> bool {
        let Some(worker) = self.idle.claim_any(start) else {
            return false;
        };
        self.peers[worker].remote.ring_the_bell();
        true
    }

    /// Wakes every worker, asleep or not.
    pub(crate) fn wake_all(&self) {
        for peer in &self.peers {
            peer.remote.ring_the_bell();
        }
    }

    pub(crate) fn metrics(&self) -> RuntimeMetrics {
        let pool = self.blocking.metrics();
        RuntimeMetrics {
            driver: self.config.driver,
            workers: self
                .peers
                .iter()
                .enumerate()
                .map(|(index, peer)| peer.remote.counters.snapshot(index))
                .collect(),
            contained_panics: crate::panics::contained(),
            blocking_threads: pool.threads,
            idle_blocking_threads: pool.idle,
            blocking_queue_depth: pool.queued,
        }
    }

    /// Runs a new task on the blocking pool; cancelled at once when the pool takes no more.
    pub(crate) fn submit_blocking(&self, task: TaskRef) -> std::io::Result<()> {
        match self.blocking.submit(BlockingJob(task)) {
            Ok(()) => Ok(()),
            Err(SubmitError::ShutDown(job)) => {
                drop(job);
                Ok(())
            }
            Err(SubmitError::NoThread(job, error)) => {
                drop(job);
                Err(error)
            }
        }
    }

    /// Whether no thread is inside the runtime any more through a task.
    pub(crate) fn has_foreign(&self) -> bool {
        self.foreign.load(Ordering::Acquire) > 0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        while self.has_foreign() {
            std::thread::yield_now();
        }
        // A wake-up from outside may have come after the workers had gone.
        self.end_injected();
    }
}

/// Completes a scheduled, unlinked task outside any worker. If it has begun, its cleanup is skipped, since
/// nothing is left that it could wait for.
fn end_outside(task: TaskRef) {
    if !task.header().started.get() {
        task.cancel(Reason::Shutdown);
    }
    let (_first, _wake) = task.abort();
    let outcome = task.run();
    let ended = task.release_if_complete(outcome);
    debug_assert!(ended, "an aborted task ends");
}

/// A task whose future is a closure for the blocking pool. Dropping it unrun cancels it.
#[derive(Debug)]
pub(crate) struct BlockingJob(TaskRef);

impl Job for BlockingJob {
    fn run(self) {
        let task = self.0;
        std::mem::forget(self);
        if !task.header().state.claim() {
            // It was withdrawn.
            task.drop_reference();
            return;
        }
        let outcome = task.run();
        if !task.release_if_complete(outcome) {
            // It has left a cleanup in the scope of its task, which no worker runs.
            let (_first, _wake) = task.abort();
            let outcome = task.run();
            let ended = task.release_if_complete(outcome);
            debug_assert!(ended, "an aborted task ends");
        }
    }

    fn is_withdrawn(&self) -> bool {
        self.0.header().state.is_claimed()
    }
}

impl Drop for BlockingJob {
    fn drop(&mut self) {
        if self.0.header().state.claim() {
            end_outside(self.0);
        } else {
            self.0.drop_reference();
        }
    }
}
