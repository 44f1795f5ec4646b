//! Cleanups: futures that run to their end also in a cancelled scope, and in another one if theirs is gone.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use crate::scope::node::NodeRef;
use crate::scope::{Catch, Exit, Scope, catch};

pub(crate) type BoxedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is left of a cleanup, without a place to run.
pub(crate) struct BoxedCleanup {
    future: BoxedFuture,
    /// How many cleanups it counts for when it is skipped: none if it only waits.
    weight: u64,
}

impl BoxedCleanup {
    pub(crate) fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            future: Box::pin(future),
            weight: 1,
        }
    }

    /// One that cleans nothing up, but has to be waited for.
    pub(crate) fn wait(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            weight: 0,
            ..Self::new(future)
        }
    }

    /// The same cleanup, in another future that runs it.
    pub(crate) fn within(self, wrap: impl FnOnce(BoxedFuture) -> BoxedFuture) -> Self {
        Self {
            future: wrap(self.future),
            ..self
        }
    }
}

impl Future for BoxedCleanup {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().poll(cx)
    }
}

/// Cleanups that nobody could await, in this process.
static SKIPPED: AtomicU64 = AtomicU64::new(0);
/// Cleanups that another scope than their own has taken over.
static ADOPTED: AtomicU64 = AtomicU64::new(0);
/// Bodies dropped although something in them kept waking itself, or was woken and not polled.
static FORCED: AtomicU64 = AtomicU64::new(0);

/// How cleanups went so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CleanupCounts {
    /// Cleanups that were not run: what they belonged to was aborted, or no scope was left to run them.
    pub skipped: u64,
    /// Cleanups that a scope has run for a future that was dropped half-way.
    pub adopted: u64,
    /// Futures that were dropped while they could have gone on unwinding, since what was to poll them did
    /// not.
    pub forced: u64,
}

/// How cleanups went so far, in all runtimes of this process.
#[must_use]
pub fn cleanup_counts() -> CleanupCounts {
    // Relaxed: each is a counter by itself.
    CleanupCounts {
        skipped: SKIPPED.load(Ordering::Relaxed),
        adopted: ADOPTED.load(Ordering::Relaxed),
        forced: FORCED.load(Ordering::Relaxed),
    }
}

pub(crate) fn count_adopted() {
    ADOPTED.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn count_forced() {
    FORCED.fetch_add(1, Ordering::Relaxed);
}

/// Counts cleanups that cannot be run, for those that are no values: a borrowed one, say.
pub fn count_skipped(cleanups: u64) {
    SKIPPED.fetch_add(cleanups, Ordering::Relaxed);
    // For the report of a shutdown. What is dropped outside of the workers is counted for the process only.
    let _: Option<()> = crate::context::with_worker(|worker| {
        let skipped = &worker.shared().skipped_cleanups;
        skipped.fetch_add(cleanups, Ordering::Relaxed);
    });
}

/// Drops a cleanup that nobody can await.
pub(crate) fn skip(cleanup: BoxedCleanup) {
    count_skipped(cleanup.weight);
    crate::panics::contain("destructor", || drop(cleanup));
}

/// An owned cleanup that is shielded: it runs to its end in a scope that is being cancelled. Dropped before
/// that, what is left of it goes to the nearest scope that has not ended.
///
/// # Panics
///
/// With the panic of the cleanup, and when polled again after its end.
pub struct Cleanup {
    inner: Catch<BoxedCleanup>,
    weight: u64,
}

impl Cleanup {
    /// A cleanup for the scope in which it is polled; until then it belongs to the current one.
    pub fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::boxed(BoxedCleanup::new(future))
    }

    pub(crate) fn boxed(future: BoxedCleanup) -> Self {
        let weight = future.weight;
        let mut inner = catch(&Scope::shielded("cleanup"), future);
        Pin::new(&mut inner).link_to_current();
        Self { inner, weight }
    }

    /// Whether it runs in that scope of its own.
    pub(crate) fn runs_in(&self, node: &NodeRef) -> bool {
        self.inner
            .scope()
            .is_some_and(|scope| scope.node().is(node))
    }
}

impl Future for Cleanup {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(Pin::new(&mut self.inner).poll(cx)) {
            Exit::Value(()) => Poll::Ready(()),
            Exit::Panicked(payload) => resume_unwind(payload),
            Exit::Cancelled(_) => {
                // Nothing but an abort gets through the shield.
                count_skipped(self.weight);
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let rest = Pin::new(&mut self.inner).take_body();
        if let (Some(rest), Some(scope)) = (rest, self.inner.scope()) {
            scope.node().adopt_above(rest);
        }
    }
}

impl fmt::Debug for Cleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleanup").finish_non_exhaustive()
    }
}
