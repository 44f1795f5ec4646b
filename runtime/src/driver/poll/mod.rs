//! A ring without io_uring: where that is denied, this folder does in user space what the kernel would.
//!
//! The rest of the runtime notices nothing. It writes the same entries into the same queues, which lie in
//! ordinary memory here, and enters the ring; what the kernel does there is done by [`kernel`], with the
//! plain system calls and one epoll instance for each ring.
//!
//! In reading order, along the journey of an entry:
//!
//! - [`entry`]: submissions and completions as they lie in the queues
//! - [`kernel`]: entering: takes entries, waits, completes
//! - [`operation`]: one try of an operation, and what is to come before the next
//! - [`watches`]: which operations wait at which descriptor, and [`epoll`], where they wait
//! - [`group`]: receive buffers, picked as the kernel picks them
//! - [`files`]: threads for what blocks, and [`fifo`]: what can be given up there
//! - [`calls`]: the system calls, with results as completions have them
//!
//! # What differs from a ring of the kernel's
//!
//! - An entry is carried out when its worker enters, and not before: a send costs a system call of its own.
//! - Whether there are completions is known only after a look, so a busy worker looks every 50 us.
//! - What has begun on a thread (`open`, `fsync`, a read that is not cached) is not interrupted, except the open of a
//!   FIFO, and a connect to a Unix socket whose backlog is full.
//! - A listener is non-blocking from its first accept on, also for others that share it.

mod entry;
mod kernel;
mod operation;
mod watches;
mod epoll;
mod group;
mod files;
mod fifo;
mod calls;

pub(in crate::driver) use entry::{Cqe, Sqe};
pub(in crate::driver) use kernel::Emulation;

#[cfg(all(test, not(loom)))]
#[expect(unsafe_code, reason = "driving a ring by hand")]
mod tests;
