//! Descriptors of others: of libraries, of the kernel's `eventfd(2)`, `timerfd_create(2)`, `inotify(7)` and so on.
//!
//! - [`AsyncFd`]: one that tasks wait for; [`AsyncFdReadyGuard`], [`AsyncFdReadyMutGuard`]: what a wait has found;
//!   [`TryIoError`]: that it was wrong

mod async_fd;
mod guard;

pub use async_fd::AsyncFd;
pub use guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard, TryIoError};
