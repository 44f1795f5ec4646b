//! `fold` and `for_each`: something done with all values, one after the other.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::debug::debug_stream;

pin_project! {
    /// Makes one value of all. Made by [`fold`](crate::stream::StreamExt::fold).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Fold<S, B, F> {
        #[pin]
        stream: S,
        // None once it is done.
        acc: Option<B>,
        f: F,
    }
}

impl<S, B, F> Fold<S, B, F> {
    pub(super) fn new(stream: S, init: B, f: F) -> Self {
        Self {
            stream,
            acc: Some(init),
            f,
        }
    }
}

impl<S: Stream, B, F: FnMut(B, S::Item) -> B> Future for Fold<S, B, F> {
    type Output = B;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<B> {
        let mut this = self.project();
        loop {
            let item = ready!(this.stream.as_mut().poll_next(cx));
            let acc = this.acc.take().expect("polled again after it was done");
            match item {
                Some(item) => *this.acc = Some((this.f)(acc, item)),
                None => return Poll::Ready(acc),
            }
        }
    }
}

debug_stream!(Fold<S, B, F>);

pin_project! {
    /// Runs an async function for each value. Made by
    /// [`for_each`](crate::stream::StreamExt::for_each).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct ForEach<S, F, Fut> {
        #[pin]
        stream: S,
        f: F,
        // What is being done with the value read last.
        #[pin]
        future: Option<Fut>,
    }
}

impl<S, F, Fut> ForEach<S, F, Fut> {
    pub(super) fn new(stream: S, f: F) -> Self {
        Self {
            stream,
            f,
            future: None,
        }
    }
}

impl<S, F, Fut> Future for ForEach<S, F, Fut>
where
    S: Stream,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            if let Some(future) = this.future.as_mut().as_pin_mut() {
                ready!(future.poll(cx));
                this.future.set(None);
            }
            match ready!(this.stream.as_mut().poll_next(cx)) {
                Some(item) => this.future.set(Some((this.f)(item))),
                None => return Poll::Ready(()),
            }
        }
    }
}

debug_stream!(ForEach<S, F, Fut>);
