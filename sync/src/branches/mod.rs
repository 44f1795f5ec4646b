//! A fixed number of futures of different types within one task: what [`join!`](crate::join) and its
//! kin are made of.
//!
//! In reading order:
//!
//! - `list`: the futures, as a list that has a type of its own
//! - `join`: [`join!`](crate::join), until all are done

pub(crate) mod list;
pub(crate) mod join;
