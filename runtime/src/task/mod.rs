//! Tasks: futures that the runtime owns.
//!
//! In reading order:
//!
//! - `state`: the atomic word and its verbs; `raw`: the header, and who may touch what
//! - `cell`: the future and its output; `waker`
//! - `join`, `abort`, `cancel_on_drop`, `error`: the handles, and why a task has no value
//! - `list`: the tasks a worker is responsible for
//! - `dump`: the tree of tasks and scopes; `dump_request`: asking the workers for it; `dump_signal`
//! - `id`, `builder`, `yield_now`; [`current`]
//! - `local`: values that belong to a part of a task; `inherit`: which of them go on to what it spawns

pub(crate) mod state;
pub(crate) mod raw;
pub(crate) mod cell;
pub(crate) mod waker;
mod join;
mod abort;
mod cancel_on_drop;
pub(crate) mod error;
pub(crate) mod list;
mod id;
pub(crate) mod dump;
pub(crate) mod dump_request;
mod dump_signal;
mod builder;
mod yield_now;
mod local;
pub(crate) mod inherit;

pub use abort::AbortHandle;
pub use builder::Builder;
pub use cancel_on_drop::CancelOnDrop;
pub use dump::DumpNode;
pub use dump_request::{TaskTree, dump_tasks};
pub use error::JoinError;
pub use id::Id;
pub use join::JoinHandle;
pub use local::{AccessError, LocalKey, TaskLocalFuture};
pub use yield_now::{YieldNow, yield_now};

pub use crate::context::{current_task_id as try_id, current_task_name as name};

pub(crate) use raw::TaskRef;

/// The id of the current task.
///
/// # Panics
///
/// Outside tasks, also in the future of `block_on`; see [`try_id`].
#[must_use]
#[track_caller]
pub fn id() -> Id {
    try_id()
        .expect("`task::id` was called outside a task; `task::try_id` says whether there is one")
}

/// A handle to the current task, by which others can end it (asyncio: `current_task`).
///
/// # Panics
///
/// Outside tasks, as [`id`] does.
///
/// # Examples
///
/// ```
/// use heist_runtime::{spawn, task};
///
/// heist_runtime::block_on(async {
///     let stubborn = spawn(async {
///         task::current().cancel(); // from here on it unwinds
///         heist_runtime::yield_now().await;
///         unreachable!()
///     });
///     let error: Result<(), _> = stubborn.await;
///     assert!(error.unwrap_err().is_cancelled());
/// });
/// ```
#[must_use]
#[track_caller]
pub fn current() -> AbortHandle {
    crate::context::current_task_handle().expect(
        "`task::current` was called outside a task; `task::try_id` says whether there is one",
    )
}
