//! `watch`: whether a future has begun anything that would have to unwind.

use crate::scope::current;

/// Calls `poll`, and also says whether anything was begun meanwhile that a cancellation has to wait for: a
/// scope right below the current one, or an operation in the kernel.
///
/// Whoever gives up one of several futures asks this at each of its polls. One that has begun nothing can
/// be dropped where it is, and then a value that it was about to be given goes to somebody else; only the
/// others have to be unwound by further polls, from which they may come up with a value. Without a current
/// scope the answer is always yes.
pub fn watch<R>(poll: impl FnOnce() -> R) -> (R, bool) {
    let before = current::with(|scope| scope.flags.take_begun());
    let result = poll();
    let Some(before) = before else {
        return (result, true);
    };
    let begun = current::with(|scope| {
        let begun = scope.flags.get().has_begun();
        if before {
            // For those who watch further out.
            scope.flags.note_begun();
        }
        begun
    });
    (result, begun.unwrap_or(true))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::watch;
    use crate::scope::{Exit, Scope, catch};
    use std::future::{poll_fn, ready};
    use std::pin::pin;
    use std::task::Poll;

    /// Control, tried: without the note in `NodeRef::link` the inner scopes are not seen; without the one for those
    /// further out, the last line sees nothing.
    #[test]
    fn scopes_are_seen_that_are_begun_meanwhile() {
        let mut outer = pin!(catch(
            &Scope::new(),
            poll_fn(|cx| {
                assert!(!watch(|| ()).1, "nothing is begun");
                let scope = Scope::new();
                let mut inner = pin!(catch(&scope, std::future::pending::<()>()));
                assert!(watch(|| inner.as_mut().poll(cx)).1, "linked");
                assert!(!watch(|| inner.as_mut().poll(cx)).1, "linked before");
                let quick = || catch(&Scope::new(), ready(()));
                let (_, begun) = watch(|| {
                    let _ = pin!(quick()).poll(cx);
                    assert!(!watch(|| ()).1);
                });
                assert!(begun, "it is over, but was begun");
                Poll::Ready(())
            })
        ));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let exit = outer.as_mut().poll(&mut cx);
        // What is asserted within is caught with it.
        assert!(matches!(exit, Poll::Ready(Exit::Value(()))), "{exit:?}");
        assert!(watch(|| ()).1, "there is no scope that could tell");
    }
}
