//! Every lock keeps the rules of leaves: in a cancelled scope it does not start, and one that waits is
//! unwound when its scope is cancelled. Both ways the lock is as it was.

use heist_runtime::scope::{Exit, Reason, Scope, catch};
use heist_sync::{Barrier, Condition, Event, Mutex, Notify, OnceCell, RwLock, Semaphore};
use std::cell::Cell;
use std::future::Future;
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

/// Polls once.
fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
