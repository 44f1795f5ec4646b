//! The contestants: what a scenario may ask of a runtime.
//!
//! - `ours`: Heist, through its facade.
//! - `tokio`: its multi-thread and its current-thread scheduler (feature `tokio`).
//! - [`sync`]: the locks and channels of each.
//!
//! A scenario is generic over [`Contestant`], so that nothing but the runtime differs. Each
//! implementation is written as its own users would write it: a fair comparison is between two
//! runtimes at their best, not between one and an imitation of its API by the other.

use std::{fmt::Debug, fs::File, future::Future, net::SocketAddr, time::Duration};

mod ours;
#[cfg(feature = "tokio")]
mod tokio;
pub mod sync;

pub use ours::{Coop, Defer, Heist, Profile};
#[cfg(feature = "tokio")]
pub use tokio::{CurrentThread, Flavour, MultiThread, Tokio};

/// A runtime that scenarios run on. An instance is one started runtime; dropping it stops it.
pub trait Contestant: Sized + 'static {
    /// Spawns onto the runtime from any thread.
    type Handle: Clone + Send + 'static;
    /// Waits for a spawned task.
    type JoinHandle<T: Send + 'static>: Future<Output = Result<T, Self::JoinError>> + Send + 'static;
    /// Why a spawned task has no output.
    type JoinError: Debug;
    /// The runtime's own semaphore.
    type Semaphore: Send + Sync + 'static;
    /// The runtime's own locks and channels.
    type Sync: sync::Primitives;
    /// The runtime's own TCP listener.
    type Listener: Send + 'static;
    /// The runtime's own TCP stream.
    type Stream: Send + 'static;
    /// A file that is open for reading, as the tasks that read it share it.
    type File: Clone + Send + Sync + 'static;

    /// Starts a runtime with `workers` workers (where the kind of runtime has a choice).
    fn start(workers: usize) -> Self;

    /// A handle to this runtime.
    fn handle(&self) -> Self::Handle;

    /// Drives `future` to its end on the calling thread.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Spawns onto the runtime of the calling task.
    fn spawn<F>(future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns from outside.
    fn spawn_on<F>(handle: &Self::Handle, future: F) -> Self::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Lets the other tasks run.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Waits for `duration`.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;

    /// Waits for `future`, at most for `limit`; says whether it finished.
    fn timeout<F: Future<Output: Send> + Send>(
        limit: Duration,
        future: F,
    ) -> impl Future<Output = bool> + Send;

    /// A semaphore with `permits` permits.
    fn semaphore(permits: usize) -> Self::Semaphore;

    /// Waits for a permit; dropping it gives it back.
    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = impl Send> + Send;

    /// The two ends of the runtime's own channel for one value.
    fn oneshot<T: Send + 'static>() -> (
        impl FnOnce(T) + Send + 'static,
        impl Future<Output = T> + Send + 'static,
    );

    /// Spawns so many tasks that do nothing into a set, and takes their outputs as they come.
    fn join_set(tasks: usize) -> impl Future<Output = ()> + Send {
        Self::join_all(tasks)
    }

    /// Spawns so many tasks that do nothing into a group that waits for them all and would cancel the
    /// others if one failed.
    fn task_group(tasks: usize) -> impl Future<Output = ()> + Send {
        Self::join_all(tasks)
    }

    /// What takes the place of [`join_set`](Self::join_set) and [`task_group`](Self::task_group) where a
    /// runtime has no such thing: joining one handle after the other.
    fn join_all(tasks: usize) -> impl Future<Output = ()> + Send {
        async move {
            let handles: Vec<_> = (0..tasks).map(|_| Self::spawn(async {})).collect();
            for handle in handles {
                handle.await.expect("the task does not panic");
            }
        }
    }

    /// Listens on a free port of the loopback interface.
    fn listen() -> impl Future<Output = (Self::Listener, SocketAddr)> + Send;

    /// Accepts one connection, with `TCP_NODELAY` set.
    fn accept(listener: &mut Self::Listener) -> impl Future<Output = Self::Stream> + Send;

    /// Connects, with `TCP_NODELAY` set.
    fn connect(address: SocketAddr) -> impl Future<Output = Self::Stream> + Send;

    /// Sends everything back until the peer closes. `chunk` is the size of a read, where the
    /// caller of the runtime has to choose one.
    fn echo(stream: Self::Stream, chunk: usize) -> impl Future<Output = ()> + Send;

    /// Sends `message` and waits for as many bytes. `buffer` is as long as the message, for
    /// runtimes that read into the caller's memory.
    fn round_trip(
        stream: &mut Self::Stream,
        message: &[u8],
        buffer: &mut [u8],
    ) -> impl Future<Output = ()> + Send;

    /// Hands an open file over.
    fn file(file: File) -> Self::File;

    /// Fills `buffer` from `offset` on, and gives it back.
    fn read_at(
        file: &Self::File,
        buffer: Box<[u8]>,
        offset: u64,
    ) -> impl Future<Output = Box<[u8]>> + Send;

    /// Runs `future` as a spawned task, so that it is on a worker from its first poll.
    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.block_on(async {
            Self::spawn(future)
                .await
                .expect("the root task does not panic")
        })
    }
}
