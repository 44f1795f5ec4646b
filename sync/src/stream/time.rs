//! `throttle` and `timeout`: streams and the clock.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::Fuse;
use crate::time::error::Elapsed;
use crate::time::{Instant, Sleep, after, sleep};

pin_project! {
    /// Values no closer than a duration. Made by [`throttle`](crate::stream::StreamExt::throttle).
    #[derive(Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Throttle<S> {
        #[pin]
        stream: S,
        duration: Duration,
        // The pause after the last value, unless it is over.
        pause: Option<Sleep>,
    }
}

impl<S> Throttle<S> {
    pub(super) fn new(stream: S, duration: Duration) -> Self {
        Self {
            stream,
            duration,
            pause: None,
        }
    }
}

impl<S: Stream> Stream for Throttle<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if let Some(pause) = this.pause {
            ready!(Pin::new(pause).poll(cx));
            *this.pause = None;
        }
        let item = ready!(this.stream.poll_next(cx));
        if item.is_some() && !this.duration.is_zero() {
            *this.pause = Some(sleep(*this.duration));
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

pin_project! {
    /// Values, and errors for those that are late. Made by
    /// [`timeout`](crate::stream::StreamExt::timeout).
    #[derive(Debug)]
    #[must_use = "a stream does nothing unless it is asked for its values"]
    pub struct Timeout<S> {
        #[pin]
        stream: Fuse<S>,
        duration: Duration,
        deadline: Sleep,
        // Whether the value that is waited for has not been said to be late yet.
        in_time: bool,
    }
}

impl<S> Timeout<S> {
    pub(super) fn new(stream: S, duration: Duration) -> Self {
        Self {
            stream: Fuse::new(stream),
            duration,
            deadline: sleep(duration),
            in_time: true,
        }
    }
}

impl<S: Stream> Stream for Timeout<S> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if let Poll::Ready(item) = this.stream.poll_next(cx) {
            if item.is_some() {
                let deadline = after(Instant::now(), *this.duration);
                Pin::new(this.deadline).reset(deadline);
                *this.in_time = true;
            }
            return Poll::Ready(item.map(Ok));
        }
        if !*this.in_time {
            return Poll::Pending;
        }
        ready!(Pin::new(this.deadline).poll(cx));
        *this.in_time = false;
        Poll::Ready(Some(Err(Elapsed::new())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = self.stream.size_hint();
        // An error before each value, and before the end.
        let upper = upper
            .and_then(|upper| upper.checked_mul(2))
            .and_then(|upper| upper.checked_add(1));
        (lower, upper)
    }
}
