//! The mutex without any runtime: exclusion, fairness, cancellation at every poll, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::{Mutex, MutexGuard, OwnedMutexGuard};
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Control, tried: an owned guard that does not unlock.
#[test]
fn the_value_is_reached_by_every_way() {
    let mut mutex = Mutex::new(vec![1]);
    mutex.get_mut().push(2);
    block_on(mutex.lock()).push(3);
    mutex.try_lock().unwrap().push(4);
    let mutex = Arc::new(mutex);
    block_on(Arc::clone(&mutex).lock_owned()).push(5);
    let guard = Arc::clone(&mutex).try_lock_owned().unwrap();
    assert!(Arc::ptr_eq(OwnedMutexGuard::mutex(&guard), &mutex));
    assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked> }");
    assert!(mutex.try_lock().is_err());
    drop(guard);
    assert_eq!(format!("{mutex:?}"), "Mutex { value: [1, 2, 3, 4, 5] }");
    assert_eq!(
        Arc::into_inner(mutex).unwrap().into_inner(),
        [1, 2, 3, 4, 5]
    );
}

/// Controls, tried: a `map` that lets go of the permit; one that forgets the guard when the closure panics.
#[test]
fn a_mapped_guard_keeps_it_locked() {
    let mutex = Mutex::new((1, Some(2)));
    let mut part = MutexGuard::map(mutex.try_lock().unwrap(), |value| &mut value.0);
    *part += 10;
    assert!(mutex.try_lock().is_err());
    drop(part);
    let part = MutexGuard::try_map(mutex.try_lock().unwrap(), |value| value.1.as_mut());
    *part.unwrap() += 10;
    assert_eq!(*mutex.try_lock().unwrap(), (11, Some(12)));
    mutex.try_lock().unwrap().1 = None;
    let guard = MutexGuard::try_map(mutex.try_lock().unwrap(), |value| value.1.as_mut());
    assert_eq!(*guard.unwrap_err(), (11, None));
    let panics = || {
        MutexGuard::map(mutex.try_lock().unwrap(), |_| -> &mut i32 {
            panic!("test")
        })
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    assert!(mutex.try_lock().is_ok(), "a panic unlocks");
}

/// Fails if unlocking frees the lock instead of handing it over.
///
/// Control, tried: a `grant` to the last one of the queue.
#[test]
fn first_come_first_served() {
    let mutex = Mutex::new(());
    let guard = mutex.try_lock().unwrap();
    let wakers = [(); 3].map(|()| Counter::new());
    let mut waiters = [(); 3].map(|()| Box::pin(mutex.lock()));
    for (waiter, waker) in waiters.iter_mut().zip(&wakers) {
        assert!(poll_once(waiter.as_mut(), waker).is_pending());
    }
    drop(guard);
    assert!(mutex.try_lock().is_err(), "it is the first waiter's");
    for n in 0..3 {
        assert_eq!(
            wakers
                .each_ref()
                .map(|waker| waker.count())
                .iter()
                .sum::<usize>(),
            n + 1
        );
        let Poll::Ready(guard) = poll_once(waiters[n].as_mut(), &wakers[n]) else {
            panic!("it is the turn of {n}");
        };
        drop(guard);
    }
    assert!(mutex.try_lock().is_ok());
}

/// 10,000 random schedules of three waits that are polled, dropped and served in any order. Fails
/// if a drop does not pass the lock on, or if two have it at a time.
///
/// Controls, tried: a `Take` that keeps what it was granted; a mutex with two permits.
#[test]
fn a_wait_dropped_at_any_point_loses_nothing() {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let mutex = Mutex::new(());
        let waker = Counter::new();
        let mut held = (random.below(2) == 0).then(|| mutex.try_lock().unwrap());
        let mut waits: Vec<_> = (0..3).map(|_| Some(Box::pin(mutex.lock()))).collect();
        for _ in 0..12 {
            let slot = random.below(4) as usize;
            match waits.get_mut(slot) {
                None => held = None,
                Some(wait) if random.below(4) == 0 => *wait = None,
                Some(wait) => {
                    let Some(future) = wait else { continue };
                    if let Poll::Ready(guard) = poll_once(future.as_mut(), &waker) {
                        assert!(held.is_none(), "two have the lock, seed {seed}");
                        held = Some(guard);
                        *wait = None;
                    }
                }
            }
        }
        drop(held);
        // Whoever is left is served in turn.
        let mut pending: Vec<_> = waits.into_iter().flatten().collect();
        while !pending.is_empty() {
            let before = pending.len();
            pending.retain_mut(|wait| poll_once(wait.as_mut(), &waker).is_pending());
            assert!(pending.len() < before, "the lock is lost, seed {seed}");
        }
        assert!(mutex.try_lock().is_ok(), "it is not unlocked, seed {seed}");
    }
}

/// Fails if the mutex lets in two at a time: the increments are no atomic operations.
///
/// Control, tried: a mutex with two permits.
#[test]
fn threads_exclude_each_other() {
    const THREADS: u64 = 4;
    const ROUNDS: usize = 4_000;
    // A `Cell` may be sent, not shared: the mutex makes it `Sync`.
    let mutex = Arc::new(Mutex::new(Cell::new(0)));
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let mutex = Arc::clone(&mutex);
            std::thread::spawn(move || {
                let mut random = Rng::new(seed);
                for _ in 0..ROUNDS {
                    if random.below(4) == 0 {
                        let waker = Counter::new();
                        let mut wait = pin!(mutex.lock());
                        let _ = poll_once(wait.as_mut(), &waker).is_ready();
                    }
                    let guard = block_on(mutex.lock());
                    let count = guard.get();
                    if random.below(8) == 0 {
                        std::thread::yield_now();
                    }
                    guard.set(count + 1);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(mutex.try_lock().unwrap().get(), THREADS as usize * ROUNDS);
}

#[test]
fn what_may_move_between_threads_may() {
    fn check<T: Send + Sync>() {}
    fn check_value<T: Send>(_: T) {}
    check::<Mutex<Cell<u8>>>();
    check::<MutexGuard<'_, u8>>();
    check::<OwnedMutexGuard<u8>>();
    let mutex = Mutex::new(0);
    check_value(mutex.lock());
    check_value(Arc::new(Mutex::new(0)).lock_owned());
}

/// Control, tried: a `map` that lets go of the permit leaves the mutex unlocked.
#[test]
fn an_owned_guard_of_a_part_keeps_the_whole_locked_and_alive() {
    let mutex = Arc::new(Mutex::new((vec![1, 2], "other")));
    let guard = Arc::clone(&mutex).try_lock_owned().unwrap();
    let part = heist_sync::OwnedMutexGuard::map(guard, |pair| &mut pair.0);
    let Err(part) = heist_sync::OwnedMappedMutexGuard::try_map(part, |part| part.get_mut(7)) else {
        panic!("there are two");
    };
    let mut first = heist_sync::OwnedMappedMutexGuard::map(part, |part| &mut part[0]);
    assert!(mutex.try_lock().is_err());
    let weak = Arc::downgrade(&mutex);
    drop(mutex);
    std::thread::spawn(move || {
        *first += 1;
        let mutex = weak.upgrade().expect("the guard keeps it");
        assert!(mutex.try_lock().is_err());
        drop(first);
        assert_eq!(mutex.try_lock().unwrap().0, [2, 2]);
    })
    .join()
    .unwrap();
}
