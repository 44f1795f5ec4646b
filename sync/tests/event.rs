//! `Event` without any runtime: the flag, cancellation, threads.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Control, tried: a `clear` that does nothing.
#[test]
fn it_is_set_and_cleared() {
    let event = Event::default();
    assert_eq!(format!("{event:?}"), "Event { set: false, .. }");
    event.set();
    event.set();
    assert!(event.is_set());
    block_on(event.wait());
    block_on(event.wait());
    event.clear();
    assert!(!event.is_set());
}

/// Fails if the wait looks at the flag again instead of at what it was told.
///
/// Control, tried: a wait that looks at the flag again.
#[test]
fn who_waited_goes_on_even_if_it_is_cleared_at_once() {
    let event = Event::new();
    let waker = Counter::new();
    let mut early = Box::pin(event.wait());
    let mut unpolled = Box::pin(event.wait());
    assert!(poll_once(early.as_mut(), &waker).is_pending());
    event.set();
    event.clear();
    assert_eq!(waker.count(), 1);
    assert!(poll_once(unpolled.as_mut(), &waker).is_pending());
    assert!(poll_once(early.as_mut(), &waker).is_ready());
    assert!(poll_once(unpolled.as_mut(), &waker).is_pending());
    event.set();
    assert!(poll_once(unpolled.as_mut(), &waker).is_ready());
}

/// Random schedules of waits that come, are polled and dropped while the flag changes, against a
/// model. Fails if a drop takes others along, or a set misses some.
///
/// Control, tried: a `set` that releases the first one only.
#[test]
fn a_wait_dropped_at_any_point_changes_nothing() {
    for seed in 0..10_000 {
        let mut random = Rng::new(seed);
        let event = Event::new();
        let waker = Counter::new();
        let mut waits = Vec::new();
        for _ in 0..24 {
            match random.below(4) {
                0 => {
                    let mut wait = Box::pin(event.wait());
                    let done = poll_once(wait.as_mut(), &waker).is_ready();
                    assert_eq!(done, event.is_set(), "seed {seed}");
                    if !done {
                        waits.push((wait, false));
                    }
                }
                1 if !waits.is_empty() => {
                    let n = random.below(waits.len() as u64) as usize;
                    let (mut wait, released) = waits.remove(n);
                    if random.below(2) == 0 {
                        let done = poll_once(wait.as_mut(), &waker).is_ready();
                        assert_eq!(done, released, "seed {seed}");
                    }
                }
                2 => {
                    let missing = waits.iter().filter(|(_, released)| !released).count();
                    let before = waker.count();
                    event.set();
                    assert_eq!(waker.count() - before, missing, "seed {seed}");
                    waits.iter_mut().for_each(|(_, released)| *released = true);
                }
                _ => event.clear(),
            }
        }
        for (mut wait, released) in waits {
            let done = poll_once(wait.as_mut(), &waker).is_ready();
            assert_eq!(done, released, "seed {seed}");
        }
    }
}

/// A consumer that clears, looks and waits, with relaxed data. The producers wait for it from time to time,
/// or the next `set` would make up for one that was missed.
///
/// Controls, tried: a `set` that releases nobody; a wait that does not look once more when it has the lock, which is
/// found in one run of four. (That `set` and `clear` take the lock even if they seem to have nothing to do matters on
/// weaker machines than x86 only, and is not seen here.)
#[test]
fn clear_look_wait_misses_nothing() {
    const ITEMS: usize = 50_000;
    let shared = Arc::new((AtomicUsize::new(0), Event::new(), AtomicUsize::new(0)));
    let producers = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || {
            let (items, event, seen) = &*shared;
            for _ in 0..ITEMS {
                let number = items.fetch_add(1, Relaxed) + 1;
                event.set();
                while number % 2 == 0 && seen.load(Relaxed) < number {
                    std::thread::yield_now();
                }
            }
        })
    });
    let (items, event, seen) = &*shared;
    let mut random = Rng::new(1);
    loop {
        event.clear();
        let number = items.load(Relaxed);
        seen.store(number, Relaxed);
        if number == 2 * ITEMS {
            break;
        }
        if random.below(4) == 0 {
            let _ = poll_once(Box::pin(event.wait()).as_mut(), &Counter::new());
        }
        block_on(event.wait());
    }
    for producer in producers {
        producer.join().unwrap();
    }
}

#[test]
fn what_may_move_between_threads_may() {
    fn check<T: Send + Sync>() {}
    fn check_value<T: Send>(_: T) {}
    check::<Event>();
    check_value(Event::new().wait());
}
