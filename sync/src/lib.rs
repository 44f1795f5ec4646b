//! The asyncio programming model for the Heist runtime: time, locks, channels, streams, and cancellation
//! that unwinds.
//!
//! In reading order:
//!
//! - [`time`]: [`sleep`](time::sleep), [`timeout`](time::timeout()) and
//!   [`interval`](time::interval()).
//! - [`Semaphore`]: a number of permits, given out first come, first served.
//! - [`Mutex`]: a value for one at a time, first come, first served.
//! - [`Notify`]: wake-ups without a value, for one or for all.
//! - [`Event`]: a flag to be waited for.
//! - [`RwLock`]: a value for many readers or one writer, first come, first served.
//! - [`Queue`], [`PriorityQueue`] and [`LifoQueue`]: items for whoever gets them first.
//! - [`OnceCell`]: a value that is made once, by whoever needs it first.
//! - [`SetOnce`]: a value that is set once, and waited for.
//! - [`Barrier`]: a point where tasks wait for each other.
//! - [`Condition`]: tasks that wait until the value of a mutex changes.
//! - [`oneshot`]: one value from one task to another.
//! - [`mpsc`]: many items from many tasks to one, with or without a bound.
//! - [`watch`]: the last value of something, for all who watch it.
//! - [`broadcast`]: many items from many tasks to many, each of whom gets all.
//! - [`join!`] and [`try_join!`]: a few futures of different types within one task; [`race`](race()):
//!   the first of them; [`select!`]: that with handlers.
//! - [`join_all`], [`try_join_all`] and [`race_all`]: many futures within one task.
//! - [`stream`]: values one after another, and generators of them.
//! - [`cancel`]: scopes that are cancelled by themselves, shields, and tokens that ask.
//! - [`resource`]: [`using`], [`finally`] and their kin, cleanup that awaits.
//! - [`group`]: [`task_group`] and [`JoinSet`], tasks that belong together.
//!
//! Time and whatever spawns need the runtime. Locks, channels, queues and tokens work under any executor,
//! since they know nothing but wakers. Names and signatures follow tokio's where both have the same thing.
//!
//! # Cancel safety
//!
//! What is cancelled in Heist unwinds (see [`cancel`]), and every wait of this crate ends then without losing
//! anything. A future may also just be dropped, as foreign combinators do. What that loses, per operation:
//!
//! | operation | a drop before it is done |
//! |---|---|
//! | [`Semaphore::acquire`] and its kin | loses the place in the queue; a permit given but not returned yet, or a part of several, goes to the next in turn |
//! | [`oneshot::Receiver`] | nothing if awaited by reference; else the value, if it was sent |
//! | [`oneshot::Sender::closed`] | nothing |
//! | [`Mutex::lock`], [`Mutex::lock_owned`] | loses the place in the queue; the lock, if it was given but not returned yet, goes to the next in turn |
//! | [`Notify::notified`] | loses the place in the queue; a notification meant for it alone goes to the next in turn |
//! | [`Event::wait`], [`SetOnce::wait`] | nothing |
//! | `recv` and `recv_many` of [`mpsc`] | nothing |
//! | [`mpsc::Sender::send`], [`mpsc::Sender::send_timeout`] | the item, and the place in the queue; room that it was given goes to the next in turn |
//! | [`mpsc::Sender::reserve`] and its kin | the place in the queue; room that it was given goes to the next in turn |
//! | [`RwLock::read`], [`RwLock::write`] and their kin | loses the place in the queue; what was given goes to the next in turn |
//! | [`Queue::get`](queue::AnyQueue::get) | loses the place in the queue; an item given but not returned yet goes to the next in turn, or back to its place |
//! | [`Queue::put`](queue::AnyQueue::put) | loses the place in the queue, and the item unless it was put |
//! | [`Queue::join`](queue::AnyQueue::join) | nothing |
//! | [`OnceCell::get_or_init`], [`OnceCell::get_or_try_init`] | loses the place in the queue, or drops the future that makes the value, and the next in turn starts anew |
//! | [`Barrier::wait`] | takes the arrival back, unless the barrier has opened |
//! | [`Condition::wait`], [`Condition::wait_for`] | loses the place in the queue and the lock; a notification meant for it alone goes to the next in turn |
//! | [`watch::Receiver::changed`], [`watch::Receiver::wait_for`], [`watch::Sender::closed`] | nothing |
//! | [`broadcast::Receiver::recv`], [`broadcast::Sender::closed`] | nothing |
//! | [`time::sleep`] | stops the timer |
//! | [`time::timeout()`](time::timeout()) | drops the future within, which is as safe as that is |
//! | [`using`], [`exit_stack`] | nothing: the resources are closed by the scope around |
//! | [`finally`] | skips the cleanup, and counts that |
//! | [`task_group`] | cancels the tasks; the scope around waits for them |
//! | [`cancel_scope`] | drops the future within |
//! | [`CancelToken::cancelled`] | nothing |
//! | [`time::Interval::tick`] | uses up no tick |
//! | [`StreamExt::next`](stream::StreamExt::next), [`Emitter::emit`](stream::Emitter::emit) | nothing; a generator stays where it is |
//! | [`using_stream`](stream::using_stream) | drops the block, and the stream with what it has read ahead; their cleanup is left to the scope around |
//! | [`join!`], [`try_join!`], [`join_all`], [`try_join_all`], [`race`](race()), [`race_all`], [`select!`] | drops the futures, unless they were lent to it, and the outputs there are |
//!
//! So those that lose nothing but their place can be used in a loop that drops them half done.

// What the models replace.
mod primitives;
// Parts that several primitives are built of.
mod blocking;
mod chance;
mod waker_cell;

mod wait;
pub mod time;
mod semaphore;
mod mutex;
mod notify;
mod event;
mod rwlock;
pub mod queue;
mod once_cell;
mod set_once;
mod barrier;
mod condition;
pub mod oneshot;
pub mod mpsc;
pub mod watch;
pub mod broadcast;
mod branches;
pub mod cancel;
pub mod resource;
pub mod group;
pub mod stream;
#[cfg(all(feature = "signal", not(loom)))]
pub mod signal;

pub use barrier::{Barrier, BarrierWaitResult};
pub use branches::join_all::{JoinAll, join_all, try_join_all};
pub use branches::race::race;
pub use branches::race_all::race_all;
pub use cancel::{CancelToken, cancel_scope, checkpoint, shield};
pub use condition::Condition;
pub use event::Event;
pub use group::{JoinSet, as_completed, task_group};
pub use mutex::{
    MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard, TryLockError,
};
pub use notify::{Notified, Notify};
pub use once_cell::{OnceCell, SetError};
pub use queue::{LifoQueue, PriorityQueue, Queue, QueueShutDown};
pub use resource::{AsyncClose, ExitStack, How, exit_stack, finally, on_cancel, try_using, using};
pub use rwlock::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
pub use semaphore::{
    AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError,
};
pub use set_once::{SetOnce, SetOnceError};

/// What the macros expand to. No part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::branches::contest::{Contest, decide};
    pub use crate::branches::join::{Branches, Join};
    pub use crate::branches::list::{Cons, Losers, Nil, Order};
    pub use crate::branches::ownership::{Lent, Owned, Ownership, Probe, ProbeOwned};
    pub use crate::branches::race::{Eligible, Nobody, Race, RaceBranches, Winner};
    pub use crate::branches::try_join::{Failure, TryBranches, TryJoin};
    #[cfg(feature = "macros")]
    pub use heist_macros::select;
}
