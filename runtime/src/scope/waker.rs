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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::pending;
    use std::pin::pin;
    use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

    use crate::scope::{Exit, Reason, Scope, catch};

    thread_local! {
        static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
        static WOKEN: Cell<u32> = const { Cell::new(0) };
    }

    static NOSY: RawWakerVTable = RawWakerVTable::new(
        |_| {
            look();
            raw()
        },
        |_| {
            look();
            WOKEN.set(WOKEN.get() + 1);
        },
        |_| unreachable!("it is called by value"),
        |_| look(),
    );

    fn raw() -> RawWaker {
        RawWaker::new(std::ptr::null(), &NOSY)
    }

    /// Takes the lock of the scope.
    fn look() {
        SCOPE.with_borrow(|scope| {
            if let Some(scope) = scope {
                let _children = scope.node().children();
            }
        });
    }

    /// A waker may use the scope that it is registered with, whichever of its functions is called.
    ///
    /// Control, tried: with the waker cloned under the lock of the node this hangs.
    #[test]
    fn a_foreign_waker_is_used_without_a_lock() {
        let scope = Scope::new();
        SCOPE.set(Some(scope.clone()));
        // SAFETY: its functions use no pointer, and nothing of it leaves this thread.
        let waker = unsafe { Waker::from_raw(raw()) };
        let mut body = pin!(catch(&scope, pending::<()>()));
        let mut poll = || body.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll().is_pending());
        assert!(scope.cancel(Reason::Explicit));
        assert_eq!(WOKEN.get(), 1);
        assert!(matches!(
            poll(),
            Poll::Ready(Exit::Cancelled(Reason::Explicit))
        ));
        SCOPE.take();
    }
}
