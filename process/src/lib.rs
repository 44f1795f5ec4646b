//! Child processes for the Heist runtime, in tokio's names.
//!
//! - [`Command`]: how to start one
//! - [`Child`]: one that was started; [`ChildStdin`], [`ChildStdout`], [`ChildStderr`]: the pipes to and from it
//!
//! A child is waited for through a descriptor of its own ([`pidfd_open(2)`]) on the ring: no signal handler, no thread, and no
//! search through other children. Where a sandbox forbids that, it is looked after in pauses of up to 50 ms.
//!
//! # Dropping
//!
//! A [`Child`] that is dropped runs on, unless [`Command::kill_on_drop`] was set. Either way it is waited for in the
//! background, so that no zombie remains: by the runtime it was dropped in, or, should that end first, by the next call that
//! starts a child.
//!
//! # Examples
//!
//! ```
//! use heist_process::Command;
//!
//! # heist_runtime::block_on(async {
//! let output = Command::new("echo").arg("hello").output().await?;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok::<(), std::io::Error>(()) }).unwrap();
//! ```
//!
//! [`pidfd_open(2)`]: https://man7.org/linux/man-pages/man2/pidfd_open.2.html

#![forbid(unsafe_code)]

mod command;
mod child;
mod pipes;
mod running;
mod orphans;

pub use child::Child;
pub use command::Command;
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};
