//! The receiver of `watch` as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::Receiving;
use crate::watch::Receiver;

/// The values of a [`watch`](crate::watch) channel: the one of now, and then the last one whenever it has
/// changed. It ends when all senders are dropped and the last value was read.
///
/// Values that were replaced before they could be read do not come.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::stream::{StreamExt, wrappers::WatchStream};
/// use heist_sync::watch;
///
/// let (sender, receiver) = watch::channel(1);
/// let mut stream = WatchStream::new(receiver);
/// assert_eq!(stream.next().await, Some(1));
/// sender.send(2).unwrap();
/// sender.send(3).unwrap();
/// drop(sender);
/// assert_eq!(stream.next().await, Some(3));
/// assert_eq!(stream.next().await, None);
/// # });
/// ```
///
/// It makes one allocation, none for a value.
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct WatchStream<T> {
    inner: Receiving<T>,
}

impl<T: Clone + Send + Sync + 'static> WatchStream<T> {
    /// A stream that begins with the value of now, also if the receiver has seen it.
    pub fn new(mut receiver: Receiver<T>) -> Self {
        receiver.mark_changed();
        Self::from_changes(receiver)
    }

    /// A stream that begins with the next value that the receiver has not seen.
    pub fn from_changes(receiver: Receiver<T>) -> Self {
        let inner = Receiving::new(receiver, async |mut receiver: Receiver<T>| {
            receiver.changed().await.ok()?;
            let value = receiver.borrow_and_update().clone();
            Some((value, receiver))
        });
        Self { inner }
    }
}

impl<T> Stream for WatchStream<T>
where
    T: Clone + Send + Sync + 'static,
{
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.inner.poll_next(cx)
    }
}

impl<T> fmt::Debug for WatchStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_as("WatchStream", f)
    }
}

impl<T: Clone + Send + Sync + 'static> From<Receiver<T>> for WatchStream<T> {
    fn from(receiver: Receiver<T>) -> Self {
        Self::new(receiver)
    }
}
