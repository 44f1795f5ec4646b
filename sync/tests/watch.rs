//! `watch` without any runtime: versions, closing, cancellation, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::watch;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Control, tried: a `send_if_modified` that always counts a change.
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
///
/// Controls, tried: a `changed` that looks for the end first; a clone of the sender that does not count.
#[test]
fn the_last_value_is_seen_before_the_end() {
    let (sender, mut receiver) = watch::channel(1);
    drop(sender.clone());
    assert_eq!(receiver.has_changed(), Ok(false), "one sender is left");
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

/// Controls, tried: a last receiver that wakes nobody; any receiver that wakes those who wait for the last one.
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

/// Controls, tried: a change that wakes nobody; a `wait_for` that does not note what it has looked at.
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
    // What is found at once is seen, too.
    sender.send(4).unwrap();
    assert!(
        block_on(receiver.wait_for(|value| *value == 4))
            .unwrap()
            .has_changed()
    );
    assert_eq!(receiver.has_changed(), Ok(false));
}

/// Random schedules of waits that are polled and dropped among changes. Fails if a wait that was dropped, or
/// never polled, counts the change as seen, or if not all who wait are woken.
///
/// Controls, tried: a `changed` that counts as seen what is there when it is made; a change that wakes one only.
#[test]
fn a_wait_dropped_at_any_point_loses_no_change() {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let (sender, receiver) = watch::channel(0);
        let mut receivers = [(); 3].map(|()| (receiver.clone(), 0));
        let mut value = 0;
        for _ in 0..8 {
            let waker = Counter::new();
            let mut waiting = Vec::new();
            for (receiver, seen) in &mut receivers {
                let mut wait = Box::pin(receiver.changed());
                if random.below(3) == 0 {
                    continue;
                }
                let ready = poll_once(wait.as_mut(), &waker).is_ready();
                assert_eq!(ready, *seen != value, "seed {seed}");
                *seen = value;
                if !ready && random.below(3) > 0 {
                    waiting.push((wait, seen));
                }
                // The rest of the waits are dropped here.
            }
            if random.below(2) == 0 {
                value += 1;
                sender.send(value).unwrap();
                assert_eq!(waker.count(), waiting.len(), "seed {seed}");
            }
            for (mut wait, seen) in waiting {
                if random.below(2) == 0 {
                    let ready = poll_once(wait.as_mut(), &waker).is_ready();
                    assert_eq!(ready, *seen != value, "seed {seed}");
                    *seen = value;
                }
            }
        }
        for (receiver, seen) in receivers {
            assert_eq!(receiver.has_changed(), Ok(seen != value), "seed {seed}");
        }
    }
}

/// Fails if values go back, or if a change is missed: the sender waits for all from time to time, or the next
/// change would make up for it.
///
/// Controls, tried: a change that wakes one only; a wait that does not look once more when it has the lock, which is
/// found in one run of four, and by the loom model always.
#[test]
fn threads_see_the_last_value() {
    const CHANGES: u32 = 20_000;
    let (sender, receiver) = watch::channel(0);
    let seen = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
    let watchers = [0, 1, 2].map(|n: usize| {
        let mut receiver = receiver.clone();
        let seen = Arc::clone(&seen[n]);
        let seed = n as u64;
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
                seen.store(now, Relaxed);
            }
        })
    });
    drop(receiver);
    for n in 1..=CHANGES {
        sender.send(n).unwrap();
        let is_behind = |w: usize| seen[w].load(Relaxed) < n && !watchers[w].is_finished();
        while n % 2 == 0 && (0..3).any(is_behind) {
            std::thread::yield_now();
        }
    }
    drop(sender);
    for watcher in watchers {
        assert_eq!(watcher.join().unwrap(), CHANGES);
    }
}
