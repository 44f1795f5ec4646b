//! The interleavings of small scenarios. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p heist-sync --release --lib loom`.

use super::channel;
use loom::future::block_on;
use loom::thread;

/// Explores every interleaving with up to two involuntary switches of threads.
fn model(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(scenario);
}

/// Control, tried: a change that wakes nobody.
#[test]
fn loom_a_change_is_not_missed() {
    model(|| {
        let (sender, mut receiver) = channel(0);
        let thread = thread::spawn(move || {
            sender.send_replace(1);
            sender
        });
        // If it missed the change it would wait for ever and loom would say so.
        assert!(block_on(receiver.changed()).is_ok());
        assert_eq!(*receiver.borrow_and_update(), 1);
        drop(thread.join().unwrap());
        assert!(block_on(receiver.changed()).is_err());
    });
}

/// Control, tried: a `changed` that looks for the end first.
#[test]
fn loom_the_end_and_the_last_value_are_seen() {
    model(|| {
        let (sender, mut receiver) = channel(0);
        let other = receiver.clone();
        let thread = thread::spawn(move || {
            sender.send_replace(1);
            drop(sender);
        });
        let mut last = 0;
        while block_on(receiver.changed()).is_ok() {
            last = *receiver.borrow_and_update();
        }
        assert_eq!(last, 1);
        drop(other);
        thread.join().unwrap();
    });
}

/// Control, tried: a last receiver that wakes nobody.
#[test]
fn loom_the_last_receiver_is_missed() {
    model(|| {
        let (sender, receiver) = channel(0);
        let thread = thread::spawn(move || drop(receiver));
        block_on(sender.closed());
        assert!(sender.send(1).is_err());
        thread.join().unwrap();
    });
}
