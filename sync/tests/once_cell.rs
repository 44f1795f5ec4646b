//! `OnceCell` without any runtime: who makes the value, cancellation at every poll, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::{OnceCell, SetError};
use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

/// Controls, tried: a value that does not end the turn; a turn that is kept by a maker that fails.
#[test]
fn the_value_is_reached_by_every_way() {
    let mut cell = OnceCell::new();
    assert!(!cell.initialized());
    assert_eq!(
        block_on(cell.get_or_try_init(async || Err("no"))),
        Err("no")
    );
    assert_eq!(*block_on(cell.get_or_init(async || 1)), 1);
    assert_eq!(*block_on(cell.get_or_init(async || unreachable!())), 1);
    assert_eq!(cell.set(2), Err(SetError::AlreadyInitializedError(2)));
    *cell.get_mut().unwrap() += 1;
    assert_eq!(cell.clone().into_inner(), Some(2));
    assert_eq!(cell, OnceCell::from(2));
    assert_eq!(format!("{cell:?}"), "OnceCell { value: Some(2), .. }");
    assert_eq!(cell.take(), Some(2));
    assert_eq!(cell, OnceCell::new_with(None));
    assert_eq!(cell.set(3), Ok(()));
    assert_eq!(cell.get(), Some(&3));
}

/// Controls, tried: two turns at a time; a `set` that takes a value in the making for one that is there.
#[test]
fn those_who_come_later_wait_for_the_first() {
    let cell = OnceCell::new();
    let waker = Counter::new();
    let value = OnceCell::new();
    let mut first = Box::pin(cell.get_or_init(async || *value.get_or_init(pending).await));
    assert!(poll_once(first.as_mut(), &waker).is_pending());
    assert_eq!(cell.set(7), Err(SetError::InitializingError(7)));
    let mut late = [(); 2].map(|()| Box::pin(cell.get_or_init(async || unreachable!())));
    for late in &mut late {
        assert!(poll_once(late.as_mut(), &waker).is_pending());
    }
    drop(first);
    assert_eq!(waker.count(), 1, "the next in turn, and nobody else");
    // Its own function would fail; somebody who sets it comes too late as well.
    assert_eq!(cell.set(7), Err(SetError::InitializingError(7)));
}

/// Fails if a maker that is dropped, fails or panics keeps the turn.
///
/// Control, tried: a turn that is not given back when it is dropped.
#[test]
fn the_next_in_turn_makes_it_if_the_first_does_not() {
    for end in 0..3 {
        let cell = OnceCell::new();
        let gate = OnceCell::<bool>::new();
        let waker = Counter::new();
        let mut first = Box::pin(cell.get_or_try_init(async || {
            assert!(*gate.get_or_init(|| outcome_after(end)).await, "test");
            Err::<u32, _>("no")
        }));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            poll_once(first.as_mut(), &waker).map(|made| made.is_err())
        }));
        match end {
            0 => assert_eq!(outcome.unwrap(), Poll::Pending),
            1 => assert_eq!(outcome.unwrap(), Poll::Ready(true)),
            _ => assert!(outcome.is_err()),
        }
        let mut second = Box::pin(cell.get_or_init(async || 2));
        let mut third = Box::pin(cell.get_or_init(async || unreachable!()));
        if end == 0 {
            assert!(poll_once(second.as_mut(), &waker).is_pending());
            assert!(poll_once(third.as_mut(), &waker).is_pending());
        }
        drop(first);
        assert_eq!(poll_once(second.as_mut(), &waker), Poll::Ready(&2));
        assert_eq!(poll_once(third.as_mut(), &waker), Poll::Ready(&2));
        assert_eq!(waker.count(), if end == 0 { 2 } else { 0 });
    }
}

/// Waits for ever, or tells whether the maker is to fail or to panic.
async fn outcome_after(end: usize) -> bool {
    match end {
        0 => pending().await,
        1 => true,
        _ => false,
    }
}

/// 5,000 random schedules of makers that take two polls and are polled and dropped in any order.
/// Fails if a drop loses the turn, or two make the value at a time.
///
/// Controls, tried: two turns at a time; one that is not given back when it is dropped.
#[test]
fn a_future_dropped_at_any_point_hands_over() {
    struct Making<'a>(&'a AtomicUsize);
    impl Drop for Making<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    for seed in 0..5_000 {
        let mut random = Rng::new(seed);
        let cell = OnceCell::new();
        let waker = Counter::new();
        let making = AtomicUsize::new(0);
        let make = |n| {
            let making = &making;
            move || async move {
                assert_eq!(making.fetch_add(1, SeqCst), 0, "two make it");
                let _making = Making(making);
                let mut polled = false;
                std::future::poll_fn(|_| {
                    if std::mem::replace(&mut polled, true) {
                        Poll::Ready(n)
                    } else {
                        Poll::Pending
                    }
                })
                .await
            }
        };
        let mut futures: Vec<_> = (0..4)
            .map(|n| Some(Box::pin(cell.get_or_init(make(n)))))
            .collect();
        for _ in 0..8 {
            let slot = &mut futures[random.below(4) as usize];
            let Some(future) = slot else { continue };
            if random.below(3) == 0 || poll_once(future.as_mut(), &waker).is_ready() {
                *slot = None;
            }
        }
        let mut left: Vec<_> = futures.into_iter().flatten().collect();
        for _ in 0..10 {
            left.retain_mut(|future| poll_once(future.as_mut(), &waker).is_pending());
        }
        assert!(left.is_empty(), "the turn is lost, seed {seed}");
        let value = *block_on(cell.get_or_init(|| ready(9)));
        assert_eq!(cell.get(), Some(&value));
    }
}

/// Fails if two threads make the value, or one does not get it.
///
/// Control, tried: a value that does not end the turn.
#[test]
fn threads_get_the_same_value() {
    for round in 0..2_000 {
        let shared = Arc::new((OnceCell::new(), AtomicUsize::new(0)));
        let threads = [1, 2, 3].map(|n| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let (cell, made) = &*shared;
                if (round + n) % 3 == 0 {
                    let mut given_up = Box::pin(cell.get_or_init(pending::<usize>));
                    let _ = poll_once(given_up.as_mut(), &Counter::new());
                }
                *block_on(cell.get_or_init(async || {
                    made.fetch_add(1, SeqCst);
                    n
                }))
            })
        });
        let values = threads.map(|thread| thread.join().unwrap());
        assert_eq!(shared.1.load(SeqCst), 1);
        assert_eq!(values, [*shared.0.get().unwrap(); 3]);
    }
}

/// Control, tried: a `set` that does not set the event leaves them waiting; a `From` that does not as well.
#[test]
fn a_value_that_is_set_once_reaches_all_who_wait() {
    let cell = heist_sync::SetOnce::new();
    std::thread::scope(|s| {
        let waits: Vec<_> = (0..4).map(|_| s.spawn(|| *block_on(cell.wait()))).collect();
        assert!(!cell.initialized());
        cell.set(7).unwrap();
        assert_eq!(cell.set(8), Err(heist_sync::SetOnceError(8)));
        for wait in waits {
            assert_eq!(wait.join().unwrap(), 7);
        }
    });
    assert_eq!(block_on(cell.clone().wait()), &7);
    assert_eq!(cell.into_inner(), Some(7));
}
