//! Channels of many items without any runtime: order, room, closing, cancellation, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::mpsc::error::{SendError, SendTimeoutError, TryRecvError, TrySendError};
use heist_sync::mpsc::{self, OwnedPermit, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

/// Counts how often it is dropped.
struct Item(Arc<AtomicUsize>);

impl Drop for Item {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// More than a few blocks. Control, tried: a block freed one slot too early, or linked one too late.
#[test]
fn items_come_in_the_order_in_which_they_were_sent() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for round in 0..5 {
        for item in 0..100 {
            sender.send(round * 100 + item).unwrap();
        }
        assert_eq!(receiver.len(), 100);
        for item in 0..100 {
            assert_eq!(receiver.try_recv(), Ok(round * 100 + item));
        }
        assert!(receiver.is_empty());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }
    sender.send(7).unwrap();
    drop(sender);
    assert_eq!((receiver.len(), receiver.is_closed()), (1, true));
    assert_eq!(block_on(receiver.recv()), Some(7));
    assert_eq!(block_on(receiver.recv()), None);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

/// Control, tried: a `recv_many` that gives back the room of one item.
#[test]
fn a_full_channel_holds_senders_back_in_turn() {
    let (sender, mut receiver) = mpsc::channel(2);
    assert_eq!((sender.capacity(), sender.max_capacity()), (2, 2));
    sender.try_send(0).unwrap();
    block_on(sender.send(1)).unwrap();
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    let wakers = [Counter::new(), Counter::new()];
    let mut first = pin!(sender.send(2));
    let mut second = pin!(sender.send(3));
    assert!(poll_once(first.as_mut(), &wakers[0]).is_pending());
    assert!(poll_once(second.as_mut(), &wakers[1]).is_pending());
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!((wakers[0].count(), wakers[1].count()), (1, 0));
    assert_eq!(
        sender.try_send(9),
        Err(TrySendError::Full(9)),
        "the room is taken"
    );
    assert_eq!(receiver.try_recv(), Ok(1));
    assert!(poll_once(first.as_mut(), &wakers[0]).is_ready());
    assert!(poll_once(second.as_mut(), &wakers[1]).is_ready());
    let mut rest = Vec::new();
    assert_eq!(block_on(receiver.recv_many(&mut rest, 9)), 2);
    assert_eq!(rest, [2, 3]);
    assert_eq!(sender.capacity(), 2);
}

/// Controls, tried: a receiver that keeps the waker of its first poll; an end that does not wake.
#[test]
fn only_a_receiver_that_waits_is_woken_and_by_its_last_waker() {
    let (sender, mut receiver) = mpsc::channel(8);
    let (old, new) = (Counter::new(), Counter::new());
    {
        let mut recv = pin!(receiver.recv());
        assert!(poll_once(recv.as_mut(), &old).is_pending());
        assert!(poll_once(recv.as_mut(), &new).is_pending());
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert_eq!((old.count(), new.count()), (0, 1));
        assert_eq!(poll_once(recv.as_mut(), &new), Poll::Ready(Some(1)));
    }
    assert_eq!(Arc::strong_count(&old), 1);
    assert_eq!(block_on(receiver.recv()), Some(2));
    assert!(poll_once(pin!(receiver.recv()), &old).is_pending());
    drop(sender);
    assert_eq!(old.count(), 1, "the end wakes it too");
    assert_eq!(block_on(receiver.recv()), None);
    assert_eq!(Arc::strong_count(&old), 1);
}

/// Dropped before the first poll, after it, when room was given, at every place of the queue. Control, tried: a wait
/// that keeps the room it was given.
#[test]
fn a_cancelled_send_or_reserve_gives_its_room_to_the_next() {
    for stage in 0..3 {
        for reserve in [false, true] {
            let (sender, mut receiver) = mpsc::channel(1);
            sender.try_send(0).unwrap();
            let (waker, next) = (Counter::new(), Counter::new());
            let mut second;
            {
                let mut send = pin!(sender.send(1));
                let mut hold = pin!(sender.reserve());
                if stage > 0 && reserve {
                    assert!(poll_once(hold.as_mut(), &waker).is_pending());
                } else if stage > 0 {
                    assert!(poll_once(send.as_mut(), &waker).is_pending());
                }
                second = Box::pin(sender.send(2));
                assert!(poll_once(second.as_mut(), &next).is_pending());
                if stage == 2 {
                    assert_eq!(receiver.try_recv(), Ok(0));
                    assert_eq!((waker.count(), next.count()), (1, 0));
                }
            }
            if stage < 2 {
                assert_eq!(receiver.try_recv(), Ok(0));
            }
            assert_eq!(next.count(), 1);
            assert!(poll_once(second.as_mut(), &next).is_ready());
            assert_eq!(
                receiver.try_recv(),
                Ok(2),
                "what was cancelled was not sent"
            );
            assert_eq!(sender.capacity(), 1);
        }
    }
}

/// Control, tried: a receive that gives no room back.
#[test]
fn a_cancelled_receive_loses_nothing() {
    let (sender, mut receiver) = mpsc::channel(4);
    let waker = Counter::new();
    for item in 0..100 {
        assert!(poll_once(pin!(receiver.recv()), &waker).is_pending());
        let mut buffer = Vec::new();
        assert!(poll_once(pin!(receiver.recv_many(&mut buffer, 4)), &waker).is_pending());
        sender.try_send(item).unwrap();
        drop(receiver.recv());
        assert_eq!(receiver.try_recv(), Ok(item));
    }
}

/// Control, tried: room given back without a nudge leaves the receiver waiting.
#[test]
fn a_closed_channel_lasts_as_long_as_reserved_room() {
    let (sender, mut receiver) = mpsc::channel(4);
    let waker = Counter::new();
    sender.try_send(0).unwrap();
    let used = sender.try_reserve().unwrap();
    let unused = sender.try_reserve_many(2).unwrap();
    receiver.close();
    assert!(receiver.is_closed() && sender.is_closed());
    assert_eq!(sender.try_send(9), Err(TrySendError::Closed(9)));
    assert!(block_on(sender.send(9)).is_err());
    block_on(sender.closed());
    assert_eq!(block_on(receiver.recv()), Some(0));
    assert!(poll_once(pin!(receiver.recv()), &waker).is_pending());
    used.send(1);
    assert_eq!(waker.count(), 1);
    assert_eq!(block_on(receiver.recv()), Some(1));
    assert!(poll_once(pin!(receiver.recv()), &waker).is_pending());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(unused);
    assert_eq!(waker.count(), 2);
    assert!(receiver.is_empty());
    assert_eq!(block_on(receiver.recv()), None);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
}

/// The room was given to a sender that is cancelled after the receiver has closed.
///
/// Control, tried: a wait for room that does not nudge the receiver when it is dropped.
#[test]
fn a_cancelled_sender_ends_a_closed_channel() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let (waker, end) = (Counter::new(), Counter::new());
    {
        let mut send = pin!(sender.send(1));
        assert!(poll_once(send.as_mut(), &waker).is_pending());
        assert_eq!(receiver.try_recv(), Ok(0));
        receiver.close();
        assert!(poll_once(pin!(receiver.recv()), &end).is_pending());
    }
    assert_eq!(end.count(), 1);
    assert_eq!(block_on(receiver.recv()), None);
}

/// Controls, tried: an owned permit that keeps its room; a `PermitIterator` that does.
#[test]
fn permits_send_release_and_return_what_is_left() {
    let (sender, mut receiver) = mpsc::channel(3);
    assert!(block_on(sender.reserve_many(4)).is_err());
    let mut permits = block_on(sender.reserve_many(3)).unwrap();
    assert_eq!((permits.len(), sender.capacity()), (3, 0));
    permits.next().unwrap().send(1);
    drop(permits.next());
    assert_eq!(sender.capacity(), 1);
    drop(permits);
    assert_eq!(sender.capacity(), 2);
    let owned: OwnedPermit<_> = block_on(sender.clone().reserve_owned()).unwrap();
    assert!(owned.same_channel_as_sender(&sender));
    let again = owned.send(2);
    assert!(again.same_channel(&sender));
    let again = again.try_reserve_owned().unwrap().release();
    drop(again.try_reserve_owned().unwrap());
    assert_eq!((sender.strong_count(), sender.capacity()), (1, 1));
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(1), Ok(2)));
}

/// Control, tried: a `downgrade` that counts as a sender.
#[test]
fn weak_senders_do_not_keep_it_open() {
    let (sender, mut receiver) = mpsc::channel(1);
    let weak = sender.downgrade();
    assert_eq!((weak.strong_count(), weak.weak_count()), (1, 1));
    weak.upgrade().unwrap().try_send(1).unwrap();
    drop(sender);
    assert!(weak.upgrade().is_none());
    assert_eq!(block_on(receiver.recv()), Some(1));
    assert_eq!(block_on(receiver.recv()), None);
}

/// Control, tried: no time at all, whatever the limit is.
#[test]
fn a_send_gives_up_when_its_time_is_over() {
    heist_runtime::block_on(async {
        let (sender, mut receiver) = mpsc::channel(1);
        let (short, long) = (Duration::from_millis(5), Duration::from_secs(60));
        assert_eq!(sender.send_timeout(0, Duration::ZERO).await, Ok(()));
        let start = std::time::Instant::now();
        assert_eq!(
            sender.send_timeout(1, short).await,
            Err(SendTimeoutError::Timeout(1))
        );
        assert!(start.elapsed() >= short);
        let waiter = {
            let sender = sender.clone();
            heist_runtime::spawn(async move { sender.send_timeout(2, long).await })
        };
        assert_eq!(receiver.recv().await, Some(0));
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(waiter.await.unwrap(), Ok(()));
        assert_eq!(sender.capacity(), 1, "who gave up has taken no room");
        receiver.close();
        assert_eq!(
            sender.send_timeout(3, long).await,
            Err(SendTimeoutError::Closed(3))
        );
    });
}

/// Control, tried: a sender that does not wake.
#[test]
fn threads_block_until_there_is_room_or_an_item() {
    let (sender, mut receiver) = mpsc::channel(1);
    let thread = thread::spawn(move || {
        for item in 0..100 {
            sender.blocking_send(item).unwrap();
        }
        sender
    });
    assert_eq!(receiver.blocking_recv(), Some(0));
    let mut items = vec![0];
    while items.len() < 100 {
        assert_ne!(receiver.blocking_recv_many(&mut items, 10), 0);
    }
    assert_eq!(items, (0..100).collect::<Vec<_>>());
    let sender = thread.join().unwrap();
    receiver.close();
    assert_eq!(sender.blocking_send(1), Err(SendError(1)));
    assert_eq!(receiver.blocking_recv(), None);
    assert_eq!(receiver.blocking_recv_many(&mut items, 10), 0);

    let (sender, mut receiver) = mpsc::unbounded_channel();
    let thread = thread::spawn(move || (receiver.blocking_recv(), receiver.blocking_recv()));
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(thread.join().unwrap(), (Some(1), None));
}

/// Control, tried: without the look at who blocks.
#[test]
fn blocking_in_a_task_panics() {
    heist_runtime::block_on(async {
        let (sender, mut receiver) = mpsc::channel(1);
        let send = heist_runtime::spawn(async move { sender.blocking_send(1) });
        assert!(send.await.unwrap_err().is_panic());
        let receive = heist_runtime::spawn(async move { receiver.blocking_recv() });
        assert!(receive.await.unwrap_err().is_panic());
    });
}

/// Sent is received, returned or dropped, each once, whoever closes and whoever is cancelled. Control, tried: a
/// receiver whose drop leaves the items, or a permit that is lost.
#[test]
fn threads_lose_and_double_no_item() {
    const SENDERS: usize = 4;
    const ROUNDS: usize = 60;
    for round in 0..ROUNDS as u64 {
        let (made, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let sent = Arc::new(AtomicUsize::new(0));
        let (sender, mut receiver) = mpsc::channel(3);
        let threads: Vec<_> = (0..SENDERS as u64)
            .map(|id| {
                let (sender, made, drops) = (sender.clone(), made.clone(), drops.clone());
                let sent = sent.clone();
                thread::spawn(move || {
                    let mut random = Rng::new(round * 64 + id);
                    for _ in 0..300 {
                        made.fetch_add(1, SeqCst);
                        let item = Item(drops.clone());
                        let done = match random.below(3) {
                            0 => matches!(
                                poll_once(pin!(sender.send(item)), &Counter::new()),
                                Poll::Ready(Ok(()))
                            ),
                            1 => match block_on(sender.reserve()) {
                                Ok(permit) => {
                                    permit.send(item);
                                    true
                                }
                                Err(_) => false,
                            },
                            _ => block_on(sender.send(item)).is_ok(),
                        };
                        sent.fetch_add(usize::from(done), SeqCst);
                    }
                })
            })
            .collect();
        drop(sender);
        let mut random = Rng::new(round * 64 + 63);
        let stop = if round % 3 == 0 {
            usize::MAX
        } else {
            random.below(900) as usize
        };
        let mut received = 0;
        while received < stop {
            if random.below(3) == 0 {
                let _ = poll_once(pin!(receiver.recv()), &Counter::new()).map(|item| {
                    received += usize::from(item.is_some());
                });
            } else if block_on(receiver.recv()).is_some() {
                received += 1;
            } else {
                break;
            }
        }
        if round % 3 == 1 {
            receiver.close();
            while block_on(receiver.recv()).is_some() {
                received += 1;
            }
        }
        let dropped_with_it = round % 3 == 2;
        drop(receiver);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(made.load(SeqCst), drops.load(SeqCst), "seed {round}");
        if !dropped_with_it {
            assert_eq!(received, sent.load(SeqCst), "seed {round}");
        }
    }
}

/// Control, tried: without the `unsafe impl` of `Sync` for `List` this does not compile.
#[test]
fn ends_and_futures_can_move_between_threads() {
    fn check<T: Send + Sync + Unpin>() {}
    fn check_value<T: Send>(_: T) {}
    check::<Sender<std::cell::Cell<u32>>>();
    check::<Receiver<std::cell::Cell<u32>>>();
    check::<UnboundedSender<std::cell::Cell<u32>>>();
    check::<UnboundedReceiver<std::cell::Cell<u32>>>();
    let (sender, mut receiver) = mpsc::channel(1);
    check_value(sender.send(1));
    check_value(sender.reserve());
    check_value(receiver.recv());
}
