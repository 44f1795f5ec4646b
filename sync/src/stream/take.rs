//! `take`: the beginning of a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

pin_project! {
    /// The first values of a stream. Made by [`take`](crate::stream::StreamExt::take).
    #[derive(Clone, Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Take<S> {
        #[pin]
        stream: S,
        remaining: usize,
    }
}

impl<S> Take<S> {
    pub(super) fn new(stream: S, n: usize) -> Self {
        Self {
            stream,
            remaining: n,
        }
    }
}

impl<S: Stream> Stream for Take<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if *this.remaining == 0 {
            return Poll::Ready(None);
        }
        let item = ready!(this.stream.poll_next(cx));
        *this.remaining = item.as_ref().map_or(0, |_| *this.remaining - 1);
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.remaining == 0 {
            return (0, Some(0));
        }
        let (lower, upper) = self.stream.size_hint();
        let upper = upper.map_or(self.remaining, |upper| upper.min(self.remaining));
        (lower.min(self.remaining), Some(upper))
    }
}
