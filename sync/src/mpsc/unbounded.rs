//! Channels that accept every item.

use super::chan::{Chan, Limit, Shared, Strong, Weak};
use super::error::{SendError, TryRecvError};
use super::list::List;
use super::receive::{Receive, Recv, receiver_methods};
use super::sender::senders;
use crate::blocking;
use crate::wait::Closed;
use heist_runtime::scope::Leaf;
use std::fmt;
use std::future::Future;
use std::task::{Context, Poll};

/// A channel for any number of items. Sending never waits, so nothing holds senders back that are
/// faster than the receiver but the memory of the machine: prefer [`channel`](super::channel).
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::mpsc;
///
/// let (sender, mut receiver) = mpsc::unbounded_channel();
/// sender.send(1).unwrap();
/// sender.send(2).unwrap();
/// drop(sender);
/// assert_eq!(receiver.recv().await, Some(1));
/// assert_eq!(receiver.recv().await, Some(2));
/// assert_eq!(receiver.recv().await, None);
/// # });
/// ```
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (chan, consumer) = List::new(Shared::new(Unlimited));
    let sender = UnboundedSender {
        chan: Strong::new(chan),
    };
    let receiver = UnboundedReceiver {
        receive: Receive::new(consumer),
    };
    (sender, receiver)
}

/// No limit. Closing shuts the queue itself, so a claimed place is all that entitles to send.
pub(super) struct Unlimited;

impl Limit for Unlimited {
    fn received<T>(_: &Chan<T, Self>, _: usize) {}

    fn close<T>(chan: &Chan<T, Self>) {
        chan.shut();
    }

    fn is_closed<T>(chan: &Chan<T, Self>) -> bool {
        chan.is_shut()
    }

    fn is_idle<T>(_: &Chan<T, Self>) -> bool {
        true
    }
}

/// Sends items without ever waiting. Made by [`unbounded_channel`]; clone it for more senders.
///
/// The receiver gets `None` when all of them are dropped and the items are used up.
pub struct UnboundedSender<T> {
    chan: Strong<T, Unlimited>,
}

/// Does not keep the channel open. Made by [`UnboundedSender::downgrade`].
pub struct WeakUnboundedSender<T> {
    chan: Weak<T, Unlimited>,
}

/// Receives items in the order in which they were sent. Made by [`unbounded_channel`].
///
/// Dropping it drops the items and closes the channel.
pub struct UnboundedReceiver<T> {
    receive: Receive<T, Unlimited>,
}

impl<T> UnboundedSender<T> {
    /// Sends an item. Never waits. `asyncio.Queue.put_nowait`.
    ///
    /// # Errors
    ///
    /// The item, if the receiver was closed or dropped.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.chan.push(value).map_err(SendError)
    }
}

senders!(UnboundedSender, WeakUnboundedSender, Unlimited);

impl<T> UnboundedReceiver<T> {
    receiver_methods!();

    /// Lets nobody send any more. Items that were sent before can still be received.
    pub fn close(&mut self) {
        self.receive.close();
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
