//! The tree: who is below whom, and how a cancellation spreads.
//!
//! # Why no cancellation is missed
//!
//! A cancel marks its scope, and then, scope by scope, takes the list of children under the lock and marks
//! each child. A scope that is linked puts itself into the list under that lock, and looks at the parent's
//! marks afterwards. Whichever takes the lock first, one of the two sees the other.
//!
//! A scope may be moved to another parent in between. So a child is marked under its own lock, and only if
//! the scope that was cancelled is still its parent; the move clears the mark under the same lock.
//!
//! A scope that is marked is woken through the waker it was last polled with. It stores that waker under its
//! lock and looks at its marks afterwards; the cancel marks first and then takes the waker under the lock. If the
//! waker is gone, somebody has called it since, or is about to: then the scope is polled again, and stores another.
//!
//! # Why nothing is dropped that has not unwound
//!
//! A scope that is marked may be polled before the cancel has come to what is below. What is polled before it is marked
//! unwinds nothing, holds no token, and looks as if it had nothing to clean up. So the scope that a cancel has marked is
//! *untold* until that has gone through everything below, and does not end meanwhile. Then the cancel wakes all of
//! them, from below, so that a scope which is told finds that whoever it polls knows.
//!
//! # Why no cleanup is lost
//!
//! A scope closes under its lock, and only when nothing is left to run. What comes later finds it closed and
//! goes to its parent, which cannot have closed before: the owner of a scope lives in the body of the parent,
//! or the scope was torn out of it, and then the way leads further up.

#![expect(unsafe_code, reason = "a scope's owner knows that the parent is alive")]

use std::task::Waker;

use crate::primitives::atomic::Ordering;
use crate::scope::cleanup::{self, BoxedCleanup};
use crate::scope::current::Current;
use crate::scope::flags::{Flags, Kind, Snapshot};
use crate::scope::node::{NodeRef, Uncounted};
use crate::scope::{Reason, Scope, current};
use crate::task::inherit;
use crate::time::Instant;

/// The right to link a scope and to run something in it. Dropping it takes the scope out of the tree.
#[derive(Debug)]
pub(crate) struct Owner {
    scope: Scope,
    /// The parent it is linked to. The node counts it, so it is alive, and its address is not used again.
    linked_to: Option<Uncounted>,
    /// The waker stored last, by identity.
    waker: (usize, usize),
}

impl Owner {
    /// # Panics
    ///
    /// When something runs in the scope, or has run there.
    #[track_caller]
    pub(crate) fn new(scope: Scope) -> Self {
        assert!(
            scope.node().flags.take(),
            "a scope runs one future; make a new scope for another one"
        );
        Self {
            scope,
            linked_to: None,
            waker: (0, 0),
        }
    }

    #[inline]
    pub(crate) fn node(&self) -> &NodeRef {
        self.scope.node()
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Puts the scope below the current one.
    #[inline]
    pub(crate) fn link_to_current(&mut self) {
        let parent = current::pointer().map(Uncounted);
        if parent != self.linked_to {
            let ended = self.node().flags.get().is_closed();
            assert!(!ended, "a scope was polled after its end");
            self.node().link(current::get());
            self.linked_to = parent;
        }
    }

    /// A new scope below `around`, with an owner.
    pub(super) fn below(around: Current, name: &'static str, deadline: Option<Instant>) -> Self {
        let parent = around.get();
        let linked_to = parent.as_ref().map(|parent| Uncounted(parent.as_ptr()));
        let node = NodeRef::owned(Kind::Plain, name, deadline, parent);
        if let Some(Uncounted(parent)) = linked_to {
            // SAFETY: the node counts it, and nobody but its owner, which this is, takes that away.
            let parent = unsafe { NodeRef::borrowed(parent) };
            node.join(&parent);
        }
        Self {
            scope: Scope::from_node(node),
            linked_to,
            waker: (0, 0),
        }
    }

    /// Has cancellations wake `waker` from now on.
    #[inline]
    pub(crate) fn register(&mut self, waker: &Waker) {
        let vtable = std::ptr::from_ref(waker.vtable()).addr();
        let identity = (waker.data().addr(), vtable);
        // Unless it was called, the stored waker is alive, so nothing else can have come to its address.
        if identity != self.waker || self.node().flags.get().was_called() {
            self.waker = identity;
            drop(self.node().replace_waker(waker.clone()));
        }
    }

    /// Ends the scope, unless cleanups have come that must run before. Returns whether it has ended.
    pub(crate) fn close(&mut self) -> bool {
        let closed = match self.linked_to {
            Some(Uncounted(parent)) => {
                // SAFETY: as in `below`.
                let parent = unsafe { NodeRef::borrowed(parent) };
                self.node().close_below(&parent)
            }
            None => self.node().close(),
        };
        if closed {
            self.linked_to = None;
        }
        closed
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.node().close_by_force();
    }
}

impl NodeRef {
    /// Puts a scope below `parent`, out of where it was.
    pub(crate) fn link(&self, parent: Option<Self>) {
        self.unlink();
        let Some(parent) = parent else { return };
        // Only a scope that somebody knows of can be above the one that it comes below.
        if self.flags.get().is_touched() && parent.is_below(self) {
            panic!("a scope cannot run below itself, nor in a task that is below it");
        }
        if self.flags.get().is_root() {
            // A task that ends at its first poll has to leave the list, too.
            self.flags.touch();
        }
        self.lock().parent = Some(parent.clone());
        self.join(&parent);
    }

    /// Puts a scope into the list of `parent`, which it has as its parent already.
    fn join(&self, parent: &Self) {
        {
            let mut inner = parent.lock();
            parent.flags.touch();
            parent.flags.note_begun();
            inner.push_child(self);
        }
        // After the push, see the top.
        if parent.flags.get().is_cancelled() && !self.flags.get().is_shield() {
            self.inherit_from(parent, Flags::inherit);
        }
    }

    /// Whether it is `other`, or below it.
    fn is_below(&self, other: &Self) -> bool {
        let mut node = self.clone();
        while !node.is(other) {
            let parent = node.parent();
            let Some(parent) = parent else { return false };
            node = parent;
        }
        true
    }

    /// Takes a scope out of the list of its parent, which it forgets.
    fn unlink(&self) {
        let parent = {
            let mut inner = self.lock();
            self.flags.disinherit();
            inner.parent.take()
        };
        if let Some(parent) = parent {
            parent.lock().remove_child(self);
        }
    }

    /// Marks the scope if `parent` is still above it. Returns whether anything below is to be marked.
    fn inherit_from(&self, parent: &Self, inherit: impl FnOnce(&Flags) -> bool) -> bool {
        let inner = self.lock();
        let is_child = inner.parent.as_ref().is_some_and(|now| now.is(parent));
        is_child && !inherit(&self.flags)
    }

    /// Cancels what runs in the scope and below. Returns whether this was the first time, on a scope that
    /// has not ended.
    pub(crate) fn cancel(&self, reason: Reason) -> bool {
        let Some(before) = self.flags.cancel(reason) else {
            return false;
        };
        self.spread_cancel(!before.is_cancelled());
        true
    }

    /// `untold`: this is the cancel that has marked the scope itself.
    pub(super) fn spread_cancel(&self, untold: bool) {
        self.spread(untold, |child, parent| {
            let marked =
                !child.flags.get().is_shield() && child.inherit_from(parent, Flags::inherit_untold);
            marked.then_some(true)
        });
    }

    /// Does what a cancel on another thread has not come to: marks and wakes what is below. Returns whether
    /// there was any of it, which has not begun to unwind then.
    pub(crate) fn overtake_cancel(&self) -> bool {
        let mut behind = false;
        self.lock().for_each_child(|child| {
            let flags = child.flags.get();
            behind |= !flags.is_shield() && !flags.is_cancelled() && !flags.is_closed();
        });
        if behind {
            self.spread_cancel(false);
        }
        behind
    }

    /// Has the body dropped as it is. Cleanup that awaits is skipped, and counted.
    pub(crate) fn abort(&self, reason: Reason) {
        self.flags.abort();
        let before = self.flags.cancel(reason);
        let untold = before.is_some_and(|before| !before.is_cancelled());
        // Also what is shielded, or was cancelled before, has to look. It finds the mark above, and has none to be told of.
        self.spread(untold, |_, _| Some(false));
    }

    /// Goes through everything below, further where `mark` says something, and wakes it. What that says is whether it has
    /// left the child untold; `untold`, whether the caller has left this scope so.
    fn spread(&self, untold: bool, mark: impl Fn(&Self, &Self) -> Option<bool>) {
        let mut seen = Vec::new();
        let mut marked = vec![(self.clone(), untold)];
        while let Some((node, untold)) = marked.pop() {
            let children = node.lock().children();
            seen.push((node.clone(), untold));
            for child in children {
                match mark(&child, &node) {
                    Some(untold) => marked.push((child, untold)),
                    // A shield, or what was cancelled before: it must learn that its parent waits for it.
                    None => seen.push((child, false)),
                }
            }
        }
        // From below: a scope that is woken finds that what it polls knows, and has been woken.
        for (node, untold) in seen.iter().rev() {
            if *untold {
                node.wake_untold();
            } else {
                node.wake();
            }
        }
    }

    /// Why the scope is being cancelled: its own reason, or that of the nearest above that has one.
    pub(crate) fn reason(&self) -> Option<Reason> {
        let mut node = self.clone();
        while node.flags.get().is_cancelled() {
            if let Some(reason) = node.flags.get().reason() {
                return Some(reason);
            }
            let parent = node.lock().parent.clone();
            node = parent?;
        }
        None
    }

    /// Whether the scope or one above it was aborted.
    pub(crate) fn is_aborted(&self) -> bool {
        let mut node = self.clone();
        loop {
            if node.flags.get().is_aborted() {
                return true;
            }
            let parent = node.lock().parent.clone();
            match parent {
                Some(parent) => node = parent,
                None => return false,
            }
        }
    }

    /// Has the nearest scope that has not ended run a cleanup before it ends.
    pub(crate) fn adopt(&self, cleanup: BoxedCleanup) {
        if self.is_aborted() {
            cleanup::skip(cleanup);
            return;
        }
        let cleanup = inherit::take_along(cleanup);
        let mut node = self.clone();
        loop {
            let parent = {
                let mut inner = node.lock();
                if !node.flags.get().is_closed() {
                    inner.adopted.get_or_insert_default().push(cleanup);
                    node.flags.set_adopted(true);
                    break;
                }
                inner.parent.clone()
            };
            match parent {
                Some(parent) => node = parent,
                None => {
                    cleanup::skip(cleanup);
                    return;
                }
            }
        }
        cleanup::count_adopted();
        node.wake();
    }

    /// As [`adopt`](Self::adopt), beginning with the parent.
    pub(crate) fn adopt_above(&self, cleanup: BoxedCleanup) {
        let parent = self.lock().parent.clone();
        match parent {
            Some(parent) => parent.adopt(cleanup),
            None => cleanup::skip(cleanup),
        }
    }

    /// Takes the cleanups that wait here.
    pub(crate) fn take_adopted(&self) -> Vec<BoxedCleanup> {
        if !self.flags.get().has_adopted() {
            return Vec::new();
        }
        let mut inner = self.lock();
        self.flags.set_adopted(false);
        inner
            .adopted
            .take()
            .map_or_else(Vec::new, |adopted| *adopted)
    }

    /// Ends the scope, unless cleanups wait. Returns whether it has ended.
    #[inline]
    pub(crate) fn close(&self) -> bool {
        let (waker, parent) = {
            let inner = self.lock();
            if self.flags.get().has_adopted() {
                return false;
            }
            self.flags.close();
            (self.take_waker(&inner), inner.parent.clone())
        };
        if let Some(parent) = parent {
            parent.lock().remove_child(self);
        }
        drop(waker);
        true
    }

    /// The same for a scope that is linked to `parent`. Most of them are known to nobody else once they are
    /// out of the list: then there is nothing to lock.
    #[inline]
    fn close_below(&self, parent: &Self) -> bool {
        if self.flags.get().has_adopted() {
            return false;
        }
        parent.lock().remove_child(self);
        let waker = if self.is_alone() && !self.flags.get().has_adopted() {
            // SAFETY: it is alone: whoever had found it in the list has let go of it.
            unsafe { self.close_alone() }
        } else {
            let inner = self.lock();
            if self.flags.get().has_adopted() {
                drop(inner);
                // Somebody has left a cleanup meanwhile, which is to be reached by a cancellation.
                self.join(parent);
                return false;
            }
            self.flags.close();
            self.take_waker(&inner)
        };
        drop(waker);
        true
    }

    /// Ends the scope, whatever waits. What does goes up, unless the owner wants to have it.
    fn close_by_force(&self) {
        if self.flags.get().is_closed() {
            return;
        }
        let waker = {
            let inner = self.lock();
            self.flags.close();
            self.take_waker(&inner)
        };
        if !self.flags.get().keeps() {
            for cleanup in self.take_adopted() {
                self.adopt(cleanup);
            }
        }
        self.leave();
        drop(waker);
    }

    /// Ends a root whose task was aborted; cleanups are skipped.
    pub(crate) fn close_skipping(&self) {
        self.flags.abort();
        {
            let _inner = self.lock();
            self.flags.close();
        }
        self.take_adopted().into_iter().for_each(cleanup::skip);
        self.leave();
    }

    /// Out of the parent's list. The way up stays: what was torn out of the body may still need it.
    fn leave(&self) {
        let parent = self.lock().parent.clone();
        if let Some(parent) = parent {
            parent.lock().remove_child(self);
        }
    }

    /// Whether something below holds this scope up.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    /// Notes that what runs here, which was as in `before`, was woken, in the scopes around that are held up by it:
    /// one of them may have been polled last with a waker that tells those further out nothing.
    ///
    /// It ends at one that is marked already. Whoever marked that goes on from there, or it has been passed
    /// over in a round of its parent since, which then was marked for the next round.
    pub(super) fn note_above(&self, mut before: Snapshot) {
        let mut node = self.clone();
        while before.is_holding() && !before.was_woken() {
            let parent = node.lock().parent.clone();
            let Some(parent) = parent else { return };
            before = parent.flags.woken_below();
            node = parent;
        }
    }

    /// Begins a round: one poll of a cancelled body.
    pub(crate) fn begin_round(&self) {
        self.flags.forget_hit();
        if self.is_busy() {
            self.lock().for_each_child(|child| {
                if child.flags.get().is_holding() {
                    child.flags.forget_poll();
                }
            });
        }
    }

    /// Whether something that holds this scope up was woken and not polled in this round, but for those
    /// that are `excused`.
    pub(crate) fn is_stalled(&self, excused: impl Fn(&Self) -> bool) -> bool {
        let mut stalled = false;
        self.lock()
            .for_each_child(|child| stalled |= child.flags.get().is_stalled() && !excused(child));
        stalled
    }

    /// Whether a wake of something right below, or of what holds this scope up, is under way on another thread: it is
    /// noted already, and who is to poll what was woken does not know yet.
    pub(crate) fn is_being_woken(&self) -> bool {
        // Mostly nothing holds it up, and then nothing is allocated.
        let mut holding = Vec::new();
        let mut found = self.looks_woken(&mut holding);
        while !found && let Some(node) = holding.pop() {
            found = node.looks_woken(&mut holding);
        }
        found
    }

    /// Whether the wake of a child is under way. Adds those that hold this scope up to `holding`.
    fn looks_woken(&self, holding: &mut Vec<Self>) -> bool {
        let mut found = false;
        self.lock().for_each_child(|child| {
            found |= child.is_wake_under_way();
            if child.flags.get().is_holding() {
                holding.push(child.clone());
            }
        });
        found
    }
}
