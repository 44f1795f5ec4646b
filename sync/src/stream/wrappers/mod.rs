//! What else gives one value after another, as streams: the receiving ends of channels, and intervals.
//!
//! Named as in tokio-stream. Each is a stream from the moment it is made, so it can be read, dropped half-read
//! and read on without losing anything.

mod mpsc;
mod broadcast;
mod watch;
mod interval;
/// The errors that come with the values.
pub mod errors;

pub use broadcast::BroadcastStream;
pub use interval::IntervalStream;
pub use mpsc::{ReceiverStream, UnboundedReceiverStream};
pub use watch::WatchStream;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream::unfold;

/// A receiver whose receives are futures that borrow it, so that it has to go into them and come back. There
/// is one allocation for all of them.
struct Receiving<T>(Option<Pin<Box<dyn Stream<Item = T> + Send>>>);

impl<T: 'static> Receiving<T> {
    /// `receive` takes the receiver, and gives it back with what was received, or `None` at the end.
    fn new<R, F>(receiver: R, receive: impl FnMut(R) -> F + Send + 'static) -> Self
    where
        R: Send + 'static,
        F: Future<Output = Option<(T, R)>> + Send + 'static,
    {
        Self(Some(Box::pin(unfold(receiver, receive))))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(stream) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let item = stream.as_mut().poll_next(cx);
        if matches!(item, Poll::Ready(None)) {
            self.0 = None;
        }
        item
    }
}

impl<T> Receiving<T> {
    /// What the stream that contains it looks like.
    fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("ended", &self.0.is_none())
            .finish_non_exhaustive()
    }
}
