//! Several futures within one task: what [`join!`](crate::join), [`race`](crate::race()) and their kin are
//! made of.
//!
//! In reading order:
//!
//! - `list`: the futures, as a list that has a type of its own; `ownership`: those that are only lent
//! - `join`: [`join!`](crate::join), until all are done
//! - `contest`: how losers unwind
//! - `try_join`: [`try_join!`](crate::try_join), until one fails
//! - `race`: [`race`](crate::race()), until one is done; `select`: `select!`, with handlers
//! - `many`: as many futures as there are, all of one type; `join_all`: [`join_all`](crate::join_all) and
//!   [`try_join_all`](crate::try_join_all); `race_all`: [`race_all`](crate::race_all)

pub(crate) mod list;
pub(crate) mod ownership;
pub(crate) mod join;
pub(crate) mod contest;
pub(crate) mod try_join;
pub(crate) mod race;
#[cfg(feature = "macros")]
mod select;
pub(crate) mod many;
pub(crate) mod join_all;
pub(crate) mod race_all;
