//! Closures on the blocking pool in scopes that are cancelled.

mod common;

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{finally, sleep};
use heist_runtime::scope::cancel_requested;
use heist_runtime::{Builder, block_on, spawn, spawn_blocking};

#[test]
fn a_scope_waits_for_a_closure_unless_told_not_to() {
    block_on(async {
        let (begun, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = || {
            let (begun, done) = (begun.clone(), done.clone());
            move || {
                begun.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(50));
                done.fetch_add(1, Ordering::SeqCst);
            }
        };
        // One that has not begun would end at once.
        let reaches = async |count: &AtomicUsize, value| {
            while count.load(Ordering::SeqCst) < value {
                sleep(1).await;
            }
        };
        let task = spawn(spawn_blocking(work()));
        reaches(&begun, 1).await;
        task.cancel();
        drop(task.await);
        assert_eq!(done.load(Ordering::SeqCst), 1, "the scope did not wait");
        let task = spawn(spawn_blocking(work()).abandon_on_cancel());
        reaches(&begun, 2).await;
        task.cancel();
        assert!(task.await.expect_err("abandoned").is_cancelled());
        assert_eq!(done.load(Ordering::SeqCst), 1);
        reaches(&done, 2).await;
    });
}

/// Control, tried: without `withdraw` the scope waits until the pool's only thread is free, which is never.
#[test]
fn a_closure_that_has_not_begun_ends_with_its_cancellation() {
    let runtime = Builder::new()
        .max_blocking_threads(1)
        .build()
        .expect("io_uring");
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let first = runtime.spawn_blocking(move || gate.recv());
    let kept = Arc::new(());
    let ended = runtime.block_on(async {
        let work = |kept: &Arc<()>| {
            let kept = kept.clone();
            move || drop(kept)
        };
        let task = spawn(spawn_blocking(work(&kept)));
        sleep(10).await;
        task.cancel();
        let by_scope = task.await.expect_err("cancelled").is_cancelled();
        let by_hand = spawn_blocking(work(&kept)).cancel_and_join().await;
        let aborted = spawn_blocking(work(&kept));
        aborted.abort();
        [
            by_scope,
            by_hand.expect_err("cancelled").is_cancelled(),
            aborted.await.expect_err("aborted").is_aborted(),
        ]
    });
    assert_eq!(ended, [true; 3]);
    assert_eq!(Arc::strong_count(&kept), 1, "the closures are dropped");
    assert!(!first.is_finished());
    open.send(()).expect("the first one waits");
    let after = runtime.spawn_blocking(|| 7);
    assert_eq!(runtime.block_on(after).expect("entries are passed over"), 7);
}

/// Control, tried: without the state `Withdrawn` the handle panics when it is polled once more.
#[test]
fn a_closure_that_was_withdrawn_stays_pending() {
    let runtime = Builder::new()
        .max_blocking_threads(1)
        .build()
        .expect("io_uring");
    runtime.block_on(async {
        // The only thread is busy, so the second closure does not begin before it is withdrawn.
        let first = spawn_blocking(|| std::thread::sleep(Duration::from_millis(30)));
        let rounds = Arc::new(AtomicUsize::new(0));
        let task = spawn({
            let rounds = rounds.clone();
            async move {
                let mut second = spawn_blocking(|| ());
                // Polls the handle in each round of the cleanup beside it.
                let mut beside = pin!(finally(pending::<()>(), async {
                    for _ in 0..20 {
                        sleep(5).await;
                    }
                }));
                poll_fn(|cx| {
                    let polled = Pin::new(&mut second).poll(cx).map(|_| ());
                    if cancel_requested() {
                        rounds.fetch_add(1, Ordering::SeqCst);
                        assert!(polled.is_pending());
                    }
                    beside.as_mut().poll(cx)
                })
                .await;
            }
        });
        sleep(10).await;
        task.cancel();
        assert!(task.await.expect_err("cancelled").is_cancelled());
        assert!(rounds.load(Ordering::SeqCst) > 10, "{rounds:?}");
        first.await.expect("it has ended");
    });
}

/// Control, tried: with the entries counted as they are in the queue the depth stays 2.
#[test]
fn a_closure_that_was_withdrawn_does_not_wait_for_a_thread() {
    let runtime = Builder::new()
        .max_blocking_threads(1)
        .build()
        .expect("io_uring");
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let (begin, begun) = std::sync::mpsc::channel::<()>();
    let first = runtime.spawn_blocking(move || {
        begin.send(()).expect("the test waits");
        gate.recv()
    });
    begun.recv().expect("the first closure begins");
    let depth = || runtime.metrics().blocking_queue_depth;
    let withdrawn = runtime.spawn_blocking(|| unreachable!("it is withdrawn"));
    let waiting = runtime.spawn_blocking(|| 7);
    assert_eq!(depth(), 2);
    withdrawn.abort();
    assert_eq!(depth(), 1);
    open.send(()).expect("the first one waits");
    assert_eq!(runtime.block_on(waiting).expect("its turn comes"), 7);
    assert!(runtime.block_on(first).expect("no panic").is_ok());
    assert_eq!(depth(), 0);
}
