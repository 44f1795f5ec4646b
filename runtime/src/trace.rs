//! Events for the `tracing` crate. Without the feature `tracing` every function here is empty.
//!
//! | target | level | message | fields |
//! |---|---|---|---|
//! | `heist::runtime` | DEBUG | runtime built | `workers`, `driver`, `profile`, `sq_entries`, `cq_entries`, `sq_array`, `rescue`, `watch_interval` |
//! | | WARN | io_uring cannot be used, epoll takes its place | `error`: cause and remedy |
//! | | DEBUG | shutdown begins | `grace` |
//! | | WARN | grace period over with tasks left | |
//! | | DEBUG | runtime shut down | `cancelled_tasks`, `elapsed` |
//! | | WARN | runtime shut down, not everything ended | the same, and the fields of [`ShutdownReport`] |
//! | | WARN | no thread for the shutdown | `error` |
//! | | WARN | panic contained | `in_a`: waker, destructor, hook, job; `panic`: its text |
//! | `heist::worker` | DEBUG | worker thread started, stopped | `worker`, `thread`: as the kernel numbers it |
//! | | DEBUG | `block_on` takes, leaves the place of worker 0 | `thread` |
//! | | DEBUG | `block_on` waits: another thread is worker 0 | `thread` |
//! | | DEBUG, TRACE | rescued from a stuck worker | `worker`, `stuck`: its index, `tasks`, `completions`; DEBUG also `unreported` |
//! | `heist::task` | TRACE | task spawned | `id`, `name`, `bound_to`: the worker of a local task |
//! | | TRACE | task completed | `id`, `name` |
//! | | TRACE | task cancelled | `id`, `name`, `aborted` |
//! | | ERROR | task panicked | `id`, `name`, `error` |
//! | | WARN | cleanup took too long | `grace`, `tree`: the tasks and scopes above and below |
//! | | TRACE | task follows its data | `id`, `name`, `from`, `to` |
//! | `heist::driver` | DEBUG | receive buffers grown, shrunk | `worker`, `before`, `after`, `limit` |
//! | | WARN | receive buffers exhausted | `worker`, `limit`, `unreported` |
//! | | WARN | completion queue overflowed | `worker`, `unreported` |
//! | `heist::blocking` | DEBUG | blocking thread started, ended | `thread` |
//! | | WARN | blocking thread could not be started | `threads`, `error`, `unreported` |
//!
//! What can happen often is emitted once a second at most; `unreported` counts those in between.
//!
//! # Rules
//!
//! A subscriber is foreign code that may use the runtime: spawn, wake, submit operations.
//!
//! - **No event is emitted while the runtime holds a lock or a borrow** that such a use might want: first
//!   the borrow ends, then the event is emitted. That goes for the CQ lock, the blocking pool's mutex, the
//!   state of a shutdown, and every `RefCell` but the reaper's scratch space, which copes.
//! - Where a worker emits an event in its loop, it still looks for tasks afterwards. After its last look it
//!   is no longer the current worker.
//! - A panic of a subscriber is contained like that of a waker, without an event about it.
//! - What a subscriber does while it handles an event of the runtime causes no further events on its
//!   thread, so that it does not end up in itself for ever.

#![cfg_attr(
    not(feature = "tracing"),
    expect(unused_variables, reason = "events that are not compiled")
)]

use std::any::Any;
use std::fmt::Display;
use std::io;
use std::time::Duration;

use crate::builder::Config;
use crate::scheduler::shutdown::ShutdownReport;
use crate::task::cell::Birth;
use crate::task::raw::Header;

/// Emits an event if its level is wanted; the fields are evaluated only then.
macro_rules! event {
    ($level:ident, $target:literal, $($event:tt)*) => {{
        #[cfg(feature = "tracing")]
        if emit::is_wanted(tracing::Level::$level) {
            emit::emit(|| tracing::event!(target: $target, tracing::Level::$level, $($event)*));
        }
    }};
}

/// As [`event`], once a second at most, with the field `unreported`. Without the level nothing is counted.
macro_rules! rare_event {
    ($level:ident, $target:literal, $($event:tt)*) => {{
        #[cfg(feature = "tracing")]
        if emit::is_wanted(tracing::Level::$level) {
            static LIMIT: emit::Limit = emit::Limit::new();
            if let Some(unreported) = LIMIT.pass() {
                event!($level, $target, unreported, $($event)*);
            }
        }
    }};
}

pub(crate) fn runtime_built(config: &Config) {
    event!(
        DEBUG,
        "heist::runtime",
        workers = config.workers,
        driver = ?config.driver,
        profile = ?config.profile,
        sq_entries = config.ring.sq_entries,
        cq_entries = config.ring.cq_entries,
        sq_array = config.ring.flags & crate::driver::sys::SETUP_NO_SQARRAY == 0,
        rescue = match (config.watch_interval, config.rescue_signal) {
            (None, _) => "none",
            _ if config.ring.emulated => "enter",
            (Some(_), Some(_)) => "signal",
            (Some(_), None) => "membarrier",
        },
        watch_interval = config.watch_interval.map(tracing::field::debug),
        "runtime built"
    );
}

/// Without the feature it goes to standard error: who waits for the speed of io_uring has to know.
#[cold]
pub(crate) fn ring_replaced(error: &crate::BuildError) {
    event!(
        WARN,
        "heist::runtime",
        %error,
        "io_uring cannot be used, epoll takes its place"
    );
    #[cfg(not(feature = "tracing"))]
    eprintln!(
        "heist: {error}. Until then epoll takes its place, at some cost; HEIST_DRIVER=poll asks for that, without \
         this message"
    );
}

pub(crate) fn shutdown_begins(grace: Duration) {
    event!(DEBUG, "heist::runtime", ?grace, "shutdown begins");
}

pub(crate) fn grace_is_over() {
    event!(WARN, "heist::runtime", "grace period over with tasks left");
}

pub(crate) fn runtime_ended(report: &ShutdownReport, cancelled_tasks: usize, elapsed: Duration) {
    if report.is_clean() {
        event!(
            DEBUG,
            "heist::runtime",
            cancelled_tasks,
            ?elapsed,
            "runtime shut down"
        );
        return;
    }
    event!(
        WARN,
        "heist::runtime",
        cancelled_tasks,
        ?elapsed,
        stuck_workers = report.stuck_workers,
        stuck_blocking_threads = report.stuck_blocking_threads,
        leaked_operations = report.leaked_operations,
        unfinished_tasks = report.unfinished_tasks,
        "runtime shut down, not everything ended"
    );
}

pub(crate) fn no_thread_for_the_shutdown(error: &io::Error) {
    event!(WARN, "heist::runtime", %error, "no thread for the shutdown");
}

pub(crate) fn panic_contained(in_a: &'static str, payload: &(dyn Any + Send)) {
    event!(
        WARN,
        "heist::runtime",
        in_a,
        panic = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str)),
        "panic contained"
    );
}

pub(crate) fn worker_started(worker: usize) {
    event!(
        DEBUG,
        "heist::worker",
        worker,
        thread = thread(),
        "worker thread started"
    );
}

pub(crate) fn worker_stopped(worker: usize) {
    event!(
        DEBUG,
        "heist::worker",
        worker,
        thread = thread(),
        "worker thread stopped"
    );
}

pub(crate) fn seat_taken() {
    event!(
        DEBUG,
        "heist::worker",
        thread = thread(),
        "block_on takes the place of worker 0"
    );
}

pub(crate) fn seat_left() {
    event!(
        DEBUG,
        "heist::worker",
        thread = thread(),
        "block_on leaves the place of worker 0"
    );
}

pub(crate) fn guest_waits() {
    event!(
        DEBUG,
        "heist::worker",
        thread = thread(),
        "block_on waits: another thread is worker 0"
    );
}

/// Stuck siblings may be rescued from thousands of times a second: all at TRACE, one in a while at DEBUG.
pub(crate) fn rescued(worker: usize, stuck: usize, tasks: u64, completions: usize) {
    #[cfg(feature = "tracing")]
    if emit::is_wanted(tracing::Level::TRACE) {
        event!(
            TRACE,
            "heist::worker",
            worker,
            stuck,
            tasks,
            completions,
            "rescued from a stuck worker"
        );
        return;
    }
    rare_event!(
        DEBUG,
        "heist::worker",
        worker,
        stuck,
        tasks,
        completions,
        "rescued from a stuck worker"
    );
}

#[inline(always)]
pub(crate) fn task_spawned(birth: &Birth) {
    event!(
        TRACE,
        "heist::task",
        id = %birth.id,
        name = birth.name.as_deref(),
        bound_to = birth.pinned_to,
        "task spawned"
    );
}

/// Without the feature it goes to standard error: something is about to be lost, and somebody has to know.
#[cold]
pub(crate) fn cleanup_takes_too_long(scope: &crate::scope::node::NodeRef, grace: Duration) {
    let tree = crate::task::dump::around(scope);
    event!(WARN, "heist::task", ?grace, %tree, "cleanup took too long");
    #[cfg(not(feature = "tracing"))]
    eprintln!(
        "heist: the cleanup of what was cancelled took longer than {grace:?}; the rest is skipped\n{tree}"
    );
}

/// Called before anybody else can learn of it.
#[cfg(feature = "tracing")]
#[inline]
pub(crate) fn task_ended(task: &Header, error: Option<&crate::task::JoinError>) {
    match error {
        None => event!(
            TRACE,
            "heist::task",
            id = %task.id,
            name = task.name(),
            "task completed"
        ),
        Some(error) if error.is_panic() => event!(
            ERROR,
            "heist::task",
            id = %task.id,
            name = task.name(),
            %error,
            "task panicked"
        ),
        Some(error) => event!(
            TRACE,
            "heist::task",
            id = %task.id,
            name = task.name(),
            aborted = error.is_aborted(),
            "task cancelled"
        ),
    }
}

#[inline(always)]
pub(crate) fn task_migrates(task: &Header, from: usize, to: usize) {
    event!(
        TRACE,
        "heist::task",
        id = %task.id,
        name = task.name(),
        from,
        to,
        "task follows its data"
    );
}

/// The kernel found no receive buffer; more were added unless there were as many as there may be.
pub(crate) fn buffers_starved(worker: usize, before: u32, after: u32, limit: u32) {
    if before < after {
        event!(
            DEBUG,
            "heist::driver",
            worker,
            before,
            after,
            limit,
            "receive buffers grown"
        );
    } else {
        rare_event!(
            WARN,
            "heist::driver",
            worker,
            limit,
            "receive buffers exhausted"
        );
    }
}

pub(crate) fn buffers_shrunk(worker: usize, before: u32, after: u32, limit: u32) {
    event!(
        DEBUG,
        "heist::driver",
        worker,
        before,
        after,
        limit,
        "receive buffers shrunk"
    );
}

#[cold]
pub(crate) fn completions_overflowed(worker: usize) {
    rare_event!(WARN, "heist::driver", worker, "completion queue overflowed");
}

pub(crate) fn blocking_thread_started() {
    event!(
        DEBUG,
        "heist::blocking",
        thread = thread(),
        "blocking thread started"
    );
}

pub(crate) fn blocking_thread_ended() {
    event!(
        DEBUG,
        "heist::blocking",
        thread = thread(),
        "blocking thread ended"
    );
}

/// `threads` is how many there are without it.
#[cold]
pub(crate) fn blocking_thread_refused(threads: usize, error: &dyn Display) {
    rare_event!(
        WARN,
        "heist::blocking",
        threads,
        %error,
        "blocking thread could not be started"
    );
}

#[cfg(feature = "tracing")]
use crate::threads::current_thread_id as thread;

#[cfg(feature = "tracing")]
mod emit {
    use std::cell::Cell;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use tracing::Level;
    use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};

    thread_local! {
        /// A subscriber is handling an event of the runtime on this thread. Without a destructor, so it is
        /// there while others run.
        static EMITTING: Cell<bool> = const { Cell::new(false) };
    }

    /// Whether any subscriber wants this level: one load, and no foreign code.
    #[inline(always)]
    pub(super) fn is_wanted(level: Level) -> bool {
        level <= STATIC_MAX_LEVEL && level <= LevelFilter::current()
    }

    /// Runs what calls the subscriber.
    #[cold]
    pub(super) fn emit(event: impl FnOnce()) {
        if EMITTING.replace(true) {
            return;
        }
        if let Some(payload) = crate::panics::catch(event) {
            std::mem::forget(payload);
        }
        EMITTING.set(false);
    }

    /// Lets one event a second through.
    #[derive(Debug)]
    pub(super) struct Limit {
        /// When the next may pass, in milliseconds since `START`.
        next: AtomicU64,
        unreported: AtomicU64,
    }

    /// Milliseconds between two events of a kind.
    const PERIOD: u64 = 1000;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    impl Limit {
        pub(super) const fn new() -> Self {
            Self {
                next: AtomicU64::new(0),
                unreported: AtomicU64::new(0),
            }
        }

        /// Whether an event may pass now: then how many did not since the last one.
        pub(super) fn pass(&self) -> Option<u64> {
            let now = u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX);
            let next = self.next.load(Ordering::Relaxed);
            let passes = now >= next
                && self
                    .next
                    .compare_exchange(next, now + PERIOD, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok();
            if passes {
                return Some(self.unreported.swap(0, Ordering::Relaxed));
            }
            self.unreported.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}
