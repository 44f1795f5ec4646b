//! A fixed number of futures of different types within one task: what [`join!`](crate::join) and its
//! kin are made of.
//!
//! In reading order:
//!
//! - `list`: the futures, as a list that has a type of its own; `ownership`: those that are only lent
//! - `join`: [`join!`](crate::join), until all are done
//! - `contest`: how losers unwind
//! - `try_join`: [`try_join!`](crate::try_join), until one fails
//! - `race`: [`race`](crate::race()), until one is done; `select`: `select!`, with handlers

pub(crate) mod list;
pub(crate) mod ownership;
pub(crate) mod join;
pub(crate) mod contest;
pub(crate) mod try_join;
pub(crate) mod race;
#[cfg(feature = "macros")]
mod select;
