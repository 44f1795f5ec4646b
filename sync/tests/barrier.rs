//! `Barrier` without any runtime: rounds, cancellation at every poll, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::Barrier;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

/// Controls, tried: a count that is not set back; everybody a leader.
#[test]
fn it_opens_for_so_many_and_closes_behind_them() {
    let barrier = Barrier::new(3);
    let waker = Counter::new();
    for round in 1..4 {
        let mut waits = [(); 2].map(|()| Box::pin(barrier.wait()));
        for wait in &mut waits {
            assert!(poll_once(wait.as_mut(), &waker).is_pending());
        }
        assert_eq!(
            format!("{barrier:?}"),
            "Barrier { size: 3, arrived: 2, .. }"
        );
        assert!(block_on(barrier.wait()).is_leader());
        // One of the next round is not let in by this one.
        assert!(poll_once(Box::pin(barrier.wait()).as_mut(), &waker).is_pending());
        assert_eq!(waker.count(), 2 * round);
        for wait in &mut waits {
            let Poll::Ready(result) = poll_once(wait.as_mut(), &waker) else {
                panic!("it is open");
            };
            assert!(!result.is_leader());
        }
    }
    assert!(block_on(Barrier::new(0).wait()).is_leader());
    assert!(block_on(Barrier::const_new(1).wait()).is_leader());
}

/// Random schedules of waits that arrive, are polled and dropped, against a model. Fails if the
/// arrival of one that was dropped counts, or if a drop after the opening takes one of the next round
/// back.
///
/// Controls, tried: a drop that does not take the arrival back; one that does so after the opening, too.
#[test]
fn a_wait_dropped_at_any_point_has_not_arrived() {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let size = 1 + random.below(4) as usize;
        let barrier = Barrier::new(size);
        let waker = Counter::new();
        let (mut arrived, mut released) = (Vec::new(), Vec::new());
        for _ in 0..24 {
            match random.below(4) {
                0 if !arrived.is_empty() => {
                    drop(arrived.remove(random.below(arrived.len() as u64) as usize));
                }
                1 if !released.is_empty() => drop(released.pop()),
                _ => {
                    let mut wait = Box::pin(barrier.wait());
                    let done = poll_once(wait.as_mut(), &waker).is_ready();
                    assert_eq!(done, arrived.len() + 1 == size, "seed {seed}");
                    if done {
                        released.append(&mut arrived);
                    } else {
                        arrived.push(wait);
                    }
                }
            }
            for wait in &mut arrived {
                assert!(poll_once(wait.as_mut(), &waker).is_pending(), "seed {seed}");
            }
        }
        for wait in &mut released {
            assert!(poll_once(wait.as_mut(), &waker).is_ready(), "seed {seed}");
        }
    }
}

/// Fails if one overtakes the others by more than a round, or a round has not one leader.
///
/// Controls, tried: a barrier that opens for one less; everybody a leader.
#[test]
fn threads_stay_in_step() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 2_000;
    let shared = Arc::new((
        Barrier::new(THREADS),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    ));
    let threads = [(); THREADS].map(|()| {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            let (barrier, arrived, leaders) = &*shared;
            for round in 1..=ROUNDS {
                arrived.fetch_add(1, SeqCst);
                let result = block_on(barrier.wait());
                assert!(arrived.load(SeqCst) >= round * THREADS);
                leaders.fetch_add(usize::from(result.is_leader()), SeqCst);
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(shared.2.load(SeqCst), ROUNDS);
}

#[test]
fn what_may_move_between_threads_may() {
    fn check<T: Send + Sync>() {}
    fn check_value<T: Send>(_: T) {}
    check::<Barrier>();
    check_value(Barrier::new(1).wait());
}
