//! Giving other tasks a turn.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::context;
use crate::scope::Leaf;

/// Puts the current task behind the others that are ready (asyncio: `sleep(0)`).
///
/// The worker looks at its I/O and timers at regular intervals whatever the tasks do, so a task that
/// yields in a loop starves nobody.
///
/// # Cancel safety
///
/// Nothing is lost when it is dropped.
#[track_caller]
pub fn yield_now() -> YieldNow {
    YieldNow {
        leaf: Leaf::here(),
        yielded: false,
    }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct YieldNow {
    leaf: Leaf,
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        // Nothing is waited for, so that a cancelled scope has nobody to wait for either.
        ready!(self.leaf.start());
        self.yielded = true;
        if !context::give_way(cx.waker()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
