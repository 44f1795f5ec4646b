//! The scope that is being polled on this thread.

#![expect(
    unsafe_code,
    reason = "a thread-local pointer to the scope being polled"
)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;

use crate::scope::late::Late;
use crate::scope::node::{Node, NodeRef};

/// What is being polled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Current {
    Nothing,
    Node(NonNull<Node>),
    /// A scope that is made when it is needed.
    Late(NonNull<Late>),
}

thread_local! {
    /// Const-initialised and without a destructor, so that it can be read at any time.
    static CURRENT: Cell<Current> = const { Cell::new(Current::Nothing) };
}

/// Makes `node` the current scope until the guard is dropped.
#[inline]
pub(crate) fn enter(node: &NodeRef) -> Entered<'_> {
    Entered {
        previous: CURRENT.replace(Current::Node(node.as_ptr())),
        _scope: PhantomData,
    }
}

/// The same for a scope that is made when it is needed. It has to be the current one's.
#[inline]
pub(super) fn enter_late(late: &Late) -> Entered<'_> {
    Entered {
        previous: CURRENT.replace(Current::Late(NonNull::from(late))),
        _scope: PhantomData,
    }
}

/// Ends [`enter`].
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    previous: Current,
    _scope: PhantomData<(&'a NodeRef, *const ())>,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.previous);
    }
}

/// What is current now, to be passed to the functions below while it stays so.
#[inline]
pub(super) fn current() -> Current {
    CURRENT.get()
}

impl Current {
    /// The scope, counted. It is made if it was not needed before.
    pub(super) fn get(self) -> Option<NodeRef> {
        match self {
            Self::Nothing => None,
            // SAFETY: only `enter` sets the pointer, from a reference that the guard borrows; the guard is on
            // this thread's stack and sets it back before that borrow ends.
            Self::Node(node) => Some(unsafe { NodeRef::from_ptr(node) }),
            // SAFETY: as above, for `enter_late`.
            Self::Late(late) => Some(unsafe { late.as_ref() }.node().clone()),
        }
    }

    /// Calls `f` with the scope, if there is one that is made.
    #[inline]
    fn with_made<R>(self, f: impl FnOnce(&Node) -> R) -> Option<R> {
        match self {
            Self::Nothing => None,
            // SAFETY: as in `get`.
            Self::Node(node) => Some(f(unsafe { node.as_ref() })),
            // SAFETY: as in `get`.
            Self::Late(late) => unsafe { late.as_ref() }.made().map(|node| f(node)),
        }
    }

    /// Whether the scope is being cancelled. One that is not made is, when the one around it is.
    #[inline]
    pub(super) fn is_cancelled(self) -> bool {
        let mut at = self;
        loop {
            if let Some(cancelled) = at.with_made(|scope| scope.flags.get().is_cancelled()) {
                return cancelled;
            }
            match at {
                // SAFETY: as in `get`.
                Self::Late(late) => at = unsafe { late.as_ref() }.around(),
                _ => return false,
            }
        }
    }
}

/// Calls `f` with the current scope, if there is one. It is made if it was not needed before.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Node) -> R) -> Option<R> {
    let current = CURRENT.get();
    if let Current::Late(late) = current {
        // SAFETY: as in `Current::get`.
        return Some(f(unsafe { late.as_ref() }.node()));
    }
    current.with_made(f)
}

/// The current scope, counted. It is made if it was not needed before.
#[inline]
pub(crate) fn get() -> Option<NodeRef> {
    CURRENT.get().get()
}

/// Whether the current scope is being cancelled.
#[inline]
pub(crate) fn is_cancelled() -> bool {
    CURRENT.get().is_cancelled()
}

/// Notes in the current scope where it waits.
#[inline]
pub(crate) fn note_wait(at: &'static Location<'static>) {
    match CURRENT.get() {
        Current::Nothing => {}
        // SAFETY: as in `Current::get`.
        Current::Node(node) => unsafe { node.as_ref() }.note_wait(at),
        // SAFETY: as in `Current::get`.
        Current::Late(late) => unsafe { late.as_ref() }.note_wait(at),
    }
}

/// Notes in the current scope that something was begun. In one that is not made there is nobody to ask.
#[inline]
pub(crate) fn note_begun() {
    let _: Option<()> = CURRENT.get().with_made(|scope| scope.flags.note_begun());
}

/// Points to the current scope, if there is one. It is made if it was not needed before.
#[inline]
pub(crate) fn pointer() -> Option<NonNull<Node>> {
    match CURRENT.get() {
        Current::Nothing => None,
        Current::Node(node) => Some(node),
        // SAFETY: as in `Current::get`.
        Current::Late(late) => Some(unsafe { late.as_ref() }.node().as_ptr()),
    }
}

/// Whether `node` is the current scope.
pub(crate) fn is(node: &NodeRef) -> bool {
    let same = |scope: &Node| std::ptr::from_ref(scope).addr() == node.address();
    CURRENT.get().with_made(same).unwrap_or(false)
}
