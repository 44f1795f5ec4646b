//! A list of branches. Each one keeps its type, so that they are polled without boxes and without
//! dynamic calls, and lie in the future of the caller, from which they may borrow.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// A branch and those after it.
    #[derive(Debug)]
    pub struct Cons<F: Future, R> {
        #[pin]
        pub(super) branch: Branch<F>,
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
    #[project_replace = BranchOwned]
    pub(super) enum Branch<F: Future> {
        Running { #[pin] future: F },
        Done { output: F::Output },
        Gone,
    }
}

impl<F: Future, R> Cons<F, R> {
    /// Puts a branch before the others.
    pub fn new(future: F, rest: R) -> Self {
        Self {
            branch: Branch::Running { future },
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

    /// Takes the output, if there is one; drops the future else.
    pub(super) fn take(self: Pin<&mut Self>) -> Option<F::Output> {
        match self.project_replace(Self::Gone) {
            BranchOwned::Done { output } => Some(output),
            BranchOwned::Running { .. } | BranchOwned::Gone => None,
        }
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

/// In which order the branches are polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From another one each time, so that none is always the last.
    Fair,
    /// As they are written.
    Biased,
}
