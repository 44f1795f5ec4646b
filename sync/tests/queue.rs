//! The queues without any runtime: order, room, shutdown, counting, cancellation.

mod common;

use common::{Counter, block_on, poll_once};
use heist_sync::queue::{TryGetError, TryPutError};
use heist_sync::{LifoQueue, PriorityQueue, Queue, QueueShutDown};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

/// Control, tried: a queue that takes from its back.
#[test]
fn each_kind_has_its_order() {
    let items = [(2, 'a'), (1, 'b'), (3, 'c'), (1, 'a')];
    let (fifo, lifo, smallest) = (
        Queue::default(),
        LifoQueue::default(),
        PriorityQueue::default(),
    );
    for item in items {
        fifo.try_put(item).unwrap();
        lifo.try_put(item).unwrap();
        smallest.try_put(item).unwrap();
    }
    let out = [(); 4].map(|()| fifo.try_get().unwrap());
    assert_eq!(out, items);
    let out = [(); 4].map(|()| lifo.try_get().unwrap());
    assert_eq!(out, [(1, 'a'), (3, 'c'), (1, 'b'), (2, 'a')]);
    let out = [(); 4].map(|()| smallest.try_get().unwrap());
    assert_eq!(out, [(1, 'a'), (1, 'b'), (2, 'a'), (3, 'c')]);
    assert_eq!(smallest.try_get(), Err(TryGetError::Empty));
}

/// An item that is compared by a part of it.
#[derive(Debug)]
struct Ranked(u32, u32);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// Fails if the heap compares the items only.
///
/// Control, tried: an order that does not look at the numbers.
#[test]
fn equal_items_keep_their_order() {
    let queue = PriorityQueue::unbounded();
    for n in 0..100 {
        queue.try_put(Ranked(n % 3, n)).unwrap();
    }
    let out: Vec<_> = std::iter::from_fn(|| queue.try_get().ok())
        .map(|ranked| (ranked.0, ranked.1))
        .collect();
    assert_eq!(out.len(), 100);
    assert!(out.is_sorted());
}

/// Control, tried: a queue that is never full.
#[test]
fn it_says_how_it_is() {
    let queue = Queue::new(2);
    assert!(queue.is_empty() && !queue.is_full());
    queue.try_put(1).unwrap();
    assert!(!queue.is_empty() && !queue.is_full());
    queue.try_put(2).unwrap();
    assert!(queue.is_full());
    assert_eq!((queue.len(), queue.maxsize()), (2, Some(2)));
    assert_eq!(
        format!("{queue:?}"),
        "AnyQueue { len: 2, maxsize: Some(2), unfinished: 2, .. }"
    );
    let refused = queue.try_put(3).unwrap_err();
    assert!(matches!(refused, TryPutError::Full(3)));
    assert_eq!(
        format!("{refused}, {refused:?}"),
        "the queue is full; wait with `put`, Full(..)"
    );
    assert_eq!(refused.into_inner(), 3);
    assert_eq!(Queue::<()>::unbounded().maxsize(), None);
}

/// Control, tried: without the check.
#[test]
#[should_panic(expected = "one item at least")]
fn no_room_at_all_is_a_mistake() {
    let _ = Queue::<()>::new(0);
}

/// Fails if a `try_get` or a `try_put` overtakes, or wakes go to the wrong one.
///
/// Controls, tried: a put that is not handed to the get that waits; a get that admits nobody.
#[test]
fn first_come_first_served() {
    let queue = Queue::new(1);
    let wakers = [(); 4].map(|()| Counter::new());
    let (mut a, mut b) = (pin!(queue.get()), pin!(queue.get()));
    assert!(poll_once(a.as_mut(), &wakers[0]).is_pending());
    assert!(poll_once(b.as_mut(), &wakers[1]).is_pending());
    queue.try_put(1).unwrap();
    assert_eq!(queue.try_get(), Err(TryGetError::Empty), "handed over");
    queue.try_put(2).unwrap();
    queue.try_put(3).unwrap();
    let (mut c, mut d) = (pin!(queue.put(4)), pin!(queue.put(5)));
    assert!(poll_once(c.as_mut(), &wakers[2]).is_pending());
    assert!(poll_once(d.as_mut(), &wakers[3]).is_pending());
    assert_eq!(block_on(b), Ok(2));
    assert_eq!(block_on(a), Ok(1));
    assert_eq!(queue.try_get(), Ok(3));
    assert!(matches!(queue.try_put(6), Err(TryPutError::Full(6))));
    let counts: Vec<_> = wakers.iter().map(|waker| waker.count()).collect();
    assert_eq!(counts, [1, 1, 1, 0]);
    assert_eq!(queue.try_get(), Ok(4));
    assert!(block_on(d).is_ok() && block_on(c).is_ok());
    assert_eq!(queue.try_get(), Ok(5));
}

/// Fails if the last waker is not the one that is called.
///
/// Control, tried: a `refresh` that keeps the waker it has.
#[test]
fn the_last_waker_is_called() {
    let queue = Queue::new(1);
    let (early, late) = (Counter::new(), Counter::new());
    let mut get = pin!(queue.get());
    assert!(poll_once(get.as_mut(), &early).is_pending());
    assert!(poll_once(get.as_mut(), &late).is_pending());
    queue.try_put(1).unwrap();
    assert_eq!((early.count(), late.count()), (0, 1));
    assert_eq!(block_on(get), Ok(1));
}

/// Controls, tried: a shutdown that always throws the rest away; one that wakes nobody.
#[test]
fn a_shutdown_lets_the_rest_be_got() {
    let queue = Queue::new(1);
    queue.try_put(1).unwrap();
    let waker = Counter::new();
    let mut put = pin!(queue.put(2));
    assert!(poll_once(put.as_mut(), &waker).is_pending());
    queue.shutdown(false);
    assert!(queue.is_shut_down());
    assert_eq!(waker.count(), 1);
    let error = block_on(put).unwrap_err();
    assert!(error == QueueShutDown(2), "with the item");
    assert_eq!(error.to_string(), "the queue was shut down");
    assert_eq!(block_on(queue.put(3)).unwrap_err().0, 3);
    assert!(matches!(queue.try_put(4), Err(TryPutError::ShutDown(4))));
    assert_eq!(block_on(queue.get()), Ok(1));
    assert_eq!(block_on(queue.get()), Err(QueueShutDown(())));
    assert_eq!(queue.try_get(), Err(TryGetError::ShutDown));
}

/// Controls, tried: a shutdown that never throws anything away; one that does not count it as done.
#[test]
fn a_shutdown_at_once_throws_the_rest_away() {
    let queue = Queue::unbounded();
    let item = Arc::new(());
    let waker = Counter::new();
    let (mut get, mut dropped) = (pin!(queue.get()), Box::pin(queue.get()));
    assert!(poll_once(get.as_mut(), &waker).is_pending());
    assert!(poll_once(dropped.as_mut(), &waker).is_pending());
    for _ in 0..4 {
        queue.try_put(Arc::clone(&item)).unwrap();
    }
    let mut join = pin!(queue.join());
    assert!(poll_once(join.as_mut(), &waker).is_pending());
    queue.shutdown(true);
    queue.shutdown(false);
    assert!(queue.is_empty());
    assert_eq!(Arc::strong_count(&item), 3, "two were handed over before");
    drop(dropped);
    assert_eq!(Arc::strong_count(&item), 2, "thrown away after all");
    assert_eq!(queue.try_get(), Err(TryGetError::ShutDown));
    assert!(block_on(get).is_ok());
    assert!(poll_once(join.as_mut(), &waker).is_pending());
    queue.task_done();
    block_on(join);
}

/// Control, tried: a release that ends after one batch of wakers.
#[test]
fn a_shutdown_reaches_all_who_wait_to_get() {
    let queue = PriorityQueue::<u32>::new(3);
    let waker = Counter::new();
    let mut gets: Vec<_> = (0..40).map(|_| Box::pin(queue.get())).collect();
    for get in &mut gets {
        assert!(poll_once(get.as_mut(), &waker).is_pending());
    }
    queue.shutdown(false);
    assert_eq!(waker.count(), 40);
    for get in gets {
        assert!(block_on(get).is_err());
    }
}

/// Fails if items that wait for room are not counted, or if joining looks at the length.
///
/// Controls, tried: a join that returns at once; items that waited for room and are not counted.
#[test]
fn a_join_waits_for_what_was_put() {
    let queue = Queue::new(1);
    block_on(queue.join());
    let waker = Counter::new();
    let mut put = pin!(queue.put(2));
    queue.try_put(1).unwrap();
    assert!(poll_once(put.as_mut(), &waker).is_pending());
    let mut join = pin!(queue.join());
    let mut other = Box::pin(queue.join());
    assert!(poll_once(join.as_mut(), &waker).is_pending());
    assert!(poll_once(other.as_mut(), &waker).is_pending());
    drop(other);
    queue.try_get().unwrap();
    queue.try_get().unwrap();
    assert!(queue.is_empty());
    queue.task_done();
    assert!(poll_once(join.as_mut(), &waker).is_pending());
    queue.task_done();
    // Done at that moment counts, though there is more again.
    queue.try_put(3).unwrap();
    assert!(poll_once(join.as_mut(), &waker).is_ready());
    queue.task_done();
    let twice = catch_unwind(AssertUnwindSafe(|| queue.task_done()));
    assert!(twice.is_err());
    block_on(queue.join());
}

/// Two gets with an item each, both dropped, in either order, with a third in line or without. Fails
/// if an item is lost, or comes out in another order than it was put.
///
/// Controls, tried: a dropped get that drops its item; one that puts it back at the end.
#[test]
fn gets_dropped_in_pairs_lose_nothing() {
    for order in 0..2 {
        for third in [false, true] {
            let queue = Queue::new(1);
            let waker = Counter::new();
            let mut gets: Vec<_> = (0..3).map(|_| Box::pin(queue.get())).collect();
            for get in &mut gets[..2 + usize::from(third)] {
                assert!(poll_once(get.as_mut(), &waker).is_pending());
            }
            let last = gets.pop().unwrap();
            queue.try_put(1).unwrap();
            queue.try_put(2).unwrap();
            drop(gets.remove(order));
            gets.clear();
            if third {
                assert_eq!(block_on(last), Ok(if order == 0 { 1 } else { 2 }));
                assert_eq!(queue.len(), 1);
            } else {
                assert_eq!(queue.len(), 2, "more than fits, for a while");
                assert!(matches!(queue.try_put(3), Err(TryPutError::Full(3))));
                assert_eq!(block_on(last), Ok(1));
                assert!(matches!(queue.try_put(3), Err(TryPutError::Full(3))));
                assert_eq!(queue.try_get(), Ok(2));
                queue.try_put(3).unwrap();
            }
        }
    }
}

#[test]
fn what_may_move_between_threads_may() {
    fn check<T: Send + Sync>(_: T) {}
    fn check_value<T: Send>(_: T) {}
    check(Queue::<std::cell::Cell<u32>>::unbounded());
    check(PriorityQueue::<u32>::unbounded());
    let queue = LifoQueue::<u32>::unbounded();
    check_value(queue.get());
    check_value(queue.put(1));
    check_value(queue.join());
}
