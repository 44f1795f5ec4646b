//! The wheel against a `BTreeMap`, and the corners one by one.

use super::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::size_of;
use std::task::Waker;

/// SplitMix64: enough randomness for tests, and the same on every run.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Any magnitude is as likely as any other.
    fn magnitude(&mut self) -> u64 {
        let bits = self.below(65) as u32;
        self.next().checked_shr(64 - bits).unwrap_or(0)
    }
}

fn expire<T>(wheel: &mut Wheel<T>, now: u64) -> Vec<T> {
    let mut fired = Vec::new();
    wheel.expire(now, &mut |_, payload| fired.push(payload));
    fired
}

/// Walks the whole structure and checks every redundancy in it.
fn check<T>(wheel: &Wheel<T>) {
    let mut seen = BTreeSet::new();
    for (place, slot) in wheel.slots.iter().enumerate() {
        let level = place / SLOTS;
        assert_eq!(
            slot.head != NIL,
            wheel.occupied[level] >> (place % SLOTS) & 1 == 1
        );
        if slot.head == NIL {
            continue;
        }
        let mut index = slot.head;
        loop {
            let entry = &wheel.entries[index as usize];
            assert!(seen.insert(index), "an entry is linked once");
            assert_eq!(usize::from(entry.place), place);
            assert!(entry.payload.is_some());
            assert!(entry.deadline >= slot.earliest);
            assert!(entry.wake() >= slot.wake);
            let tick = (entry.deadline >> TICK_BITS).max(wheel.current);
            assert_eq!(place_of(level, tick >> widen(level)), place);
            let ahead = (tick >> widen(level)) - (wheel.current >> widen(level));
            assert!(ahead < SLOTS as u64, "within the window of its level");
            assert!(
                level == 0 || ahead > 0,
                "a slot that was reached has cascaded"
            );
            assert_eq!(wheel.entries[entry.next as usize].prev, index);
            index = entry.next;
            if index == slot.head {
                break;
            }
        }
    }
    for level in 0..LEVELS {
        assert_eq!(wheel.occupied[level] != 0, wheel.levels >> level & 1 == 1);
    }
    assert_eq!(seen.len(), wheel.len);
    let mut free = wheel.free;
    let mut places = seen.len();
    while free != NIL {
        assert!(wheel.entries[free as usize].payload.is_none());
        free = wheel.entries[free as usize].next;
        places += 1;
    }
    let retired = wheel
        .entries
        .iter()
        .filter(|entry| entry.generation == u32::MAX)
        .count();
    assert_eq!(
        places + retired,
        wheel.entries.len(),
        "every place is used, free or retired"
    );
}

/// What the wheel should be, and the keys to it.
struct Model {
    wheel: Wheel<u64>,
    pending: BTreeMap<(u64, u64), Key>,
    /// By serial number.
    slacks: Vec<u64>,
    dead: Vec<Key>,
    serial: u64,
    now: u64,
}

impl Model {
    fn new(now: u64) -> Self {
        Self {
            wheel: Wheel::new(now),
            pending: BTreeMap::new(),
            slacks: Vec::new(),
            dead: Vec::new(),
            serial: 0,
            now,
        }
    }

    fn insert(&mut self, deadline: u64, slack: u64) {
        let key = self.wheel.insert_with_slack(deadline, slack, self.serial);
        self.slacks.push(slack);
        self.pending.insert((deadline, self.serial), key);
        self.serial += 1;
    }

    fn pick(&self, rng: &mut Rng) -> Option<((u64, u64), Key)> {
        // A random neighbourhood instead of a random rank, which a BTreeMap does not offer.
        let from = self.now.saturating_add(rng.magnitude());
        let above = self.pending.range((from, 0)..).next();
        above
            .or_else(|| self.pending.iter().next())
            .map(|(at, key)| (*at, *key))
    }

    fn remove(&mut self, rng: &mut Rng) {
        if let Some((at, key)) = self.pick(rng) {
            self.pending.remove(&at);
            assert_eq!(self.wheel.remove(key), Some(at.1));
            self.dead.push(key);
        }
    }

    fn reset(&mut self, rng: &mut Rng, deadline: u64) {
        if let Some((at, key)) = self.pick(rng) {
            self.pending.remove(&at);
            self.pending.insert((deadline, at.1), key);
            assert!(self.wheel.reset(key, deadline));
        }
    }

    fn expire(&mut self, now: u64) {
        self.now = self.now.max(now);
        let mut last_tick = 0;
        let (pending, dead) = (&mut self.pending, &mut self.dead);
        let mut due: BTreeMap<u64, (u64, Key)> = BTreeMap::new();
        while let Some(first) = pending.first_entry() {
            if first.key().0 > now {
                break;
            }
            let ((deadline, serial), key) = first.remove_entry();
            due.insert(serial, (deadline, key));
        }
        let reached = self.wheel.current;
        self.wheel.expire(now, &mut |key, serial| {
            let (deadline, expected) = due.remove(&serial).expect("it is due, and only once");
            assert_eq!(key, expected);
            let tick = (deadline >> TICK_BITS).max(reached);
            assert!(tick >= last_tick, "ordered by tick");
            last_tick = tick;
            dead.push(key);
        });
        assert!(due.is_empty(), "everything due was yielded");
    }

    fn compare(&mut self, rng: &mut Rng) {
        assert_eq!(self.wheel.len(), self.pending.len());
        let wake = |&(deadline, serial): &(u64, u64)| {
            let ticks = (self.slacks[serial as usize] >> TICK_BITS).min(u64::from(u16::MAX));
            deadline.saturating_add(ticks << TICK_BITS)
        };
        let earliest = self.pending.keys().map(wake).min();
        assert_eq!(self.wheel.next_wake().is_some(), earliest.is_some());
        assert!(
            self.wheel.next_wake() <= earliest,
            "the bound is never late"
        );
        if !self.dead.is_empty() {
            let key = self.dead[rng.below(self.dead.len() as u64) as usize];
            assert_eq!(self.wheel.remove(key), None, "a stale key finds nothing");
            assert!(!self.wheel.reset(key, 0));
            assert!(self.wheel.get_mut(key).is_none());
        }
    }
}

#[test]
fn agrees_with_a_sorted_map() {
    for seed in 0..150 {
        let mut rng = Rng(seed);
        let start = if seed % 3 == 0 { 0 } else { rng.magnitude() };
        let mut model = Model::new(start);
        let spread = 1 + rng.magnitude() / 2;
        for step in 0..1_500 {
            let deadline = match rng.below(8) {
                0 => rng.next(),
                1 => model.now,
                2 => model.now.saturating_sub(rng.magnitude()),
                3 => model.now.saturating_add(rng.magnitude()),
                _ => model.now.saturating_add(rng.below(spread)),
            };
            match rng.below(10) {
                0..=4 => {
                    let slack = if seed % 2 == 0 {
                        0
                    } else {
                        rng.magnitude() / 4
                    };
                    model.insert(deadline, slack);
                }
                5 | 6 => model.remove(&mut rng),
                7 => model.reset(&mut rng, deadline),
                8 => {
                    let step = rng.below(spread / 8 + 2);
                    model.expire(model.now.saturating_add(step));
                }
                _ => match rng.below(30) {
                    0 => model.expire(model.now.saturating_add(rng.magnitude())),
                    1 => model.expire(model.now.saturating_sub(rng.magnitude())),
                    _ => {
                        let bound = model.wheel.next_wake().unwrap_or(model.now);
                        model.expire(bound.max(model.now));
                    }
                },
            }
            model.compare(&mut rng);
            if step % 50 == 0 {
                check(&model.wheel);
            }
        }
        model.expire(u64::MAX);
        assert_eq!(model.wheel.len(), 0);
        assert_eq!(model.wheel.next_wake(), None);
        check(&model.wheel);
    }
}

#[test]
fn parking_until_the_bound_fires_each_timer_on_time() {
    // What a worker does: sleep exactly until the bound, expire, repeat.
    let mut rng = Rng(7);
    let mut wheel = Wheel::new(0);
    let mut deadlines: Vec<u64> = (0..5_000).map(|_| rng.below(100_000_000_000)).collect();
    for &deadline in &deadlines {
        wheel.insert(deadline, deadline);
    }
    deadlines.sort_unstable();
    let mut expected = VecDeque::from(deadlines);
    while let Some(now) = wheel.next_wake() {
        // Nothing was removed, so no wake-up is in vain and none is late.
        assert_eq!(Some(&now), expected.front());
        for fired in expire(&mut wheel, now) {
            assert_eq!(fired, now);
            assert_eq!(expected.pop_front(), Some(now));
        }
    }
    assert!(expected.is_empty());
}

#[test]
fn parking_until_the_bound_serves_timers_with_slack_together() {
    const SLACK: u64 = 500 << 10;
    let mut rng = Rng(8);
    let mut wheel = Wheel::new(0);
    for _ in 0..5_000 {
        let deadline = rng.below(1_000_000_000);
        // One in a hundred is exact.
        let slack = if rng.below(100) == 0 { 0 } else { SLACK };
        wheel.insert_with_slack(deadline, slack, (deadline, slack));
    }
    let (mut wakes, mut fired) = (0, 0);
    while let Some(now) = wheel.next_wake() {
        let due = expire(&mut wheel, now);
        let exact = |&(deadline, slack): &(u64, u64)| deadline + (slack >> TICK_BITS << TICK_BITS);
        // Nothing was removed, so every wake-up has its reason, and no timer is later than it may be.
        assert_eq!(due.iter().map(exact).min(), Some(now));
        assert!(due.iter().all(|(deadline, _)| *deadline <= now));
        wakes += 1;
        fired += due.len();
    }
    assert_eq!(fired, 5_000);
    assert!(wakes < 2_000, "{wakes} wake-ups for 5,000 timers");
}

#[test]
fn each_early_bound_is_paid_for_by_a_removal() {
    let mut rng = Rng(11);
    for _ in 0..200 {
        let mut wheel = Wheel::new(0);
        let spread = 1 + rng.below(1 << 36);
        let keys: Vec<Key> = (0..300)
            .map(|n| wheel.insert(rng.below(spread), n))
            .collect();
        let mut removed = 0;
        for key in keys {
            if rng.below(2) == 0 {
                removed += usize::from(wheel.remove(key).is_some());
            }
        }
        let mut in_vain = 0;
        while let Some(bound) = wheel.next_wake() {
            if expire(&mut wheel, bound).is_empty() {
                in_vain += 1;
                assert!(wheel.next_wake() > Some(bound), "the bound improves");
            }
        }
        assert!(
            in_vain <= removed,
            "{in_vain} wake-ups in vain for {removed} removals"
        );
    }
}

#[test]
fn a_lone_timer_wakes_the_thread_once() {
    let mut rng = Rng(3);
    let mut now = 0;
    let mut wheel = Wheel::new(now);
    for _ in 0..20_000 {
        let magnitude = rng.below(40);
        let deadline = now + rng.below(1 << magnitude);
        let others: Vec<Key> = (0..rng.below(4))
            .map(|_| wheel.insert(now + rng.below(1 << 34), 1))
            .collect();
        wheel.insert(deadline, 0);
        for other in others {
            wheel.remove(other);
        }
        assert_eq!(wheel.next_wake(), Some(deadline));
        if deadline > now {
            assert_eq!(
                expire(&mut wheel, deadline - 1),
                [0; 0],
                "not one nanosecond early"
            );
        }
        assert_eq!(expire(&mut wheel, deadline), [0]);
        now = deadline;
    }
}

#[test]
fn the_ends_of_time() {
    // Stepping through the ticks between them would take years.
    let mut wheel = Wheel::new(0);
    wheel.insert(u64::MAX, "end");
    wheel.insert(u64::MAX - 1, "before the end");
    wheel.insert(0, "start");
    assert_eq!(wheel.next_wake(), Some(0));
    assert_eq!(expire(&mut wheel, 0), ["start"]);
    assert_eq!(wheel.next_wake(), Some(u64::MAX - 1));
    assert_eq!(expire(&mut wheel, u64::MAX - 2), [""; 0]);
    assert_eq!(expire(&mut wheel, u64::MAX - 1), ["before the end"]);
    assert_eq!(wheel.next_wake(), Some(u64::MAX));
    assert_eq!(expire(&mut wheel, u64::MAX), ["end"]);
    wheel.insert(u64::MAX, "again");
    wheel.insert(5, "long past");
    assert_eq!(expire(&mut wheel, u64::MAX), ["again", "long past"]);
    assert_eq!(wheel.next_wake(), None);
    check(&wheel);
}

#[test]
fn a_late_insert_is_due_at_once_even_if_the_clock_went_back() {
    let mut wheel = Wheel::new(0);
    expire(&mut wheel, 1_000_000_000);
    wheel.insert(3, 3);
    assert_eq!(wheel.next_wake(), Some(3));
    assert_eq!(expire(&mut wheel, 2), [0; 0]);
    assert_eq!(expire(&mut wheel, 500), [3]);
}

#[test]
fn the_levels_follow_the_clock() {
    // Called as often as a busy worker calls it, with nothing due, the wheel must not lag behind:
    // a new short timer would then start on a high level and cascade for nothing.
    let mut wheel = Wheel::new(0);
    wheel.insert(u64::MAX, 0);
    let mut now = 0;
    while now < 10_000_000_000 {
        now += 700_000;
        assert_eq!(expire(&mut wheel, now), [0; 0]);
    }
    for (after, level) in [
        (10_000, 0),
        (5_000_000, 1),
        (60_000_000, 2),
        (30_000_000_000, 5),
    ] {
        let key = wheel.insert(now + after, 1);
        assert_eq!(
            usize::from(wheel.entries[key.index as usize].place) / SLOTS,
            level
        );
    }
    check(&wheel);
}

#[test]
fn every_distance_has_a_level() {
    let last = u64::MAX >> TICK_BITS;
    let mut rng = Rng(13);
    for _ in 0..200_000 {
        let current = (rng.magnitude() >> TICK_BITS).min(last);
        let tick = current
            .saturating_add(rng.magnitude() >> TICK_BITS)
            .min(last);
        let level = level_of(current, tick);
        assert!(level < LEVELS);
        let ahead = |level| (tick >> widen(level)) - (current >> widen(level));
        assert!(ahead(level) < SLOTS as u64);
        assert!(
            level == 0 || ahead(level - 1) >= SLOTS as u64,
            "the lowest one that will do"
        );
    }
    assert_eq!(level_of(0, last), LEVELS - 1);
}

#[test]
fn a_key_is_never_valid_twice() {
    let mut wheel = Wheel::new(0);
    let first = wheel.insert(10, 1);
    assert_eq!(wheel.remove(first), Some(1));
    assert_eq!(wheel.remove(first), None);
    let second = wheel.insert(10, 2);
    assert_eq!(first.index, second.index, "the place is used again");
    assert_ne!(first, second);
    assert_eq!(wheel.remove(first), None);
    assert_eq!(expire(&mut wheel, 10), [2]);
    assert_eq!(wheel.remove(second), None);

    // A place whose generations run out is retired.
    wheel.entries[0].generation = u32::MAX - 1;
    let last = wheel.insert(20, 3);
    assert_eq!((last.index, last.generation), (0, u32::MAX - 1));
    assert_eq!(wheel.remove(last), Some(3));
    let fresh = wheel.insert(20, 4);
    assert_eq!(fresh.index, 1);
    check(&wheel);
}

#[test]
fn reset_keeps_the_key_and_the_payload() {
    let mut wheel = Wheel::new(0);
    let key = wheel.insert(1_000, "a");
    assert!(wheel.reset(key, 9_000_000_000));
    assert_eq!(wheel.next_wake(), Some(9_000_000_000));
    assert_eq!(expire(&mut wheel, 8_999_999_999), [""; 0]);
    *wheel.get_mut(key).expect("pending") = "b";
    assert!(wheel.reset(key, 1));
    assert_eq!(wheel.next_wake(), Some(1));
    assert_eq!(expire(&mut wheel, 9_000_000_000), ["b"]);
    assert!(!wheel.reset(key, 1));
}

#[test]
fn a_panic_while_firing_loses_no_other_timer() {
    let mut wheel = Wheel::new(0);
    for n in 0..10 {
        wheel.insert(1_000 + n, n);
    }
    let mut fired = Vec::new();
    for _ in 0..10 {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wheel.expire(2_000, &mut |_, n| {
                fired.push(n);
                std::panic::resume_unwind(Box::new(n));
            });
        }));
        assert!(result.is_err());
        check(&wheel);
    }
    assert_eq!(fired, (0..10).collect::<Vec<_>>());
    assert_eq!(wheel.next_wake(), None);
}

#[test]
fn a_million_timers_half_of_them_cancelled() {
    const COUNT: u64 = 1_000_000;
    let mut rng = Rng(5);
    let mut wheel = Wheel::new(0);
    let keys: Vec<Key> = (0..COUNT)
        .map(|_| {
            let deadline = rng.below(10_000_000_000);
            wheel.insert(deadline, deadline)
        })
        .collect();
    for key in keys.iter().step_by(2) {
        assert!(wheel.remove(*key).is_some());
    }
    let mut now = 0;
    let mut fired = 0;
    while wheel.len() > 0 {
        let before = now;
        now += rng.below(3_000_000);
        wheel.expire(now, &mut |_, deadline| {
            assert!(deadline <= now, "early");
            assert!(deadline >= before, "late");
            fired += 1;
        });
    }
    assert_eq!(fired, COUNT / 2);
    assert!(keys.iter().all(|key| wheel.remove(*key).is_none()));
    check(&wheel);
}

#[test]
fn dropping_the_wheel_drops_what_is_pending() {
    let payload = std::rc::Rc::new(());
    let mut wheel = Wheel::new(0);
    for n in 0..100 {
        let key = wheel.insert(n << n.min(40), std::rc::Rc::clone(&payload));
        if n % 3 == 0 {
            wheel.remove(key);
        }
    }
    drop(wheel);
    assert_eq!(std::rc::Rc::strong_count(&payload), 1);
}

#[test]
fn an_entry_with_a_waker_is_forty_bytes() {
    assert_eq!(size_of::<Entry<Waker>>(), 40);
    assert_eq!(LEVELS, 16, "one bit each in a word");
}
