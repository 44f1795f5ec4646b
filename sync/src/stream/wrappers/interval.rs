//! An interval as a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use heist_runtime::scope::Leaf;

use crate::time::{Instant, Interval};

/// The ticks of an [`Interval`], each with the time at which it was due. It never ends.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::stream::{StreamExt, wrappers::IntervalStream};
/// use heist_sync::time::{Duration, interval};
///
/// let period = Duration::from_millis(1);
/// let ticks: Vec<_> = IntervalStream::new(interval(period)).take(3).collect().await;
/// assert_eq!(ticks[2] - ticks[0], 2 * period);
/// # });
/// ```
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct IntervalStream {
    inner: Interval,
    leaf: Leaf,
}

impl IntervalStream {
    /// A stream of the ticks.
    #[track_caller]
    pub fn new(interval: Interval) -> Self {
        Self {
            inner: interval,
            leaf: Leaf::here(),
        }
    }

    /// The interval, which goes on with the tick after the last one that came.
    pub fn into_inner(self) -> Interval {
        self.inner
    }
}

impl Stream for IntervalStream {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        // At every poll: a tick that is not taken stays due.
        ready!(self.leaf.start());
        self.inner.poll_tick(cx).map(Some)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl AsRef<Interval> for IntervalStream {
    fn as_ref(&self) -> &Interval {
        &self.inner
    }
}

impl AsMut<Interval> for IntervalStream {
    fn as_mut(&mut self) -> &mut Interval {
        &mut self.inner
    }
}
