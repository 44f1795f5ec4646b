//! `watch` without any runtime: versions, closing, cancellation, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::watch;
use std::pin::pin;

#[test]
fn changes_are_seen_once() {
    let (sender, mut receiver) = watch::channel(1);
    assert_eq!(receiver.has_changed(), Ok(false));
    sender.send(2).unwrap();
    assert_eq!(receiver.has_changed(), Ok(true));
    assert!(receiver.borrow().has_changed());
    assert!(receiver.borrow_and_update().has_changed());
    assert!(!receiver.borrow_and_update().has_changed());
    receiver.mark_changed();
    block_on(receiver.changed()).unwrap();
    sender.send_modify(|value| *value += 1);
    receiver.mark_unchanged();
    assert_eq!(receiver.has_changed(), Ok(false));
    assert!(!sender.send_if_modified(|value| *value == 0));
    assert_eq!(receiver.has_changed(), Ok(false));
    assert_eq!(sender.send_replace(7), 3);
    let late = sender.subscribe();
    assert_eq!((late.has_changed(), *late.borrow()), (Ok(false), 7));
    assert_eq!(receiver.clone().has_changed(), Ok(true));
    assert!(late.same_channel(&receiver));
}

/// Fails if the end hides the last value, or if a clone of the sender does not count.
#[test]
fn the_last_value_is_seen_before_the_end() {
    let (sender, mut receiver) = watch::channel(1);
    drop(sender.clone());
    sender.send(2).unwrap();
    drop(sender);
    assert!(receiver.has_changed().is_err());
    assert_eq!(block_on(receiver.changed()), Ok(()));
    assert_eq!(*receiver.borrow(), 2);
    assert!(block_on(receiver.changed()).is_err());
    assert_eq!(
        *block_on(receiver.wait_for(|value| *value == 2)).unwrap(),
        2
    );
    assert!(block_on(receiver.wait_for(|value| *value == 3)).is_err());
}

#[test]
fn a_sender_notices_that_nobody_watches() {
    let (sender, receiver) = watch::channel(1);
    let waker = Counter::new();
    let mut closed = pin!(sender.closed());
    assert!(poll_once(closed.as_mut(), &waker).is_pending());
    drop(receiver.clone());
    assert_eq!((sender.receiver_count(), waker.count()), (1, 0));
    drop(receiver);
    assert_eq!(waker.count(), 1);
    assert!(poll_once(closed.as_mut(), &waker).is_ready());
    assert_eq!(sender.send(2).unwrap_err().0, 2);
    assert_eq!(*sender.borrow(), 1);
    sender.send_replace(3);
    assert_eq!(*sender.subscribe().borrow(), 3);
}

#[test]
fn a_wait_for_looks_at_each_change() {
    let (sender, mut receiver) = watch::channel(1);
    let waker = Counter::new();
    {
        let mut wait = pin!(receiver.wait_for(|value| *value > 2));
        assert!(poll_once(wait.as_mut(), &waker).is_pending());
        sender.send(2).unwrap();
        assert!(poll_once(wait.as_mut(), &waker).is_pending());
        sender.send(3).unwrap();
        assert_eq!(waker.count(), 2);
        assert!(poll_once(wait.as_mut(), &waker).is_ready());
    }
    assert_eq!(receiver.has_changed(), Ok(false));
}

/// Random schedules of waits that are polled and dropped among changes. Fails if a wait that was
/// dropped counts the change as seen, or takes others along.
#[test]
fn a_wait_dropped_at_any_point_loses_no_change() {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let (sender, receiver) = watch::channel(0);
        let mut receivers = [(); 3].map(|()| (receiver.clone(), 0));
        let mut value = 0;
        for _ in 0..8 {
            let waker = Counter::new();
            let mut waits = receivers
                .each_mut()
                .map(|(receiver, seen)| (Box::pin(receiver.changed()), seen));
            for (wait, seen) in &mut waits {
                if random.below(2) == 0 {
                    let ready = poll_once(wait.as_mut(), &waker).is_ready();
                    assert_eq!(ready, **seen != value, "seed {seed}");
                    **seen = value;
                }
            }
            if random.below(2) == 0 {
                value += 1;
                sender.send(value).unwrap();
            }
            // The rest of the waits are dropped here.
        }
        for (receiver, seen) in receivers {
            assert_eq!(receiver.has_changed(), Ok(seen != value), "seed {seed}");
        }
    }
}

/// Fails if a change or the end is missed (`block_on` panics), or if values go back.
#[test]
fn threads_see_the_last_value() {
    const CHANGES: u32 = 50_000;
    let (sender, receiver) = watch::channel(0);
    let watchers = [1, 2, 3].map(|seed| {
        let mut receiver = receiver.clone();
        std::thread::spawn(move || {
            let mut random = Rng::new(seed);
            let mut last = 0;
            loop {
                if random.below(4) == 0 {
                    // Given up after a poll.
                    let _ = poll_once(pin!(receiver.clone().changed()), &Counter::new());
                }
                if block_on(receiver.changed()).is_err() {
                    return last;
                }
                let now = *receiver.borrow_and_update();
                assert!(now >= last);
                last = now;
            }
        })
    });
    drop(receiver);
    for n in 1..=CHANGES {
        sender.send(n).unwrap();
    }
    drop(sender);
    for watcher in watchers {
        assert_eq!(watcher.join().unwrap(), CHANGES);
    }
}
