//! Whose turn it is: hosts with waiting pages, ordered by the time at which they may be asked again.
//!
//! | module | what it does |
//! |---|---|
//! | `politeness` | what a host may be asked, and how often |
//! | `host` | what is known about one host |
//! | `turns` | the heap of all of them |
//! | `memory` | what is kept of hosts when there are many |

mod politeness;
mod host;
mod turns;
mod memory;

pub use self::politeness::Politeness;

pub(crate) use self::host::{Outcome, Rules};
pub(crate) use self::turns::{HostId, Hosts, Turn};
