//! Channels with room for so many items.

use super::chan::{Chan, Limit, Shared, Strong, Weak};
use super::error::{SendError, SendTimeoutError, TryRecvError, TrySendError};
use super::list::List;
use super::permit::{OwnedPermit, Permit, PermitIterator, nudge_if_closed};
use super::receive::{Receive, Recv, receiver_methods};
use super::sender::senders;
use crate::blocking;
use crate::time::timeout;
use crate::wait::{Closed, Permits, Refusal};
use heist_runtime::scope::Leaf;
use std::fmt;
use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

/// A channel with room for so many items. Who sends into a full one waits, first come first served.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::mpsc;
///
/// let (sender, mut receiver) = mpsc::channel(8);
/// heist_runtime::spawn(async move {
///     for i in 0..100 {
///         sender.send(i).await.expect("the receiver stays");
///     }
/// });
/// let mut sum = 0;
/// while let Some(i) = receiver.recv().await {
///     sum += i;
/// }
/// assert_eq!(sum, 4950);
/// # });
/// ```
///
/// # Panics
///
/// If the room is for no item, or for more than [`Semaphore::MAX_PERMITS`](crate::Semaphore::MAX_PERMITS).
#[track_caller]
pub fn channel<T>(buffer: usize) -> (Sender<T>, Receiver<T>) {
    assert!(buffer > 0, "a channel has room for one item at least");
    let limit = Bounded {
        permits: Permits::new(buffer),
        room: buffer,
    };
    let (chan, consumer) = List::new(Shared::new(limit));
    let sender = Sender {
        chan: Strong::new(chan),
    };
    let receiver = Receiver {
        receive: Receive::new(consumer),
    };
    (sender, receiver)
}

/// A limit: a permit for each item that there is room for. An item has one from before it is
/// appended until it was received.
pub(super) struct Bounded {
    pub(super) permits: Permits,
    room: usize,
}

impl Limit for Bounded {
    fn received<T>(chan: &Chan<T, Self>, items: usize) {
        chan.shared.limit.permits.put(items);
    }

    fn close<T>(chan: &Chan<T, Self>) {
        chan.shared.limit.permits.close();
    }

    fn is_closed<T>(chan: &Chan<T, Self>) -> bool {
        chan.shared.limit.permits.is_closed()
    }

    fn is_idle<T>(chan: &Chan<T, Self>) -> bool {
        chan.shared.limit.permits.available() == chan.shared.limit.room
    }
}

impl<T> Chan<T, Bounded> {
    /// Appends an item for which the caller has room.
    pub(super) fn append(&self, value: T) {
        let appended = self.push(value);
        debug_assert!(
            appended.is_ok(),
            "the queue of a bounded channel is never shut"
        );
    }
}

/// Sends items, and waits for room. Made by [`channel`]; clone it for more senders.
///
/// The receiver gets `None` when all of them are dropped and the items are used up.
pub struct Sender<T> {
    pub(super) chan: Strong<T, Bounded>,
}

/// Does not keep the channel open. Made by [`Sender::downgrade`].
pub struct WeakSender<T> {
    chan: Weak<T, Bounded>,
}

/// Receives items in the order in which they were sent. Made by [`channel`].
///
/// Dropping it drops the items and closes the channel.
pub struct Receiver<T> {
    receive: Receive<T, Bounded>,
}

/// Dropped after a wait that may have given room back.
struct Nudge<'s, T>(&'s Chan<T, Bounded>);

impl<T> Drop for Nudge<'_, T> {
    fn drop(&mut self) {
        nudge_if_closed(self.0);
    }
}

/// Waits for room, which is the caller's then.
async fn room<T>(chan: &Chan<T, Bounded>, items: usize, leaf: Leaf) -> Result<(), Closed> {
    // Declared before, so dropped after the wait: what that gives back, the receiver learns of.
    let nudge = Nudge(chan);
    let room = chan.shared.limit.permits.take(items, leaf).await;
    std::mem::forget(nudge);
    room
}

impl<T> Sender<T> {
    /// Waits for room, and sends an item. `asyncio.Queue.put`.
    ///
    /// # Errors
    ///
    /// The item, if the receiver was closed or dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the item, which was not sent, and loses the place in the queue. To
    /// keep the item, wait with [`reserve`](Self::reserve).
    #[track_caller]
    pub fn send(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        let leaf = Leaf::here();
        async move {
            match room(&self.chan, 1, leaf).await {
                Ok(()) => {
                    self.chan.append(value);
                    Ok(())
                }
                Err(Closed) => Err(SendError(value)),
            }
        }
    }

    /// Sends an item as [`send`](Self::send), if there is room before the time is over, which begins
    /// with the first poll.
    ///
    /// # Errors
    ///
    /// The item, if there was no room in time, or if the receiver was closed or dropped.
    ///
    /// # Panics
    ///
    /// When it has to wait outside a Heist runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_timeout(
        &self,
        value: T,
        limit: Duration,
    ) -> impl Future<Output = Result<(), SendTimeoutError<T>>> {
        let leaf = Leaf::here();
        async move {
            match timeout(limit, room(&self.chan, 1, leaf)).await {
                Ok(Ok(())) => {
                    self.chan.append(value);
                    Ok(())
                }
                Ok(Err(Closed)) => Err(SendTimeoutError::Closed(value)),
                Err(_) => Err(SendTimeoutError::Timeout(value)),
            }
        }
    }

    /// Sends an item if there is room, without waiting. `asyncio.Queue.put_nowait`.
    ///
    /// # Errors
    ///
    /// The item, if there is no room or others wait for it, or if the receiver was closed or dropped.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.try_room(1) {
            Ok(()) => {
                self.chan.append(value);
                Ok(())
            }
            Err(error) => Err(error.map(|()| value)),
        }
    }

    /// Sends an item as [`send`](Self::send), blocking the thread until there is room. For threads
    /// outside the runtime.
    ///
    /// # Errors
    ///
    /// The item, if the receiver was closed or dropped.
    ///
    /// # Panics
    ///
    /// In a task.
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        blocking::wait(self.send(value))
    }

    /// Waits for room for one item. Sending it then is up to the permit, and never waits.
    ///
    /// # Errors
    ///
    /// If the receiver was closed or dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn reserve(&self) -> impl Future<Output = Result<Permit<'_, T>, SendError<()>>> {
        let leaf = Leaf::here();
        async move {
            let room = room(&self.chan, 1, leaf).await;
            room.map_err(|Closed| SendError(()))?;
            Ok(Permit::new(&self.chan))
        }
    }

    /// Waits for room for `n` items, which is given all together.
    ///
    /// # Errors
    ///
    /// If the receiver was closed or dropped, or the channel never has so much room.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only the place in the queue.
    #[track_caller]
    pub fn reserve_many(
        &self,
        n: usize,
    ) -> impl Future<Output = Result<PermitIterator<'_, T>, SendError<()>>> {
        let leaf = Leaf::here();
        async move {
            if n > self.max_capacity() {
                return Err(SendError(()));
            }
            let room = room(&self.chan, n, leaf).await;
            room.map_err(|Closed| SendError(()))?;
            Ok(PermitIterator::new(&self.chan, n))
        }
    }

    /// Waits for room for one item; the permit has the sender.
    ///
    /// # Errors
    ///
    /// If the receiver was closed or dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the sender, and loses only the place in the queue.
    #[track_caller]
    pub fn reserve_owned(self) -> impl Future<Output = Result<OwnedPermit<T>, SendError<()>>> {
        let leaf = Leaf::here();
        async move {
            let room = room(&self.chan, 1, leaf).await;
            room.map_err(|Closed| SendError(()))?;
            Ok(OwnedPermit::new(self))
        }
    }

    /// Reserves room for one item if there is some, without waiting.
    ///
    /// # Errors
    ///
    /// If there is no room or others wait for it, or if the receiver was closed or dropped.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        self.try_room(1)?;
        Ok(Permit::new(&self.chan))
    }

    /// Reserves room for `n` items if there is so much, without waiting.
    ///
    /// # Errors
    ///
    /// If there is too little room or others wait for it, or if the receiver was closed or dropped.
    pub fn try_reserve_many(&self, n: usize) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        self.try_room(n)?;
        Ok(PermitIterator::new(&self.chan, n))
    }

    /// Reserves room for one item if there is some, without waiting; the permit has the sender.
    ///
    /// # Errors
    ///
    /// The sender, if there is no room or others wait for it, or if the receiver was closed or
    /// dropped.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        match self.try_room(1) {
            Ok(()) => Ok(OwnedPermit::new(self)),
            Err(error) => Err(error.map(|()| self)),
        }
    }

    /// For how many items there is room now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.chan.shared.limit.permits.available()
    }

    /// For how many items there is room when it is empty.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.chan.shared.limit.room
    }

    fn try_room(&self, items: usize) -> Result<(), TrySendError<()>> {
        let taken = self.chan.shared.limit.permits.try_take(items);
        taken.map_err(|error| match error {
            Refusal::TooFew => TrySendError::Full(()),
            Refusal::Closed => TrySendError::Closed(()),
        })
    }
}

senders!(Sender, WeakSender, Bounded);

impl<T> Receiver<T> {
    receiver_methods!();

    /// Lets nobody reserve room any more. What was sent before, and what is sent by those who have
    /// reserved room already, can still be received.
    pub fn close(&mut self) {
        self.receive.close();
    }

    /// For how many items there is room now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.receive.chan().shared.limit.permits.available()
    }

    /// For how many items there is room when it is empty.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.receive.chan().shared.limit.room
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
