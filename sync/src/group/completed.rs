//! `as_completed`: the outputs of futures within one task, as they complete.

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A stream of the outputs of futures, in the order in which they complete (`asyncio.as_completed`). They
/// run within the task that polls the stream, and may borrow.
///
/// ```
/// # heist_runtime::block_on(async {
/// use futures_core::Stream;
/// use heist_sync::{group::as_completed, time::sleep};
/// use std::{future::poll_fn, pin::Pin, time::Duration};
///
/// let mut outputs = as_completed([30, 1, 15].map(async |millis| {
///     sleep(Duration::from_millis(millis)).await;
///     millis
/// }));
/// let first = poll_fn(|cx| Pin::new(&mut outputs).poll_next(cx)).await;
/// assert_eq!(first, Some(1));
/// # });
/// ```
///
/// # Cancel safety
///
/// Dropping the stream drops the futures that are left; cleanups that belong to them go to the scope around.
pub fn as_completed<I>(futures: I) -> AsCompleted<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    let futures = futures.into_iter().map(IntoFuture::into_future);
    AsCompleted(futures.collect())
}

/// The stream of [`as_completed`].
#[must_use = "a stream does nothing unless it is polled"]
pub struct AsCompleted<F>(FuturesUnordered<F>);

impl<F: Future> Stream for AsCompleted<F> {
    type Item = F::Output;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        Pin::new(&mut self.0).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl<F> fmt::Debug for AsCompleted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("left", &self.0.len())
            .finish()
    }
}
