//! The interleavings of small scenarios. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p heist-sync --release --lib loom`.

use super::{Notify, PERMIT};
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Explores every interleaving with up to two involuntary switches of threads.
fn model(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(scenario);
}

/// Waits, but drops the future after its first poll if that was not enough.
fn wait_or_cancel(notify: &Notify) -> bool {
    block_on(async {
        let mut notified = pin!(notify.notified());
        poll_fn(|cx| Poll::Ready(notified.as_mut().poll(cx).is_ready())).await
    })
}

/// Fails if a cancelled waiter keeps the notification: the other would wait for ever, and loom says
/// so.
///
/// Controls, tried: a drop that keeps the notification; a `notify_one` that finds nobody and leaves `WAITERS` set.
#[test]
fn loom_a_cancelled_waiter_passes_its_notification_on() {
    model(|| {
        let notify = Arc::new(Notify::new());
        let canceller = thread::spawn({
            let notify = Arc::clone(&notify);
            move || {
                if wait_or_cancel(&notify) {
                    notify.notify_one();
                }
            }
        });
        let notifier = thread::spawn({
            let notify = Arc::clone(&notify);
            move || notify.notify_one()
        });
        block_on(notify.notified());
        canceller.join().unwrap();
        notifier.join().unwrap();
        assert_eq!(notify.word.load(Relaxed) & PERMIT, 0, "no permit");
        notify.notify_one();
        assert_eq!(notify.word.load(Relaxed), PERMIT, "no waiters");
    });
}

/// Fails with relaxed orderings of the word, or if the permit is set without a compare-and-swap when
/// it is there already: the item of the second might not be seen.
///
/// Control, tried: a `notify_one` that does nothing if the permit is there.
#[test]
fn loom_look_and_wait_misses_no_item() {
    model(|| {
        let shared = Arc::new((AtomicUsize::new(0), Notify::new()));
        let senders = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.0.fetch_add(1, Relaxed);
                shared.1.notify_one();
            })
        });
        let (items, notify) = &*shared;
        while items.load(Relaxed) < 2 {
            block_on(notify.notified());
        }
        for sender in senders {
            sender.join().unwrap();
        }
        notify.notify_one();
        assert_eq!(notify.word.load(Relaxed), PERMIT, "no waiters");
    });
}

/// Fails if the count is read too late: the wait made before the look would miss the call.
///
/// Control, tried: a `notify_waiters` that counts, but releases nobody.
#[test]
fn loom_everybody_is_reached_between_the_look_and_the_poll() {
    model(|| {
        let shared = Arc::new((AtomicUsize::new(0), Notify::new()));
        let waiter = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let notified = shared.1.notified();
                if shared.0.load(Relaxed) == 0 {
                    block_on(notified);
                }
            }
        });
        let notifier = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                shared.0.store(1, Relaxed);
                shared.1.notify_waiters();
            }
        });
        let notified = shared.1.notified();
        if shared.0.load(Relaxed) == 0 {
            block_on(notified);
        }
        waiter.join().unwrap();
        notifier.join().unwrap();
        assert_eq!(shared.1.word.load(Relaxed) & 3, 0);
    });
}

/// One is notified alone while everybody is: nobody waits for ever, and what was meant for one alone
/// is a permit or was taken.
///
/// Control, tried: a `notify_waiters` that leaves `WAITERS` set.
#[test]
fn loom_one_and_everybody_at_a_time() {
    model(|| {
        let notify = Arc::new(Notify::new());
        let mut early = Box::pin(notify.notified());
        early.as_mut().enable();
        let one = thread::spawn({
            let notify = Arc::clone(&notify);
            move || notify.notify_last()
        });
        let all = thread::spawn({
            let notify = Arc::clone(&notify);
            move || notify.notify_waiters()
        });
        block_on(early.as_mut());
        one.join().unwrap();
        all.join().unwrap();
        drop(early);
        assert_eq!(notify.word.load(Relaxed) & super::WAITERS, 0);
    });
}
