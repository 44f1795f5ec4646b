//! A scope that is made when it is needed: most futures that get a scope are ready at their first poll, and
//! then nobody has asked for it.
//!
//! It is needed when the future is pending, so that a cancellation can reach it, and as soon as anything
//! within wants to refer to it: a scope or a task below it, a cleanup it adopts, a handle, a deadline. Until
//! then what it would be asked is what the scope around it would answer.

use std::cell::{Cell, OnceCell};
use std::panic::Location;
use std::time::Duration;

use crate::scope::current::{self, Current};
use crate::scope::node::NodeRef;
use crate::scope::tree::Owner;
use crate::time::Instant;

/// When a scope is to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Never.
    None,
    /// At a point in time.
    At(Instant),
    /// When it has lasted so long, counted from when it is needed first: before that no clock is read.
    Within(Duration),
}

/// What a scope is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) limit: Limit,
}

/// A scope, made or not, over one poll of its body.
#[derive(Debug)]
pub(crate) struct Late {
    plan: Plan,
    around: Current,
    waits_at: Cell<Option<&'static Location<'static>>>,
    made: OnceCell<Made>,
}

/// A scope that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) owner: Owner,
    /// When, if the clock was read.
    pub(super) at: Option<Instant>,
}

impl Late {
    /// Below the current scope.
    #[inline]
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            around: current::current(),
            waits_at: Cell::new(None),
            made: OnceCell::new(),
        }
    }

    #[inline]
    pub(super) fn around(&self) -> Current {
        self.around
    }

    #[inline]
    pub(super) fn made(&self) -> Option<&NodeRef> {
        self.made.get().map(|made| made.owner.node())
    }

    /// The scope, which is made if it is not.
    pub(super) fn node(&self) -> &NodeRef {
        self.make().owner.node()
    }

    fn make(&self) -> &Made {
        self.made.get_or_init(|| {
            let (at, deadline) = match self.plan.limit {
                Limit::None => (None, None),
                Limit::At(deadline) => (None, Some(deadline)),
                Limit::Within(duration) => {
                    let now = Instant::now();
                    (Some(now), Some(now.saturating_add(duration)))
                }
            };
            let owner = Owner::below(self.around, self.plan.name, deadline);
            if let Some(at) = self.waits_at.get() {
                owner.node().note_wait(at);
            }
            Made { owner, at }
        })
    }

    #[inline]
    pub(super) fn note_wait(&self, at: &'static Location<'static>) {
        match self.made() {
            Some(node) => node.note_wait(at),
            None => self.waits_at.set(Some(at)),
        }
    }

    /// The scope, if it was made.
    #[inline]
    pub(super) fn into_made(self) -> Option<Made> {
        self.made.into_inner()
    }

    /// The scope, which is made if it is not.
    pub(super) fn force(self) -> Made {
        self.make();
        self.made.into_inner().expect("made above")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Limit;
    use crate::scope::{
        Cleanup, Exit, Leaf, Reason, Scope, cancel_requested, catch, catch_late, current_deadline,
    };
    use crate::time::Instant;
    use std::future::{pending, poll_fn, ready};
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn it_is_made_when_the_body_is_pending() {
        let mut quick = pin!(catch_late("quick", Limit::Within(Duration::ZERO), ready(7)));
        assert!(matches!(poll(quick.as_mut()), Poll::Ready(Exit::Value(7))));
        assert!(quick.scope().is_none(), "nobody needed it");
        assert!(quick.made_at().is_none(), "nobody looked at the clock");

        let day = Duration::from_secs(86_400);
        let mut slow = pin!(catch_late("slow", Limit::Within(day), pending::<()>()));
        let before = Instant::now();
        assert!(poll(slow.as_mut()).is_pending());
        let deadline = slow.scope().and_then(Scope::deadline);
        assert!(deadline.is_some_and(|at| at >= before + day && at < before + day * 2));
    }

    /// Control, tried: with `is_cancelled` answering `false` for one that is not made, the inner body begins.
    #[test]
    fn one_that_is_not_made_is_cancelled_with_the_one_around() {
        let scope = Scope::new();
        scope.cancel(Reason::Explicit);
        let mut outer = pin!(catch(&scope, async {
            assert!(cancel_requested());
            let twice = catch_late("outer", Limit::None, async {
                assert!(cancel_requested());
                catch_late("inner", Limit::None, async {
                    assert!(cancel_requested());
                    let leaf = Leaf::here();
                    poll_fn(|_| leaf.start()).await;
                    unreachable!("it does not begin")
                })
                .await
                .propagate()
                .await
            });
            twice.await.propagate().await
        }));
        let exit: Poll<Exit<()>> = poll(outer.as_mut());
        assert!(matches!(
            exit,
            Poll::Ready(Exit::Cancelled(Reason::Explicit))
        ));
    }

    /// Control, tried: with `adopt` going to the scope around, it has not run when the inner scope ends.
    #[test]
    fn a_cleanup_that_is_left_in_the_first_poll_runs_within() {
        let closed = Arc::new(AtomicUsize::new(0));
        let body = async {
            let closed = closed.clone();
            drop(Cleanup::new(async move {
                closed.fetch_add(1, Ordering::SeqCst);
            }));
            7
        };
        let mut outer = pin!(catch(&Scope::new(), async {
            let exit = catch_late("inner", Limit::None, body).await;
            assert_eq!(closed.load(Ordering::SeqCst), 1);
            exit
        }));
        for _ in 0..3 {
            if let Poll::Ready(exit) = poll(outer.as_mut()) {
                assert!(matches!(exit, Exit::Value(Exit::Value(7))));
                return;
            }
        }
        panic!("it does not end");
    }

    #[test]
    fn what_is_asked_in_the_first_poll_is_answered() {
        let hour = Duration::from_secs(3_600);
        let at = Instant::now() + hour;
        let leaf = Leaf::here();
        let mut outer = pin!(catch_late("outer", Limit::At(at), async {
            let inner = catch_late("inner", Limit::Within(hour * 2), async {
                assert_eq!(current_deadline(), Some(at), "that around is earlier");
                let scope = Scope::current().expect("one is made");
                assert_eq!(scope.deadline().map(|own| own > at), Some(true));
                poll_fn(|_| leaf.pending::<()>()).await;
            });
            inner.await
        }));
        assert!(poll(outer.as_mut()).is_pending());
        let scope = outer.scope().expect("it is made");
        assert_eq!(scope.deadline(), Some(at));
        let children = scope.node().children();
        assert_eq!(children.len(), 1);
        assert_eq!(children[0].waits_at(), Some(leaf.location()));
        assert!(scope.cancel(Reason::Timeout));
        assert!(matches!(
            poll(outer.as_mut()),
            Poll::Ready(Exit::Value(Exit::Cancelled(Reason::Timeout)))
        ));
    }
}
