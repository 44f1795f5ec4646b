//! `Scope`: a scope as others see it.

use std::fmt;
use std::future::Future;
use std::panic::Location;

use crate::scope::cleanup::BoxedCleanup;
use crate::scope::current;
use crate::scope::flags::Kind;
use crate::scope::node::NodeRef;
use crate::scope::{Cleanup, Reason};
use crate::time::Instant;

/// A scope: a part of a task that can be cancelled by itself. Clones refer to the same scope.
///
/// It is run by [`catch`](super::catch()), once. Its parent is the scope in which that is polled.
#[derive(Clone)]
pub struct Scope {
    node: NodeRef,
}

impl Scope {
    /// A scope of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::named("scope")
    }

    /// A scope of its own, with what it is called in dumps.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        Self {
            node: NodeRef::new(Kind::Plain, name),
        }
    }

    /// A scope that is cancelled by nothing but [`cancel`](Self::cancel) and aborts; a scope around it
    /// that is cancelled waits for it.
    #[must_use]
    pub fn shielded(name: &'static str) -> Self {
        Self {
            node: NodeRef::new(Kind::Shield, name),
        }
    }

    /// A scope that keeps the cleanups that are left when its future is dropped half-way, for its owner to
    /// take by [`take_cleanups`](Self::take_cleanups). So they can be run before the owner's own.
    #[must_use]
    pub fn keeping_cleanups(name: &'static str) -> Self {
        Self {
            node: NodeRef::new(Kind::Keeper, name),
        }
    }

    /// The innermost scope that is being polled on this thread: at least the one of the task.
    #[must_use]
    pub fn current() -> Option<Self> {
        let node = current::get()?;
        node.flags.touch();
        Some(Self { node })
    }

    pub(super) fn from_node(node: NodeRef) -> Self {
        Self { node }
    }

    #[inline]
    pub(crate) fn node(&self) -> &NodeRef {
        &self.node
    }

    /// Cancels what runs in the scope and in all below it, up to shields. Returns whether this was the
    /// first time, on a scope that has not ended.
    ///
    /// From any thread. What runs notices at its next checkpoint, and stays cancelled from then on.
    pub fn cancel(&self, reason: Reason) -> bool {
        self.node.cancel(reason)
    }

    /// Drops what runs in the scope as soon as its current poll is over. Cleanup that awaits is skipped,
    /// and counted; prefer [`cancel`](Self::cancel).
    pub fn abort(&self, reason: Reason) {
        self.node.abort(reason);
    }

    /// Whether the scope, or one around it up to the next shield, was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.flags.get().is_cancelled()
    }

    /// Notes when the scope is to be cancelled, for [`current_deadline`], and wakes what runs in it. Whoever
    /// runs the scope sees to the cancellation; the runtime has no timer for it.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        self.node.set_deadline(deadline);
        self.node.wake();
    }

    /// When the scope itself is to be cancelled.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.node.deadline()
    }

    /// Why this scope itself was cancelled, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.node.flags.get().reason()
    }

    /// Whether this scope or one around it was aborted, so that no cleanup that awaits is run.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.node.is_aborted()
    }

    /// Whether what ran in the scope is gone, with all cleanup.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.node.flags.get().is_closed()
    }

    /// Has the scope run `cleanup` before it ends; if it has ended, or ends by being dropped, the nearest
    /// one around it that has not. It is shielded. If there is none it is dropped, and counted as skipped.
    pub fn adopt(&self, cleanup: impl Future<Output = ()> + Send + 'static) {
        self.node.adopt(BoxedCleanup::new(cleanup));
    }

    /// As [`adopt`](Self::adopt), for what only waits, and cleans up nothing: dropped, it is not counted.
    pub fn adopt_wait(&self, wait: impl Future<Output = ()> + Send + 'static) {
        self.node.adopt(BoxedCleanup::wait(wait));
    }

    /// Takes over the cleanups that wait in the scope; see [`keeping_cleanups`](Self::keeping_cleanups).
    #[must_use]
    pub fn take_cleanups(&self) -> Vec<Cleanup> {
        let adopted = self.node.take_adopted();
        adopted.into_iter().map(Cleanup::boxed).collect()
    }

    /// Where the leaf waits that was pending last in the scope itself.
    #[must_use]
    pub fn waits_at(&self) -> Option<&'static Location<'static>> {
        self.node.waits_at()
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.node.name())
            .field("cancelled", &self.is_cancelled())
            .field("ended", &self.has_ended())
            .finish()
    }
}

/// The earliest deadline of the scopes around the caller, up to the next shield: when it will be cancelled at
/// the latest (trio: `current_effective_deadline`). `None` if there is none.
#[must_use]
pub fn current_deadline() -> Option<Instant> {
    let mut earliest: Option<Instant> = None;
    let mut node = current::get();
    while let Some(scope) = node {
        let deadline = scope.deadline();
        earliest = match (earliest, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if scope.flags.get().is_shield() {
            break;
        }
        node = scope.parent();
    }
    earliest
}
