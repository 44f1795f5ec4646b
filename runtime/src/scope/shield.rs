//! `shield`: what runs in it is not cancelled from outside, and the scope around waits for it.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::scope::{Catch, Exit, Scope, catch};

pin_project! {
    /// The future of [`shield`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Shield<F: Future> {
        #[pin]
        inner: Catch<F>,
        was_aborted: bool,
    }
}

/// Masks cancellation: `future` runs to its end, and a scope around it that is cancelled waits for it. What
/// comes after it meets the cancellation at its next checkpoint.
///
/// asyncio's `shield` detaches what it protects, which then goes on alone; this one never does.
///
/// # Cancel safety
///
/// It is not cancelled by its scope, only by an abort. Dropping it drops the future.
///
/// # Examples
///
/// ```
/// use heist_runtime::scope::{Reason, Scope, catch, shield};
///
/// heist_runtime::block_on(async {
///     let scope = Scope::new();
///     let mut saved = false;
///     let exit = catch(&scope, async {
///         scope.cancel(Reason::Explicit);
///         shield(async {
///             heist_runtime::yield_now().await;
///             saved = true;
///         })
///         .await;
///         heist_runtime::yield_now().await;
///         unreachable!()
///     })
///     .await;
///     assert!(saved);
///     # let _: heist_runtime::scope::Exit<()> = exit;
/// });
/// ```
pub fn shield<F: Future>(future: F) -> Shield<F> {
    Shield {
        inner: catch(&Scope::shielded("shield"), future),
        was_aborted: false,
    }
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if *this.was_aborted {
            return Poll::Pending;
        }
        match ready!(this.inner.poll(cx)) {
            Exit::Value(value) => Poll::Ready(value),
            Exit::Panicked(payload) => resume_unwind(payload),
            Exit::Cancelled(_) => {
                *this.was_aborted = true;
                Poll::Pending
            }
        }
    }
}
