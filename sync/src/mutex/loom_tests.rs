//! The interleavings of small scenarios. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p heist-sync --release --lib loom`.

use super::Mutex;
use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Two change a value and one gives up a wait, or has the lock if it was free. Loom checks that the
/// accesses are ordered; if the one that gives up kept the lock, somebody would wait for ever.
///
/// Controls, tried: a `Take` that keeps what it was granted when it is dropped; relaxed orderings of the word.
#[test]
fn loom_a_mutex_excludes_and_is_passed_on() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(|| {
        // A cell of loom's, since it cannot see into the mutex's own.
        let mutex = Arc::new(Mutex::new(UnsafeCell::new(0)));
        let change = |mutex: &Mutex<UnsafeCell<i32>>| {
            let guard = block_on(mutex.lock());
            guard.with_mut(|_| ());
        };
        let other = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || change(&mutex)
        });
        let canceller = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || {
                block_on(async {
                    let mut lock = pin!(mutex.lock());
                    poll_fn(|cx| {
                        if let Poll::Ready(guard) = lock.as_mut().poll(cx) {
                            guard.with_mut(|_| ());
                        }
                        Poll::Ready(())
                    })
                    .await;
                });
            }
        });
        change(&mutex);
        other.join().unwrap();
        canceller.join().unwrap();
        assert!(mutex.try_lock().is_ok());
    });
}
