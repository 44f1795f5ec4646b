//! Heist's locks and channels.

use std::{future::Future, ops::DerefMut};

use heist::sync::{Mutex, Notify, broadcast, mpsc, watch};

use super::Primitives;

/// Heist's locks and channels.
#[derive(Debug)]
pub struct HeistSync;

impl Primitives for HeistSync {
    type Mutex<T: Send + 'static> = Mutex<T>;
    type Sender<T: Send + 'static> = mpsc::Sender<T>;
    type Receiver<T: Send + 'static> = mpsc::Receiver<T>;
    type Notify = Notify;
    type WatchSender<T: Send + Sync + 'static> = watch::Sender<T>;
    type WatchReceiver<T: Send + Sync + 'static> = watch::Receiver<T>;
    type BroadcastSender<T: Clone + Send + 'static> = broadcast::Sender<T>;
    type BroadcastReceiver<T: Clone + Send + 'static> = broadcast::Receiver<T>;

    fn mutex<T: Send + 'static>(value: T) -> Mutex<T> {
        Mutex::new(value)
    }

    fn lock<T: Send + 'static>(
        mutex: &Mutex<T>,
    ) -> impl Future<Output = impl DerefMut<Target = T> + Send> + Send {
        mutex.lock()
    }

    fn channel<T: Send + 'static>(room: usize) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        mpsc::channel(room)
    }

    async fn send<T: Send + 'static>(sender: &mpsc::Sender<T>, item: T) {
        assert!(sender.send(item).await.is_ok(), "the receiver stays");
    }

    fn recv<T: Send + 'static>(
        receiver: &mut mpsc::Receiver<T>,
    ) -> impl Future<Output = Option<T>> + Send {
        receiver.recv()
    }

    fn notify() -> Notify {
        Notify::new()
    }

    fn notify_one(notify: &Notify) {
        notify.notify_one();
    }

    fn notify_waiters(notify: &Notify) {
        notify.notify_waiters();
    }

    fn notified(notify: &Notify) -> impl Future<Output = ()> + Send {
        notify.notified()
    }

    fn watch<T: Send + Sync + 'static>(value: T) -> (watch::Sender<T>, watch::Receiver<T>) {
        watch::channel(value)
    }

    fn set<T: Send + Sync + 'static>(sender: &watch::Sender<T>, value: T) {
        assert!(sender.send(value).is_ok(), "the receivers stay");
    }

    async fn changed<T: Copy + Send + Sync + 'static>(receiver: &mut watch::Receiver<T>) -> T {
        receiver.changed().await.expect("the sender stays");
        *receiver.borrow_and_update()
    }

    fn broadcast<T: Clone + Send + 'static>(capacity: usize) -> broadcast::Sender<T> {
        broadcast::Sender::new(capacity)
    }

    fn subscribe<T: Clone + Send + 'static>(
        sender: &broadcast::Sender<T>,
    ) -> broadcast::Receiver<T> {
        sender.subscribe()
    }

    fn send_to_all<T: Clone + Send + 'static>(sender: &broadcast::Sender<T>, item: T) {
        assert!(sender.send(item).is_ok(), "the receivers stay");
    }

    async fn recv_each<T: Clone + Send + 'static>(receiver: &mut broadcast::Receiver<T>) -> T {
        receiver.recv().await.expect("nobody is too slow")
    }
}
