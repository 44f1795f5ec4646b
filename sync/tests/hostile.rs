//! Code of the user's that panics, or comes back, where it is called by a primitive: wakers, orders, clones,
//! destructors and closures. Whatever it does, nobody else's item, permit or wake-up is lost, and nothing
//! stays locked.

mod common;

use common::{Counter, block_on, poll_once};
use heist_sync::{Mutex, Notify, PriorityQueue, Queue, RwLock, Semaphore};
use heist_sync::{broadcast, mpsc, oneshot, watch};
use std::cell::Cell;
use std::cmp::Ordering;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

/// Panics when it is called.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

fn poll_with_bomb<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::new(Bomb))))
}

fn is_pending_with_bomb<F: Future + ?Sized>(future: Pin<&mut F>) -> bool {
    poll_with_bomb(future).is_pending()
}

/// Control, tried: with `Waker::wake` in `WakeBatch` the first panic ends it, and 18 permits go astray.
#[test]
fn permits_reach_everybody_beside_a_waker_that_panics() {
    let semaphore = Semaphore::new(0);
    let mut waits: Vec<_> = (0..40).map(|_| Box::pin(semaphore.acquire())).collect();
    let counter = Counter::new();
    for (at, wait) in waits.iter_mut().enumerate() {
        let is_pending = match at % 10 {
            0 => is_pending_with_bomb(wait.as_mut()),
            _ => poll_once(wait.as_mut(), &counter).is_pending(),
        };
        assert!(is_pending);
    }
    semaphore.add_permits(42);
    assert_eq!(counter.count(), 36);
    assert_eq!(semaphore.available_permits(), 2);
    semaphore.close();
    for mut wait in waits {
        let Poll::Ready(Ok(permit)) = poll_once(wait.as_mut(), &counter) else {
            panic!("it was given one before the end");
        };
        permit.forget();
    }
}

/// Everybody is told of what concerns all.
///
/// Control, tried: `Waker::wake` in `WakeBatch`.
#[test]
fn all_are_told_beside_a_waker_that_panics() {
    let (notify, event) = (Notify::new(), heist_sync::Event::new());
    let (caster, first) = broadcast::channel::<u32>(2);
    let (sender, receiver) = watch::channel(0);
    let counter = Counter::new();
    let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for _ in 0..20 {
        waits.push(Box::pin(notify.notified()));
        waits.push(Box::pin(event.wait()));
        let mut listener = first.resubscribe();
        waits.push(Box::pin(
            async move { assert!(listener.recv().await.is_ok()) },
        ));
        let mut receiver = receiver.clone();
        waits.push(Box::pin(async move {
            assert!(receiver.changed().await.is_ok())
        }));
    }
    for (at, wait) in waits.iter_mut().enumerate() {
        let is_pending = match at % 5 {
            0 => is_pending_with_bomb(wait.as_mut()),
            _ => poll_once(wait.as_mut(), &counter).is_pending(),
        };
        assert!(is_pending);
    }
    notify.notify_waiters();
    event.set();
    caster.send(1).unwrap();
    sender.send_replace(1);
    assert_eq!(counter.count(), 64);
    assert!(
        waits
            .iter_mut()
            .all(|wait| poll_once(wait.as_mut(), &counter).is_ready())
    );
}

/// The items of those who wake somebody are theirs all the same. Control, tried: `Waker::wake` in `queue::core::wake`
/// or in `List::fill`.
#[test]
fn items_are_not_lost_to_a_waker_that_panics() {
    let queue = Queue::new(1);
    queue.try_put(1).unwrap();
    let mut put = Box::pin(queue.put(2));
    assert!(is_pending_with_bomb(put.as_mut()));
    assert_eq!(queue.try_get(), Ok(1));
    assert_eq!(queue.try_get(), Ok(2));
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let mut send = Box::pin(sender.send(2));
    assert!(is_pending_with_bomb(send.as_mut()));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert!(block_on(send).is_ok());
    assert_eq!(receiver.try_recv(), Ok(2));
    assert!(is_pending_with_bomb(Box::pin(receiver.recv()).as_mut()));
    sender.try_send(3).unwrap();
    assert_eq!(receiver.try_recv(), Ok(3));
    let (sender, mut receiver) = oneshot::channel();
    assert!(is_pending_with_bomb(Pin::new(&mut receiver)));
    assert_eq!(sender.send(4), Ok(()));
    assert_eq!(block_on(receiver), Ok(4));
    let mutex = Mutex::new(());
    let guard = mutex.try_lock().unwrap();
    let mut lock = Box::pin(mutex.lock());
    assert!(is_pending_with_bomb(lock.as_mut()));
    // A panic here would come while another unwinds, as often as not.
    drop(guard);
    drop(block_on(lock));
    assert!(mutex.try_lock().is_ok());
}

/// Comes back to a primitive from a waker that is called, and from one that is dropped.
struct ComesBack<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for ComesBack<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl<F: Fn() + Send + Sync> Drop for ComesBack<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn comes_back(f: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(ComesBack(f)))
}

/// Control, tried: a waker dropped in `refresh` before the lock is given back.
#[test]
fn a_waker_may_use_what_it_waits_for() {
    let semaphore = Arc::new(Semaphore::new(0));
    let notify = Arc::new(Notify::new());
    let queue = Arc::new(Queue::new(1));
    let waker = || {
        let (semaphore, notify, queue) = (semaphore.clone(), notify.clone(), queue.clone());
        comes_back(move || {
            semaphore.add_permits(1);
            drop(semaphore.try_acquire());
            notify.notify_waiters();
            let _ = queue.try_get();
            let _ = queue.try_put(1);
        })
    };
    for _ in 0..3 {
        let mut waits: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for _ in 0..20 {
            let (semaphore, notify, queue) = (semaphore.clone(), notify.clone(), queue.clone());
            waits.push(Box::pin(
                async move { drop(semaphore.acquire_many(9).await) },
            ));
            waits.push(Box::pin(async move { notify.notified().await }));
            waits.push(Box::pin(async move {
                let _ = queue.put(2).await;
            }));
        }
        for _ in 0..2 {
            waits.retain_mut(|wait| {
                let waker = waker();
                wait.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            });
        }
        semaphore.add_permits(7);
        notify.notify_one();
        let _ = queue.try_get();
        drop(waits);
    }
    let (mut sender, mut receiver) = oneshot::channel::<u32>();
    let slot = Arc::new(std::sync::Mutex::new(None::<oneshot::Sender<u32>>));
    let inner = slot.clone();
    let waker = comes_back(move || {
        let sender = inner.lock().unwrap().take();
        drop(sender);
    });
    let mut cx = Context::from_waker(&waker);
    assert!(sender.poll_closed(&mut cx).is_pending());
    assert!(Pin::new(&mut receiver).poll(&mut cx).is_pending());
    *slot.lock().unwrap() = Some(sender);
    drop(waker);
    // The last waker but one goes, then the sender, from within.
    let noop = &mut Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut receiver).poll(noop).is_pending());
    let sender = slot.lock().unwrap().take();
    drop(sender);
    assert!(Pin::new(&mut receiver).poll(noop).is_ready());
}

/// A wait that is given up drops its waker, the last one.
///
/// Controls, tried: a waker dropped under the lock in `Waiter::cancel`, in the `Drop` of a `Waiter`, or in that of the
/// waits of semaphores, `Notify` and barriers; each hangs.
#[test]
fn a_waker_may_use_what_a_wait_was_for_that_is_given_up() {
    fn give_up(wait: impl Future, calls: &AtomicUsize, waker: Waker) {
        let mut wait = Box::pin(wait);
        let polled = wait.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(waker);
        assert_eq!(calls.swap(0, SeqCst), 0, "the wait keeps it");
        drop(wait);
        assert_eq!(calls.swap(0, SeqCst), 1);
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = |uses: Box<dyn Fn() + Send + Sync>| {
        let calls = calls.clone();
        comes_back(move || {
            uses();
            calls.fetch_add(1, SeqCst);
        })
    };
    let semaphore = Arc::new(Semaphore::new(0));
    let other = semaphore.clone();
    let uses = Box::new(move || other.add_permits(1));
    give_up(semaphore.acquire_many(9), &calls, counted(uses));
    let notify = Arc::new(Notify::new());
    let other = notify.clone();
    let uses = Box::new(move || other.notify_waiters());
    give_up(notify.notified(), &calls, counted(uses));
    let event = Arc::new(heist_sync::Event::new());
    let other = event.clone();
    let uses = Box::new(move || other.clear());
    give_up(event.wait(), &calls, counted(uses));
    let barrier = Arc::new(heist_sync::Barrier::new(2));
    let other = barrier.clone();
    // Its `Debug` looks how many have arrived.
    let uses = Box::new(move || drop(format!("{other:?}")));
    give_up(barrier.wait(), &calls, counted(uses));
    let queue = Arc::new(Queue::new(1));
    let other = queue.clone();
    let uses = Box::new(move || assert!(other.is_empty()));
    give_up(queue.get(), &calls, counted(uses));
    queue.try_put(1).unwrap();
    let other = queue.clone();
    let uses = Box::new(move || assert!(other.is_full()));
    give_up(queue.put(2), &calls, counted(uses));
}

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

/// Compares by the number, and panics while `ARMED`.
#[derive(Debug, PartialEq, Eq)]
struct Touchy(u32);

impl PartialOrd for Touchy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Touchy {
    fn cmp(&self, other: &Self) -> Ordering {
        assert!(!ARMED.get(), "an order panics");
        self.0.cmp(&other.0)
    }
}

/// Calls `f` with orders that panic, and says whether one did.
fn armed<R>(f: impl FnOnce() -> R) -> Result<R, ()> {
    ARMED.set(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    ARMED.set(false);
    result.map_err(drop)
}

/// Control, tried: with a `BinaryHeap`, whose `pop` drops its item when a comparison panics, 1 is lost; with a
/// comparison after the item was counted, `join` never ends.
#[test]
fn an_order_that_panics_costs_no_item() {
    let queue = PriorityQueue::new(4);
    for n in [4, 2, 3] {
        queue.try_put(Touchy(n)).unwrap();
    }
    assert!(armed(|| queue.try_put(Touchy(1))).is_err());
    assert_eq!(queue.len(), 3, "it was not put");
    assert!(armed(|| queue.try_get()).is_err());
    assert_eq!(queue.len(), 3, "nor got");
    assert!(armed(|| block_on(queue.get())).is_err());
    assert!(armed(|| block_on(queue.put(Touchy(9)))).is_err());
    queue.try_put(Touchy(1)).unwrap();
    // One that waits comes in by what the next get does, and one that was got comes back.
    let counter = Counter::new();
    let mut put = Box::pin(queue.put(Touchy(5)));
    assert!(poll_once(put.as_mut(), &counter).is_pending());
    assert_eq!(queue.try_get().unwrap(), Touchy(1));
    assert!(poll_once(put.as_mut(), &counter).is_ready());
    let rest: Vec<_> = std::iter::from_fn(|| queue.try_get().ok()).collect();
    assert_eq!(rest, [2, 3, 4, 5].map(Touchy));
    let mut get = Box::pin(queue.get());
    assert!(poll_once(get.as_mut(), &counter).is_pending());
    queue.try_put(Touchy(7)).unwrap();
    queue.try_put(Touchy(8)).unwrap();
    assert!(
        armed(|| drop(get)).is_ok(),
        "it comes in at the end instead"
    );
    assert_eq!(queue.len(), 2);
    for _ in 0..2 {
        queue.try_get().unwrap();
    }
    for _ in 0..7 {
        queue.task_done();
    }
    assert!(poll_once(Box::pin(queue.join()).as_mut(), &counter).is_ready());
}

static OWN: OnceLock<PriorityQueue<Nosy>> = OnceLock::new();

/// Looks into its own queue when it is compared.
#[derive(Debug, PartialEq, Eq)]
struct Nosy(usize);

impl PartialOrd for Nosy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Nosy {
    fn cmp(&self, other: &Self) -> Ordering {
        let queue = OWN.get().expect("set below");
        self.0.cmp(&other.0).then(queue.len().cmp(&0))
    }
}

/// Control, tried: without the look at who compares, this waits for ever.
#[test]
fn an_order_that_uses_its_queue_panics() {
    let queue = OWN.get_or_init(PriorityQueue::unbounded);
    queue.try_put(Nosy(1)).unwrap();
    assert!(catch_unwind(|| queue.try_put(Nosy(2))).is_err());
    assert_eq!(queue.try_get(), Ok(Nosy(1)));
    assert!(queue.is_empty());
}

/// Panics when it is cloned or dropped, as often as the number says.
struct Fragile(Arc<AtomicUsize>);

impl Fragile {
    fn use_up(&self) {
        let left = |left: usize| left.checked_sub(1);
        if self.0.fetch_update(SeqCst, SeqCst, left).is_ok() && !std::thread::panicking() {
            panic!("an item panics");
        }
    }
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        self.use_up();
        Self(self.0.clone())
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.use_up();
    }
}

#[test]
fn items_and_closures_that_panic_leave_no_lock_behind() {
    let panics = Arc::new(AtomicUsize::new(0));
    let item = || Fragile(panics.clone());
    let quietly = |f: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(f)).is_err();
    let (caster, mut first) = broadcast::channel(2);
    let mut second = first.resubscribe();
    assert!(caster.send(item()).is_ok());
    panics.store(1, SeqCst);
    assert!(quietly(&mut || drop(first.try_recv())), "a clone");
    assert!(second.try_recv().is_ok());
    assert!(caster.send(item()).is_ok() && caster.send(item()).is_ok());
    panics.store(1, SeqCst);
    assert!(
        quietly(&mut || drop(caster.send(item()))),
        "one that is overwritten"
    );
    assert_eq!(caster.len(), 2);
    drop((first, second));
    assert!(caster.send(item()).is_err());
    let (sender, receiver) = watch::channel(0);
    assert!(quietly(
        &mut || sender.send_modify(|_| panic!("a closure panics"))
    ));
    assert!(!receiver.has_changed().unwrap());
    sender.send_replace(1);
    assert_eq!(*receiver.borrow(), 1);
    let (sender, receiver) = mpsc::unbounded_channel();
    for _ in 0..50 {
        assert!(sender.send(item()).is_ok());
    }
    panics.store(1, SeqCst);
    let mut receiver = Some(receiver);
    assert!(quietly(&mut || drop(receiver.take())));
    assert!(sender.send(item()).is_err());
    let lock = RwLock::new(item());
    assert!(quietly(&mut || {
        let _guard = lock.try_write().unwrap();
        panic!("while it is locked");
    }));
    assert!(lock.try_write().is_ok());
    let queue = Queue::unbounded();
    assert!(queue.try_put(item()).is_ok() && queue.try_put(item()).is_ok());
    panics.store(1, SeqCst);
    assert!(quietly(&mut || queue.shutdown(true)));
    assert!(queue.try_get().is_err());
    assert!(poll_once(Box::pin(queue.join()).as_mut(), &Counter::new()).is_ready());
}
