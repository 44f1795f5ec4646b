//! The waker that the body of a cancelled scope is polled with: it notes that it was called, and passes the
//! call on to what the scope was last polled with.

#![expect(unsafe_code, reason = "a RawWaker over a node's reference count")]

use std::mem::ManuallyDrop;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::scope::node::NodeRef;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// The waker of `node`.
pub(crate) fn waker(node: &NodeRef) -> Waker {
    let raw = RawWaker::new(node.clone().into_raw(), &VTABLE);
    // SAFETY: the functions below keep the contract of `RawWaker`; they are thread-safe.
    unsafe { Waker::from_raw(raw) }
}

fn borrow(data: *const ()) -> ManuallyDrop<NodeRef> {
    // SAFETY: `data` carries a count, which stays with the caller, since this one is not dropped.
    ManuallyDrop::new(unsafe { NodeRef::from_raw(data) })
}

fn clone(data: *const ()) -> RawWaker {
    let node = NodeRef::clone(&borrow(data));
    RawWaker::new(node.into_raw(), &VTABLE)
}

fn wake(data: *const ()) {
    wake_by_ref(data);
    release(data);
}

fn wake_by_ref(data: *const ()) {
    borrow(data).wake();
}

fn release(data: *const ()) {
    // SAFETY: the waker that carried this count is gone.
    drop(unsafe { NodeRef::from_raw(data) });
}
