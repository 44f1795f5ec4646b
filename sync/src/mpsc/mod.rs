//! Items from many tasks to one. Needs no runtime (but [`Sender::send_timeout`] does) and works
//! under any executor.
//!
//! tokio's `mpsc` in names and signatures. [`channel`] holds back those who send faster than the
//! receiver receives, in the order in which they came; [`unbounded_channel`] does not.
//!
//! In reading order:
//!
//! - `slot`, `list`: the lock-free queue.
//! - `chan`: the counted handles to it.
//! - `receive`: the receiving end of both kinds; `sender`: what the sending ends have in common.
//! - `bounded`, `permit`; `unbounded`: the two kinds.
//! - `error`: why an item was not sent or received.

mod slot;
mod list;
mod chan;
mod receive;
mod sender;
mod bounded;
mod permit;
mod unbounded;
/// The errors of the channels.
pub mod error;

pub use bounded::{Receiver, Sender, WeakSender, channel};
pub use permit::{OwnedPermit, Permit, PermitIterator};
pub use unbounded::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};

#[cfg(all(test, loom))]
mod loom_tests;
