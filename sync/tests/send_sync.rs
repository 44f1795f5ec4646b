//! What may go to other threads, and what may not. It is checked when this is compiled.
//!
//! Control, tried: any `unsafe impl` of the crate with one bound less, but for the lists in `mpsc` and `wait`, whose
//! users ask for as much themselves.

use heist_runtime::JoinHandle;
use heist_sync::{
    MappedMutexGuard, Mutex, MutexGuard, OnceCell, OwnedMappedMutexGuard, OwnedMutexGuard,
    PriorityQueue, Queue,
};
use heist_sync::{OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
use heist_sync::{RwLock, RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard};
use heist_sync::{broadcast, mpsc, oneshot, watch};
use std::rc::Rc;

/// `Send`, not `Sync`.
type Cell = std::cell::Cell<u8>;
/// `Sync`, not `Send`.
type Pinned = std::sync::MutexGuard<'static, u8>;

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}

/// Everything that is `Send` has two implementations of this, so that nobody can tell which is meant.
trait MaybeSend<Which> {
    fn check() {}
}
impl<T: ?Sized> MaybeSend<()> for T {}
impl<T: ?Sized + Send> MaybeSend<u8> for T {}

/// As `MaybeSend`.
trait MaybeSync<Which> {
    fn check() {}
}
impl<T: ?Sized> MaybeSync<()> for T {}
impl<T: ?Sized + Sync> MaybeSync<u8> for T {}

macro_rules! check {
    ($($type:ty: $send:tt Send, $sync:tt Sync;)*) => {
        $(
            check!(@send $send $type);
            check!(@sync $sync $type);
        )*
    };
    (@send is $type:ty) => { const _: () = is_send::<$type>(); };
    (@sync is $type:ty) => { const _: () = is_sync::<$type>(); };
    (@send not $type:ty) => { const _: fn() = <$type as MaybeSend<_>>::check; };
    (@sync not $type:ty) => { const _: fn() = <$type as MaybeSync<_>>::check; };
}

check! {
    Mutex<Cell>: is Send, is Sync;
    Mutex<Pinned>: not Send, not Sync;
    MutexGuard<'static, u8>: is Send, is Sync;
    MutexGuard<'static, Cell>: is Send, not Sync;
    MutexGuard<'static, Pinned>: not Send, not Sync;
    MappedMutexGuard<'static, Cell>: is Send, not Sync;
    MappedMutexGuard<'static, Pinned>: not Send, is Sync;
    OwnedMutexGuard<Cell>: is Send, not Sync;
    OwnedMutexGuard<Pinned>: not Send, not Sync;
    OwnedMappedMutexGuard<u8, u8>: is Send, is Sync;
    OwnedMappedMutexGuard<Cell, u8>: is Send, not Sync;
    OwnedMappedMutexGuard<Pinned, u8>: not Send, not Sync;
    OwnedMappedMutexGuard<u8, Cell>: is Send, not Sync;
    OwnedMappedMutexGuard<u8, Pinned>: not Send, not Sync;
    RwLock<u8>: is Send, is Sync;
    RwLock<Cell>: is Send, not Sync;
    RwLock<Pinned>: not Send, not Sync;
    RwLockReadGuard<'static, u8>: is Send, is Sync;
    RwLockReadGuard<'static, Cell>: not Send, not Sync;
    RwLockReadGuard<'static, Pinned>: is Send, is Sync;
    OwnedRwLockReadGuard<Cell>: not Send, not Sync;
    OwnedRwLockReadGuard<Pinned>: not Send, not Sync;
    OwnedRwLockReadGuard<u8, u8>: is Send, is Sync;
    OwnedRwLockReadGuard<Cell, u8>: not Send, not Sync;
    OwnedRwLockReadGuard<Pinned, u8>: not Send, not Sync;
    OwnedRwLockReadGuard<u8, Cell>: not Send, not Sync;
    OwnedRwLockReadGuard<u8, Pinned>: is Send, is Sync;
    RwLockWriteGuard<'static, Cell>: not Send, not Sync;
    RwLockWriteGuard<'static, Pinned>: not Send, not Sync;
    RwLockMappedWriteGuard<'static, Cell>: is Send, not Sync;
    RwLockMappedWriteGuard<'static, Pinned>: not Send, is Sync;
    OwnedRwLockWriteGuard<Cell>: not Send, not Sync;
    OwnedRwLockWriteGuard<Pinned>: not Send, not Sync;
    OwnedRwLockMappedWriteGuard<u8, u8>: is Send, is Sync;
    OwnedRwLockMappedWriteGuard<Cell, u8>: not Send, not Sync;
    OwnedRwLockMappedWriteGuard<Pinned, u8>: not Send, not Sync;
    OwnedRwLockMappedWriteGuard<u8, Cell>: is Send, not Sync;
    OwnedRwLockMappedWriteGuard<u8, Pinned>: not Send, not Sync;
    OnceCell<u8>: is Send, is Sync;
    OnceCell<Cell>: is Send, not Sync;
    OnceCell<Pinned>: not Send, not Sync;
    oneshot::Sender<Cell>: is Send, is Sync;
    oneshot::Sender<Rc<u8>>: not Send, not Sync;
    oneshot::Receiver<Cell>: is Send, is Sync;
    oneshot::Receiver<Pinned>: not Send, not Sync;
    mpsc::Sender<Cell>: is Send, is Sync;
    mpsc::Sender<Pinned>: not Send, not Sync;
    mpsc::WeakSender<Pinned>: not Send, not Sync;
    mpsc::Receiver<Cell>: is Send, is Sync;
    mpsc::Receiver<Rc<u8>>: not Send, not Sync;
    mpsc::UnboundedSender<Pinned>: not Send, not Sync;
    mpsc::UnboundedReceiver<Pinned>: not Send, not Sync;
    mpsc::OwnedPermit<Pinned>: not Send, not Sync;
    broadcast::Sender<Cell>: is Send, is Sync;
    broadcast::Sender<Pinned>: not Send, not Sync;
    broadcast::Receiver<Pinned>: not Send, not Sync;
    watch::Sender<u8>: is Send, is Sync;
    watch::Sender<Cell>: not Send, not Sync;
    watch::Receiver<Cell>: not Send, not Sync;
    watch::Ref<'static, u8>: not Send, is Sync;
    Queue<Cell>: is Send, is Sync;
    Queue<Pinned>: not Send, not Sync;
    PriorityQueue<Rc<u8>>: not Send, not Sync;
    JoinHandle<Cell>: is Send, is Sync;
    JoinHandle<Pinned>: not Send, not Sync;
}

/// That the trick works, since nothing else here would say so if it did not.
#[test]
fn the_types_were_checked() {
    <Rc<u8> as MaybeSend<_>>::check();
    <Cell as MaybeSync<_>>::check();
}
