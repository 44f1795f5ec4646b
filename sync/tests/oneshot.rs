//! The oneshot channel without any runtime: outcomes, closing, wakers, drops, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::oneshot::error::{RecvError, TryRecvError};
use heist_sync::oneshot::{self, Receiver, Sender};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

/// Counts how often it is dropped.
#[derive(Debug)]
struct Item(Arc<AtomicUsize>);

impl Drop for Item {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<T>(receiver: &mut Receiver<T>, waker: &Arc<Counter>) -> Poll<Result<T, RecvError>> {
    poll_once(Pin::new(receiver), waker)
}

/// Control, tried: a `send` that does not wake.
#[test]
fn a_value_sent_before_or_during_the_wait_arrives() {
    let (sender, receiver) = oneshot::channel();
    sender.send(1).unwrap();
    assert_eq!(block_on(receiver), Ok(1));

    let (sender, mut receiver) = oneshot::channel();
    let waker = Counter::new();
    assert!(poll(&mut receiver, &waker).is_pending());
    assert!(poll(&mut receiver, &waker).is_pending());
    sender.send(2).unwrap();
    assert_eq!(waker.count(), 1);
    assert!(!receiver.is_terminated());
    assert_eq!(poll(&mut receiver, &waker), Poll::Ready(Ok(2)));
    assert!(receiver.is_terminated());
}

/// Control, tried: a poll that answers with an error.
#[test]
#[should_panic(expected = "polled again after it was done")]
fn polling_it_again_panics() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    let waker = Counter::new();
    assert!(poll(&mut receiver, &waker).is_ready());
    let _ = poll(&mut receiver, &waker);
}

/// Control, tried: an end that does not wake the other.
#[test]
fn a_dropped_sender_fails_the_receiver() {
    let (sender, mut receiver) = oneshot::channel::<u32>();
    let waker = Counter::new();
    assert!(poll(&mut receiver, &waker).is_pending());
    drop(sender);
    assert_eq!(waker.count(), 1);
    let Poll::Ready(Err(error)) = poll(&mut receiver, &waker) else {
        panic!("nothing will be sent");
    };
    assert_eq!(
        error.to_string(),
        "the channel is closed and nothing was sent"
    );
    assert!(receiver.is_terminated());
}

/// Control, tried: a `send` that forgets what it cannot hand over.
#[test]
fn a_dropped_receiver_returns_the_value_to_the_sender() {
    let (sender, receiver) = oneshot::channel();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send("back"), Err("back"));
}

/// Control, tried: `close` that takes a value away with it fails the first half, one that does not set the bit the
/// second.
#[test]
fn closing_keeps_what_was_sent_and_refuses_the_rest() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    receiver.close();
    assert_eq!(block_on(receiver), Ok(1));

    let (sender, mut receiver) = oneshot::channel();
    receiver.close();
    receiver.close();
    assert_eq!(sender.send(2), Err(2));
    assert!(block_on(receiver).is_err());
}

/// Control, tried: a `try_recv` that looks for a value only, and not for the end.
#[test]
fn trying_says_whether_to_wait() {
    let (sender, mut receiver) = oneshot::channel();
    assert!(receiver.is_empty());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.send(3).unwrap();
    assert!(!receiver.is_empty());
    assert_eq!(receiver.try_recv(), Ok(3));
    assert!(receiver.is_empty() && receiver.is_terminated());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));

    let (sender, mut receiver) = oneshot::channel::<u32>();
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));

    let (_sender, mut receiver) = oneshot::channel::<u32>();
    receiver.close();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

/// Controls, tried: a `close` that does not wake; a drop that does not.
#[test]
fn the_sender_learns_that_nobody_waits() {
    for close in [true, false] {
        let (mut sender, mut receiver) = oneshot::channel::<u32>();
        let waker = Counter::new();
        {
            let mut closed = pin!(sender.closed());
            assert!(poll_once(closed.as_mut(), &waker).is_pending());
            assert!(poll_once(closed.as_mut(), &waker).is_pending());
            if close {
                receiver.close();
            } else {
                drop(receiver);
            }
            assert_eq!(waker.count(), 1);
            assert!(poll_once(closed.as_mut(), &waker).is_ready());
        }
        block_on(sender.closed());
        assert!(sender.is_closed());
    }
}

/// Control, tried: a `register` that keeps the waker it has.
#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let (sender, mut receiver) = oneshot::channel();
    let (old, new) = (Counter::new(), Counter::new());
    assert!(poll(&mut receiver, &old).is_pending());
    assert!(poll(&mut receiver, &new).is_pending());
    assert_eq!(Arc::strong_count(&old), 1, "the first waker was let go");
    sender.send(1).unwrap();
    assert_eq!((old.count(), new.count()), (0, 1));
    assert_eq!(Arc::strong_count(&new), 1);
}

/// Each end may go first, having waited or not, with a value or none: every value is dropped once, and no waker stays
/// behind. Control, tried: a change of state that leaves the waker bits alone.
#[test]
fn whoever_goes_last_leaves_nothing_behind() {
    for schedule in 0..32 {
        let bit = |n: u32| schedule & (1 << n) != 0;
        let drops = Arc::new(AtomicUsize::new(0));
        let waker = Counter::new();
        let (mut sender, mut receiver) = oneshot::channel();
        if bit(0) {
            assert!(poll(&mut receiver, &waker).is_pending());
        }
        if bit(1) {
            assert!(poll_once(pin!(sender.closed()), &waker).is_pending());
        }
        let item = Item(Arc::clone(&drops));
        let send = |sender: Sender<Item>, item| {
            if bit(2) {
                drop(sender.send(item));
            } else {
                drop(sender);
                drop(item);
            }
        };
        if bit(3) {
            send(sender, item);
            if bit(4) {
                assert!(poll(&mut receiver, &waker).is_ready());
            }
            drop(receiver);
        } else {
            drop(receiver);
            send(sender, item);
        }
        assert_eq!(drops.load(SeqCst), 1, "schedule {schedule}");
        assert_eq!(Arc::strong_count(&waker), 1, "schedule {schedule}");
    }
}

/// Wakes by dropping the other end, which would be a use after free if the channel were touched
/// after the change of state that took the waker.
struct Dropper(std::sync::Mutex<Option<Receiver<Vec<u32>>>>);

impl Wake for Dropper {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().expect("nobody panics").take());
    }
}

#[test]
fn a_waker_may_free_the_channel() {
    let (sender, receiver) = oneshot::channel();
    let dropper = Arc::new(Dropper(std::sync::Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&dropper));
    let mut place = dropper.0.lock().unwrap();
    let receiver = place.insert(receiver);
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(receiver).poll(&mut cx).is_pending());
    drop(place);
    sender.send(vec![1, 2, 3]).unwrap();
}

/// Control, tried: a `send` that does not wake.
#[test]
fn a_thread_can_block_for_the_value() {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::spawn(move || receiver.blocking_recv());
    thread::sleep(std::time::Duration::from_millis(5));
    sender.send(4).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(4));
    let (sender, receiver) = oneshot::channel::<u32>();
    drop(sender);
    assert!(receiver.blocking_recv().is_err());
}

/// Control, tried: without the look at who blocks.
#[test]
fn blocking_in_a_task_panics() {
    heist_runtime::block_on(async {
        let task = heist_runtime::spawn(async {
            let (_sender, receiver) = oneshot::channel::<u32>();
            let _ = receiver.blocking_recv();
        });
        assert!(task.await.is_err());
    });
}

/// Sending, dropping, closing, waiting with changing wakers, from two threads at a time: what was sent was received,
/// returned or dropped, exactly once. Control, tried: `leave` that forgets a value.
#[test]
fn threads_lose_and_double_no_value() {
    const ROUNDS: usize = 20_000;
    let drops = Arc::new(AtomicUsize::new(0));
    let (mut received, mut returned) = (0, 0);
    let (to_peer, from_main) = std::sync::mpsc::channel::<Sender<Item>>();
    let count = Arc::clone(&drops);
    let peer = thread::spawn(move || {
        let mut random = Rng::new(1);
        let mut returned = 0;
        while let Ok(sender) = from_main.recv() {
            for _ in 0..random.below(200) {
                std::hint::spin_loop();
            }
            if random.below(8) == 0 {
                drop(sender);
                count.fetch_add(1, SeqCst);
            } else {
                returned += usize::from(sender.send(Item(Arc::clone(&count))).is_err());
            }
        }
        returned
    });
    let mut random = Rng::new(2);
    for _ in 0..ROUNDS {
        let (sender, mut receiver) = oneshot::channel();
        to_peer.send(sender).unwrap();
        match random.below(4) {
            0 => drop(receiver),
            1 => {
                receiver.close();
                received += usize::from(receiver.try_recv().is_ok());
            }
            2 => {
                for _ in 0..random.below(4) {
                    if let Poll::Ready(outcome) = poll(&mut receiver, &Counter::new()) {
                        received += usize::from(outcome.is_ok());
                        break;
                    }
                }
            }
            _ => received += usize::from(block_on(receiver).is_ok()),
        }
    }
    drop(to_peer);
    returned += peer.join().unwrap();
    assert_eq!(drops.load(SeqCst), ROUNDS);
    assert!(received > 0 && returned > 0, "{received}, {returned}");
}

/// Control, tried: without the `unsafe impl` of `Sync` for its ends this does not compile.
#[test]
fn ends_can_move_between_threads() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<Sender<std::cell::Cell<u32>>>();
    check::<Receiver<std::cell::Cell<u32>>>();
}
