//! The contestants: what a scenario may ask of a runtime.
//!
//! - `ours`: Heist, through its facade.
//! - `tokio`: its multi-thread and its current-thread scheduler (feature `tokio`).
//! - `smol`, `spargio`: several workers that steal (features of the same names; spargio is not on by
//!   default).
//! - `monoio`, `compio`, `glommio`: one thread per core (features of the same names; glommio is not on by
//!   default). `cores` has their threads, `bound` a wrapper for what must not leave one.
//! - [`sync`]: the locks and channels of each.
//!
//! A scenario is generic over [`Contestant`], so that nothing but the runtime differs. Each
//! implementation is written as its own users would write it: a fair comparison is between two
//! runtimes at their best, not between one and an imitation of its API by the other.

use std::{
    fmt::Debug,
    fs::{self, File},
    future::Future,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

mod ours;
pub mod bound;
pub mod cores;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "smol")]
pub mod smol;
#[cfg(feature = "monoio")]
pub mod monoio;
#[cfg(feature = "compio")]
pub mod compio;
#[cfg(feature = "glommio")]
pub mod glommio;
#[cfg(feature = "spargio")]
pub mod spargio;
pub mod sync;

#[cfg(feature = "compio")]
pub use compio::Compio;
#[cfg(feature = "glommio")]
pub use glommio::Glommio;
#[cfg(feature = "monoio")]
pub use monoio::Monoio;
pub use ours::{Coop, Defer, Heist, Profile};
#[cfg(feature = "smol")]
pub use smol::Smol;
#[cfg(feature = "spargio")]
pub use spargio::Spargio;
#[cfg(feature = "tokio")]
pub use tokio::{CurrentThread, Flavour, MultiThread, Tokio};

/// The part of divided work that one worker does: see [`Contestant::shares`].
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Which one, from 0.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

impl Share {
    /// The part of `total` that falls to this share; those of all shares add up to `total`.
    #[must_use]
    pub fn part(self, total: usize) -> usize {
        total / self.of + usize::from(self.index < total % self.of)
    }

    /// Whether this is the first one, which does what is done once.
    #[must_use]
    pub fn is_first(self) -> bool {
        self.index == 0
    }
}

/// Bytes to send, for runtimes that want to own what they send or to have it for ever.
///
/// # Panics
///
/// Panics if it is to be longer than 64 KiB.
#[must_use]
pub fn message(size: usize) -> &'static [u8] {
    static BYTES: [u8; 64 << 10] = [b'x'; 64 << 10];
    &BYTES[..size]
}

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
    /// What is read from a file.
    type Block: AsRef<[u8]> + Send + 'static;

    /// Starts a runtime with `workers` workers.
    fn start(workers: usize) -> Self;

    /// A handle to this runtime.
    fn handle(&self) -> Self::Handle;

    /// Runs `future` as a task, so that it is on a worker from its first poll, and waits for it.
    fn run<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Into how many shares a caller divides work that can be divided: 1 if tasks move between the
    /// workers by themselves, and otherwise one for each worker, as the authors of such runtimes
    /// recommend.
    fn shares(&self) -> usize {
        1
    }

    /// Runs `work` once for each share, each as a task on a worker of its own; yields the outputs.
    fn run_shares<W, F>(&self, work: W) -> Vec<F::Output>
    where
        W: Fn(Share) -> F + Send + Sync + 'static,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        vec![self.run(work(Share { index: 0, of: 1 }))]
    }

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

    /// Listens at `address`; with several shares each may listen there, and gets its part of the
    /// connections from the kernel (`SO_REUSEPORT`).
    fn listen_at(address: SocketAddr) -> impl Future<Output = (Self::Listener, SocketAddr)> + Send;

    /// Listens on a free port of the loopback interface.
    fn listen() -> impl Future<Output = (Self::Listener, SocketAddr)> + Send {
        Self::listen_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Accepts one connection, with `TCP_NODELAY` set.
    fn accept(listener: &mut Self::Listener) -> impl Future<Output = Self::Stream> + Send;

    /// Connects, with `TCP_NODELAY` set.
    fn connect(address: SocketAddr) -> impl Future<Output = Self::Stream> + Send;

    /// Sends everything back until the peer closes. `chunk` is the size of a read, where the
    /// caller of the runtime has to choose one.
    fn echo(stream: Self::Stream, chunk: usize) -> impl Future<Output = ()> + Send;

    /// Sends `message` and waits for as many bytes. `buffer` is as long as the message, for runtimes
    /// that read into memory of the caller.
    fn round_trip(
        stream: &mut Self::Stream,
        message: &'static [u8],
        buffer: &mut Vec<u8>,
    ) -> impl Future<Output = ()> + Send;

    /// Hands an open file over, from a task.
    fn file(file: File) -> impl Future<Output = Self::File> + Send;

    /// Memory for [`Contestant::read_at`].
    fn block(size: usize) -> Self::Block;

    /// Reads as much as `block` holds from `offset` on, and yields what was read, which may be in other
    /// memory.
    fn read_at(
        file: &Self::File,
        block: Self::Block,
        offset: u64,
    ) -> impl Future<Output = Self::Block> + Send;

    /// Opens the file at `path`, reads all of it, and closes it. Without more, the worker does so itself.
    fn read_file(path: PathBuf) -> impl Future<Output = Vec<u8>> + Send {
        async move { fs::read(path).expect("the file is there") }
    }

    /// Creates a file at `path`, writes `piece` to it `count` times, one write after the other, until the kernel has
    /// everything, and closes it. Without more, the worker does so itself.
    fn write_file(
        path: PathBuf,
        piece: &'static [u8],
        count: usize,
    ) -> impl Future<Output = ()> + Send {
        async move {
            let mut file = File::create(path).expect("a new name");
            for _ in 0..count {
                file.write_all(piece).expect("there is room");
            }
        }
    }
}
