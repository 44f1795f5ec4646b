//! Locks and channels: what a scenario may ask of a runtime's sync module.
//!
//! They are apart from [`Contestant`](super::Contestant), which names its own as
//! [`Contestant::Sync`](super::Contestant::Sync), because they need no runtime: one that has none uses
//! those of another, as its users do.
//!
//! - `ours`: Heist's.
//! - `tokio`: tokio's.

use std::{future::Future, ops::DerefMut};

mod ours;
#[cfg(feature = "tokio")]
mod tokio;

pub use ours::HeistSync;
#[cfg(feature = "tokio")]
pub use tokio::TokioSync;

/// Locks and channels that belong together.
pub trait Primitives: 'static {
    /// A lock that may be held across an `await`.
    type Mutex<T: Send + 'static>: Send + Sync + 'static;
    /// The sending end of a channel with room for so many items.
    type Sender<T: Send + 'static>: Clone + Send + Sync + 'static;
    /// Its receiving end.
    type Receiver<T: Send + 'static>: Send + 'static;
    /// Wake-ups without a value.
    type Notify: Send + Sync + 'static;
    /// Sets the value that others watch.
    type WatchSender<T: Send + Sync + 'static>: Send + Sync + 'static;
    /// Watches the value.
    type WatchReceiver<T: Send + Sync + 'static>: Clone + Send + Sync + 'static;
    /// Sends items to all who are subscribed.
    type BroadcastSender<T: Clone + Send + 'static>: Send + Sync + 'static;
    /// Receives every item.
    type BroadcastReceiver<T: Clone + Send + 'static>: Send + 'static;

    /// A lock around a value.
    fn mutex<T: Send + 'static>(value: T) -> Self::Mutex<T>;

    /// Waits for the lock; dropping the guard gives it back.
    fn lock<T: Send + 'static>(
        mutex: &Self::Mutex<T>,
    ) -> impl Future<Output = impl DerefMut<Target = T> + Send> + Send;

    /// A channel with room for so many items.
    fn channel<T: Send + 'static>(room: usize) -> (Self::Sender<T>, Self::Receiver<T>);

    /// Waits for room and sends.
    fn send<T: Send + 'static>(
        sender: &Self::Sender<T>,
        item: T,
    ) -> impl Future<Output = ()> + Send;

    /// Waits for an item; `None` when all senders have gone.
    fn recv<T: Send + 'static>(
        receiver: &mut Self::Receiver<T>,
    ) -> impl Future<Output = Option<T>> + Send;

    /// Wake-ups that nobody waits for yet.
    fn notify() -> Self::Notify;

    /// Wakes one, or lets the next who comes go on.
    fn notify_one(notify: &Self::Notify);

    /// Wakes all who wait now.
    fn notify_waiters(notify: &Self::Notify);

    /// Waits for a wake-up.
    fn notified(notify: &Self::Notify) -> impl Future<Output = ()> + Send;

    /// A value to be watched.
    fn watch<T: Send + Sync + 'static>(value: T) -> (Self::WatchSender<T>, Self::WatchReceiver<T>);

    /// Sets it and wakes all who watch.
    fn set<T: Send + Sync + 'static>(sender: &Self::WatchSender<T>, value: T);

    /// Waits for a value that was not seen, and copies it.
    fn changed<T: Copy + Send + Sync + 'static>(
        receiver: &mut Self::WatchReceiver<T>,
    ) -> impl Future<Output = T> + Send;

    /// A channel that keeps so many items for those who have not read them.
    fn broadcast<T: Clone + Send + 'static>(capacity: usize) -> Self::BroadcastSender<T>;

    /// A receiver of what is sent from now on.
    fn subscribe<T: Clone + Send + 'static>(
        sender: &Self::BroadcastSender<T>,
    ) -> Self::BroadcastReceiver<T>;

    /// Sends an item to all.
    fn send_to_all<T: Clone + Send + 'static>(sender: &Self::BroadcastSender<T>, item: T);

    /// Waits for the next item.
    fn recv_each<T: Clone + Send + 'static>(
        receiver: &mut Self::BroadcastReceiver<T>,
    ) -> impl Future<Output = T> + Send;
}
