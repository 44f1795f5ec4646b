//! Items from many tasks to many, each of whom gets every item. Needs no runtime and works under any
//! executor.
//!
//! tokio's `broadcast` in names and signatures; asyncio has nothing like it. The channel keeps the
//! last so many items. Sending never waits: a receiver that is further behind loses the oldest, and
//! is told how many.
//!
//! In reading order:
//!
//! - `ring`: the items, and who has yet to read them.
//! - `sender`, `receiver`: the two ends.
//! - `error`: why an item was not sent or received.

mod ring;
mod sender;
mod receiver;
/// The errors of the channel.
pub mod error;

pub use receiver::Receiver;
pub use sender::{Sender, WeakSender, channel};

#[cfg(all(test, loom))]
mod loom_tests;
