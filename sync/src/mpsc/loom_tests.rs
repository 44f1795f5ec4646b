//! The interleavings of small scenarios. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p heist-sync --release --lib loom`.

use super::error::TryRecvError;
use super::{channel, unbounded_channel};
use loom::future::block_on;
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

/// Polls a future once, as a task that gives up would.
fn once<F: Future>(future: F) -> Option<F::Output> {
    block_on(async {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    })
}

/// A lost wake-up would block the receiver for ever, which loom reports.
///
/// Control, tried: a claim that does not look whether its exchange has succeeded.
#[test]
fn loom_two_senders_reach_a_receiver_that_waits() {
    model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let threads = [1, 2].map(|item| {
            let sender = sender.clone();
            thread::spawn(move || sender.send(item).unwrap())
        });
        let sum = block_on(receiver.recv()).unwrap() + block_on(receiver.recv()).unwrap();
        assert_eq!(sum, 3);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Two senders claim places at once, up to the end, which is in the second block here.
///
/// Control, tried: a claim that does not look whether its exchange has succeeded.
#[test]
fn loom_blocks_are_linked_and_the_end_comes_last() {
    model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let other = sender.clone();
        let thread = thread::spawn(move || {
            other.send(1).unwrap();
            other.send(2).unwrap();
        });
        sender.send(4).unwrap();
        drop(sender);
        let mut sum = 0;
        while let Some(item) = block_on(receiver.recv()) {
            sum += item;
        }
        assert_eq!(sum, 7);
        thread.join().unwrap();
    });
}

/// Control, tried: a sender that does not wake.
#[test]
fn loom_a_full_channel_lets_senders_in_by_turns() {
    model(|| {
        let (sender, mut receiver) = channel(1);
        let thread = thread::spawn(move || {
            for item in 0..2 {
                block_on(sender.send(item)).unwrap();
            }
        });
        assert_eq!(block_on(receiver.recv()), Some(0));
        assert_eq!(block_on(receiver.recv()), Some(1));
        assert_eq!(block_on(receiver.recv()), None);
        thread.join().unwrap();
    });
}

/// Control, tried: room that is given back without a nudge.
#[test]
fn loom_a_closed_receiver_waits_for_room_that_is_given_back() {
    model(|| {
        let (sender, mut receiver) = channel::<u32>(1);
        let other = sender.clone();
        let thread = thread::spawn(move || drop(other.try_reserve()));
        receiver.close();
        assert_eq!(block_on(receiver.recv()), None);
        thread.join().unwrap();
        drop(sender);
    });
}

/// Control, tried: a `Take` that keeps what it was granted when it is dropped.
#[test]
fn loom_a_cancelled_send_gives_its_room_to_the_next() {
    model(|| {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).unwrap();
        let other = sender.clone();
        let canceller = thread::spawn(move || once(other.send(1)).is_some());
        let mut send = pin!(sender.send(2));
        assert!(once(send.as_mut()).is_none(), "there is no room");
        assert_eq!(block_on(receiver.recv()), Some(0));
        let mut received = 0;
        block_on(poll_fn(|cx| {
            while let Poll::Ready(Some(_)) = receiver.poll_recv(cx) {
                received += 1;
            }
            send.as_mut().poll(cx)
        }))
        .unwrap();
        while receiver.try_recv().is_ok() {
            received += 1;
        }
        let sent = canceller.join().unwrap();
        received += usize::from(receiver.try_recv().is_ok());
        assert_eq!(received, 1 + usize::from(sent));
    });
}

/// Controls, tried: a `send` that does not look for the end; a `try_recv` that does not wait for what is being sent.
#[test]
fn loom_sending_races_with_shutting() {
    model(|| {
        let (sender, mut receiver) = unbounded_channel();
        let thread = thread::spawn(move || sender.send(7).is_ok());
        receiver.close();
        let received = block_on(receiver.recv());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(received.is_some(), thread.join().unwrap());
    });
}
