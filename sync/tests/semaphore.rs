//! The semaphore without any runtime: fairness, cancellation at every poll, closing, threads.

mod common;

use common::{Counter, block_on, poll_once};
use heist_sync::{AcquireError, Semaphore, TryAcquireError};
use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

/// Controls, tried: a `take_up_to` that takes all there are; a `put` that adds none.
#[test]
fn permits_are_counted() {
    let semaphore = Semaphore::new(3);
    let one = block_on(semaphore.acquire()).unwrap();
    let two = semaphore.try_acquire_many(2).unwrap();
    assert_eq!((one.num_permits(), two.num_permits()), (1, 2));
    assert_eq!(semaphore.available_permits(), 0);
    assert_eq!(
        semaphore.try_acquire().unwrap_err(),
        TryAcquireError::NoPermits
    );
    drop(two);
    assert_eq!(semaphore.available_permits(), 2);
    drop(one);
    semaphore.add_permits(4);
    assert_eq!(semaphore.available_permits(), 7);
    assert_eq!(semaphore.forget_permits(5), 5);
    assert_eq!(semaphore.forget_permits(5), 2);
    assert_eq!(semaphore.available_permits(), 0);
    assert_eq!(
        block_on(semaphore.acquire_many(0)).unwrap().num_permits(),
        0
    );
}

/// Controls, tried: a `split` that leaves the permit as it was; a `forget` that gives back.
#[test]
fn permits_merge_split_and_are_forgotten() {
    let semaphore = Arc::new(Semaphore::new(5));
    let mut permit = semaphore.try_acquire_many(3).unwrap();
    assert!(permit.split(4).is_none());
    let part = permit.split(2).unwrap();
    assert_eq!((permit.num_permits(), part.num_permits()), (1, 2));
    drop(permit);
    assert_eq!(semaphore.available_permits(), 3);
    let mut rest = semaphore.try_acquire().unwrap();
    rest.merge(part);
    assert_eq!(rest.num_permits(), 3);
    rest.forget();
    assert_eq!(semaphore.available_permits(), 2);

    let mut owned = Arc::clone(&semaphore).try_acquire_many_owned(2).unwrap();
    let part = owned.split(1).unwrap();
    assert!(Arc::ptr_eq(part.semaphore(), &semaphore));
    owned.merge(part);
    drop(owned);
    assert_eq!(semaphore.available_permits(), 2);
    Arc::clone(&semaphore).try_acquire_owned().unwrap().forget();
    assert_eq!(
        block_on(Arc::clone(&semaphore).acquire_owned())
            .unwrap()
            .num_permits(),
        1
    );
    assert_eq!(semaphore.available_permits(), 1);
}

/// Control, tried: a `merge` that does not look whose they are.
#[test]
#[should_panic(expected = "different semaphores")]
fn permits_of_two_semaphores_do_not_merge() {
    let (a, b) = (Semaphore::new(1), Semaphore::new(1));
    a.try_acquire().unwrap().merge(b.try_acquire().unwrap());
}

/// Control, tried: with the panic before the wakers are called, the one who waits is not woken.
#[test]
fn too_many_permits_panic_and_break_nothing() {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    let add = || semaphore.add_permits(1);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(add)).is_err());
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);

    // Beside a waiter: it gets its permit before the panic.
    let semaphore = Semaphore::new(0);
    let waker = Counter::new();
    let mut waiter = pin!(semaphore.acquire());
    assert!(poll_once(waiter.as_mut(), &waker).is_pending());
    let add = || semaphore.add_permits(usize::MAX);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(add)).is_err());
    assert_eq!(waker.count(), 1);
    assert!(poll_once(waiter.as_mut(), &waker).is_ready());
}

/// Controls, tried: a `put` that ends after one batch of wakers loses permits; one that grants to the last turns the
/// order round.
#[test]
fn first_come_first_served() {
    let semaphore = Semaphore::new(0);
    let order = RefCell::new(Vec::new());
    let wakers: Vec<_> = (0..40).map(|_| Counter::new()).collect();
    let mut waiters: Vec<_> = (0..40)
        .map(|n| {
            let (semaphore, order) = (&semaphore, &order);
            Box::pin(async move {
                semaphore.acquire().await.unwrap().forget();
                order.borrow_mut().push(n);
            })
        })
        .collect();
    for (waiter, waker) in waiters.iter_mut().zip(&wakers) {
        assert!(poll_once(waiter.as_mut(), waker).is_pending());
    }
    assert_eq!(
        semaphore.try_acquire().unwrap_err(),
        TryAcquireError::NoPermits
    );
    // More than one batch of wakers.
    semaphore.add_permits(38);
    let woken: Vec<_> = wakers.iter().map(|waker| waker.count()).collect();
    assert_eq!(woken, [vec![1; 38], vec![0; 2]].concat());
    assert_eq!(semaphore.available_permits(), 0);
    for (waiter, waker) in waiters.iter_mut().zip(&wakers) {
        assert_eq!(
            poll_once(waiter.as_mut(), waker).is_ready(),
            waker.count() == 1
        );
    }
    assert_eq!(*order.borrow(), (0..38).collect::<Vec<_>>());
}

/// Control, tried: a request that leaves alone what is free, if that is too little, is overtaken.
#[test]
fn nobody_overtakes_a_large_request() {
    let semaphore = Semaphore::new(2);
    let (large_waker, small_waker) = (Counter::new(), Counter::new());
    let mut large = pin!(semaphore.acquire_many(4));
    let mut small = pin!(semaphore.acquire());
    assert!(poll_once(large.as_mut(), &large_waker).is_pending());
    assert!(poll_once(small.as_mut(), &small_waker).is_pending());
    assert!(semaphore.try_acquire().is_err());
    semaphore.add_permits(1);
    assert_eq!((large_waker.count(), small_waker.count()), (0, 0));
    semaphore.add_permits(1);
    assert_eq!((large_waker.count(), small_waker.count()), (1, 0));
    let Poll::Ready(Ok(permit)) = poll_once(large.as_mut(), &large_waker) else {
        panic!("it has its four permits");
    };
    drop(permit);
    assert_eq!(small_waker.count(), 1);
    assert!(poll_once(small.as_mut(), &small_waker).is_ready());
    assert_eq!(semaphore.available_permits(), 4);
}

/// Controls, tried: a `Take` that keeps its part when it is dropped; one that keeps all that it was granted.
#[test]
fn a_cancelled_waiter_passes_on_what_it_had() {
    // Not polled, queued, partly served, fully served but not polled since.
    for stage in 0..4 {
        let semaphore = Semaphore::new(1);
        let (first_waker, second_waker) = (Counter::new(), Counter::new());
        let mut second = pin!(semaphore.acquire_many(3));
        let mut first = Box::pin(semaphore.acquire_many(2));
        if stage > 0 {
            assert!(poll_once(first.as_mut(), &first_waker).is_pending());
        }
        assert!(poll_once(second.as_mut(), &second_waker).is_pending());
        if stage == 3 {
            semaphore.add_permits(1);
            assert_eq!(first_waker.count(), 1);
        }
        drop(first);
        assert_eq!(second_waker.count(), 0);
        semaphore.add_permits(if stage == 3 { 1 } else { 2 });
        assert_eq!(second_waker.count(), 1);
        let Poll::Ready(permit) = poll_once(second.as_mut(), &second_waker) else {
            panic!("it has its three permits, at stage {stage}");
        };
        drop(permit);
        assert_eq!(semaphore.available_permits(), 3);
    }
}

/// Control, tried: a `grant` to the last one of the queue.
#[test]
fn any_waiter_of_the_queue_can_leave() {
    for leaver in 0..5 {
        let semaphore = Semaphore::new(0);
        let waker = Counter::new();
        let mut waiters: Vec<_> = (0..5)
            .map(|_| Some(Box::pin(semaphore.acquire())))
            .collect();
        for waiter in waiters.iter_mut().flatten() {
            assert!(poll_once(waiter.as_mut(), &waker).is_pending());
        }
        waiters[leaver] = None;
        for (n, waiter) in waiters.iter_mut().enumerate() {
            if let Some(waiter) = waiter {
                assert!(poll_once(waiter.as_mut(), &waker).is_pending());
                semaphore.add_permits(1);
                let Poll::Ready(Ok(permit)) = poll_once(waiter.as_mut(), &waker) else {
                    panic!("waiter {n} is next, after {leaver} has left");
                };
                permit.forget();
            }
        }
        semaphore.add_permits(1);
        assert_eq!(semaphore.available_permits(), 1, "the queue is empty");
    }
}

#[test]
fn closing_refuses_those_who_wait_and_those_who_come() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    semaphore.add_permits(1);
    let waker = Counter::new();
    let mut waiters: Vec<_> = (0..20)
        .map(|_| Box::pin(semaphore.acquire_many(2)))
        .collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter.as_mut(), &waker).is_pending());
    }
    assert!(!semaphore.is_closed());
    semaphore.close();
    assert!(semaphore.is_closed());
    assert_eq!(waker.count(), 20, "more than one batch of wakers");
    semaphore.close();
    assert_eq!(waker.count(), 20);
    for (n, waiter) in waiters.iter_mut().enumerate() {
        if n % 2 == 0 {
            let Poll::Ready(result) = poll_once(waiter.as_mut(), &waker) else {
                panic!("closing ends the wait");
            };
            assert!(result.is_err());
        }
    }
    drop(waiters);
    assert_eq!(
        semaphore.available_permits(),
        1,
        "the part the first one had is free again"
    );
    drop(held);
    assert_eq!(semaphore.available_permits(), 2);
    assert_eq!(
        semaphore.try_acquire().unwrap_err(),
        TryAcquireError::Closed
    );
    assert!(block_on(semaphore.acquire_many(0)).is_err());
    let error: AcquireError = block_on(semaphore.acquire()).unwrap_err();
    assert_eq!(error.to_string(), "the semaphore is closed");
}

/// Control, tried: a `refresh` that keeps the waker it has.
#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let semaphore = Semaphore::new(0);
    let (old, new) = (Counter::new(), Counter::new());
    let mut waiter = pin!(semaphore.acquire());
    assert!(poll_once(waiter.as_mut(), &old).is_pending());
    assert!(poll_once(waiter.as_mut(), &new).is_pending());
    semaphore.add_permits(1);
    assert_eq!((old.count(), new.count()), (0, 1));
}

/// A waker that takes and gives permits itself, which would deadlock if it ran under the lock.
struct Meddler(Arc<Semaphore>);

impl std::task::Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.0.add_permits(1);
        let _ = self.0.try_acquire();
    }
}

/// Control, tried: with the wakers called before the lock is given back this hangs.
#[test]
fn wakers_run_outside_the_lock() {
    let semaphore = Arc::new(Semaphore::new(0));
    let waker = Arc::new(Meddler(Arc::clone(&semaphore))).into();
    let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(semaphore.acquire())).collect();
    for waiter in &mut waiters {
        let mut cx = Context::from_waker(&waker);
        assert!(std::future::Future::poll(waiter.as_mut(), &mut cx).is_pending());
    }
    semaphore.add_permits(1);
    semaphore.close();
}

/// Controls, tried: a `grant` that gives the same permits twice; a `Take` that keeps what it was granted.
#[test]
fn threads_never_exceed_the_permits_and_lose_none() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 4_000;
    let semaphore = Arc::new(Semaphore::new(5));
    let inside = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
            std::thread::spawn(move || {
                let mut random = common::Rng::new(seed);
                for _ in 0..ROUNDS {
                    let n = 1 + random.below(4) as u32;
                    if random.below(4) == 0 {
                        // Given up after one to three polls, in whatever state it is.
                        let waker = Counter::new();
                        let mut waiter = pin!(semaphore.acquire_many(n));
                        for _ in 0..=random.below(3) {
                            if poll_once(waiter.as_mut(), &waker).is_ready() {
                                break;
                            }
                            std::thread::yield_now();
                        }
                        continue;
                    }
                    let permit = block_on(semaphore.acquire_many(n)).unwrap();
                    let now = inside.fetch_add(n as usize, SeqCst) + n as usize;
                    assert!(now <= 5, "{now} permits of 5 in use");
                    if random.below(8) == 0 {
                        std::thread::yield_now();
                    }
                    inside.fetch_sub(n as usize, SeqCst);
                    drop(permit);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(semaphore.available_permits(), 5);
    assert!(semaphore.try_acquire_many(5).is_ok());
}

#[test]
fn everything_can_move_between_threads() {
    fn check<T: Send + Sync>() {}
    fn check_value<T: Send>(_: T) {}
    check::<Semaphore>();
    check::<heist_sync::SemaphorePermit<'_>>();
    check::<heist_sync::OwnedSemaphorePermit>();
    let semaphore = Arc::new(Semaphore::new(1));
    check_value(semaphore.acquire_many(2));
    check_value(Arc::clone(&semaphore).acquire_owned());
}

/// Control, tried: with a waker that does not unpark the thread this hangs.
#[test]
fn threads_outside_of_the_runtime_wait_for_permits() {
    let semaphore = Arc::new(Semaphore::new(2));
    let both = semaphore.blocking_acquire_many(2).unwrap();
    let waiting = Arc::clone(&semaphore);
    let thread = std::thread::spawn(move || {
        let one = waiting.blocking_acquire().unwrap();
        (
            one.num_permits(),
            Arc::clone(&waiting).blocking_acquire_owned().unwrap(),
        )
    });
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(!thread.is_finished());
    drop(both);
    let (one, owned) = thread.join().unwrap();
    assert_eq!((one, semaphore.available_permits()), (1, 1));
    drop(owned);
    semaphore.close();
    assert!(semaphore.blocking_acquire().is_err());
}
