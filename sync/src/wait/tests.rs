//! The queue by itself. What is built on it has tests of its own.

use super::{State, WaitQueue, Waiter};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Wake, Waker};

struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

type Queued<'q> = Pin<Box<Waiter<'q, usize, &'static str>>>;

/// Waiters with the entries 0, 1, ..., each with a counter of its wake-ups.
fn enqueue<'q>(
    queue: &'q WaitQueue<usize, &'static str>,
    count: usize,
) -> (Vec<Queued<'q>>, Vec<Arc<Counter>>) {
    let counters: Vec<_> = (0..count)
        .map(|_| Arc::new(Counter(AtomicUsize::new(0))))
        .collect();
    let waiters = (0..count).map(|n| Box::pin(Waiter::new(queue, n)));
    let waiters: Vec<_> = waiters.collect();
    for (waiter, counter) in waiters.iter().zip(&counters) {
        let waker = Waker::from(Arc::clone(counter));
        queue.lock().enqueue(waiter.as_ref(), waker);
    }
    (waiters, counters)
}

fn counts(counters: &[Arc<Counter>]) -> Vec<usize> {
    counters
        .iter()
        .map(|counter| counter.0.load(SeqCst))
        .collect()
}

/// Control, tried: a `cancel` that does not say what became of the waiter.
#[test]
fn entries_go_there_and_back() {
    let queue = WaitQueue::new("shared");
    let (mut waiters, counters) = enqueue(&queue, 3);
    let mut locked = queue.lock();
    assert_eq!(*locked, "shared");
    *locked = "changed";
    assert_eq!(locked.with_front(|entry| *entry += 10), Some(()));
    let first = locked.pop_front().unwrap();
    let last = locked.pop_back().unwrap();
    assert_eq!(locked.with_entry(&waiters[1], |entry| *entry), Some(1));
    assert_eq!(locked.with_entry(&waiters[0], |entry| *entry), None);
    drop(locked);
    first.wake();
    last.wake();
    assert_eq!(counts(&counters), [1, 0, 1]);
    assert_eq!(*queue.lock(), "changed");
    assert_eq!(waiters[0].state(), State::Granted);
    assert_eq!(waiters[0].as_mut().with_entry(|entry| *entry), 10);
    assert_eq!(waiters[1].as_mut().cancel(), State::Waiting);
    assert_eq!(waiters[1].as_mut().with_entry(|entry| *entry), 1);
    assert_eq!(waiters[2].as_mut().cancel(), State::Granted);
    assert_eq!(waiters[2].as_mut().cancel(), State::Idle);
    assert!(queue.lock().is_empty());
    queue
        .lock()
        .enqueue(waiters[2].as_ref(), Waker::noop().clone());
    assert_eq!(queue.lock().with_front(|entry| *entry), Some(2));
}

/// Controls, tried: a release that reaches those who come later; one that ends after one batch of wakers.
#[test]
fn a_release_reaches_those_who_wait_and_no_others() {
    let queue = WaitQueue::new("");
    let (mut early, early_counters) = enqueue(&queue, 40);
    let mut locked = queue.lock();
    locked.release_all();
    assert!(locked.is_empty());
    drop(locked);
    // Between the release and the waking: some leave, some look, some come, somebody grants.
    let (mut late, late_counters) = enqueue(&queue, 3);
    assert_eq!(early[0].as_mut().cancel(), State::Released);
    assert_eq!(queue.refresh(&early[1], Waker::noop()), State::Released);
    early.swap_remove(39);
    queue.lock().pop_front().unwrap().wake();
    assert_eq!(counts(&late_counters), [1, 0, 0]);
    assert_eq!(late[1].as_mut().cancel(), State::Waiting);
    let mut locked = queue.lock();
    locked.release_all();
    locked.wake_released();
    assert_eq!(
        counts(&early_counters),
        [vec![0; 2], vec![1; 37], vec![0]].concat()
    );
    assert_eq!(counts(&late_counters), [1, 0, 1]);
    assert_eq!(early[5].as_mut().cancel(), State::Released);
    assert_eq!(late[0].state(), State::Granted);
    assert_eq!(late[2].state(), State::Released);
    queue.lock().wake_released();
}

/// Control, tried: a `refresh` that keeps the waker it has.
#[test]
fn the_last_waker_counts() {
    let queue = WaitQueue::new("");
    let (waiters, counters) = enqueue(&queue, 1);
    let same = Waker::from(Arc::clone(&counters[0]));
    assert_eq!(queue.refresh(&waiters[0], &same), State::Waiting);
    assert_eq!(
        Arc::strong_count(&counters[0]),
        3,
        "the queue keeps the waker it has"
    );
    let other = Arc::new(Counter(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&other));
    assert_eq!(queue.refresh(&waiters[0], &waker), State::Waiting);
    queue.lock().pop_front().unwrap().wake();
    assert_eq!((counts(&counters), counts(&[other])), (vec![0], vec![1]));
    assert_eq!(queue.refresh(&waiters[0], &waker), State::Granted);
}

/// Control, tried: without the check.
#[test]
#[should_panic(expected = "one queue")]
fn a_waiter_belongs_to_its_queue() {
    let (one, other) = (WaitQueue::<(), ()>::new(()), WaitQueue::new(()));
    let waiter = Box::pin(Waiter::new(&one, ()));
    other.lock().enqueue(waiter.as_ref(), Waker::noop().clone());
}
