//! A list of branches. Each one keeps its type, so that they are polled without boxes and without
//! dynamic calls, and lie in the future of the caller, from which they may borrow.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use heist_runtime::scope::watch;
use pin_project_lite::pin_project;

use crate::branches::ownership::{Owned, Ownership};

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

pin_project! {
    /// A branch and those after it.
    #[derive(Debug)]
    pub struct Cons<F: Future, O, R> {
        #[pin]
        pub(super) branch: Branch<F>,
        ownership: O,
        // Whether the future has begun something that has to unwind.
        pub(super) begun: bool,
        #[pin]
        pub(super) rest: R,
    }
}

/// No branch.
#[derive(Debug)]
pub struct Nil;

pin_project! {
    /// A future, then its output.
    #[project = BranchProjected]
    #[project_replace = BranchReplaced]
    pub(super) enum Branch<F: Future> {
        Running { #[pin] future: F },
        Done { output: F::Output },
        Gone,
    }
}

impl<F: Future, R> Cons<F, Owned, R> {
    /// Puts a branch before the others.
    pub fn new(future: F, rest: R) -> Self {
        Self::with(Some(future), Owned, rest)
    }
}

impl<F: Future, O, R> Cons<F, O, R> {
    /// Puts a branch, or one that is switched off, before the others.
    pub fn with(future: Option<F>, ownership: O, rest: R) -> Self {
        Self {
            branch: future.map_or(Branch::Gone, |future| Branch::Running { future }),
            ownership,
            begun: false,
            rest,
        }
    }
}

impl<F: Future> Branch<F> {
    /// Polls the future unless it is done; returns whether it is. The output stays here.
    #[inline]
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let BranchProjected::Running { future } = self.as_mut().project() else {
            return true;
        };
        let Poll::Ready(output) = future.poll(cx) else {
            return false;
        };
        self.set(Self::Done { output });
        true
    }

    /// Polls the future if there is one. When it is done, or has panicked, it is dropped. Notes whether
    /// it has begun something that has to unwind.
    #[inline]
    pub(super) fn poll_out(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        begun: &mut bool,
    ) -> Poll<Result<F::Output, Payload>> {
        let BranchProjected::Running { future } = self.as_mut().project() else {
            return Poll::Pending;
        };
        // What it has left behind is looked at by nobody but its destructor, and its owner.
        let poll = || catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
        let (polled, begins) = watch(poll);
        *begun |= begins;
        let output = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(payload),
        };
        // Of two panics the first one counts.
        let dropped = catch_unwind(AssertUnwindSafe(|| self.set(Self::Gone)));
        Poll::Ready(output.and_then(|output| dropped.map(|()| output)))
    }

    /// Puts the output in the place of a future that is gone.
    pub(super) fn keep(mut self: Pin<&mut Self>, output: F::Output) {
        self.set(Self::Done { output });
    }

    /// Takes the output, if there is one; drops the future else.
    pub(super) fn take(self: Pin<&mut Self>) -> Option<F::Output> {
        match self.project_replace(Self::Gone) {
            BranchReplaced::Done { output } => Some(output),
            BranchReplaced::Running { .. } | BranchReplaced::Gone => None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

impl<F: Future> std::fmt::Debug for Branch<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Running { .. } => "Running",
            Self::Done { .. } => "Done",
            Self::Gone => "Gone",
        })
    }
}

/// What becomes of branches when the others have decided.
///
/// One that has begun nothing which has to unwind is dropped where it is: polled again it could take
/// what it waits for, which would be lost. One that was never polled does not begin.
pub trait Losers {
    /// Whether any of them is owned, so that there may be something to unwind.
    const ANY_OWNED: bool;

    /// Whether a future is left that has not ended.
    fn any_running(&self) -> bool;

    /// Whether a future has to unwind.
    fn any_unwinding(&self, lent_too: bool) -> bool;

    /// Polls those that have to unwind; outputs are dropped. Panics are handed to `panicked`.
    fn poll_unwinding(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        lent_too: bool,
        panicked: &mut dyn FnMut(Payload),
    );

    /// Drops the futures, and the outputs that are there.
    fn drop_all(self: Pin<&mut Self>);
}

impl Losers for Nil {
    const ANY_OWNED: bool = false;

    fn any_running(&self) -> bool {
        false
    }

    fn any_unwinding(&self, _: bool) -> bool {
        false
    }

    fn poll_unwinding(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: bool,
        _: &mut dyn FnMut(Payload),
    ) {
    }

    fn drop_all(self: Pin<&mut Self>) {}
}

impl<F: Future, O: Ownership, R> Cons<F, O, R> {
    /// Whether the branch has to unwind.
    fn unwinds(&self, lent_too: bool) -> bool {
        self.begun && (lent_too || !O::IS_LENT) && self.branch.is_running()
    }
}

impl<F: Future, O: Ownership, R: Losers> Losers for Cons<F, O, R> {
    const ANY_OWNED: bool = !O::IS_LENT || R::ANY_OWNED;

    fn any_running(&self) -> bool {
        self.branch.is_running() || self.rest.any_running()
    }

    fn any_unwinding(&self, lent_too: bool) -> bool {
        self.unwinds(lent_too) || self.rest.any_unwinding(lent_too)
    }

    fn poll_unwinding(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        lent_too: bool,
        panicked: &mut dyn FnMut(Payload),
    ) {
        let unwinds = self.unwinds(lent_too);
        let this = self.project();
        if unwinds && let Poll::Ready(Err(payload)) = this.branch.poll_out(cx, this.begun) {
            panicked(payload);
        }
        this.rest.poll_unwinding(cx, lent_too, panicked);
    }

    fn drop_all(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.branch.set(Branch::Gone);
        this.rest.drop_all();
    }
}

/// In which order the branches are polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// None is always the first.
    Fair,
    /// As they are written.
    Biased,
}
