//! The interleavings of small scenarios. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p heist-sync --release --lib loom`.

use super::Permits;
use heist_runtime::scope::Leaf;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{Relaxed, SeqCst};
use loom::thread::{self, JoinHandle};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Explores every interleaving with up to two involuntary switches of threads; more of them take
/// hours and the variable `LOOM_MAX_PREEMPTIONS`.
fn model(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(scenario);
}

fn spawn(permits: &Arc<Permits>, run: impl FnOnce(&Permits) + 'static) -> JoinHandle<()> {
    let permits = Arc::clone(permits);
    thread::spawn(move || run(&permits))
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

fn take(permits: &Permits, n: usize) -> Result<(), ()> {
    block_on(permits.take(n, Leaf::here())).map_err(drop)
}

/// Waits for permits, but drops the future after its first poll if that was not enough.
fn take_or_cancel(permits: &Permits, n: usize) -> bool {
    block_on(async {
        let mut take = pin!(permits.take(n, Leaf::here()));
        poll_fn(|cx| Poll::Ready(take.as_mut().poll(cx) == Poll::Ready(Ok(())))).await
    })
}

/// Controls, tried: relaxed orderings of the word; a `grant` that gives the same permit twice.
#[test]
fn loom_a_permit_excludes() {
    model(|| {
        let permits = Arc::new(Permits::new(1));
        let inside = Arc::new(AtomicUsize::new(0));
        let threads = [(); 2].map(|()| {
            let inside = Arc::clone(&inside);
            spawn(&permits, move |permits| {
                take(permits, 1).unwrap();
                assert_eq!(inside.fetch_add(1, Relaxed), 0);
                inside.fetch_sub(1, Relaxed);
                permits.put(1);
            })
        });
        take(&permits, 1).unwrap();
        assert_eq!(inside.load(Relaxed), 0);
        permits.put(1);
        join(threads);
        assert_eq!(permits.available(), 1);
    });
}

/// Control, tried: relaxed orderings of the word.
#[test]
fn loom_what_a_holder_wrote_is_seen_by_the_next() {
    model(|| {
        let permits = Arc::new(Permits::new(0));
        let cell = Arc::new(loom::cell::UnsafeCell::new(0));
        let writers = [(); 2].map(|()| spawn(&permits, |permits| permits.put(1)));
        let shared = Arc::clone(&cell);
        let reader = spawn(&permits, move |permits| {
            take(permits, 2).unwrap();
            // Loom checks that this access is ordered against the one below.
            shared.with_mut(|_| ());
            permits.put(2);
        });
        join(writers);
        take(&permits, 2).unwrap();
        cell.with_mut(|_| ());
        permits.put(2);
        join([reader]);
    });
}

/// Control, tried: a `Take` that does not collect what is free, if that is too little.
#[test]
fn loom_a_batch_collects_from_several() {
    model(|| {
        let permits = Arc::new(Permits::new(0));
        let threads = [1, 2].map(|n| spawn(&permits, move |permits| permits.put(n)));
        take(&permits, 3).unwrap();
        join(threads);
        assert_eq!(permits.available(), 0);
    });
}

/// Control, tried: a `Take` that keeps what it was granted when it is dropped.
#[test]
fn loom_a_cancelled_waiter_passes_its_permit_on() {
    model(|| {
        let permits = Arc::new(Permits::new(0));
        let canceller = spawn(&permits, |permits| {
            if take_or_cancel(permits, 1) {
                permits.put(1);
            }
        });
        let giver = spawn(&permits, |permits| permits.put(1));
        // If the cancelled waiter kept the permit, this would wait for ever and loom would say so.
        take(&permits, 1).unwrap();
        join([canceller, giver]);
        assert_eq!(permits.available(), 0);
        permits.put(1);
        assert_eq!(
            permits.try_take(1),
            Ok(()),
            "the note that somebody waits is gone"
        );
    });
}

/// Control, tried: a `Take` that keeps its part when it is dropped.
#[test]
fn loom_a_cancelled_batch_returns_its_part() {
    model(|| {
        let permits = Arc::new(Permits::new(1));
        let canceller = spawn(&permits, |permits| {
            if take_or_cancel(permits, 2) {
                permits.put(2);
            }
        });
        let giver = spawn(&permits, |permits| permits.put(1));
        take(&permits, 1).unwrap();
        permits.put(1);
        join([canceller, giver]);
        assert_eq!(permits.available(), 2);
        assert_eq!(permits.try_take(2), Ok(()));
    });
}

/// Control, tried: a `grant` that gives the same permit twice.
#[test]
fn loom_closing_reaches_everybody() {
    model(|| {
        let permits = Arc::new(Permits::new(0));
        let granted = Arc::new(AtomicUsize::new(0));
        let waiters = [(); 2].map(|()| {
            let granted = Arc::clone(&granted);
            spawn(&permits, move |permits| {
                if take(permits, 1).is_ok() {
                    granted.fetch_add(1, SeqCst);
                }
            })
        });
        permits.put(1);
        permits.close();
        join(waiters);
        assert_eq!(
            permits.available() + granted.load(SeqCst),
            1,
            "no permit is lost or doubled"
        );
        assert!(take(&permits, 0).is_err());
    });
}

/// Control, tried: a `close` that keeps the part that a waiter had.
#[test]
fn loom_closing_a_batch_frees_its_part() {
    model(|| {
        let permits = Arc::new(Permits::new(1));
        let waiter = spawn(&permits, |permits| {
            assert!(take(permits, 2).is_err());
        });
        let canceller = spawn(&permits, |permits| {
            if take_or_cancel(permits, 1) {
                permits.put(1);
            }
        });
        permits.close();
        join([waiter, canceller]);
        assert_eq!(permits.available(), 1);
    });
}

/// Control, tried: a `grant` that gives the same permit twice.
#[test]
fn loom_trying_never_breaks_the_count() {
    model(|| {
        let permits = Arc::new(Permits::new(1));
        let threads = [(); 2].map(|()| {
            spawn(&permits, |permits| {
                if permits.try_take(1).is_ok() {
                    permits.put(1);
                }
            })
        });
        take(&permits, 1).unwrap();
        permits.put(1);
        join(threads);
        assert_eq!(permits.take_up_to(5), 1);
        assert_eq!(permits.available(), 0);
    });
}
