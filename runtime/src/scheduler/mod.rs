//! The scheduler: workers, their queues, and how they find work.
//!
//! In reading order:
//!
//! - [`shared`]: what the workers of a runtime share; [`idle`]: which of them sleep (`README.md` has the
//!   protocol and the argument why no wake-up is lost)
//! - [`worker`]: the loop; [`queues`]: where a ready task goes and comes from;
//!   [`backlog`]: when a queue is worth a sibling's help; [`park`]: how a worker sleeps
//! - [`rescue`]: what an idle worker does for a busy one; [`signal`]: the signal it uses
//! - [`follow`]: tasks move to where their data arrives
//! - [`shutdown`]: how a runtime ends

pub(crate) mod shared;
pub(crate) mod idle;
pub(crate) mod absence;
pub(crate) mod worker;
mod queues;
mod backlog;
mod park;
mod follow;
mod rescue;
pub(crate) mod signal;
pub(crate) mod shutdown;

pub(crate) use rescue::register_membarrier;
#[cfg(feature = "test-util")]
pub(crate) use worker::HOUSEKEEPING_INTERVAL;

use crate::context;
use crate::task::TaskRef;

/// Queues a task that a waker or a cancel has just moved to SCHEDULED: on the current worker if it is
/// one of the task's runtime, otherwise through the injector or the mailbox.
pub(crate) fn schedule(task: TaskRef) {
    let runtime = task.header().runtime;
    let here = context::with_worker(|worker| {
        let ours = std::ptr::eq(&raw const **worker.shared(), runtime.as_ptr());
        if ours {
            worker.schedule(task);
        }
        ours
    });
    if here != Some(true) {
        shared::Shared::schedule_foreign(task);
    }
}
