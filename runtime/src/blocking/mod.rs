//! Threads for work that blocks, so that no worker has to.
//!
//! - [`pool`]: the pool, which grows on demand and shrinks when idle.
//!
//! It knows nothing of tasks, rings or clocks: a [`Job`] is anything that can be run once or
//! dropped. The runtime submits its own task pointers, without another allocation.

mod pool;

pub(crate) use pool::{Pool, SubmitError};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Work for a thread that may block. It is run once, or dropped if the pool shuts down first.
pub(crate) trait Job: Send + 'static {
    /// Does the work. A panic is caught, and its payload dropped.
    fn run(self);

    /// Whether running it would do nothing, as somebody has taken the work back. Looked at under the pool's lock.
    fn is_withdrawn(&self) -> bool {
        false
    }
}

impl Job for Box<dyn FnOnce() + Send> {
    fn run(self) {
        self();
    }
}

/// A function that the pool's threads call, as they start or stop.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// How a pool behaves.
#[derive(Clone)]
pub(crate) struct PoolConfig {
    /// The most threads that run jobs at a time; jobs beyond that wait. Zero means one.
    pub(crate) max_threads: usize,
    /// How long a thread waits for another job before it exits.
    pub(crate) keep_alive: Duration,
    /// Names each new thread. The kernel shows the first 15 bytes.
    pub(crate) thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    /// Called by each thread before its first job.
    pub(crate) on_thread_start: Option<Hook>,
    /// Called by each thread after its last job.
    pub(crate) on_thread_stop: Option<Hook>,
}

impl fmt::Debug for PoolConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolConfig")
            .field("max_threads", &self.max_threads)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}
