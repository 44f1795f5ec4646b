//! Groups of tasks.
//!
//! In reading order:
//!
//! - `task_group`: [`task_group`], tasks that end before their block does.
//! - `error`: [`GroupError`], everything that went wrong in one.
//! - `join_set`: [`JoinSet`], tasks whose outputs come as they complete.
//! - `completed`: [`as_completed`], the same for futures within one task.

mod task_group;
mod error;
pub mod join_set;
mod completed;

pub use completed::{AsCompleted, as_completed};
pub use error::GroupError;
pub use join_set::JoinSet;
pub use task_group::{GroupTask, OnError, TaskGroup, task_group, task_group_with};
