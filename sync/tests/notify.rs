//! `Notify` without any runtime: permits, order, cancellation at every poll, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::{Notified, Notify};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

fn is_done(notified: &mut Pin<Box<Notified<'_>>>) -> bool {
    poll_once(notified.as_mut(), &Counter::new()).is_ready()
}

/// So many that wait already.
fn waiting<const N: usize>(notify: &Notify) -> [Pin<Box<Notified<'_>>>; N] {
    let mut waiters = [(); N].map(|()| Box::pin(notify.notified()));
    for waiter in &mut waiters {
        assert!(!is_done(waiter));
    }
    waiters
}

/// Whether a permit is there, which this uses up.
fn has_permit(notify: &Notify) -> bool {
    pin!(notify.notified()).enable()
}

/// Control, tried: a `notify_waiters` that leaves a permit.
#[test]
fn there_is_one_permit_at_most() {
    let notify = Notify::new();
    assert!(!has_permit(&notify));
    notify.notify_one();
    notify.notify_last();
    assert_eq!(
        format!("{notify:?}"),
        "Notify { permit: true, waited_for: false, .. }"
    );
    assert!(has_permit(&notify));
    assert!(!has_permit(&notify));
    notify.notify_waiters();
    assert!(!has_permit(&notify), "for those who wait only");
}

/// Controls, tried: a `notify_last` for the first one; a `notify_one` for two.
#[test]
fn the_first_or_the_last_or_everybody() {
    let notify = Notify::new();
    let [mut a, mut b, mut c, mut d] = waiting::<4>(&notify);
    notify.notify_one();
    assert_eq!(
        [&mut a, &mut b, &mut c, &mut d].map(is_done),
        [true, false, false, false]
    );
    notify.notify_last();
    assert_eq!(
        [&mut a, &mut b, &mut c, &mut d].map(is_done),
        [true, false, false, true]
    );
    notify.notify_waiters();
    assert_eq!([&mut b, &mut c].map(is_done), [true, true]);
    assert!(is_done(&mut b), "done once, done for ever");
    assert!(!has_permit(&notify));
}

/// Fails if the count is not looked at before the permit, or not at all.
///
/// Controls, tried: without the look at the count; with one that takes the permit along.
#[test]
fn everybody_includes_those_not_polled_yet() {
    let notify = Arc::new(Notify::new());
    let mut early = pin!(notify.notified());
    let mut owned = pin!(Arc::clone(&notify).notified_owned());
    notify.notify_one();
    notify.notify_waiters();
    let mut late = Box::pin(notify.notified());
    let waker = Counter::new();
    assert!(poll_once(early.as_mut(), &waker).is_ready());
    assert!(poll_once(owned.as_mut(), &waker).is_ready());
    assert!(is_done(&mut late), "the permit is still there");
    assert!(!has_permit(&notify));
}

/// Control, tried: an `enable` that only looks for a permit.
#[test]
fn an_enabled_one_is_in_the_queue() {
    let notify = Notify::new();
    let mut first = Box::pin(notify.notified());
    assert!(!first.as_mut().enable());
    assert!(!first.as_mut().enable());
    let [mut second] = waiting::<1>(&notify);
    notify.notify_one();
    assert!(first.as_mut().enable());
    assert!(is_done(&mut first));
    assert!(!is_done(&mut second));
    // The waker comes with the first poll.
    let mut third = pin!(notify.notified());
    let waker = Counter::new();
    third.as_mut().enable();
    assert!(poll_once(third.as_mut(), &waker).is_pending());
    notify.notify_last();
    assert_eq!(waker.count(), 1);
    assert!(poll_once(third.as_mut(), &waker).is_ready());
}

/// Fails if a drop keeps the notification, or passes it on to the wrong end.
///
/// Controls, tried: a drop that keeps the notification; one that always passes it on to the first.
#[test]
fn a_dropped_one_passes_its_notification_on() {
    let notify = Notify::new();
    let [a, mut b, mut c, d] = waiting::<4>(&notify);
    notify.notify_one();
    notify.notify_last();
    drop(d);
    assert_eq!([&mut b, &mut c].map(is_done), [false, true]);
    drop(a);
    assert!(is_done(&mut b));
    let [e] = waiting::<1>(&notify);
    notify.notify_one();
    drop(e);
    assert!(has_permit(&notify), "nobody else waits");
    let [mut f, g] = waiting::<2>(&notify);
    notify.notify_waiters();
    assert!(f.as_mut().enable());
    drop((f, g));
    assert!(!has_permit(&notify), "it was not meant for one alone");
}

/// 10,000 random schedules of waits that are polled and dropped among notifications, against a model
/// of what has to come out. Fails if a drop loses or doubles a notification.
///
/// Controls, tried: a drop that keeps the notification; one that passes on what was for everybody.
#[test]
fn a_wait_dropped_at_any_point_loses_nothing() {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let notify = Notify::new();
        // Those in the queue in order, those notified alone, and those notified with everybody.
        let (mut queued, mut chosen, mut released) = (Vec::new(), Vec::new(), Vec::new());
        let mut permit = false;
        let mut next = 0;
        for _ in 0..24 {
            match random.below(6) {
                0 | 1 => {
                    let mut wait = Box::pin(notify.notified());
                    let done = is_done(&mut wait);
                    assert_eq!(done, permit, "seed {seed}");
                    permit = false;
                    if !done {
                        queued.push((next, wait));
                    }
                    next += 1;
                }
                2 if queued.is_empty() => {
                    notify.notify_one();
                    permit = true;
                }
                2 => {
                    notify.notify_one();
                    chosen.push(queued.remove(0));
                }
                3 if random.below(3) == 0 => {
                    notify.notify_waiters();
                    released.append(&mut queued);
                }
                // One that is still queued goes, which changes nothing for the others.
                3 if !queued.is_empty() => {
                    let n = random.below(queued.len() as u64) as usize;
                    drop(queued.remove(n));
                }
                4 if !chosen.is_empty() => {
                    drop(chosen.remove(0));
                    if queued.is_empty() {
                        permit = true;
                    } else {
                        chosen.push(queued.remove(0));
                    }
                }
                _ => drop(released.pop()),
            }
            for (n, wait) in &mut queued {
                assert!(!is_done(wait), "{n} is not in turn, seed {seed}");
            }
        }
        for (n, mut wait) in chosen.into_iter().chain(released) {
            assert!(is_done(&mut wait), "{n} was notified, seed {seed}");
        }
        drop(queued);
        assert_eq!(has_permit(&notify), permit, "seed {seed}");
    }
}

/// Fails if a notification is lost: the receivers would wait for ever, and `block_on` panics. (With
/// `enable` left out, two items sent at once may wake one.)
///
/// Control, tried: a `refresh` that keeps the waker it has: those that were enabled are not woken.
#[test]
fn threads_miss_nothing() {
    const ITEMS: usize = 20_000;
    const RECEIVERS: usize = 3;
    let shared = Arc::new((AtomicUsize::new(0), Notify::new()));
    let receivers: Vec<_> = (0..RECEIVERS as u64)
        .map(|seed| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let (items, notify) = &*shared;
                let mut random = Rng::new(seed);
                let mut received = 0;
                while received < ITEMS {
                    if random.below(4) == 0 {
                        // Given up after a poll, whatever came of it: if it was done, the next
                        // look at the items makes up for it.
                        let mut given_up = Box::pin(notify.notified());
                        if is_done(&mut given_up) {
                            notify.notify_one();
                        }
                    }
                    let mut notified = pin!(notify.notified());
                    notified.as_mut().enable();
                    if items
                        .fetch_update(SeqCst, SeqCst, |items| items.checked_sub(1))
                        .is_ok()
                    {
                        received += 1;
                    } else {
                        block_on(notified);
                    }
                }
            })
        })
        .collect();
    for _ in 0..ITEMS * RECEIVERS {
        shared.0.fetch_add(1, SeqCst);
        shared.1.notify_one();
    }
    for receiver in receivers {
        receiver.join().unwrap();
    }
    assert_eq!(shared.0.load(SeqCst), 0);
}

/// Fails if one who came before is missed: the others would wait for a round that never comes.
///
/// Control, tried: a `notify_waiters` that counts, but releases nobody.
#[test]
fn threads_are_released_together() {
    const WAITERS: usize = 4;
    const ROUNDS: usize = 2_000;
    let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0), Notify::new()));
    let waiters = [(); WAITERS].map(|()| {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            let (round, arrived, notify) = &*shared;
            for n in 1..=ROUNDS {
                arrived.fetch_add(1, SeqCst);
                loop {
                    let notified = notify.notified();
                    if round.load(SeqCst) >= n {
                        break;
                    }
                    block_on(notified);
                }
            }
        })
    });
    let (round, arrived, notify) = &*shared;
    for n in 1..=ROUNDS {
        while arrived.load(SeqCst) < n * WAITERS {
            std::thread::yield_now();
        }
        round.store(n, SeqCst);
        notify.notify_waiters();
    }
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

#[test]
fn what_may_move_between_threads_may() {
    fn check<T: Send + Sync>() {}
    fn check_value<T: Send>(_: T) {}
    check::<Notify>();
    check::<Notified<'_>>();
    check_value(Arc::new(Notify::new()).notified_owned());
}
