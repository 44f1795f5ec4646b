//! The scope that is being polled on this thread.

#![expect(
    unsafe_code,
    reason = "a thread-local pointer to the scope being polled"
)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::scope::node::{Node, NodeRef};

thread_local! {
    /// Const-initialised and without a destructor, so that it can be read at any time.
    static CURRENT: Cell<Option<NonNull<Node>>> = const { Cell::new(None) };
}

/// Makes `node` the current scope until the guard is dropped.
#[inline]
pub(crate) fn enter(node: &NodeRef) -> Entered<'_> {
    Entered {
        previous: CURRENT.replace(Some(node.as_ptr())),
        _node: PhantomData,
    }
}

/// Ends [`enter`].
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    previous: Option<NonNull<Node>>,
    _node: PhantomData<(&'a NodeRef, *const ())>,
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.previous);
    }
}

/// Calls `f` with the current scope, if there is one.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Node) -> R) -> Option<R> {
    let node = CURRENT.get()?;
    // SAFETY: only `enter` sets the pointer, from a reference that the guard borrows; the guard is on this
    // thread's stack and sets it back before that borrow ends.
    Some(f(unsafe { node.as_ref() }))
}

/// The current scope, counted.
pub(crate) fn get() -> Option<NodeRef> {
    // SAFETY: as in `with`, the pointer is that of a `NodeRef` which is alive.
    CURRENT.get().map(|node| unsafe { NodeRef::from_ptr(node) })
}

/// Identifies the current scope; 0 when there is none.
#[inline]
pub(crate) fn address() -> usize {
    CURRENT.get().map_or(0, |node| node.addr().get())
}
