//! `chunks`: several values at once.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::Fuse;

pin_project! {
    /// Values in vectors. Made by [`chunks`](crate::stream::StreamExt::chunks).
    #[derive(Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Chunks<S: Stream> {
        #[pin]
        stream: Fuse<S>,
        // Those read so far, fewer than the capacity.
        items: Vec<S::Item>,
        capacity: usize,
    }
}

impl<S: Stream> Chunks<S> {
    pub(super) fn new(stream: S, capacity: usize) -> Self {
        assert!(capacity > 0, "chunks need room for at least one value");
        Self {
            stream: Fuse::new(stream),
            items: Vec::new(),
            capacity,
        }
    }
}

impl<S: Stream> Stream for Chunks<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        while let Some(item) = ready!(this.stream.as_mut().poll_next(cx)) {
            this.items.push(item);
            if this.items.len() == *this.capacity {
                return Poll::Ready(Some(mem::take(this.items)));
            }
        }
        let rest = mem::take(this.items);
        Poll::Ready((!rest.is_empty()).then_some(rest))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let chunks = |items: usize| items.div_ceil(self.capacity);
        let (lower, upper) = self.stream.size_hint();
        let read = self.items.len();
        (
            chunks(lower.saturating_add(read)),
            upper.and_then(|upper| upper.checked_add(read)).map(chunks),
        )
    }
}
