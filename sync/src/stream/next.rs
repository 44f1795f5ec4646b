//! `next` and `try_next`: one value.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

/// Waits for the next value. Made by [`next`](crate::stream::StreamExt::next).
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Next<'a, S: ?Sized> {
    stream: &'a mut S,
}

impl<'a, S: ?Sized> Next<'a, S> {
    pub(super) fn new(stream: &'a mut S) -> Self {
        Self { stream }
    }
}

impl<S: Stream + Unpin + ?Sized> Future for Next<'_, S> {
    type Output = Option<S::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut *self.stream).poll_next(cx)
    }
}

/// Waits for the next value, or an error. Made by [`try_next`](crate::stream::StreamExt::try_next).
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct TryNext<'a, S: ?Sized> {
    next: Next<'a, S>,
}

impl<'a, S: ?Sized> TryNext<'a, S> {
    pub(super) fn new(stream: &'a mut S) -> Self {
        Self {
            next: Next::new(stream),
        }
    }
}

impl<T, E, S> Future for TryNext<'_, S>
where
    S: Stream<Item = Result<T, E>> + Unpin + ?Sized,
{
    type Output = Result<Option<T>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Option<T>, E>> {
        Pin::new(&mut self.next).poll(cx).map(Option::transpose)
    }
}
