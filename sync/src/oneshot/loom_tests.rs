//! The interleavings of small scenarios. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p heist-sync --release --lib loom`.

use super::error::TryRecvError;
use super::{Receiver, channel};
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::SeqCst;
use loom::thread;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Poll, Wake, Waker};

/// Explores every interleaving with up to three involuntary switches of threads.
fn model(scenario: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(scenario);
}

/// A value that counts how often it is dropped, and lets loom check who reads it when.
struct Item {
    drops: Arc<AtomicUsize>,
    content: loom::cell::UnsafeCell<u32>,
}

impl Item {
    fn new(drops: &Arc<AtomicUsize>) -> Self {
        Self {
            drops: Arc::clone(drops),
            content: loom::cell::UnsafeCell::new(7),
        }
    }

    fn check(&self) {
        self.content.with_mut(|_| ());
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.check();
        self.drops.fetch_add(1, SeqCst);
    }
}

/// A waker that is another one each time, to make the receiver change it.
struct Relay(Waker);

impl Wake for Relay {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// Waits with a waker that changes at each poll, once more than there are wake-ups.
async fn restless<T>(mut receiver: Receiver<T>) -> Option<T> {
    poll_fn(move |cx| {
        for _ in 0..2 {
            let relay = Waker::from(std::sync::Arc::new(Relay(cx.waker().clone())));
            let mut cx = std::task::Context::from_waker(&relay);
            if let Poll::Ready(outcome) = Pin::new(&mut receiver).poll(&mut cx) {
                return Poll::Ready(outcome.ok());
            }
        }
        Poll::Pending
    })
    .await
}

/// Controls, tried: a `send` that does not wake; relaxed orderings of the state.
#[test]
fn loom_a_value_arrives_and_wakes() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = channel();
        let item = Item::new(&drops);
        let thread = thread::spawn(move || assert!(sender.send(item).is_ok()));
        let item = block_on(receiver).unwrap();
        item.check();
        drop(item);
        thread.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// Controls, tried: a `send` that does not wake; relaxed orderings of the state.
#[test]
fn loom_a_changed_waker_is_the_one_that_is_woken() {
    model(|| {
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || assert!(sender.send(7).is_ok()));
        // A torn or a stale waker would crash, or leave this waiting, which loom reports.
        assert_eq!(block_on(restless(receiver)), Some(7));
        thread.join().unwrap();
    });
}

/// Control, tried: an end that does not wake the other.
#[test]
fn loom_a_dropped_sender_is_noticed() {
    model(|| {
        let (sender, receiver) = channel::<u32>();
        let thread = thread::spawn(move || drop(sender));
        assert_eq!(block_on(restless(receiver)), None);
        thread.join().unwrap();
    });
}

/// Control, tried: an end that forgets the value it finds when it goes.
#[test]
fn loom_sending_races_with_dropping_the_receiver() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (sender, mut receiver) = channel();
        let item = Item::new(&drops);
        let thread = thread::spawn(move || drop(sender.send(item)));
        block_on(poll_fn(|cx| {
            let _ = Pin::new(&mut receiver).poll(cx);
            Poll::Ready(())
        }));
        drop(receiver);
        thread.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1, "the item is dropped once, by either");
    });
}

/// Controls, tried: a `close` that does not set the bit; one that takes a value away with it.
#[test]
fn loom_sending_races_with_closing() {
    model(|| {
        let (sender, mut receiver) = channel();
        let thread = thread::spawn(move || sender.send(7).is_ok());
        receiver.close();
        let received = receiver.try_recv();
        let sent = thread.join().unwrap();
        let expected = if sent {
            Ok(7)
        } else {
            Err(TryRecvError::Closed)
        };
        assert_eq!(received, expected);
    });
}

/// Control, tried: an end that does not wake the other.
#[test]
fn loom_closing_wakes_the_sender_and_both_leave() {
    model(|| {
        let (mut sender, receiver) = channel::<u32>();
        let thread = thread::spawn(move || drop(receiver));
        block_on(sender.closed());
        assert_eq!(sender.send(7), Err(7));
        thread.join().unwrap();
    });
}

/// Controls, tried: an end that goes and leaves the waker bits alone; relaxed orderings of the state.
#[test]
fn loom_both_wait_and_both_leave() {
    model(|| {
        let (mut sender, mut receiver) = channel::<u32>();
        let thread = thread::spawn(move || {
            block_on(poll_fn(|cx| {
                let _ = sender.poll_closed(cx);
                Poll::Ready(())
            }));
            drop(sender);
        });
        block_on(poll_fn(|cx| {
            let _ = Pin::new(&mut receiver).poll(cx);
            Poll::Ready(())
        }));
        drop(receiver);
        thread.join().unwrap();
    });
}
