//! Counters of each worker, always on.
//!
//! Each counter has one writer at a time (the worker's thread, or the holder of its CQ lock), so an
//! increment is a plain load and store.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::driver::choice::Driver;

/// Adds one to a counter that only this thread writes at present.
#[inline(always)]
pub(crate) fn bump(counter: &AtomicU64) {
    add(counter, 1);
}

/// Adds to a counter that only this thread writes at present.
#[inline(always)]
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(count),
        Ordering::Relaxed,
    );
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The counters of one worker.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self, index: usize) -> WorkerMetrics {
                WorkerMetrics { index, $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        /// What one worker has done since the runtime started.
        ///
        /// The numbers are read one after another while the worker runs, so they may be a few events
        /// apart.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct WorkerMetrics {
            /// Which worker; 0 is the thread inside `block_on`.
            pub index: usize,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl WorkerMetrics {
            /// Polls of tasks that were spawned or woken here: all but the first polls of those that came
            /// from the injector or from siblings.
            #[must_use]
            pub fn local(&self) -> u64 {
                self.polls
                    .saturating_sub(self.injected)
                    .saturating_sub(self.stolen_tasks)
            }

            fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Tasks polled.
    polls,
    /// Tasks taken from the injector.
    injected,
    /// Times a sibling's queue was looked at in search of work.
    steal_attempts,
    /// Times that found something.
    steals,
    /// Tasks taken from siblings.
    stolen_tasks,
    /// Tasks sent to the worker on whose CPU their data arrives.
    migrations,
    /// Times the worker went to sleep.
    parks,
    /// Wake-ups sent to other workers.
    wakes_sent,
    /// Operations submitted.
    submissions,
    /// Calls of `io_uring_enter`; under [`Driver::Poll`] of what takes its place, which makes several calls.
    enters,
    /// Enters that the kernel refused for want of memory or room for completions.
    enter_busy,
    /// Times the submission queue was full.
    sq_full,
    /// Completions read, also those of cancels and wake-ups.
    completions,
    /// Completions whose operation had been dropped.
    orphans,
    /// Completions of an operation that was over; always 0.
    stale_completions,
    /// Times this worker's completions overflowed the queue into the kernel's memory.
    overflows,
    /// Times this worker forced a busy sibling's completions to appear.
    rescues,
    /// Completions of busy siblings that this worker delivered.
    rescued_completions,
    /// Times the kernel found no receive buffer.
    buffer_starvations,
    /// Timers fired.
    timers_fired,
}

/// What the workers of a runtime have done.
///
/// # Examples
///
/// ```
/// let runtime = heist_runtime::Runtime::new()?;
/// runtime.block_on(async { heist_runtime::yield_now().await });
/// assert!(runtime.metrics().total().polls < 1000);
/// # Ok::<(), heist_runtime::BuildError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RuntimeMetrics {
    /// What carries the I/O: [`Driver::Uring`] or [`Driver::Poll`].
    pub driver: Driver,
    /// One entry per worker.
    pub workers: Vec<WorkerMetrics>,
    /// Panics of wakers and destructors that had nobody to report to, in the whole process.
    pub contained_panics: u64,
    /// Threads of the blocking pool.
    pub blocking_threads: usize,
    /// Threads of the blocking pool that have nothing to do.
    pub idle_blocking_threads: usize,
    /// Closures waiting for a thread of the blocking pool.
    pub blocking_queue_depth: usize,
}

impl RuntimeMetrics {
    /// The sum over all workers.
    #[must_use]
    pub fn total(&self) -> WorkerMetrics {
        let mut total = WorkerMetrics::default();
        for worker in &self.workers {
            total.add(worker);
        }
        total
    }
}
