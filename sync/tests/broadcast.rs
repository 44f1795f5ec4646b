//! The broadcast channel without any runtime: order, lagging, closing, cancellation, threads. The controls named
//! below were tried once each.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::broadcast::error::{RecvError, SendError, TryRecvError};
use heist_sync::broadcast::{self, Receiver, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;

/// Counts its clones and drops, and may panic when it is cloned.
struct Item {
    counts: Arc<[AtomicUsize; 2]>,
    panics: bool,
}

impl Clone for Item {
    fn clone(&self) -> Self {
        assert!(!self.panics, "as it is meant to");
        self.counts[0].fetch_add(1, SeqCst);
        Self {
            counts: Arc::clone(&self.counts),
            panics: false,
        }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.counts[1].fetch_add(1, SeqCst);
    }
}

fn item(panics: bool) -> (Item, Arc<[AtomicUsize; 2]>) {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let item = Item {
        counts: Arc::clone(&counts),
        panics,
    };
    (item, counts)
}

fn counted(counts: &[AtomicUsize; 2]) -> [usize; 2] {
    [counts[0].load(SeqCst), counts[1].load(SeqCst)]
}

/// Control: a `subscribe` that begins with the oldest item there is.
#[test]
fn everybody_gets_what_is_sent_while_subscribed() {
    let (sender, mut first) = broadcast::channel(3);
    assert_eq!(sender.send(1), Ok(1));
    let mut second = sender.subscribe();
    let mut third = first.resubscribe();
    assert_eq!((sender.receiver_count(), sender.strong_count()), (3, 1));
    assert_eq!(sender.clone().send(2), Ok(3));
    assert_eq!((first.len(), second.len(), sender.len()), (2, 1, 2));
    assert_eq!(block_on(first.recv()), Ok(1));
    assert_eq!(sender.len(), 1);
    for receiver in [&mut first, &mut second, &mut third] {
        assert!(!sender.is_empty());
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert!(receiver.is_empty());
    }
    assert!(sender.is_empty());
    assert!(first.same_channel(&second) && !first.is_closed());
    drop((first, second, third));
    assert_eq!(sender.send(3), Err(SendError(3)));
    let mut late = sender.subscribe();
    assert_eq!(sender.send(4), Ok(1));
    assert_eq!(late.blocking_recv(), Ok(4));
}

/// Control: in `Ring::read` a `missed` that is one more; an `oldest` that is one too late.
#[test]
fn the_slow_lose_the_oldest_and_are_told() {
    for capacity in 1..6_u64 {
        for extra in 0..20 {
            let (sender, mut receiver) = broadcast::channel(capacity as usize);
            let mut quick = sender.subscribe();
            for item in 0..capacity + extra {
                sender.send(item).unwrap();
                assert_eq!(quick.try_recv(), Ok(item));
            }
            assert_eq!(receiver.len() as u64, capacity + extra);
            assert_eq!(sender.len() as u64, capacity);
            if extra > 0 {
                assert_eq!(block_on(receiver.recv()), Err(RecvError::Lagged(extra)));
            }
            for item in extra..capacity + extra {
                assert_eq!(block_on(receiver.recv()), Ok(item));
            }
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

/// Control: a last sender that wakes nobody.
#[test]
fn the_end_comes_after_what_is_left() {
    let (sender, mut receiver) = broadcast::channel(2);
    let mut waiting = sender.subscribe();
    let other = sender.clone();
    sender.send(1).unwrap();
    assert_eq!(waiting.try_recv(), Ok(1));
    let waker = Counter::new();
    let mut recv = pin!(waiting.recv());
    assert!(poll_once(recv.as_mut(), &waker).is_pending());
    drop(sender);
    assert_eq!(waker.count(), 0);
    drop(other);
    assert_eq!(waker.count(), 1);
    assert_eq!(
        poll_once(recv.as_mut(), &waker),
        Poll::Ready(Err(RecvError::Closed))
    );
    assert!(receiver.is_closed());
    assert_eq!(block_on(receiver.recv()), Ok(1));
    assert_eq!(block_on(receiver.recv()), Err(RecvError::Closed));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

/// Dropped before its first poll, while it waits, and after it was woken.
///
/// Control: a `Recv` that keeps the waker of its first poll.
#[test]
fn a_cancelled_receive_loses_nothing_and_leaves_the_others_waiting() {
    for polls in 0..3 {
        let (sender, mut receiver) = broadcast::channel(4);
        let mut other = sender.subscribe();
        let (waker, others, last) = (Counter::new(), Counter::new(), Counter::new());
        let mut waiting = pin!(other.recv());
        assert!(poll_once(waiting.as_mut(), &others).is_pending());
        {
            let mut recv = pin!(receiver.recv());
            for _ in 0..polls {
                assert!(poll_once(recv.as_mut(), &waker).is_pending());
                // The waker of the last poll is the one that counts.
                assert!(poll_once(recv.as_mut(), &last).is_pending());
            }
            if polls == 2 {
                sender.send(1).unwrap();
                assert_eq!((waker.count(), last.count()), (0, 1));
            }
        }
        if polls < 2 {
            sender.send(1).unwrap();
            assert_eq!((waker.count(), last.count()), (0, 0));
        }
        assert_eq!(others.count(), 1);
        assert_eq!(poll_once(waiting.as_mut(), &others), Poll::Ready(Ok(1)));
        assert_eq!(receiver.try_recv(), Ok(1));
    }
}

/// Control: every receiver that is dropped wakes those who wait for the last one.
#[test]
fn a_sender_learns_that_nobody_listens() {
    let (sender, receiver) = broadcast::channel::<u32>(1);
    let other = sender.subscribe();
    let (waker, dropped) = (Counter::new(), Counter::new());
    let mut closed = pin!(sender.closed());
    assert!(poll_once(closed.as_mut(), &waker).is_pending());
    assert!(poll_once(pin!(sender.closed()), &dropped).is_pending());
    sender.send(1).unwrap();
    drop(receiver);
    assert_eq!(waker.count(), 0, "neither items nor others wake it");
    drop(other);
    assert_eq!((waker.count(), dropped.count()), (1, 0));
    assert!(poll_once(closed.as_mut(), &waker).is_ready());
    block_on(sender.closed());
    let _again = sender.subscribe();
    assert!(poll_once(pin!(sender.closed()), &waker).is_pending());
}

/// Control: a last reader that clones, or a receiver whose drop does not count as reading.
#[test]
fn items_are_cloned_for_all_but_the_last_and_dropped_early() {
    let (sender, mut first) = broadcast::channel(2);
    let second = sender.subscribe();
    let mut third = sender.subscribe();
    let (one, counts) = item(false);
    sender.send(one).unwrap_or_else(|_| unreachable!());
    drop(first.try_recv());
    assert_eq!(counted(&counts), [1, 1]);
    drop(second);
    assert_eq!(counted(&counts), [1, 1]);
    drop(third.try_recv());
    assert_eq!(
        counted(&counts),
        [1, 2],
        "the last one gets the item itself"
    );
    let (two, counts) = item(false);
    sender.send(two).unwrap_or_else(|_| unreachable!());
    drop((first, third));
    assert_eq!(counted(&counts), [0, 1], "nobody will read it");
}

/// Control: the position moved on after the clone.
#[test]
fn an_item_whose_clone_panics_counts_as_read() {
    let (sender, mut first) = broadcast::channel(2);
    let mut second = sender.subscribe();
    let (bad, bad_counts) = item(true);
    let (good, good_counts) = item(false);
    sender.send(bad).unwrap_or_else(|_| unreachable!());
    sender.send(good).unwrap_or_else(|_| unreachable!());
    let read = catch_unwind(AssertUnwindSafe(|| drop(first.try_recv())));
    assert!(read.is_err());
    assert!(first.try_recv().is_ok());
    assert!(matches!(first.try_recv(), Err(TryRecvError::Empty)));
    assert!(second.try_recv().is_ok(), "the last one needs no clone");
    assert!(second.try_recv().is_ok());
    assert_eq!(
        (counted(&bad_counts), counted(&good_counts)),
        ([0, 1], [1, 2])
    );
}

#[test]
#[should_panic(expected = "one item at least")]
fn no_capacity_is_refused() {
    let _ = broadcast::channel::<u32>(0);
}

/// Every receiver gets the items of each sender in order, each once, or is told how many it missed;
/// whoever is cancelled meanwhile.
///
/// Control: none here. Without the second look at the position in `Recv` a receiver may sleep on an item, but threads
/// hardly ever meet there (tried, with 20,000 items sent one by one, too); the loom models do.
#[test]
fn threads_get_every_item_exactly_once() {
    const SENDERS: u64 = 3;
    const ITEMS: u64 = 2000;
    for (round, capacity) in [1, 2, 7, 64, (SENDERS * ITEMS) as usize]
        .into_iter()
        .enumerate()
    {
        let (sender, receiver) = broadcast::channel(capacity);
        let receivers: Vec<Receiver<_>> = (0..2)
            .map(|_| sender.subscribe())
            .chain([receiver])
            .collect();
        let readers: Vec<_> = (0..)
            .zip(receivers)
            .map(|(id, mut receiver)| {
                let mut random = Rng::new(round as u64 * 16 + id);
                thread::spawn(move || {
                    let (mut received, mut missed) = (0, 0);
                    let mut last = [None; SENDERS as usize];
                    loop {
                        if random.below(4) == 0 {
                            let polled = poll_once(pin!(receiver.recv()), &Counter::new());
                            match polled {
                                Poll::Pending | Poll::Ready(Err(RecvError::Closed)) => continue,
                                Poll::Ready(Err(RecvError::Lagged(n))) => missed += n,
                                Poll::Ready(Ok((by, n))) => {
                                    assert!(last[by as usize].replace(n) < Some(n));
                                    received += 1;
                                }
                            }
                        }
                        match block_on(receiver.recv()) {
                            Ok((by, n)) => {
                                assert!(last[by as usize].replace(n) < Some(n));
                                received += 1;
                            }
                            Err(RecvError::Lagged(n)) => missed += n,
                            Err(RecvError::Closed) => return (received, missed),
                        }
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..SENDERS)
            .map(|by| {
                let sender: Sender<(u64, u64)> = sender.clone();
                thread::spawn(move || {
                    (0..ITEMS).for_each(|n| assert_eq!(sender.send((by, n)), Ok(3)))
                })
            })
            .collect();
        drop(sender);
        writers
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        for reader in readers {
            let (received, missed) = reader.join().unwrap();
            assert_eq!(received + missed, SENDERS * ITEMS);
            assert!(missed == 0 || capacity < (SENDERS * ITEMS) as usize);
        }
    }
}

#[test]
fn ends_and_futures_can_move_between_threads() {
    fn check<T: Send + Sync + Unpin>() {}
    fn check_value<T: Send>(_: T) {}
    check::<Sender<std::cell::Cell<u32>>>();
    check::<Receiver<std::cell::Cell<u32>>>();
    let (sender, mut receiver) = broadcast::channel::<std::cell::Cell<u32>>(1);
    check_value(sender.closed());
    check_value(receiver.recv());
}

/// Control: a `downgrade` that counts as a sender keeps the channel open.
#[test]
fn a_weak_sender_does_not_keep_the_channel_open() {
    let (sender, mut receiver) = broadcast::channel(2);
    let weak = sender.downgrade();
    let another = weak.clone();
    assert_eq!((sender.strong_count(), sender.weak_count()), (1, 2));
    assert_eq!(receiver.sender_weak_count(), 2);
    let upgraded = weak.upgrade().expect("there is one");
    assert_eq!((weak.strong_count(), weak.weak_count()), (2, 2));
    drop(sender);
    upgraded.send(1).unwrap();
    assert_eq!(receiver.try_recv(), Ok(1));
    drop(upgraded);
    assert!(receiver.is_closed());
    assert!(weak.upgrade().is_none());
    drop((weak, another));
    assert_eq!(receiver.sender_weak_count(), 0);
}
