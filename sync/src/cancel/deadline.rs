//! A future in a scope that is cancelled when the scope's deadline has come.

use heist_runtime::scope::{Catch, Exit, Reason, Scope, catch};
use heist_runtime::time::Timer;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// Runs a future in a scope, and keeps to the scope's deadline, which may change meanwhile.
    pub(crate) struct Deadlined<F: Future> {
        #[pin]
        catch: Catch<F>,
        scope: Scope,
        timer: Option<Timer>,
    }
}

impl<F: Future> Deadlined<F> {
    #[track_caller]
    pub(crate) fn new(scope: Scope, future: F) -> Self {
        Self {
            catch: catch(&scope, future),
            scope,
            timer: None,
        }
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
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
            if !keep(this.scope, this.timer, cx) {
                return Poll::Pending;
            }
            // Cancelled just now: it may have nothing to clean up.
        }
    }
}

/// Returns whether the deadline has come, and the scope was cancelled.
fn keep(scope: &Scope, timer: &mut Option<Timer>, cx: &mut Context<'_>) -> bool {
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
        *timer = Some(Timer::masked(deadline));
    }
    let due = timer.as_mut().expect("set above");
    if Pin::new(due).poll(cx).is_pending() {
        return false;
    }
    *timer = None;
    // What is cancelled stays so; nothing is left to be timed.
    scope.cancel(Reason::Timeout)
}
