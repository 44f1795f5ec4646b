//! `buffered`, `buffer_unordered` and `for_each_concurrent`: several futures at the same time, but
//! no more than so many.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use pin_project_lite::pin_project;

use super::Fuse;

pin_project! {
    /// The outputs of futures, in the order of the futures. Made by
    /// [`buffered`](crate::stream::StreamExt::buffered).
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Buffered<S: Stream> where S::Item: Future {
        #[pin]
        stream: Fuse<S>,
        // Those that run, and the outputs of which it is not the turn.
        futures: FuturesOrdered<S::Item>,
        limit: usize,
    }
}

impl<S: Stream<Item: Future>> Buffered<S> {
    pub(super) fn new(stream: S, limit: usize) -> Self {
        assert!(limit > 0, "at least one future has to run at a time");
        Self {
            stream: Fuse::new(stream),
            futures: FuturesOrdered::new(),
            limit,
        }
    }
}

impl<S: Stream<Item: Future>> Stream for Buffered<S> {
    type Item = <S::Item as Future>::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while this.futures.len() < *this.limit
            && let Poll::Ready(Some(future)) = this.stream.as_mut().poll_next(cx)
        {
            this.futures.push_back(future);
        }
        match Pin::new(this.futures).poll_next(cx) {
            Poll::Ready(None) if !this.stream.is_done() => Poll::Pending,
            output => output,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        with_read(self.stream.size_hint(), self.futures.len())
    }
}

impl<S> fmt::Debug for Buffered<S>
where
    S: Stream<Item: Future> + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_as("Buffered", &self.stream, self.futures.len(), f)
    }
}

pin_project! {
    /// The outputs of futures, as they are done. Made by
    /// [`buffer_unordered`](crate::stream::StreamExt::buffer_unordered).
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct BufferUnordered<S: Stream> where S::Item: Future {
        #[pin]
        stream: Fuse<S>,
        futures: FuturesUnordered<S::Item>,
        limit: usize,
    }
}

impl<S: Stream<Item: Future>> BufferUnordered<S> {
    pub(super) fn new(stream: S, limit: usize) -> Self {
        assert!(limit > 0, "at least one future has to run at a time");
        Self {
            stream: Fuse::new(stream),
            futures: FuturesUnordered::new(),
            limit,
        }
    }
}

impl<S: Stream<Item: Future>> Stream for BufferUnordered<S> {
    type Item = <S::Item as Future>::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while this.futures.len() < *this.limit
            && let Poll::Ready(Some(future)) = this.stream.as_mut().poll_next(cx)
        {
            this.futures.push(future);
        }
        match Pin::new(this.futures).poll_next(cx) {
            Poll::Ready(None) if !this.stream.is_done() => Poll::Pending,
            output => output,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        with_read(self.stream.size_hint(), self.futures.len())
    }
}

impl<S> fmt::Debug for BufferUnordered<S>
where
    S: Stream<Item: Future> + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_as("BufferUnordered", &self.stream, self.futures.len(), f)
    }
}

pin_project! {
    /// Runs an async function for several values at a time. Made by
    /// [`for_each_concurrent`](crate::stream::StreamExt::for_each_concurrent).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct ForEachConcurrent<S, F, Fut> {
        #[pin]
        stream: Fuse<S>,
        f: F,
        futures: FuturesUnordered<Fut>,
        // usize::MAX without a limit.
        limit: usize,
    }
}

impl<S, F, Fut> ForEachConcurrent<S, F, Fut> {
    pub(super) fn new(stream: S, limit: Option<usize>, f: F) -> Self {
        assert!(limit != Some(0), "at least one future has to run at a time");
        Self {
            stream: Fuse::new(stream),
            f,
            futures: FuturesUnordered::new(),
            limit: limit.unwrap_or(usize::MAX),
        }
    }
}

impl<S, F, Fut> Future for ForEachConcurrent<S, F, Fut>
where
    S: Stream,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            // One value at a time, so that a stream that is always ready cannot keep the futures
            // from running, however many of them there may be.
            let mut started = false;
            if this.futures.len() < *this.limit
                && let Poll::Ready(Some(item)) = this.stream.as_mut().poll_next(cx)
            {
                this.futures.push((this.f)(item));
                started = true;
            }
            match Pin::new(&mut *this.futures).poll_next(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) if this.stream.is_done() => return Poll::Ready(()),
                Poll::Ready(None) | Poll::Pending if !started => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
    }
}

impl<S: fmt::Debug, F, Fut> fmt::Debug for ForEachConcurrent<S, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_as("ForEachConcurrent", &self.stream, self.futures.len(), f)
    }
}

/// Adds what has been read to what is to come.
fn with_read((lower, upper): (usize, Option<usize>), read: usize) -> (usize, Option<usize>) {
    (
        lower.saturating_add(read),
        upper.and_then(|upper| upper.checked_add(read)),
    )
}

fn fmt_as(
    name: &str,
    stream: &dyn fmt::Debug,
    futures: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.debug_struct(name)
        .field("stream", stream)
        .field("futures", &futures)
        .finish_non_exhaustive()
}
