//! Streams from other streams: what they give, how much they read, and what they promise about it.

mod common;

use common::block_on;
use heist_sync::stream::{Stream, StreamExt, generate, iter};
use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Pending once, with a wake-up.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The numbers below `n`, each of which has to be waited for.
fn slow(n: u32) -> Pin<Box<impl Stream<Item = u32>>> {
    Box::pin(generate(async move |y| {
        for i in 0..n {
            yield_once().await;
            y.emit(i).await;
        }
    }))
}

/// As many numbers as are asked for, counted.
fn counted(read: &Cell<u32>) -> impl Stream<Item = u32> + Unpin {
    iter(std::iter::from_fn(|| {
        read.set(read.get() + 1);
        Some(read.get())
    }))
}

fn poll_next<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}

fn all<S: Stream>(stream: S) -> Vec<S::Item> {
    block_on(stream.collect())
}

#[test]
fn map_changes_each_value() {
    assert_eq!(all(slow(3).map(|i| i * 10)), [0, 10, 20]);
    assert_eq!(iter([1, 2]).map(|i| i).size_hint(), (2, Some(2)));
}

#[test]
fn filter_leaves_values_out() {
    assert_eq!(all(slow(10).filter(|i| i % 3 == 0)), [0, 3, 6, 9]);
    assert_eq!(iter([1, 2]).filter(|_| true).size_hint(), (0, Some(2)));
}

/// Control: a `take` that looks for the end after its last value reads one too many.
#[test]
fn take_reads_no_more_than_it_gives() {
    let read = Cell::new(0);
    let mut first = counted(&read).take(2);
    assert_eq!(read.get(), 0);
    assert_eq!(first.size_hint(), (0, Some(2)));
    assert_eq!(block_on(first.next()), Some(1));
    assert_eq!(first.size_hint(), (0, Some(1)));
    assert_eq!(block_on(first.next()), Some(2));
    assert_eq!(block_on(first.next()), None);
    assert_eq!(first.size_hint(), (0, Some(0)));
    assert_eq!(read.get(), 2);
    assert_eq!(all(slow(2).take(5)), [0, 1]);
    assert_eq!(iter([1, 2]).take(5).size_hint(), (2, Some(2)));
    assert_eq!(iter(1..9).take(5).size_hint(), (5, Some(5)));
    assert_eq!(all(slow(2).take(0)), [0; 0]);
}

#[test]
fn streams_of_streams_are_lazy() {
    let read = Cell::new(0);
    let called = Cell::new(0);
    let mut stream = counted(&read)
        .map(|i| {
            called.set(called.get() + 1);
            i
        })
        .filter(|i| i % 2 == 0)
        .take(1);
    assert_eq!((read.get(), called.get()), (0, 0));
    assert_eq!(poll_next(&mut stream), Poll::Ready(Some(2)));
    assert_eq!((read.get(), called.get()), (2, 2));
    assert_eq!(poll_next(&mut stream), Poll::Ready(None));
    assert_eq!((read.get(), called.get()), (2, 2));
}

#[test]
fn values_are_collected_into_what_is_wanted() {
    block_on(async {
        assert_eq!(slow(3).collect::<Vec<_>>().await, [0, 1, 2]);
        assert_eq!(
            slow(3).collect::<HashSet<_>>().await,
            HashSet::from([0, 1, 2])
        );
        let squares: BTreeMap<_, _> = slow(3).map(|i| (i, i * i)).collect().await;
        assert_eq!(squares, BTreeMap::from([(0, 0), (1, 1), (2, 4)]));
        assert_eq!(iter(["a", "bc"]).collect::<String>().await, "abc");
        assert_eq!(iter(['a', 'b']).collect::<String>().await, "ab");
        let boxed: Box<Vec<_>> = slow(2).collect().await;
        assert_eq!(*boxed, [0, 1]);
        iter([(), ()]).collect::<()>().await;
    });
}

/// Control: a `push` that answers `Continue` to an error reads on.
#[test]
fn collecting_stops_at_the_first_failure() {
    let read = Cell::new(0);
    let failed: Result<Vec<u32>, u32> = block_on(
        counted(&read)
            .map(|i| if i == 3 { Err(i) } else { Ok(i) })
            .collect(),
    );
    assert_eq!((failed, read.get()), (Err(3), 3));
    let none: Option<Vec<u32>> = block_on(counted(&read).map(|i| (i < 5).then_some(i)).collect());
    assert_eq!((none, read.get()), (None, 5));
    let some: Option<Vec<u32>> = block_on(slow(2).map(Some).collect());
    assert_eq!(some, Some(vec![0, 1]));
}
