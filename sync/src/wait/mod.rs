//! Waiting: what all locks and channels of this crate have in common.
//!
//! In reading order:
//!
//! - `queue`: a fair queue of those who wait, linked through their own futures.
//! - `wake`: wakers that are called once a lock is free.
//! - `permits`: a number of permits on top of it, which is all that a semaphore or a mutex is.
//!
//! # How a future waits in a queue
//!
//! It has a pinned [`Waiter`] as a field, and its `poll` goes by the [`State`] of that:
//!
//! 1. `Idle`: this is the first poll. It asks `Leaf::start`, takes what there is without waiting,
//!    else clones the waker, locks the queue, looks once more, since things may have changed before
//!    it had the lock, and [enqueues](Locked::enqueue) itself.
//! 2. `Waiting`: it makes sure that the waker of the last poll is the one to be woken, with
//!    [`WaitQueue::refresh`].
//! 3. `Granted` or `Released`: it is done. [`Waiter::with_entry`] has what it was given.
//!
//! Its `Drop` calls [`Waiter::cancel`] and passes on what it was given and had not returned.
//! Whoever has something to give locks the queue, puts it into the [front](Locked::with_front)
//! entry, [pops](Locked::pop_front) that, unlocks, and wakes. Wakers, and destructors that are not
//! the crate's own, run without the lock; [`WakeBatch`] helps.

mod queue;
mod wake;
mod permits;

pub(crate) use permits::{Closed, MAX_PERMITS, Permits, Refusal};
pub(crate) use queue::{Locked, State, WaitQueue, Waiter};
pub(crate) use wake::{WakeBatch, wake};

#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod loom_tests;
