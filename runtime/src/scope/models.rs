//! The tree against every interleaving of two threads. Nodes stand alone here: what is modelled is the
//! locks and the words, and that whoever has to learn of something does.

use std::task::Waker;

use crate::primitives::model::{Flag, check_bounded};
use crate::scope::Reason;
use crate::scope::cleanup::BoxedCleanup;
use crate::scope::current;
use crate::scope::drive::{Unwinding, Verdict, judge};
use crate::scope::flags::Kind;
use crate::scope::node::NodeRef;
use crate::scope::token::{Token, hold};
use crate::scope::tree::Owner;
use loom::thread;

fn scope(kind: Kind) -> NodeRef {
    NodeRef::new(kind, "model")
}

fn register(node: &NodeRef, waker: &Waker) {
    drop(node.replace_waker(waker.clone()));
}

/// A scope is linked while its parent is cancelled: it is marked, in either order.
///
/// Control, tried: a `join` that does not look at the marks of the parent.
#[test]
fn loom_cancel_against_link() {
    check_bounded(3, || {
        let (parent, child) = (scope(Kind::Plain), scope(Kind::Plain));
        let canceller = {
            let parent = parent.clone();
            thread::spawn(move || parent.cancel(Reason::Explicit))
        };
        child.link(Some(parent.clone()));
        assert!(canceller.join().expect("canceller"));
        assert!(
            child.flags.get().is_cancelled(),
            "a cancellation was missed"
        );
        assert!(child.close());
        assert!(parent.close());
    });
}

/// A scope moves away while its old parent is cancelled: it is not marked under the new one.
///
/// Control, tried: a move that does not clear the mark.
#[test]
fn loom_cancel_against_move() {
    check_bounded(3, || {
        let (old, new, child) = (scope(Kind::Plain), scope(Kind::Plain), scope(Kind::Plain));
        child.link(Some(old.clone()));
        let canceller = {
            let old = old.clone();
            thread::spawn(move || old.cancel(Reason::Explicit))
        };
        child.link(Some(new.clone()));
        canceller.join().expect("canceller");
        assert!(
            !child.flags.get().is_cancelled(),
            "cancelled by a scope it is not in"
        );
        assert!(child.close());
    });
}

/// A scope registers its waker and looks at its marks, while it is cancelled: it sees the mark, or is woken.
///
/// Control, tried: a cancel that wakes before it marks.
#[test]
fn loom_cancel_against_register() {
    check_bounded(3, || {
        let node = scope(Kind::Plain);
        let canceller = {
            let node = node.clone();
            thread::spawn(move || node.cancel(Reason::Explicit))
        };
        let (flag, waker) = Flag::new();
        register(&node, &waker);
        let seen = node.flags.get().is_cancelled();
        assert!(canceller.join().expect("canceller"));
        assert!(seen || flag.take(), "the scope sleeps on a cancellation");
        assert!(node.close());
    });
}

/// Two cancels spread over the same child; one of them is the first, and the child is marked.
///
/// Control, tried: a cancel that is none on a scope which is marked from above.
#[test]
fn loom_two_cancels() {
    check_bounded(3, || {
        let (parent, child) = (scope(Kind::Plain), scope(Kind::Plain));
        child.link(Some(parent.clone()));
        let other = {
            let child = child.clone();
            thread::spawn(move || child.cancel(Reason::Timeout))
        };
        assert!(parent.cancel(Reason::Explicit));
        assert!(other.join().expect("other"));
        assert!(child.flags.get().is_cancelled() && child.flags.get().is_own());
        assert!(child.close());
    });
}

/// A cleanup comes while the scope closes: either the scope does not close, or the parent has the cleanup.
///
/// Control, tried: an adoption that looks whether the scope is closed before it takes the lock.
#[test]
fn loom_adopt_against_close() {
    check_bounded(3, || {
        let (parent, child) = (scope(Kind::Plain), scope(Kind::Plain));
        child.link(Some(parent.clone()));
        let adopter = {
            let child = child.clone();
            thread::spawn(move || child.adopt(BoxedCleanup::new(async {})))
        };
        let closed = child.close();
        adopter.join().expect("adopter");
        let here = child.take_adopted().len();
        let above = parent.take_adopted().len();
        assert_eq!(here + above, 1, "a cleanup was lost, or came twice");
        if closed {
            assert_eq!(above, 1);
        } else {
            assert!(child.close());
        }
        assert!(parent.close());
    });
}

/// A child closes, and is freed, while its parent's cancellation goes through the list of children.
///
/// Control, tried: a close that leaves the scope in the list of its parent.
#[test]
fn loom_cancel_against_close() {
    check_bounded(3, || {
        let (parent, child) = (scope(Kind::Plain), scope(Kind::Plain));
        let sibling = scope(Kind::Plain);
        child.link(Some(parent.clone()));
        sibling.link(Some(parent.clone()));
        let canceller = {
            let parent = parent.clone();
            thread::spawn(move || parent.cancel(Reason::Explicit))
        };
        assert!(child.close());
        drop(child);
        assert!(canceller.join().expect("canceller"));
        assert!(sibling.flags.get().is_cancelled());
        assert_eq!(parent.children().len(), 1, "a closed one is in the list");
        assert!(sibling.close());
    });
}

/// A wake uses up the waker while the scope is polled with the same one: it is polled again, and the next wake
/// reaches it.
///
/// Control, tried: without the look at whether the waker was called, the last wake finds none.
#[test]
fn loom_wake_against_register() {
    check_bounded(3, || {
        let parent = scope(Kind::Plain);
        let mut owner = {
            let _around = current::enter(&parent);
            Owner::below(current::current(), "model", None)
        };
        let (flag, waker) = Flag::new();
        owner.register(&waker);
        let wakers = [(); 2].map(|()| {
            let node = owner.node().clone();
            thread::spawn(move || node.wake())
        });
        owner.register(&waker);
        for waker in wakers {
            waker.join().expect("waker");
        }
        assert!(flag.take(), "a wake was missed");
        owner.register(&waker);
        owner.node().wake();
        assert!(flag.take(), "the waker was not stored again");
        assert!(owner.close());
        assert!(parent.close());
    });
}

/// A scope that its parent waits for is woken while it is polled, for the last time: the parent polls nothing below any
/// more. Whatever became of that wake, it has left a note, or the next one is heard.
///
/// Control, tried: with `begin` after `register` neither is the case, and the parent waits for ever.
#[test]
fn loom_wake_against_the_last_poll() {
    check_bounded(3, || {
        let parent = scope(Kind::Plain);
        parent.cancel(Reason::Explicit);
        let (mut owner, _) = made_below(&parent);
        let (flag, waker) = Flag::new();
        let mut unwinding = Unwinding::<()>::default();
        let mut poll = |owner: &mut Owner| {
            let _around = current::enter(&parent);
            unwinding.begin(owner.node());
            owner.register(&waker);
        };
        poll(&mut owner);
        let other = {
            let node = owner.node().clone();
            thread::spawn(move || node.wake())
        };
        poll(&mut owner);
        other.join().expect("waker");
        // What that has woken, if anything.
        flag.take();
        parent.begin_round();
        let noted = parent.is_stalled(|_| false);
        owner.node().wake();
        assert!(noted || flag.take(), "a wake was missed");
        drop(unwinding);
        assert!(owner.close());
        assert!(parent.close());
    });
}

/// A cancel spreads while the scope has a round: it does not end before what is below was polled as cancelled.
///
/// Control, tried: if the cancel takes `UNTOLD` back before it has gone through the children, it ends over one.
#[test]
fn loom_round_against_cancel() {
    check_bounded(3, || {
        let parent = scope(Kind::Plain);
        let (mut child, _flag) = made_below(&parent);
        assert!(parent.flags.cancel(Reason::Explicit).is_some());
        let canceller = {
            let parent = parent.clone();
            thread::spawn(move || parent.spread_cancel(true))
        };
        parent.begin_round();
        let unwinds = child.node().flags.get().is_cancelled();
        let ends = matches!(judge(&parent, &[]), Verdict::Quiet)
            && !parent.is_being_woken()
            && !parent.overtake_cancel();
        assert!(unwinds || !ends, "it ends over one that has not unwound");
        canceller.join().expect("canceller");
        assert!(!parent.flags.get().is_untold());
        assert!(!child.node().flags.get().is_untold());
        assert!(child.close());
        assert!(parent.close());
    });
}

/// A token is given back while the scope registers and looks: it is not busy, or it is woken.
///
/// Control, tried: a token that wakes before it is given back.
#[test]
fn loom_token_against_register() {
    check_bounded(3, || {
        let node = scope(Kind::Plain);
        node.cancel(Reason::Explicit);
        let mut token: Option<Token> = None;
        hold(&mut token, Some(&node), None);
        assert!(node.is_busy());
        let holder = thread::spawn(move || drop(token));
        let (flag, waker) = Flag::new();
        register(&node, &waker);
        let busy = node.is_busy();
        holder.join().expect("holder");
        assert!(!node.is_busy());
        assert!(
            !busy || flag.take(),
            "the scope waits for a token that is back"
        );
        assert!(node.close());
    });
}

/// A scope in the list of `parent`, as a future that is pending makes it.
fn made_below(parent: &NodeRef) -> (Owner, std::sync::Arc<Flag>) {
    let owner = {
        let _around = current::enter(parent);
        Owner::below(current::current(), "model", None)
    };
    let (flag, waker) = Flag::new();
    drop(owner.node().replace_waker(waker));
    (owner, flag)
}

/// A scope ends while its parent is cancelled: the one who went through the list and the owner do not touch
/// it at the same time, which loom would notice at the waker.
///
/// Control, tried: an end that takes itself for alone without looking.
#[test]
fn loom_close_below_against_cancel() {
    check_bounded(2, || {
        let parent = scope(Kind::Plain);
        let (mut owner, _flag) = made_below(&parent);
        let canceller = {
            let parent = parent.clone();
            thread::spawn(move || parent.cancel(Reason::Explicit))
        };
        assert!(owner.close());
        drop(owner);
        assert!(canceller.join().expect("canceller"));
        assert!(parent.close());
    });
}

/// A scope ends while a cleanup is left in it: it is adopted and found, or goes to the parent.
///
/// Control, tried: an end that does not look for cleanups again under the lock.
#[test]
fn loom_close_below_against_adopt() {
    check_bounded(2, || {
        let parent = scope(Kind::Plain);
        let (mut owner, _flag) = made_below(&parent);
        let adopter = {
            let child = owner.node().clone();
            thread::spawn(move || child.adopt(BoxedCleanup::new(async {})))
        };
        let mut rounds = 0;
        while !owner.close() {
            rounds += 1;
            assert!(rounds < 3, "the cleanup is taken once");
            assert_eq!(owner.node().take_adopted().len(), 1);
        }
        adopter.join().expect("adopter");
        let left = parent.take_adopted().len();
        assert_eq!(rounds + left, 1, "the cleanup is lost, or there twice");
        drop(owner);
        assert!(parent.close());
    });
}
