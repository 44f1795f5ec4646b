//! Branches of which some may lose: they run in a scope, which is cancelled as soon as there is a
//! decision and a loser that has something to unwind, and left when that has unwound.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use heist_runtime::scope::{Exit, Reason, Scope, cancel_requested, catch};

use crate::branches::list::{Losers, Payload};

/// Branches that come to a decision, perhaps before all of them are done.
pub trait Contest {
    /// What they come to.
    type Decision;
    /// The branches.
    type Branches: Losers;

    /// Polls the branches until there is a decision, or one of them panics.
    fn poll_decision(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Decision, Payload>>;

    /// The branches, to be unwound.
    fn branches(self: Pin<&mut Self>) -> Pin<&mut Self::Branches>;
}

/// Runs a contest; when it returns, the losers that are owned have unwound and are dropped.
pub async fn decide<C: Contest>(name: &'static str, mut contest: Pin<&mut C>) -> C::Decision {
    if !C::Branches::ANY_OWNED {
        // Nothing ends here but the waiting.
        let decision = poll_fn(|cx| contest.as_mut().poll_decision(cx)).await;
        return decision.unwrap_or_else(|payload| resume_unwind(payload));
    }
    let scope = Scope::named(name);
    let mut verdict = None;
    let body = Body {
        contest,
        scope: &scope,
        verdict: &mut verdict,
        unwinds_lent: false,
    };
    let exit = catch(&scope, body).await;
    match (verdict, exit) {
        // The decision, if there was one, is dropped.
        (Some(Err(payload)), _) | (_, Exit::Panicked(payload)) => resume_unwind(payload),
        (Some(Ok(decision)), _) => decision,
        (None, exit) => {
            exit.propagate().await;
            unreachable!("without a decision the scope was cancelled from outside, and stays so")
        }
    }
}

/// What runs in the scope.
struct Body<'a, C: Contest> {
    contest: Pin<&'a mut C>,
    scope: &'a Scope,
    /// Outside of the body, because that is dropped when the losers are quiet.
    verdict: &'a mut Option<Result<C::Decision, Payload>>,
    /// A scope further out was cancelled before there was a decision, and what is lent began to unwind
    /// with the rest. It must come to an end, since this scope waits for it.
    unwinds_lent: bool,
}

impl<C: Contest> Future for Body<'_, C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.verdict.is_none() {
            let cancelled = cancel_requested();
            this.unwinds_lent |= cancelled;
            let verdict = ready!(this.contest.as_mut().poll_decision(cx));
            *this.verdict = Some(verdict);
            let branches = this.contest.as_mut().branches();
            if !branches.any_unwinding(this.unwinds_lent) {
                // What is left is dropped with the body.
                return Poll::Ready(());
            }
            this.scope.cancel(Reason::Race);
            if !cancelled {
                // The scope, cancelled during this poll, polls again at once.
                return Poll::Pending;
            }
        }
        this.poll_unwinding(cx)
    }
}

impl<C: Contest> Body<'_, C> {
    #[cold]
    fn poll_unwinding(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut branches = self.contest.as_mut().branches();
        let verdict = &mut *self.verdict;
        let mut panicked = |payload| {
            // The first panic replaces a decision.
            if matches!(verdict, Some(Ok(_))) {
                *verdict = Some(Err(payload));
            }
        };
        branches
            .as_mut()
            .poll_unwinding(cx, self.unwinds_lent, &mut panicked);
        if branches.any_unwinding(self.unwinds_lent) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl<C: Contest> Drop for Body<'_, C> {
    /// In the scope, which is entered again to drop its body: cleanups that are left belong to it.
    fn drop(&mut self) {
        self.contest.as_mut().branches().drop_all();
    }
}
