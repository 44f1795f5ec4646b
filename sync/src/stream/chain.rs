//! `chain`, `merge` and `fuse`: two streams as one, and streams that stay ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

pin_project! {
    /// A stream that stays ended. Made by [`fuse`](crate::stream::StreamExt::fuse).
    #[derive(Clone, Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Fuse<S> {
        // None once it has ended.
        #[pin]
        stream: Option<S>,
    }
}

impl<S> Fuse<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: Some(stream),
        }
    }

    /// Whether the stream has ended, and is gone.
    pub(super) fn is_done(&self) -> bool {
        self.stream.is_none()
    }
}

impl<S: Stream> Stream for Fuse<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let item = ready!(stream.poll_next(cx));
        if item.is_none() {
            this.stream.set(None);
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.stream.as_ref()).map_or((0, Some(0)), Stream::size_hint)
    }
}

pin_project! {
    /// One stream after the other. Made by [`chain`](crate::stream::StreamExt::chain).
    #[derive(Clone, Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Chain<A, B> {
        #[pin]
        first: Fuse<A>,
        #[pin]
        second: B,
    }
}

impl<A, B> Chain<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self {
            first: Fuse::new(first),
            second,
        }
    }
}

impl<A: Stream, B: Stream<Item = A::Item>> Stream for Chain<A, B> {
    type Item = A::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<A::Item>> {
        let this = self.project();
        match ready!(this.first.poll_next(cx)) {
            None => this.second.poll_next(cx),
            item => Poll::Ready(item),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        sum(self.first.size_hint(), self.second.size_hint())
    }
}

pin_project! {
    /// The values of two streams, as they come. Made by [`merge`](crate::stream::StreamExt::merge).
    #[derive(Clone, Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Merge<A, B> {
        #[pin]
        first: Fuse<A>,
        #[pin]
        second: Fuse<B>,
        // Whose turn it is to be asked first.
        second_first: bool,
    }
}

impl<A, B> Merge<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self {
            first: Fuse::new(first),
            second: Fuse::new(second),
            second_first: false,
        }
    }
}

impl<A: Stream, B: Stream<Item = A::Item>> Stream for Merge<A, B> {
    type Item = A::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<A::Item>> {
        let this = self.project();
        let second_first = *this.second_first;
        *this.second_first = !second_first;
        if second_first {
            either(this.second, this.first, cx)
        } else {
            either(this.first, this.second, cx)
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        sum(self.first.size_hint(), self.second.size_hint())
    }
}

/// The next value of one stream, or else of the other; the end when both have ended.
fn either<A: Stream, B: Stream<Item = A::Item>>(
    one: Pin<&mut A>,
    other: Pin<&mut B>,
    cx: &mut Context<'_>,
) -> Poll<Option<A::Item>> {
    let one = one.poll_next(cx);
    if let Poll::Ready(Some(_)) = one {
        return one;
    }
    match other.poll_next(cx) {
        Poll::Ready(None) => one,
        other => other,
    }
}

type SizeHint = (usize, Option<usize>);

fn sum((lower, upper): SizeHint, (lower_too, upper_too): SizeHint) -> SizeHint {
    let upper = upper.zip(upper_too).and_then(|(a, b)| a.checked_add(b));
    (lower.saturating_add(lower_too), upper)
}
