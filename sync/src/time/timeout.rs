//! `timeout`: wait for a future, but not for ever.

use super::{Instant, Sleep, after, sleep_until};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Waits for a future, for no longer than a duration, counted from this call.
///
/// `asyncio.wait_for`. The future is polled before the clock is looked at, so one that is ready at
/// once succeeds even with a duration of zero, and never sets up a timer.
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
/// [`Elapsed`](error::Elapsed) if the time is over first. The future that was too slow is dropped
/// with the `Timeout`: at the end of the `.await` if that is where it was made. Pass `&mut future`
/// to keep it and await it again.
///
/// # Panics
///
/// When it is polled outside a Heist runtime and the future is not ready at once.
///
/// # Cancel safety
///
/// As safe as the future within.
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    timeout_at(after(Instant::now(), duration), future)
}

/// Waits for a future, but not beyond a time. See [`timeout`](timeout()).
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
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        sleep: sleep_until(deadline),
    }
}

pin_project! {
    /// Waits for a future until a deadline. Made by [`timeout`](timeout()) and [`timeout_at`].
    #[must_use = "a future does nothing unless it is awaited"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep,
    }
}

impl<F> Timeout<F> {
    /// The future within.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future within.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The future within, without the limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, error::Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        this.sleep.poll(cx).map(|()| Err(error::Elapsed::new()))
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
        pub(super) fn new() -> Self {
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
