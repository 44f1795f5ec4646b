//! The scope tree: what a cancellation reaches, and what it waits for.
//!
//! A cancelled task is not dropped where it stands: it *unwinds*. Its scopes end from the innermost outwards,
//! each after the cleanup of what runs in it, which may await. Nothing can swallow a cancellation, since it
//! is no value: whatever waits simply never goes on, until the scope that was cancelled drops it.
//!
//! This module is the mechanism. Timeouts, task groups, resources and the like are ordinary code on top, in
//! `heist-sync`.
//!
//! # Limits
//!
//! - Only a [leaf](Leaf) is a checkpoint: there a cancelled task stops. A future of another library that waits for
//!   something of its own goes on, in a cancelled scope as well, until its task comes to a leaf or it waits, too. One
//!   that keeps waking itself is dropped after 64 polls.
//! - A future that is dropped half-way, not cancelled, drops its locals at once; the cleanup that it owned is adopted by
//!   the nearest scope that has not ended, and runs afterwards. So it must not rely on locals further out, such as a
//!   guard that it does not own itself.
//! - `FuturesUnordered` and the like poll only what was woken. Members that are polled for the first time in a
//!   cancelled scope do not start, and wait for good: the set is to be dropped with that scope, and not used again by
//!   a cleanup. (`JoinSet` of `heist-sync` can be.)
//!
//! In reading order:
//!
//! - `handle`: [`Scope`]; `exit`: [`Exit`], [`Reason`], [`unwound`]
//! - `catch`: [`catch()`], the one primitive; `late`: a scope that is made when it is needed; `drive`: what it does when a body is cancelled; `shield`
//! - `cleanup`: [`Cleanup`], what runs to its end anyway; `token`: who is waited for
//! - `leaf`: what every future at the bottom of the tree does
//! - `watch`: whether a future needs to be unwound at all
//! - `tree`: parents and children, and why nothing is missed; `node`, `flags`, `waker`, `current`, `age`
//!
//! # Examples
//!
//! ```
//! use heist_runtime::scope::{Cleanup, Exit, Reason, Scope, catch};
//!
//! heist_runtime::block_on(async {
//!     let scope = Scope::new();
//!     let body = async {
//!         let exit = catch(&Scope::new(), std::future::pending::<()>()).await;
//!         Cleanup::new(async { heist_runtime::yield_now().await }).await; // in a cancelled scope
//!         exit.propagate().await
//!     };
//!     scope.cancel(Reason::Explicit);
//!     assert!(matches!(catch(&scope, body).await, Exit::Cancelled(_)));
//! });
//! ```

mod handle;
mod exit;
mod catch;
mod late;
pub(crate) mod drive;
mod shield;
mod cleanup;
mod token;
mod leaf;
mod watch;
mod tree;
pub(crate) mod node;
pub(crate) mod flags;
mod waker;
pub(crate) mod current;
pub(crate) mod age;
#[cfg(all(test, loom))]
mod models;

pub use catch::{Catch, catch, catch_late};
pub(crate) use cleanup::{BoxedCleanup, BoxedFuture};
pub use cleanup::{Cleanup, CleanupCounts, cleanup_counts, count_skipped};
pub(crate) use current::note_begun;
pub use exit::{Exit, Reason, unwound};
pub use handle::{Scope, current_deadline};
pub use late::Limit;
pub use leaf::{Leaf, LeafFn, cancel_requested, leaf_fn};
pub use shield::{Shield, shield};
pub use token::LeafToken;
pub use watch::watch;
