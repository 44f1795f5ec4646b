//! A future in a scope that is cancelled when the scope's deadline has come.

use heist_runtime::scope::{Catch, Exit, Reason, Scope};
use heist_runtime::time::{Instant, Timer};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// Runs a future in a scope, and keeps to the scope's deadline, which may change meanwhile.
    pub(crate) struct Deadlined<F: Future> {
        #[pin]
        catch: Catch<F>,
        timer: Option<Timer>,
    }
}

impl<F: Future> Deadlined<F> {
    pub(crate) fn new(catch: Catch<F>) -> Self {
        Self { catch, timer: None }
    }

    pub(crate) fn inner(&self) -> &Catch<F> {
        &self.catch
    }

    pub(crate) fn into_inner(self) -> Catch<F> {
        self.catch
    }

    pub(crate) fn inner_mut(&mut self) -> &mut Catch<F> {
        &mut self.catch
    }
}

impl<F: Future> Future for Deadlined<F> {
    type Output = Exit<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            // Before the clock, so that a future that is ready at once never sets up a timer.
            if let Poll::Ready(exit) = this.catch.as_mut().poll(cx) {
                return Poll::Ready(exit);
            }
            let catch = this.catch.as_ref().get_ref();
            let scope = catch.scope().expect("what is pending has a scope");
            if !keep(scope, catch.made_at(), this.timer, cx) {
                return Poll::Pending;
            }
            // Cancelled just now: it may have nothing to clean up.
        }
    }
}

/// Returns whether the deadline has come, and the scope was cancelled. `made_at` is when the clock was read to
/// set it, if that is known.
fn keep(
    scope: &Scope,
    made_at: Option<Instant>,
    timer: &mut Option<Timer>,
    cx: &mut Context<'_>,
) -> bool {
    let Some(deadline) = scope.deadline() else {
        *timer = None;
        return false;
    };
    if timer
        .as_ref()
        .is_none_or(|timer| timer.deadline() != deadline)
    {
        if scope.reason().is_some() {
            return false;
        }
        *timer = Some(match (&timer, made_at) {
            (None, Some(now)) => Timer::masked_since(now, deadline),
            _ => Timer::masked(deadline),
        });
    }
    let due = timer.as_mut().expect("set above");
    if Pin::new(due).poll(cx).is_pending() {
        return false;
    }
    *timer = None;
    // What is cancelled stays so; nothing is left to be timed.
    scope.cancel(Reason::Timeout)
}
