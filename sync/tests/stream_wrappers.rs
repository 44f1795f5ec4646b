//! The receiving ends of channels, and intervals, as streams.

mod common;

use common::{Counter, block_on, poll_once};
use heist_sync::stream::wrappers::errors::BroadcastStreamRecvError::Lagged;
use heist_sync::stream::wrappers::{
    BroadcastStream, IntervalStream, ReceiverStream, UnboundedReceiverStream, WatchStream,
};
use heist_sync::stream::{Stream, StreamExt};
use heist_sync::time::{Duration, Instant, interval, timeout};
use heist_sync::{broadcast, cancel_scope, mpsc, watch};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Control, tried: a stream that reads ahead.
#[test]
fn items_come_in_order_and_then_the_end() {
    let (sender, receiver) = mpsc::channel(3);
    let thread = std::thread::spawn(move || {
        for i in 0..100 {
            sender.blocking_send(i).unwrap();
        }
    });
    let received: Vec<_> = block_on(ReceiverStream::new(receiver).collect());
    assert_eq!(received, (0..100).collect::<Vec<_>>());
    thread.join().unwrap();
}

/// Control, tried: a stream that reads ahead leaves nothing to the receiver.
#[test]
fn the_receiver_gets_back_what_was_not_read() {
    let (sender, receiver) = mpsc::unbounded_channel();
    for i in 0..3 {
        sender.send(i).unwrap();
    }
    let mut stream = UnboundedReceiverStream::from(receiver);
    assert_eq!(stream.size_hint(), (3, None));
    assert_eq!(block_on(stream.next()), Some(0));
    stream.close();
    assert!(sender.send(3).is_err());
    assert_eq!(stream.as_ref().len(), 2);
    let mut receiver = stream.into_inner();
    assert_eq!(receiver.try_recv(), Ok(1));
}

/// Control, tried: without the question at each poll the item is received and lost.
#[test]
fn nothing_is_received_in_a_cancelled_scope() {
    heist_runtime::block_on(async {
        let (sender, receiver) = mpsc::channel(1);
        sender.send(1).await.unwrap();
        let mut stream = ReceiverStream::new(receiver);
        let result = cancel_scope(async |scope| {
            scope.cancel();
            stream.next().await;
        })
        .await;
        assert!(result.is_err());
        assert_eq!(stream.next().await, Some(1));
    });
}

/// Control, tried: a stream that does not hand its waker to the receive is never woken.
#[test]
fn what_is_broadcast_wakes_every_stream() {
    let counter = Counter::new();
    let (sender, receiver) = broadcast::channel(4);
    let mut streams: Vec<_> = (0..3)
        .map(|_| BroadcastStream::from(sender.subscribe()))
        .collect();
    drop(receiver);
    for stream in &mut streams {
        assert!(poll_once(pin!(stream.next()), &counter).is_pending());
    }
    sender.send(7).unwrap();
    assert_eq!(counter.count(), 3);
    for stream in &mut streams {
        assert_eq!(
            poll_once(pin!(stream.next()), &counter),
            Poll::Ready(Some(Ok(7)))
        );
    }
}

/// Control, tried: a stream that goes on after the end would make a receiver that is gone receive, and panic.
#[test]
fn a_slow_broadcast_stream_is_told_what_it_lost_and_stays_ended() {
    let (sender, receiver) = broadcast::channel(2);
    let mut stream = BroadcastStream::new(receiver);
    for i in 0..3 {
        sender.send(i).unwrap();
    }
    assert_eq!(block_on(stream.next()), Some(Err(Lagged(1))));
    assert_eq!(block_on(stream.next()), Some(Ok(1)));
    drop(sender);
    assert_eq!(block_on(stream.next()), Some(Ok(2)));
    assert_eq!(block_on(stream.next()), None);
    assert_eq!(block_on(stream.next()), None);
}

/// Control, tried: a `new` that does not mark the value waits for the next one.
#[test]
fn a_watch_stream_begins_with_the_value_there_is() {
    let (sender, receiver) = watch::channel(0);
    let mut changes = WatchStream::from_changes(receiver.clone());
    let mut stream = WatchStream::new(receiver);
    let counter = Counter::new();
    assert_eq!(
        poll_once(pin!(stream.next()), &counter),
        Poll::Ready(Some(0))
    );
    assert!(poll_once(pin!(stream.next()), &counter).is_pending());
    assert!(poll_once(pin!(changes.next()), &counter).is_pending());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!(counter.count(), 2);
    assert_eq!(block_on(stream.next()), Some(2));
    assert_eq!(block_on(changes.next()), Some(2));
    drop(sender);
    assert_eq!(block_on(stream.next()), None);
    assert_eq!(block_on(stream.next()), None);
}

/// A wait that is given up leaves the receive where it is.
///
/// Control, tried: a stream that lets go of its receive when that is pending ends early.
#[test]
fn waits_that_are_given_up_lose_nothing() {
    heist_runtime::block_on(async {
        let (sender, receiver) = broadcast::channel(100);
        let mut stream = BroadcastStream::new(receiver);
        let sends = heist_runtime::spawn(async move {
            for i in 0..50 {
                sender.send(i).unwrap();
                heist_sync::time::sleep(Duration::from_micros(100)).await;
            }
        });
        let mut received = Vec::new();
        loop {
            match timeout(Duration::from_micros(30), stream.next()).await {
                Ok(Some(item)) => received.push(item.unwrap()),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        assert_eq!(received, (0..50).collect::<Vec<_>>());
        sends.await.unwrap();
    });
}

/// Control, tried: without the question at each poll a tick that was waited for before, and is due now, is used up in
/// the cancelled scope.
#[test]
fn an_interval_is_a_stream_of_its_ticks() {
    heist_runtime::block_on(async {
        let start = Instant::now();
        let period = Duration::from_millis(20);
        let mut ticks = IntervalStream::new(interval(period));
        let first = ticks.next().await.unwrap();
        let result = cancel_scope(async |scope| {
            std::future::poll_fn(|cx| {
                assert!(Pin::new(&mut ticks).poll_next(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            heist_sync::time::sleep(2 * period).await;
            scope.cancel();
            ticks.next().await;
        })
        .await;
        assert!(result.is_err());
        assert_eq!(ticks.next().await.unwrap() - first, period);
        assert!(start.elapsed() >= 2 * period);
        assert_eq!(ticks.into_inner().period(), period);
    });
}

#[test]
fn they_are_send_and_unpin() {
    fn check<S: Stream + Send + Unpin>(_: S) {}
    check(BroadcastStream::new(broadcast::channel::<u8>(1).1));
    check(WatchStream::new(watch::channel(0_u8).1));
}
