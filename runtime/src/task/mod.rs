//! Tasks: futures that the runtime owns.
//!
//! In reading order:
//!
//! - `state`: the atomic word and its verbs; `raw`: the header, and who may touch what
//! - `cell`: the future and its output; `waker`
//! - `join`, `abort`, `cancel_on_drop`, `error`: the handles, and why a task has no value
//! - `list`: the tasks a worker is responsible for
//! - `dump`: the tree of tasks and scopes
//! - `id`, `builder`, `yield_now`

pub(crate) mod state;
pub(crate) mod raw;
pub(crate) mod cell;
pub(crate) mod waker;
mod join;
mod abort;
mod cancel_on_drop;
mod error;
pub(crate) mod list;
mod id;
pub(crate) mod dump;
mod builder;
mod yield_now;

pub use abort::AbortHandle;
pub use builder::Builder;
pub use cancel_on_drop::CancelOnDrop;
pub use dump::DumpNode;
pub use error::JoinError;
pub use id::Id;
pub use join::JoinHandle;
pub use yield_now::{YieldNow, yield_now};

pub use crate::context::current_task_id as try_id;

pub(crate) use raw::TaskRef;
