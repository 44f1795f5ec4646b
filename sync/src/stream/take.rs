//! `take`, `take_while` and `skip`: the beginning of a stream, or all but that.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::debug::debug_stream;

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

pin_project! {
    /// The values up to one that fails a test. Made by
    /// [`take_while`](crate::stream::StreamExt::take_while).
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct TakeWhile<S, F> {
        #[pin]
        stream: S,
        f: F,
        done: bool,
    }
}

impl<S, F> TakeWhile<S, F> {
    pub(super) fn new(stream: S, f: F) -> Self {
        Self {
            stream,
            f,
            done: false,
        }
    }
}

impl<S: Stream, F: FnMut(&S::Item) -> bool> Stream for TakeWhile<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if *this.done {
            return Poll::Ready(None);
        }
        let item = ready!(this.stream.poll_next(cx)).filter(|item| (this.f)(item));
        *this.done = item.is_none();
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.done {
            return (0, Some(0));
        }
        (0, self.stream.size_hint().1)
    }
}

debug_stream!(TakeWhile<S, F>);

pin_project! {
    /// All values but the first ones. Made by [`skip`](crate::stream::StreamExt::skip).
    #[derive(Clone, Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Skip<S> {
        #[pin]
        stream: S,
        remaining: usize,
    }
}

impl<S> Skip<S> {
    pub(super) fn new(stream: S, n: usize) -> Self {
        Self {
            stream,
            remaining: n,
        }
    }
}

impl<S: Stream> Stream for Skip<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        loop {
            match ready!(this.stream.as_mut().poll_next(cx)) {
                Some(_) if *this.remaining > 0 => *this.remaining -= 1,
                item => return Poll::Ready(item),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = self.stream.size_hint();
        (
            lower.saturating_sub(self.remaining),
            upper.map(|upper| upper.saturating_sub(self.remaining)),
        )
    }
}
