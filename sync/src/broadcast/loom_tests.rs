//! The interleavings of small scenarios. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p heist-sync --release --lib loom`.

use super::channel;
use super::error::RecvError;
use loom::future::block_on;
use loom::thread;

/// Explores every interleaving with up to two involuntary switches of threads.
fn model(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(scenario);
}

/// A lost wake-up would block a receiver for ever, which loom reports. The sender lives until everybody has the item,
/// as its end wakes all who wait.
///
/// Control, tried: a `Recv` that enqueues itself without the second look at the position.
#[test]
fn loom_everybody_gets_the_item() {
    model(|| {
        let (sender, mut receiver) = channel(2);
        let mut other = sender.subscribe();
        let thread = thread::spawn(move || assert_eq!(block_on(other.recv()), Ok(1)));
        let sending = thread::spawn(move || {
            assert_eq!(sender.send(1).ok(), Some(2));
            sender
        });
        assert_eq!(block_on(receiver.recv()), Ok(1));
        thread.join().unwrap();
        drop(sending.join().unwrap());
    });
}

/// Control, tried: a last sender that wakes nobody.
#[test]
fn loom_everybody_gets_the_item_and_the_end() {
    model(|| {
        let (sender, mut receiver) = channel(2);
        let mut other = sender.subscribe();
        let thread = thread::spawn(move || {
            assert_eq!(block_on(other.recv()), Ok(1));
            assert_eq!(block_on(other.recv()), Err(RecvError::Closed));
        });
        let sending = thread::spawn(move || assert_eq!(sender.send(1).ok(), Some(2)));
        assert_eq!(block_on(receiver.recv()), Ok(1));
        assert_eq!(block_on(receiver.recv()), Err(RecvError::Closed));
        thread.join().unwrap();
        sending.join().unwrap();
    });
}

/// A receiver reads while the one place is overwritten: it gets each item in its turn, or learns that it missed it.
///
/// Control, tried: a send that puts the item and its position into the slot under two locks.
#[test]
fn loom_overwriting_races_with_reading() {
    model(|| {
        let (sender, mut receiver) = channel(1);
        let thread = thread::spawn(move || {
            for item in 0..3_u64 {
                assert!(sender.send(item).is_ok());
            }
        });
        let mut expected = 0;
        loop {
            match block_on(receiver.recv()) {
                Ok(item) => {
                    assert_eq!(item, expected);
                    expected += 1;
                }
                Err(RecvError::Lagged(missed)) => expected += missed,
                Err(RecvError::Closed) => break,
            }
        }
        assert_eq!(expected, 3);
        thread.join().unwrap();
    });
}

/// Two receivers end while a sender waits for there being none: whichever is the last wakes it.
///
/// Control, tried: a `Closed` that looks at the count before it has the lock under which it enqueues itself.
#[test]
fn loom_the_last_receiver_ends_the_wait_for_that() {
    model(|| {
        let (sender, receiver) = channel::<u32>(1);
        let other = sender.subscribe();
        let threads = [receiver, other].map(|receiver| thread::spawn(move || drop(receiver)));
        block_on(sender.closed());
        assert_eq!(sender.receiver_count(), 0);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
