//! Every lock and every channel keeps the rules of leaves: in a cancelled scope it does not start, and one that
//! waits is unwound when its scope is cancelled. Both ways what it waits for is as it was.
//!
//! Negative control, tried once: with a `Leaf::start` that is always ready all of them fail.

use heist_runtime::scope::{Exit, Reason, Scope, catch};
use heist_sync::group::JoinSet;
use heist_sync::stream::{StreamExt, generate};
use heist_sync::time::{Duration, Instant, interval, sleep, sleep_until};
use heist_sync::{
    Barrier, CancelToken, Condition, Event, LifoQueue, Mutex, Notify, OnceCell, PriorityQueue,
    Queue, RwLock, Semaphore, SetOnce, broadcast, mpsc, oneshot, watch,
};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Runs it in a scope that was cancelled before. Fails if it gets anything there.
async fn not_started<T>(wait: impl Future<Output = T>) {
    let scope = Scope::new();
    scope.cancel(Reason::Explicit);
    assert!(matches!(catch(&scope, wait).await, Exit::Cancelled(_)));
}

/// Runs it in a scope that is cancelled once it waits.
async fn unwound<T>(wait: impl Future<Output = T>) {
    let scope = Scope::new();
    let mut wait = pin!(catch(&scope, wait));
    let mut polls = 0;
    let exit = std::future::poll_fn(|cx| {
        let exit = wait.as_mut().poll(cx);
        polls += 1;
        if polls == 1 {
            assert!(exit.is_pending(), "it has to wait");
            scope.cancel(Reason::Explicit);
        }
        exit
    });
    assert!(matches!(exit.await, Exit::Cancelled(_)));
}

/// Fails if `Leaf::start` is left out of `Permits`, or a waiter does not leave the queue.
#[test]
fn permits_and_what_is_made_of_them() {
    heist_runtime::block_on(async {
        let semaphore = Arc::new(Semaphore::new(2));
        not_started(semaphore.acquire()).await;
        not_started(Arc::clone(&semaphore).acquire_many_owned(2)).await;
        let permit = semaphore.try_acquire().unwrap();
        unwound(semaphore.acquire_many(2)).await;
        unwound(Arc::clone(&semaphore).acquire_many_owned(2)).await;
        drop(permit);
        assert_eq!(semaphore.available_permits(), 2);

        let mutex = Arc::new(Mutex::new(()));
        not_started(mutex.lock()).await;
        not_started(Arc::clone(&mutex).lock_owned()).await;
        let guard = mutex.try_lock().unwrap();
        unwound(mutex.lock()).await;
        unwound(Arc::clone(&mutex).lock_owned()).await;
        drop(guard);
        assert!(mutex.try_lock().is_ok());

        let lock = Arc::new(RwLock::new(()));
        not_started(lock.read()).await;
        not_started(lock.write()).await;
        not_started(Arc::clone(&lock).read_owned()).await;
        not_started(Arc::clone(&lock).write_owned()).await;
        let guard = lock.try_read().unwrap();
        unwound(lock.write()).await;
        unwound(Arc::clone(&lock).write_owned()).await;
        assert!(lock.try_read().is_ok(), "no writer waits any more");
        drop(guard);
        let guard = lock.try_write().unwrap();
        unwound(lock.read()).await;
        drop(guard);
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn once_cell() {
    heist_runtime::block_on(async {
        let cell = OnceCell::new();
        not_started(cell.get_or_init(async || unreachable!())).await;
        unwound(cell.get_or_init(std::future::pending)).await;
        let mut making = Box::pin(cell.get_or_init(std::future::pending));
        assert!(poll(making.as_mut()).is_pending());
        unwound(cell.get_or_init(async || unreachable!())).await;
        drop(making);
        assert_eq!(cell.set(1), Ok(()), "nobody has the turn");
        not_started(cell.get_or_init(async || unreachable!())).await;
    });
}

/// Fails if the permit or the notification is used up by one that does not start or is unwound.
#[test]
fn notify_and_event() {
    heist_runtime::block_on(async {
        let notify = Arc::new(Notify::new());
        notify.notify_one();
        not_started(notify.notified()).await;
        not_started(Arc::clone(&notify).notified_owned()).await;
        notify.notified().await;
        unwound(notify.notified()).await;
        unwound(Arc::clone(&notify).notified_owned()).await;
        assert_eq!(
            format!("{notify:?}"),
            "Notify { permit: false, waited_for: false, .. }"
        );

        let event = Event::new();
        unwound(event.wait()).await;
        event.set();
        not_started(event.wait()).await;
    });
}

#[test]
fn barrier() {
    heist_runtime::block_on(async {
        not_started(Barrier::new(1).wait()).await;
        let barrier = Barrier::new(2);
        not_started(barrier.wait()).await;
        unwound(barrier.wait()).await;
        assert_eq!(
            format!("{barrier:?}"),
            "Barrier { size: 2, arrived: 0, .. }"
        );
    });
}

/// Fails if the predicate is asked in a cancelled scope, or the lock stays taken.
#[test]
fn condition() {
    heist_runtime::block_on(async {
        let (mutex, condition) = (Mutex::new(0), Condition::new());
        let lock = || mutex.try_lock().expect("it is unlocked");
        let asked = Cell::new(0);
        let predicate = |_: &mut i32| {
            asked.set(asked.get() + 1);
            asked.get() > 1
        };
        not_started(condition.wait(lock())).await;
        not_started(condition.wait_for(lock(), predicate)).await;
        assert_eq!(asked.get(), 0);
        unwound(condition.wait(lock())).await;
        unwound(condition.wait_for(lock(), predicate)).await;
        assert_eq!(asked.get(), 1);
        drop(lock());
        // Notified and cancelled while it waits for the lock: the notification goes to the next.
        let mut first = Box::pin(condition.wait(lock()));
        assert!(poll(first.as_mut()).is_pending());
        let mut next = Box::pin(condition.wait(lock()));
        assert!(poll(next.as_mut()).is_pending());
        let guard = lock();
        condition.notify(1);
        unwound(first).await;
        drop(guard);
        assert!(poll(next.as_mut()).is_ready());
    });
}

#[test]
fn set_once() {
    heist_runtime::block_on(async {
        let cell = SetOnce::new();
        unwound(cell.wait()).await;
        cell.set(1).unwrap();
        not_started(cell.wait()).await;
        assert_eq!(cell.wait().await, &1);
    });
}

/// What there was to receive is still there, and so is the room.
#[test]
fn bounded_channels() {
    heist_runtime::block_on(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut buffer = Vec::new();
        unwound(receiver.recv()).await;
        unwound(receiver.recv_many(&mut buffer, 2)).await;
        unwound(poll_fn(|cx| receiver.poll_recv(cx))).await;
        unwound(sender.closed()).await;
        not_started(sender.send(0)).await;
        not_started(sender.send_timeout(0, Duration::from_secs(1))).await;
        not_started(sender.reserve()).await;
        not_started(sender.reserve_many(2)).await;
        not_started(sender.clone().reserve_owned()).await;
        assert_eq!((sender.capacity(), receiver.len()), (2, 0));
        sender.try_send(1).unwrap();
        unwound(sender.reserve_many(2)).await;
        assert_eq!(sender.capacity(), 1, "what it had collected is free again");
        sender.try_send(2).unwrap();
        unwound(sender.send(0)).await;
        unwound(sender.send_timeout(0, Duration::from_secs(600))).await;
        unwound(sender.reserve()).await;
        unwound(sender.clone().reserve_owned()).await;
        not_started(receiver.recv()).await;
        not_started(receiver.recv_many(&mut buffer, 2)).await;
        not_started(poll_fn(|cx| receiver.poll_recv(cx))).await;
        not_started(poll_fn(|cx| receiver.poll_recv_many(cx, &mut buffer, 2))).await;
        assert!(buffer.is_empty());
        assert_eq!((sender.capacity(), receiver.try_recv()), (0, Ok(1)));
        assert_eq!((sender.capacity(), receiver.recv().await), (1, Some(2)));
        drop(receiver);
        not_started(sender.closed()).await;
    });
}

#[test]
fn unbounded_channels() {
    heist_runtime::block_on(async {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut buffer = Vec::new();
        unwound(receiver.recv()).await;
        unwound(receiver.recv_many(&mut buffer, 2)).await;
        unwound(poll_fn(|cx| receiver.poll_recv(cx))).await;
        unwound(sender.closed()).await;
        sender.send(1).unwrap();
        not_started(receiver.recv()).await;
        not_started(receiver.recv_many(&mut buffer, 2)).await;
        not_started(poll_fn(|cx| receiver.poll_recv(cx))).await;
        not_started(poll_fn(|cx| receiver.poll_recv_many(cx, &mut buffer, 2))).await;
        assert!(buffer.is_empty());
        assert_eq!(receiver.recv().await, Some(1));
        receiver.close();
        not_started(sender.closed()).await;
    });
}

/// An item that came while it waited in a scope that is cancelled now: polled by hand it stays in the channel,
/// as it does when the scope was cancelled before.
///
/// Control, tried: a `poll_recv` that asks the scope only where a wait begins takes it.
#[test]
fn a_receive_by_hand_leaves_the_item_in_the_channel() {
    heist_runtime::block_on(async {
        let (sender, mut receiver) = mpsc::channel(1);
        let scope = Scope::new();
        let mut polls = 0;
        let exit = catch(
            &scope,
            poll_fn(|cx| {
                let item = receiver.poll_recv(cx);
                polls += 1;
                if polls == 1 {
                    sender.try_send(1).unwrap();
                    scope.cancel(Reason::Explicit);
                }
                item
            }),
        );
        assert!(matches!(exit.await, Exit::Cancelled(_)));
        assert_eq!((polls, receiver.try_recv()), (2, Ok(1)));
    });
}

#[test]
fn oneshot_channels() {
    heist_runtime::block_on(async {
        let (mut sender, mut receiver) = oneshot::channel();
        unwound(&mut receiver).await;
        unwound(sender.closed()).await;
        unwound(poll_fn(|cx| sender.poll_closed(cx))).await;
        sender.send(1).unwrap();
        // It has started above, so that it gets what has arrived.
        let scope = Scope::new();
        scope.cancel(Reason::Explicit);
        let exit = catch(&scope, &mut receiver).await;
        assert!(matches!(exit, Exit::Value(Ok(1))));
        let (sender, mut receiver) = oneshot::channel();
        sender.send(1).unwrap();
        not_started(&mut receiver).await;
        assert_eq!(receiver.await, Ok(1));
        let (mut sender, receiver) = oneshot::channel::<u8>();
        drop(receiver);
        not_started(sender.closed()).await;
        not_started(poll_fn(|cx| sender.poll_closed(cx))).await;
    });
}

#[test]
fn broadcast_channels() {
    heist_runtime::block_on(async {
        let (sender, mut receiver) = broadcast::channel(1);
        unwound(receiver.recv()).await;
        unwound(sender.closed()).await;
        sender.send(1).unwrap();
        not_started(receiver.recv()).await;
        assert_eq!(receiver.recv().await, Ok(1));
        sender.send(2).unwrap();
        sender.send(3).unwrap();
        not_started(receiver.recv()).await;
        let missed = receiver.recv().await;
        assert_eq!(missed, Err(broadcast::error::RecvError::Lagged(1)));
        drop(receiver);
        not_started(sender.closed()).await;
    });
}

/// Fails if a change counts as seen, or the predicate is asked in a cancelled scope.
#[test]
fn watch_channels() {
    heist_runtime::block_on(async {
        let (sender, mut receiver) = watch::channel(0);
        unwound(receiver.changed()).await;
        unwound(receiver.wait_for(|value| *value == 1)).await;
        unwound(sender.closed()).await;
        sender.send(1).unwrap();
        not_started(receiver.changed()).await;
        not_started(receiver.wait_for(|_| unreachable!())).await;
        assert_eq!(receiver.has_changed(), Ok(true));
        drop(receiver);
        not_started(sender.closed()).await;
    });
}

/// Of each kind: an empty one, a full one, and one whose items are being dealt with.
#[test]
fn queues() {
    macro_rules! check {
        ($queue:ident) => {
            let queue = $queue::new(1);
            not_started(queue.put(1)).await;
            assert!(queue.is_empty());
            unwound(queue.get()).await;
            not_started(queue.join()).await;
            queue.try_put(1).unwrap();
            not_started(queue.get()).await;
            not_started(queue.put(2)).await;
            unwound(queue.put(2)).await;
            unwound(queue.join()).await;
            assert_eq!((queue.len(), queue.try_get()), (1, Ok(1)));
            queue.task_done();
            // Neither of the twos counts as a task.
            queue.join().await;
        };
    }
    heist_runtime::block_on(async {
        check!(Queue);
        check!(PriorityQueue);
        check!(LifoQueue);
    });
}

/// The set is as it was: who joins it later, in a cleanup for instance, gets the outputs.
///
/// Control, tried: with a `join_next` that polls the handles in a cancelled scope, where they do not start and so are
/// never woken, the rest of this waits for ever.
#[test]
fn join_sets() {
    heist_runtime::block_on(async {
        let mut set = JoinSet::new();
        let (sender, receiver) = oneshot::channel();
        set.spawn(async { receiver.await.unwrap() });
        not_started(set.join_next()).await;
        not_started(set.join_next_with_id()).await;
        not_started(poll_fn(|cx| set.poll_join_next(cx))).await;
        unwound(set.join_next()).await;
        unwound(set.join_next_with_id()).await;
        sender.send(1).unwrap();
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
        set.spawn(async { 2 });
        sleep(Duration::from_millis(2)).await;
        not_started(set.join_next()).await;
        assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
        not_started(set.join_next()).await;
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn intervals() {
    heist_runtime::block_on(async {
        let mut ticks = interval(Duration::from_secs(600));
        not_started(ticks.tick()).await;
        let first = ticks.tick().await;
        assert!(
            first.elapsed() < Duration::from_secs(600),
            "the first one, due at once"
        );
        unwound(ticks.tick()).await;
    });
}

/// Controls, tried once each: without `Leaf::start` in `cancel/token` or in `stream/generate` it fails.
#[test]
fn sleeps_tokens_and_generators() {
    heist_runtime::block_on(async {
        not_started(sleep(Duration::ZERO)).await;
        not_started(sleep_until(Instant::now())).await;
        unwound(sleep(Duration::from_secs(600))).await;

        let token = CancelToken::new();
        unwound(token.cancelled()).await;
        unwound(token.clone().cancelled_owned()).await;
        token.cancel();
        not_started(token.cancelled()).await;
        not_started(token.clone().cancelled_owned()).await;

        let mut numbers = Box::pin(generate(async |y| y.emit(7).await));
        not_started(numbers.next()).await;
        assert_eq!(numbers.next().await, Some(7));
    });
}

/// Polls once.
fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
