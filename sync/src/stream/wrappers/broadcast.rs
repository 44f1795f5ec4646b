//! The receiver of `broadcast` as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::Receiving;
use super::errors::BroadcastStreamRecvError;
use crate::broadcast::Receiver;
use crate::broadcast::error::RecvError;

/// The items of a [`broadcast`](crate::broadcast) channel. It ends when all senders are dropped and everything
/// is read.
///
/// An item is an error when the stream was too slow, and lost some; it goes on after that.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::broadcast;
/// use heist_sync::stream::wrappers::errors::BroadcastStreamRecvError::Lagged;
/// use heist_sync::stream::{StreamExt, wrappers::BroadcastStream};
///
/// let (sender, receiver) = broadcast::channel(2);
/// for i in 0..5 {
///     sender.send(i).unwrap();
/// }
/// drop(sender);
/// let items: Vec<_> = BroadcastStream::new(receiver).collect().await;
/// assert_eq!(items, [Err(Lagged(3)), Ok(3), Ok(4)]);
/// # });
/// ```
///
/// It makes one allocation, none for an item.
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct BroadcastStream<T> {
    inner: Receiving<Result<T, BroadcastStreamRecvError>>,
}

impl<T: Clone + Send + 'static> BroadcastStream<T> {
    /// A stream of what the receiver receives.
    pub fn new(receiver: Receiver<T>) -> Self {
        let inner = Receiving::new(receiver, async |mut receiver: Receiver<T>| {
            let item = match receiver.recv().await {
                Ok(item) => Ok(item),
                Err(RecvError::Lagged(missed)) => Err(BroadcastStreamRecvError::Lagged(missed)),
                Err(RecvError::Closed) => return None,
            };
            Some((item, receiver))
        });
        Self { inner }
    }
}

impl<T> Stream for BroadcastStream<T>
where
    T: Clone + Send + 'static,
{
    type Item = Result<T, BroadcastStreamRecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next(cx)
    }
}

impl<T> fmt::Debug for BroadcastStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_as("BroadcastStream", f)
    }
}

impl<T: Clone + Send + 'static> From<Receiver<T>> for BroadcastStream<T> {
    fn from(receiver: Receiver<T>) -> Self {
        Self::new(receiver)
    }
}
