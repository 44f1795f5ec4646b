//! `Condition` without any runtime: order, cancellation at every poll, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::{Condition, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

type Wait<'a> = Pin<Box<dyn Future<Output = MutexGuard<'a, u32>> + 'a>>;

/// One that waits already.
fn waiting<'a>(mutex: &'a Mutex<u32>, condition: &'a Condition, waker: &Arc<Counter>) -> Wait<'a> {
    let mut wait: Wait<'_> = Box::pin(condition.wait(mutex.try_lock().expect("nobody has it")));
    assert!(mutex.try_lock().is_err(), "unlocked by the first poll");
    assert!(poll_once(wait.as_mut(), waker).is_pending());
    assert!(mutex.try_lock().is_ok());
    wait
}

fn is_done(wait: &mut Wait<'_>) -> bool {
    poll_once(wait.as_mut(), &Counter::new()).is_ready()
}

/// Control, tried: a `notify` that wakes all.
#[test]
fn so_many_in_turn_or_everybody() {
    let (mutex, condition, waker) = (Mutex::new(0), Condition::new(), Counter::new());
    condition.notify(5);
    let [mut a, mut b, mut c, mut d] = [(); 4].map(|()| waiting(&mutex, &condition, &waker));
    condition.notify(0);
    assert_eq!(waker.count(), 0, "nothing was kept");
    condition.notify(2);
    assert_eq!(waker.count(), 2);
    assert_eq!([&mut c, &mut d].map(is_done), [false, false]);
    assert_eq!([&mut a, &mut b].map(is_done), [true, true]);
    condition.notify_all();
    assert_eq!([&mut c, &mut d].map(is_done), [true, true]);
    condition.notify(1);
    assert!(!is_done(&mut waiting(&mutex, &condition, &waker)));
}

/// Control, tried: a mutex with two permits.
#[test]
fn it_returns_with_the_lock() {
    let (mutex, condition, waker) = (Mutex::new(0), Condition::new(), Counter::new());
    let mut wait = waiting(&mutex, &condition, &waker);
    let mut guard = mutex.try_lock().unwrap();
    condition.notify_all();
    *guard = 5;
    assert!(poll_once(wait.as_mut(), &waker).is_pending());
    drop(guard);
    assert_eq!(waker.count(), 2, "once notified, once locked");
    let Poll::Ready(guard) = poll_once(wait.as_mut(), &waker) else {
        panic!("it has both");
    };
    assert_eq!(*guard, 5);
    assert!(mutex.try_lock().is_err());
}

/// Controls, tried: a predicate that is asked after a notification only; one that is asked once.
#[test]
fn a_predicate_is_asked_first_and_after_each_notification() {
    let (mutex, condition, waker) = (Mutex::new(2), Condition::new(), Counter::new());
    let mut asked = Vec::new();
    {
        let mut wait = Box::pin(condition.wait_for(mutex.try_lock().unwrap(), |n| {
            asked.push(*n);
            *n == 0
        }));
        for n in [1, 0] {
            assert!(poll_once(wait.as_mut(), &waker).is_pending());
            *mutex.try_lock().unwrap() = n;
            condition.notify(1);
        }
        assert!(poll_once(wait.as_mut(), &waker).is_ready());
    }
    assert_eq!(asked, [2, 1, 0]);
    let wait = condition.wait_for(mutex.try_lock().unwrap(), |n| *n == 0);
    assert_eq!(*block_on(wait), 0);
}

/// Fails if a drop keeps the notification, in the queue or while it waits for the lock.
///
/// Controls, tried: a drop that keeps the notification, in the queue or while it waits for the lock; one that passes on
/// what was for everybody.
#[test]
fn a_dropped_one_passes_its_notification_on() {
    let (mutex, condition, waker) = (Mutex::new(0), Condition::new(), Counter::new());
    let [a, mut b, mut c] = [(); 3].map(|()| waiting(&mutex, &condition, &waker));
    condition.notify(1);
    drop(a);
    let guard = mutex.try_lock().unwrap();
    assert!(!is_done(&mut b), "notified, waits for the lock");
    drop(b);
    drop(guard);
    assert!(is_done(&mut c));
    assert!(mutex.try_lock().is_ok());
    // One that was notified with everybody passes nothing on, one not polled yet unlocks.
    let d = waiting(&mutex, &condition, &waker);
    condition.notify_all();
    let mut e = waiting(&mutex, &condition, &waker);
    drop(d);
    assert!(!is_done(&mut e));
    // Nor if it has seen that, and waits for the lock.
    let mut f = waiting(&mutex, &condition, &waker);
    condition.notify_all();
    let mut g = waiting(&mutex, &condition, &waker);
    let guard = mutex.try_lock().unwrap();
    assert!(!is_done(&mut f));
    drop((f, guard));
    assert!(!is_done(&mut g));
    drop(condition.wait(mutex.try_lock().unwrap()));
    assert!(mutex.try_lock().is_ok());
}

/// 10,000 random schedules of waits that are polled and dropped among notifications, with the mutex
/// locked or not. At the end as many have returned as were notified and not dropped without another
/// to take over. Fails if a drop loses or doubles a notification.
///
/// Controls, tried: a drop that keeps the notification; a wait that passes it on though it has returned.
#[test]
fn a_wait_dropped_at_any_point_loses_nothing() {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let (mutex, condition, waker) = (Mutex::new(0), Condition::new(), Counter::new());
        let mut waits: VecDeque<_> = (0..6)
            .map(|_| waiting(&mutex, &condition, &waker))
            .collect();
        let notified = random.below(7) as usize;
        let mut guard = (random.below(2) == 0).then(|| mutex.try_lock().unwrap());
        condition.notify(notified);
        let mut returned = 0;
        for _ in 0..12 {
            if waits.is_empty() {
                break;
            }
            let n = random.below(waits.len() as u64) as usize;
            match random.below(5) {
                0 => drop(waits.remove(n)),
                1 => guard = None,
                _ if is_done(&mut waits[n]) => {
                    waits.remove(n);
                    returned += 1;
                }
                _ => {}
            }
        }
        drop(guard);
        for _ in 0..8 {
            waits.retain_mut(|wait| {
                let done = is_done(wait);
                returned += usize::from(done);
                !done
            });
        }
        let left = waits.len();
        assert!(
            returned == notified || (returned < notified && left == 0),
            "{returned} of {notified} returned, {left} wait, seed {seed}"
        );
        assert!(mutex.try_lock().is_ok(), "seed {seed}");
    }
}

/// A queue with a bound, where a lost notification leaves a thread waiting for ever.
///
/// Control, tried: a wait that unlocks before it has queued, which is found in every other run.
#[test]
fn threads_miss_nothing() {
    const ITEMS: u64 = 4_000;
    type Shared = (Mutex<VecDeque<u64>>, Condition, Condition);
    let shared: Arc<Shared> = Arc::default();
    let producers = [0, 1].map(|seed| {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            let (items, pushed, popped) = &*shared;
            let mut random = Rng::new(seed);
            for item in 0..ITEMS {
                if random.below(4) == 0 {
                    let wait = popped.wait_for(block_on(items.lock()), |items| items.len() < 2);
                    let _ = poll_once(Box::pin(wait).as_mut(), &Counter::new());
                }
                let guard = block_on(items.lock());
                let mut guard = block_on(popped.wait_for(guard, |items| items.len() < 2));
                guard.push_back(item);
                pushed.notify(1);
            }
        })
    });
    let consumers = [2, 3].map(|seed| {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            let (items, pushed, popped) = &*shared;
            let mut random = Rng::new(seed);
            let mut sum = 0;
            for _ in 0..ITEMS {
                if random.below(4) == 0 {
                    let wait = pushed.wait(block_on(items.lock()));
                    let _ = poll_once(Box::pin(wait).as_mut(), &Counter::new());
                }
                let guard = block_on(items.lock());
                let mut guard = block_on(pushed.wait_for(guard, |items| !items.is_empty()));
                sum += guard.pop_front().unwrap();
                popped.notify(1);
            }
            sum
        })
    });
    for producer in producers {
        producer.join().unwrap();
    }
    let sum: u64 = consumers
        .map(|consumer| consumer.join().unwrap())
        .iter()
        .sum();
    assert_eq!(sum, ITEMS * (ITEMS - 1));
}

#[test]
fn what_may_move_between_threads_may() {
    fn check<T: Send + Sync>() {}
    fn check_value<T: Send>(_: T) {}
    check::<Condition>();
    let (mutex, condition) = (Mutex::new(0), Condition::const_new());
    check_value(condition.wait(mutex.try_lock().unwrap()));
    check_value(condition.wait_for(mutex.try_lock().unwrap(), |_| true));
}
