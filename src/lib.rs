//! A multi-threaded, work-stealing async runtime for Linux on io_uring, with the asyncio programming model.
//!
//! # A guided tour
//!
//! [`block_on`] runs a future to its end; [`spawn`] starts tasks beside it, which any worker may run:
//!
//! ```
//! heist::block_on(async {
//!     let double = heist::spawn(async { 21 * 2 });
//!     assert_eq!(double.await.unwrap(), 42);
//! });
//! ```
//!
//! With the attribute [`main`] a program begins inside a runtime, and [`test`](macro@test) is for its tests:
//!
//! ```
//! #[heist::main]
//! async fn main() {
//!     heist::yield_now().await;
//! }
//! ```
//!
//! [`time`] waits, [`sync`] limits and combines:
//!
//! ```
//! use heist::sync::{Semaphore, join_all};
//! use heist::time::{Duration, sleep, timeout};
//!
//! heist::block_on(async {
//!     let two_at_a_time = Semaphore::new(2);
//!     let jobs = (0..4).map(async |i| {
//!         let _permit = two_at_a_time.acquire().await.unwrap();
//!         sleep(Duration::from_millis(1)).await;
//!         i
//!     });
//!     let all = timeout(Duration::from_secs(5), join_all(jobs)).await;
//!     assert_eq!(all, Ok(vec![0, 1, 2, 3]));
//! });
//! ```
//!
//! [`net`] connects. A read that is cancelled loses no byte, an accept no connection:
//!
//! ```
//! use heist::net::{TcpListener, TcpStream};
//!
//! heist::block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let mut client = TcpStream::connect(listener.local_addr()?).await?;
//!     let (mut server, _) = listener.accept().await?;
//!     client.write_all(b"hello").await?;
//!     assert_eq!(&*server.recv().await?.unwrap(), b"hello");
//!     Ok::<(), std::io::Error>(())
//! })
//! .unwrap();
//! ```
//!
//! [`fs`] has files, [`process`] programs:
//!
//! ```
//! use heist::io::AsyncBufReadExt;
//! use heist::process::Command;
//!
//! heist::block_on(async {
//!     let mut lines = heist::fs::File::open("/proc/self/status").await?.lines();
//!     assert!(lines.next_line().await?.unwrap().starts_with("Name:"));
//!     assert_eq!(Command::new("echo").arg("hello").output().await?.stdout, b"hello\n");
//!     Ok::<(), std::io::Error>(())
//! })
//! .unwrap();
//! ```
//!
//! [`net::http`] fetches, [`Builder`] configures, [`RuntimeMetrics`] counts, and [`ops`] is the layer below.
//!
//! The [`guide`] has a page for each larger subject: [getting started](guide::getting_started), [tasks and
//! cancellation](guide::tasks_and_cancellation), [tuning](guide::tuning), [how it works](guide::stealing_and_rings), ...; and
//! for those who know another runtime, [coming from asyncio](guide::coming_from_asyncio) and [coming from
//! tokio](guide::coming_from_tokio).
//!
//! # Cancel safety
//!
//! Dropping a future of Heist never leaks or corrupts anything; each says whether it loses anything. See
//! the sections of the same name in [`ops`], [`sync`], [`net`], [`fs`] and [`process`].
//!
//! # Requirements
//!
//! Linux 6.1 or newer with io_uring enabled. Where it is not, epoll takes its place, with a warning that names the
//! cause and the remedy ([`Driver`]).
//!
//! # Features
//!
//! `sync`, `net`, `fs`, `process` and `macros`, the attributes [`main`] and [`test`](macro@test) (default); `test-util`, a clock that tests pause and advance; `tracing`, events of the
//! runtime for the `tracing` crate, under the targets `heist::runtime`, `heist::worker`, `heist::task`,
//! `heist::driver` and `heist::blocking` (`heist-runtime` says which); `futures-io`, `tokio` and `hyper`,
//! the traits of those libraries for Heist's readers and writers (`io::Compat`), with `hyper` also an HTTP server
//! (`net::hyper`); `bridge`, for libraries that call tokio's runtime inside (`net::bridge`); `dns`, a resolver that asks name servers
//! itself and has a cache (`net::dns::HickoryResolver`); `signal`, Ctrl-C and the other signals (`signal`). With default features off, this crate
//! is the bare runtime.

#![forbid(unsafe_code)]

pub use heist_runtime::{
    BuildError, Builder, Driver, EnterGuard, Handle, JoinError, JoinHandle, RingProfile, Runtime,
    RuntimeMetrics, ShutdownReport, WorkerMetrics, block_on, ops, scope, spawn, spawn_blocking,
    spawn_local, task_local, yield_now,
};

/// Tasks: handles, names, and sets of them.
pub mod task {
    pub use heist_runtime::task::*;
    #[cfg(feature = "sync")]
    pub use heist_sync::JoinSet;
}

#[cfg(feature = "sync")]
pub use heist_sync::{
    self as sync, AsyncClose, CancelToken, ExitStack, How, as_completed, cancel, cancel_scope,
    checkpoint, exit_stack, finally, group, join, join_all, on_cancel, resource, shield, stream,
    task_group, time, try_join_all, try_using, using,
};

#[cfg(feature = "sync")]
pub use heist_sync::{race, race_all, try_join};

#[cfg(feature = "signal")]
pub use heist_sync::signal;

#[cfg(all(feature = "sync", feature = "macros"))]
pub use heist_sync::select;

#[cfg(not(feature = "sync"))]
pub use heist_runtime::time;

#[cfg(feature = "net")]
pub use heist_net::{self as net, io};

#[cfg(feature = "fs")]
pub use heist_fs as fs;

#[cfg(feature = "process")]
pub use heist_process as process;

#[cfg(feature = "macros")]
pub use heist_macros::{main, test};

// Their examples use everything.
#[cfg(all(feature = "fs", feature = "process", feature = "macros"))]
pub mod guide;

#[doc(hidden)]
pub use heist_runtime::macro_support;

/// The programs in the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
