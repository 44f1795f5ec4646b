//! The core of the Heist runtime: work stealing on io_uring, one ring per worker.
//!
//! Applications depend on the facade crate `heist`, which re-exports this one. What is here:
//!
//! - [`Runtime`], [`Builder`], [`Handle`]: starting, configuring and referring to a runtime
//! - [`spawn`], [`spawn_local`], [`spawn_blocking`], [`task`]: tasks and their handles
//! - [`scope`]: the tree that a cancellation unwinds
//! - [`time`]: the clock and timers
//! - [`ops`]: operations on descriptors, the layer that sockets and files are built on
//! - [`RuntimeMetrics`]: what the workers did
//!
//! # Cancel safety
//!
//! Dropping a future of this crate before it is ready never loses anything: operations in flight are
//! cancelled in the kernel, their memory stays with the runtime until the kernel has let go of it, and
//! what arrives too late is kept for the next caller or closed, as each operation says.
//!
//! # Events
//!
//! With the feature `tracing` the runtime tells a subscriber of the `tracing` crate what it does:
//!
//! | target | DEBUG | TRACE | WARN and ERROR |
//! |---|---|---|---|
//! | `heist::runtime` | built, shut down | | what a shutdown left behind, contained panics |
//! | `heist::worker` | threads, `block_on`, a rescue now and then | every rescue | |
//! | `heist::task` | | spawned, completed, cancelled, moved to its data | panicked (ERROR) |
//! | `heist::driver` | receive buffers added and withdrawn | | buffers exhausted, completions overflowed |
//! | `heist::blocking` | threads | | a thread that could not be started |
//!
//! No poll emits an event, and without the feature nothing is compiled in. A subscriber may use the
//! runtime, and a panic of it is contained like that of a waker; while it handles an event of the runtime,
//! what it does causes no further ones. Locks of its own it should not hold while it spawns: the event of
//! that task would find them taken. Blocking in it blocks a worker.
//!
//! # Requirements
//!
//! Linux 6.1 or newer with io_uring enabled. Where it is not, epoll takes its place, with a warning that names the
//! cause and the remedy ([`Driver`]).

mod primitives;
mod memory;
mod driver;
pub mod ops;
mod scheduler;
pub mod task;
pub mod scope;
pub mod time;
mod blocking;
mod context;
mod handle;
mod builder;
mod runtime;
mod seat;
mod threads;
mod large;
mod metrics;
#[doc(hidden)]
pub mod panics;
mod trace;
mod error;
#[doc(hidden)]
pub mod macro_support;

pub use builder::{Builder, RingProfile};
pub use driver::choice::Driver;
pub use error::BuildError;
pub use handle::{EnterGuard, Handle};
pub use metrics::{RuntimeMetrics, WorkerMetrics};
pub use runtime::{Runtime, block_on};
pub use scheduler::shutdown::ShutdownReport;
pub use task::{JoinError, JoinHandle, yield_now};

use std::future::Future;

/// Spawns a task on the current runtime: it is queued, never run inline, and goes on without its handle
/// (asyncio: `create_task`).
///
/// On a worker it runs next there, or wherever it is stolen to.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Examples
///
/// ```
/// heist_runtime::block_on(async {
///     let double = heist_runtime::spawn(async { 21 * 2 });
///     assert_eq!(double.await.unwrap(), 42);
/// });
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    large::carried!(large::is_boxed_to_spawn::<F>(), future => handle::spawn_current(future))
}

/// Spawns a task that stays on the current worker, so its future need not be `Send`.
///
/// On worker 0, the thread inside `block_on`, such tasks end with that call.
///
/// # Panics
///
/// Outside the workers of a runtime.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// heist_runtime::block_on(async {
///     let shared = Rc::new(42);
///     let task = heist_runtime::spawn_local(async move { *shared });
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    large::carried!(large::is_boxed_to_spawn::<F>(), future => context::spawn_local(None, None, future))
}

/// Runs a closure that may block, on a thread kept for that (asyncio: `to_thread`).
///
/// Cancelling the handle ends a closure that has not started; one that runs cannot be stopped.
///
/// # Panics
///
/// Outside a runtime, and when the operating system cannot create the pool's first thread.
///
/// # Examples
///
/// ```
/// heist_runtime::block_on(async {
///     let contents = heist_runtime::spawn_blocking(|| std::fs::read_to_string("/proc/version"));
///     assert!(contents.await.unwrap().unwrap().contains("Linux"));
/// });
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Handle::current().spawn_blocking(f)
}
