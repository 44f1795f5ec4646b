//! Streams from other streams: what they give, how much they read, and what they promise about it.

mod common;

use common::block_on;
use heist_sync::stream::{Stream, StreamExt, empty, generate, iter, once, pending};
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

/// Control, tried: a `map` that knows nothing of its size.
#[test]
fn map_changes_each_value() {
    assert_eq!(all(slow(3).map(|i| i * 10)), [0, 10, 20]);
    assert_eq!(iter([1, 2]).map(|i| i).size_hint(), (2, Some(2)));
}

/// Control, tried: a `filter` that lets everything through.
#[test]
fn filter_leaves_values_out() {
    assert_eq!(all(slow(10).filter(|i| i % 3 == 0)), [0, 3, 6, 9]);
    assert_eq!(iter([1, 2]).filter(|_| true).size_hint(), (0, Some(2)));
}

/// Control, tried: a `take` that looks for the end after its last value reads one too many.
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

/// Control, tried: a `take` that looks for the end after its last value.
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

/// Control, tried: a `push` that drops its value.
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

/// Control, tried: a `push` that answers `Continue` to an error reads on for ever.
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

/// Control, tried: a `once` that counts its value when that is gone.
#[test]
fn sources_give_what_they_are_made_of() {
    let mut one = once(7);
    assert_eq!(one.size_hint(), (1, Some(1)));
    assert_eq!(block_on(one.next()), Some(7));
    assert_eq!(one.size_hint(), (0, Some(0)));
    assert_eq!(block_on(one.next()), None);
    assert_eq!(empty::<u8>().size_hint(), (0, Some(0)));
    assert_eq!(all(empty::<u8>()), []);
    assert_eq!(poll_next(&mut pending::<u8>()), Poll::Pending);
    assert_eq!(pending::<u8>().size_hint(), (0, None));
    assert_eq!(iter(0..3).size_hint(), (3, Some(3)));
}

/// Control, tried: a `try_next` that drops the value.
#[test]
fn try_next_splits_values_from_errors() {
    block_on(async {
        let mut stream = iter([Ok(1), Err("no"), Ok(2)]);
        assert_eq!(stream.try_next().await, Ok(Some(1)));
        assert_eq!(stream.try_next().await, Err("no"));
        assert_eq!(stream.try_next().await, Ok(Some(2)));
        assert_eq!(stream.try_next().await, Ok(None));
    });
}

/// Control, tried: a `then` that reads on before its future is done, and puts the next one in its place.
#[test]
fn then_waits_for_one_value_after_the_other() {
    let running = Cell::new(0);
    let stream = slow(3).then(async |i| {
        assert_eq!(running.replace(1), 0);
        for _ in i..3 {
            yield_once().await;
        }
        running.set(0);
        i * 2
    });
    assert_eq!(all(stream), [0, 2, 4]);
    let mut stuck = Box::pin(iter([1, 2]).then(|_| std::future::pending::<()>()));
    assert_eq!(stuck.size_hint(), (2, Some(2)));
    assert_eq!(poll_next(&mut stuck), Poll::Pending);
    assert_eq!(stuck.size_hint(), (2, Some(2)));
}

/// Controls, tried: a `filter_map` that ends with the first value it leaves out; an `enumerate` in steps of two.
#[test]
fn filter_map_and_enumerate() {
    let odd = slow(5).filter_map(|i| (i % 2 == 1).then_some(i * 10));
    assert_eq!(all(odd), [10, 30]);
    assert_eq!(iter([1]).filter_map(Some).size_hint(), (0, Some(1)));
    assert_eq!(all(slow(2).enumerate()), [(0, 0), (1, 1)]);
    assert_eq!(iter([1, 2]).enumerate().size_hint(), (2, Some(2)));
}

/// Control, tried: a `take_while` that does not remember its end goes on with 4.
#[test]
fn take_while_ends_for_good() {
    let read = Cell::new(0);
    let mut stream = counted(&read).take_while(|&i| i != 3);
    assert_eq!(block_on(stream.next()), Some(1));
    assert_eq!(block_on(stream.next()), Some(2));
    for _ in 0..3 {
        assert_eq!(block_on(stream.next()), None);
        assert_eq!(stream.size_hint(), (0, Some(0)));
    }
    assert_eq!(read.get(), 3);
    assert_eq!(all(slow(2).take_while(|_| true)), [0, 1]);
    assert_eq!(iter([1]).take_while(|_| true).size_hint(), (0, Some(1)));
}

/// Control, tried: a `skip` of one less.
#[test]
fn skip_leaves_out_the_beginning() {
    assert_eq!(all(slow(5).skip(3)), [3, 4]);
    assert_eq!(all(slow(2).skip(3)), []);
    assert_eq!(all(slow(2).skip(0)), [0, 1]);
    let mut stream = iter(0..5).skip(2);
    assert_eq!(stream.size_hint(), (3, Some(3)));
    assert_eq!(poll_next(&mut stream), Poll::Ready(Some(2)));
    assert_eq!(stream.size_hint(), (2, Some(2)));
    assert_eq!(iter(0..1).skip(2).size_hint(), (0, Some(0)));
}

/// Ends after each value.
struct Stutter(u32);

impl Stream for Stutter {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        self.0 += 1;
        Poll::Ready((self.0 % 2 == 1).then_some(self.0))
    }
}

/// Control, tried: a `fuse` that asks again gives 3.
#[test]
fn fuse_and_chain_stay_ended() {
    let mut stream = Stutter(0).fuse();
    assert_eq!(stream.size_hint(), (0, None));
    assert_eq!(block_on(stream.next()), Some(1));
    assert_eq!(block_on(stream.next()), None);
    assert_eq!(block_on(stream.next()), None);
    assert_eq!(stream.size_hint(), (0, Some(0)));

    let mut stream = Stutter(0).chain(slow(2));
    let read: Vec<_> = (0..4).map(|_| block_on(stream.next())).collect();
    assert_eq!(read, [Some(1), Some(0), Some(1), None]);
    assert_eq!(iter(0..2).chain(iter(0..3)).size_hint(), (5, Some(5)));
    assert_eq!(iter(0..2).chain(pending()).size_hint(), (2, None));
}

/// Control, tried: a `chain` that asks the second one first.
#[test]
fn chain_does_not_read_ahead() {
    let read = Cell::new(0);
    let mut stream = iter([10]).chain(counted(&read));
    assert_eq!(block_on(stream.next()), Some(10));
    assert_eq!(read.get(), 0);
    assert_eq!(block_on(stream.next()), Some(1));
}

/// Control, tried: a `merge` that always begins with the same stream gives 0 to 4 first.
#[test]
fn merge_is_fair_and_ends_with_both() {
    let merged = iter([0, 1, 2, 3, 4]).merge(iter([10, 11]));
    assert_eq!(all(merged), [0, 10, 1, 11, 2, 3, 4]);
    assert_eq!(iter(0..2).merge(iter(0..3)).size_hint(), (5, Some(5)));
    let mut mixed = all(slow(5).merge(slow(3)));
    mixed.sort_unstable();
    assert_eq!(mixed, [0, 0, 1, 1, 2, 2, 3, 4]);
    let mut one_sided = iter([1]).merge(pending());
    assert_eq!(poll_next(&mut one_sided), Poll::Ready(Some(1)));
    assert_eq!(poll_next(&mut one_sided), Poll::Pending);
}

/// Control, tried: without the rest at the end, 4 is lost.
#[test]
fn chunks_are_full_but_for_the_last() {
    assert_eq!(all(slow(5).chunks(2)), [vec![0, 1], vec![2, 3], vec![4]]);
    assert_eq!(all(slow(4).chunks(2)), [vec![0, 1], vec![2, 3]]);
    assert_eq!(all(empty::<u8>().chunks(2)).len(), 0);
    let mut stream = iter(0..5).chunks(2);
    for left in [3, 2, 1, 0] {
        assert_eq!(stream.size_hint(), (left, Some(left)));
        assert!(poll_next(&mut stream).is_ready());
    }
    let mut waits = iter(0..3).chain(pending()).chunks(4);
    assert_eq!(poll_next(&mut waits), Poll::Pending);
    assert_eq!(waits.size_hint(), (1, None));
}

/// Control, tried: without the check.
#[test]
#[should_panic(expected = "room for at least one")]
fn chunks_of_nothing_are_refused() {
    drop(iter([1]).chunks(0));
}

/// Controls, tried: a `fold` that leaves values out; a `for_each` that does not wait for its future.
#[test]
fn fold_and_for_each_see_all_values() {
    assert_eq!(block_on(slow(5).fold(1, |acc, i| acc + i)), 11);
    let seen = Cell::new(0);
    block_on(slow(5).for_each(async |i| {
        let before = seen.get();
        yield_once().await;
        seen.set(before + i);
    }));
    assert_eq!(seen.get(), 10);
}
