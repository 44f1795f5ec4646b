//! `map`, `then` and `enumerate`: each value becomes another one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::debug::debug_stream;

pin_project! {
    /// Values changed by a function. Made by [`map`](crate::stream::StreamExt::map).
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Map<S, F> {
        #[pin]
        stream: S,
        f: F,
    }
}

impl<S, F> Map<S, F> {
    pub(super) fn new(stream: S, f: F) -> Self {
        Self { stream, f }
    }
}

impl<S: Stream, F: FnMut(S::Item) -> U, U> Stream for Map<S, F> {
    type Item = U;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<U>> {
        let this = self.project();
        this.stream.poll_next(cx).map(|item| item.map(this.f))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

debug_stream!(Map<S, F>);

pin_project! {
    /// Values changed by an async function. Made by [`then`](crate::stream::StreamExt::then).
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Then<S, F, Fut> {
        #[pin]
        stream: S,
        f: F,
        // What becomes of the value read last, if it is not done.
        #[pin]
        future: Option<Fut>,
    }
}

impl<S, F, Fut> Then<S, F, Fut> {
    pub(super) fn new(stream: S, f: F) -> Self {
        Self {
            stream,
            f,
            future: None,
        }
    }
}

impl<S, F, Fut> Stream for Then<S, F, Fut>
where
    S: Stream,
    F: FnMut(S::Item) -> Fut,
    Fut: Future,
{
    type Item = Fut::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fut::Output>> {
        let mut this = self.project();
        loop {
            if let Some(future) = this.future.as_mut().as_pin_mut() {
                let item = ready!(future.poll(cx));
                this.future.set(None);
                return Poll::Ready(Some(item));
            }
            match ready!(this.stream.as_mut().poll_next(cx)) {
                Some(item) => this.future.set(Some((this.f)(item))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = self.stream.size_hint();
        let read = usize::from(self.future.is_some());
        (
            lower.saturating_add(read),
            upper.and_then(|upper| upper.checked_add(read)),
        )
    }
}

debug_stream!(Then<S, F, Fut>);

pin_project! {
    /// Values and their numbers. Made by [`enumerate`](crate::stream::StreamExt::enumerate).
    #[derive(Clone, Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Enumerate<S> {
        #[pin]
        stream: S,
        count: usize,
    }
}

impl<S> Enumerate<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, count: 0 }
    }
}

impl<S: Stream> Stream for Enumerate<S> {
    type Item = (usize, S::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<(usize, S::Item)>> {
        let this = self.project();
        let Some(item) = ready!(this.stream.poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let number = *this.count;
        *this.count += 1;
        Poll::Ready(Some((number, item)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}
