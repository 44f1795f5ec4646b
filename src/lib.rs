#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use heist_runtime::{
    BuildError, Builder, EnterGuard, Handle, JoinError, JoinHandle, RingProfile, Runtime,
    RuntimeMetrics, ShutdownReport, WorkerMetrics, block_on, ops, spawn, spawn_blocking,
    spawn_local, task, yield_now,
};

#[cfg(feature = "sync")]
pub use heist_sync::{self as sync, time};

#[cfg(feature = "net")]
pub use heist_net as net;
