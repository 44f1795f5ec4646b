//! `timeout`: wait for a future, but not for ever.

use super::Instant;
use crate::cancel::deadline::Deadlined;
use heist_runtime::scope::{Exit, Limit, Scope, catch_late, unwound};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Waits for a future, for no longer than a duration, counted from when the future waits for the first time.
///
/// `asyncio.wait_for`, which counts from when it is first awaited; tokio counts from the call, as does
/// `timeout_at(Instant::now() + duration, future)`. A future that is ready at once succeeds even with a duration
/// of zero, sets up no timer and looks at no clock.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::time::timeout;
/// use std::time::Duration;
///
/// let quick = timeout(Duration::from_secs(5), async { 7 }).await;
/// assert_eq!(quick.expect("in time"), 7);
/// let endless = timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
/// assert!(endless.is_err());
/// # });
/// ```
///
/// # Errors
///
/// [`Elapsed`](error::Elapsed) if the time is over first. The future that was too slow is cancelled, and
/// this returns when it has unwound, its cleanup included. A value that it comes up with meanwhile wins.
///
/// A leaf, such as a sleep, a lock or a receive, passed as `&mut` can be awaited again afterwards, as with
/// tokio. Anything that has scopes of its own has been unwound, and panics when it is polled again.
///
/// # Panics
///
/// When it is polled outside a Heist runtime and the future is not ready at once.
///
/// # Cancel safety
///
/// As safe as the future within.
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout::new(Limit::Within(duration), future.into_future())
}

/// Waits for a future, but not beyond a time. See [`timeout`](timeout()). Of nested ones the earliest counts.
///
/// # Errors
///
/// [`Elapsed`](error::Elapsed) if the time is reached first.
///
/// # Panics
///
/// When it is polled outside a Heist runtime and the future is not ready at once.
///
/// # Cancel safety
///
/// As safe as the future within.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout::new(Limit::At(deadline), future.into_future())
}

const ENDED: &str = "the future of a timeout was asked for after its end";

pin_project! {
    /// Waits for a future until a deadline. Made by [`timeout`](timeout()) and [`timeout_at`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Timeout<F: Future> {
        #[pin]
        inner: Deadlined<F>,
        // A cancellation from outside has ended it.
        unwound: bool,
    }
}

impl<F: Future> Timeout<F> {
    #[inline]
    fn new(limit: Limit, future: F) -> Self {
        Self {
            inner: Deadlined::new(catch_late("timeout", limit, future)),
            unwound: false,
        }
    }

    /// Whether the time was over, and not something else.
    fn is_elapsed(&self) -> bool {
        let scope = self.inner.inner().scope();
        scope.and_then(Scope::reason).is_some()
    }

    /// The future within.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn get_ref(&self) -> &F {
        self.inner.inner().get_ref().expect(ENDED)
    }

    /// The future within.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn get_mut(&mut self) -> &mut F {
        self.inner.inner_mut().get_mut().expect(ENDED)
    }

    /// The future within, without the limit.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn into_inner(self) -> F {
        self.inner.into_inner().into_inner().expect(ENDED)
    }
}

impl<F: Future> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("scope", &self.inner.inner().scope())
            .finish_non_exhaustive()
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, error::Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.unwound {
            match ready!(self.as_mut().project().inner.poll(cx)) {
                Exit::Value(output) => return Poll::Ready(Ok(output)),
                Exit::Panicked(payload) => resume_unwind(payload),
                Exit::Cancelled(_) if self.is_elapsed() => {
                    return Poll::Ready(Err(error::Elapsed::new()));
                }
                Exit::Cancelled(_) => *self.as_mut().project().unwound = true,
            }
        }
        // It was not meant for us: the scope around ends us.
        pin!(unwound()).poll(cx)
    }
}

/// The error of [`timeout`](timeout()).
pub mod error {
    use super::fmt;
    use std::error::Error;
    use std::io;

    /// The time was over before the future was done.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Elapsed(());

    impl Elapsed {
        pub(crate) fn new() -> Self {
            Self(())
        }
    }

    impl fmt::Display for Elapsed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the deadline of the timeout has passed")
        }
    }

    impl Error for Elapsed {}

    impl From<Elapsed> for io::Error {
        fn from(error: Elapsed) -> Self {
            Self::new(io::ErrorKind::TimedOut, error)
        }
    }
}
