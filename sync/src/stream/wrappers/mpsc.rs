//! The receivers of `mpsc` as streams.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use heist_runtime::scope::Leaf;

use crate::mpsc::{Receiver, UnboundedReceiver};

macro_rules! receiver_stream {
    ($(#[$docs:meta])* $name:ident, $receiver:ident) => {
        $(#[$docs])*
        #[derive(Debug)]
        #[must_use = "a stream does nothing unless it is asked for its values"]
        pub struct $name<T> {
            inner: $receiver<T>,
            leaf: Leaf,
        }

        impl<T> $name<T> {
            /// A stream of what the receiver receives.
            #[track_caller]
            pub fn new(receiver: $receiver<T>) -> Self {
                Self {
                    inner: receiver,
                    leaf: Leaf::here(),
                }
            }

            /// The receiver, which has everything that the stream has not returned.
            pub fn into_inner(self) -> $receiver<T> {
                self.inner
            }

            /// Lets nobody send any more. What was sent before still comes.
            pub fn close(&mut self) {
                self.inner.close();
            }
        }

        impl<T> Stream for $name<T> {
            type Item = T;

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
                let leaf = self.leaf;
                self.inner.poll_recv_from(cx, leaf)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (self.inner.len(), None)
            }
        }

        impl<T> AsRef<$receiver<T>> for $name<T> {
            fn as_ref(&self) -> &$receiver<T> {
                &self.inner
            }
        }

        impl<T> AsMut<$receiver<T>> for $name<T> {
            fn as_mut(&mut self) -> &mut $receiver<T> {
                &mut self.inner
            }
        }

        impl<T> From<$receiver<T>> for $name<T> {
            #[track_caller]
            fn from(receiver: $receiver<T>) -> Self {
                Self::new(receiver)
            }
        }
    };
}

receiver_stream! {
    /// The items of a bounded [`mpsc`](crate::mpsc) channel. It ends when there will be none any more.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::mpsc;
    /// use heist_sync::stream::{StreamExt, wrappers::ReceiverStream};
    ///
    /// let (sender, receiver) = mpsc::channel(2);
    /// sender.send(1).await.unwrap();
    /// sender.send(2).await.unwrap();
    /// drop(sender);
    /// assert_eq!(ReceiverStream::new(receiver).collect::<Vec<_>>().await, [1, 2]);
    /// # });
    /// ```
    ReceiverStream, Receiver
}

receiver_stream! {
    /// The items of an unbounded [`mpsc`](crate::mpsc) channel. It ends when there will be none any
    /// more.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::mpsc;
    /// use heist_sync::stream::{StreamExt, wrappers::UnboundedReceiverStream};
    ///
    /// let (sender, receiver) = mpsc::unbounded_channel();
    /// sender.send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(UnboundedReceiverStream::new(receiver).collect::<Vec<_>>().await, [1]);
    /// # });
    /// ```
    UnboundedReceiverStream, UnboundedReceiver
}
