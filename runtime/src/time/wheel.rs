//! A hierarchical timer wheel: a plain data structure of one thread, without a clock.
//!
//! # Shape
//!
//! A deadline is a `u64` of nanoseconds, and its upper 50 bits count *ticks* of 2^14 ns (16.4 us).
//! `current` is the tick the wheel has reached. Each level has 64 slots, and a slot of one level is
//! as wide as eight of the level below:
//!
//! | level | width of a slot | reach |
//! |---|---|---|
//! | 0 | 16.4 us | 1.05 ms |
//! | 1 | 131 us | 8.4 ms |
//! | 2 | 1.05 ms | 67 ms |
//! | 3 | 8.4 ms | 0.54 s |
//! | 4 | 67 ms | 4.3 s |
//! | 5 | 0.54 s | 34 s |
//! | 6 to 15 | 4.3 s to 18 years | all of `u64` |
//!
//! Slots are counted from time zero on every level, and their lists are used in turn like those of
//! a ring. An entry goes to the lowest level whose next 63 slots reach its tick. So a level is a
//! window that slides with `current`: one word of occupancy bits, rotated to `current`, gives its
//! earliest slot, and nothing ever steps through empty ticks.
//!
//! When `current` arrives at the start of a slot above level 0, its entries move down (they
//! *cascade*). What is left of their time then fits two levels further down, so an entry moves no
//! oftener than in a wheel whose levels differ by 64, but only an eighth as many move at once. That
//! is the reason for the overlap: among 100,000 timers of up to 100 ms, a slot of 67 ms would hold
//! most of them, and cascading it would stall its thread for milliseconds.
//!
//! # The next wake-up
//!
//! A timer may have *slack*: it is due at its deadline, but nobody need wake up for it alone before its
//! deadline plus slack. Timers that lie close together are so served by one wake-up.
//!
//! Each slot remembers the smallest deadline put into it, and the smallest wake-up time. The earliest
//! slot of a level has its smallest deadline; the smallest wake-up time may be that of a later slot that
//! starts before it, so those are looked through too. The answer of [`Wheel::next_wake`] is exact unless
//! that very entry has been removed from a slot that still holds two or more others; it is then early,
//! never late, and the [`expire`](Wheel::expire) that it causes takes the slot apart and so finds a better
//! one.
//!
//! # Costs
//!
//! Insert, remove and reset touch the entry, its two neighbours and one slot. A timer of up to 1 ms
//! never cascades, one of up to 67 ms at most once, one of minutes three times; one that is
//! cancelled in time usually never. An entry takes 24 bytes and an `Option` of the payload: 40 for
//! a `Waker`. The slab keeps the memory of its busiest moment.

use std::fmt;

/// Nanoseconds of one tick, as a power of two: 16.384 us.
const TICK_BITS: u32 = 14;
/// How much wider the slots of the next level are, as a power of two.
const WIDEN_BITS: u32 = 3;
/// Slots of a level, as a power of two. An occupancy word has one bit for each.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Levels needed to reach every tick of a `u64` of nanoseconds from every other.
const LEVELS: usize = 1 + (u64::BITS - TICK_BITS - SLOT_BITS).div_ceil(WIDEN_BITS) as usize;
/// The end of the free list and the head of an empty slot.
const NIL: u32 = u32::MAX;

/// Names one entry of a wheel, and no later one that happens to use the same memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// One timer, or a free place in the slab (then only `next` and `generation` mean anything).
struct Entry<T> {
    /// When it is due, in nanoseconds of the caller's clock.
    deadline: u64,
    /// The neighbour towards the front; the front's is the back.
    prev: u32,
    /// The neighbour towards the back, the back's is the front; of a free place, the next free one.
    next: u32,
    /// How often the place has been freed. A key of another generation is stale.
    generation: u32,
    /// The slot it hangs in, as an index into `Wheel::slots`.
    place: u16,
    /// How long after the deadline a wake-up does, in ticks.
    slack: u16,
    /// What the caller gave; empty in a free place.
    payload: Option<T>,
}

impl<T> Entry<T> {
    /// When somebody has to wake up for it.
    fn wake(&self) -> u64 {
        wake_time(self.deadline, self.slack)
    }
}

/// The circular list of the entries that share a slot.
#[derive(Clone, Copy)]
struct Slot {
    /// No entry of the slot is due before this. Exact while its owner has not been removed.
    earliest: u64,
    /// No entry of the slot needs a wake-up before this. Exact likewise.
    wake: u64,
    /// The first entry, or `NIL`. The last one is the first one's `prev`.
    head: u32,
}

const EMPTY: Slot = Slot {
    earliest: u64::MAX,
    wake: u64::MAX,
    head: NIL,
};

/// Timers ordered by deadline to the tick, and fired to the nanosecond. See the module.
pub(crate) struct Wheel<T> {
    /// `expire` has nothing to do before this time: neither a deadline nor a cascade.
    quiet_until: u64,
    /// No entry is due before this; `u64::MAX` when empty.
    next: u64,
    /// The answer of `next_wake`; `u64::MAX` when empty.
    wake: u64,
    /// The tick the wheel has reached.
    current: u64,
    /// Bit n: level n has an occupied slot.
    levels: u16,
    /// The first free place of `entries`.
    free: u32,
    /// Entries that are not free.
    len: usize,
    /// Per level, bit n: slot n is not empty.
    occupied: [u64; LEVELS],
    /// All slots, level by level.
    slots: Box<[Slot]>,
    /// The slab.
    entries: Vec<Entry<T>>,
}

impl<T> Wheel<T> {
    /// An empty wheel that has reached the time `now`. A deadline before it is due at once.
    pub(crate) fn new(now: u64) -> Self {
        let mut wheel = Self {
            quiet_until: 0,
            next: u64::MAX,
            wake: u64::MAX,
            current: now >> TICK_BITS,
            levels: 0,
            free: NIL,
            len: 0,
            occupied: [0; LEVELS],
            slots: vec![EMPTY; LEVELS * SLOTS].into_boxed_slice(),
            entries: Vec::new(),
        };
        wheel.refresh_bounds();
        wheel
    }

    /// How many timers are pending.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a timer without slack. Any deadline is allowed, past ones included: the next `expire` yields
    /// those.
    ///
    /// # Panics
    ///
    /// When four billion timers are pending.
    #[cfg(test)]
    pub(crate) fn insert(&mut self, deadline: u64, payload: T) -> Key {
        self.insert_with_slack(deadline, 0, payload)
    }

    /// Adds a timer that nobody need wake up for alone before `slack` nanoseconds after its deadline. The
    /// slack is rounded down to ticks, and is at most a second.
    ///
    /// # Panics
    ///
    /// When four billion timers are pending.
    pub(crate) fn insert_with_slack(&mut self, deadline: u64, slack: u64, payload: T) -> Key {
        let slack = u16::try_from(slack >> TICK_BITS).unwrap_or(u16::MAX);
        let index = self.allocate(deadline, slack, payload);
        self.link(index);
        self.tighten_bounds(deadline, wake_time(deadline, slack));
        Key {
            index,
            generation: self.entries[index as usize].generation,
        }
    }

    /// Takes a timer out and returns its payload, so that the payload's destructor runs where the
    /// caller likes; `None` if it has expired or was removed before.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.live(key)?;
        if self.unlink(key.index) {
            self.refresh_bounds();
        }
        self.release(key.index)
    }

    /// Moves a pending timer to another deadline; its key and payload stay. `false` if it has
    /// expired or was removed before.
    #[cfg(test)]
    pub(crate) fn reset(&mut self, key: Key, deadline: u64) -> bool {
        let Some(entry) = self.live(key) else {
            return false;
        };
        if entry.deadline != deadline {
            if self.unlink(key.index) {
                self.refresh_bounds();
            }
            let entry = &mut self.entries[key.index as usize];
            entry.deadline = deadline;
            let wake = entry.wake();
            self.link(key.index);
            self.tighten_bounds(deadline, wake);
        }
        true
    }

    /// The payload of a pending timer, to put another waker there.
    #[cfg(test)]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.live(key)?.payload.as_mut()
    }

    /// Takes out every timer, due or not. Keys of before stay stale.
    pub(crate) fn drain(&mut self, mut taken: impl FnMut(T)) {
        for index in 0..self.entries.len() {
            let Entry {
                generation,
                ref payload,
                ..
            } = self.entries[index];
            if payload.is_some() {
                let key = Key {
                    index: index as u32,
                    generation,
                };
                self.remove(key).into_iter().for_each(&mut taken);
            }
        }
    }

    /// When to wake up for the pending timers: the least of their deadlines plus slack; `None` when none
    /// is pending.
    ///
    /// It is exact unless removals have hidden that timer (see the module). An `expire` at the time given
    /// may then yield nothing and improves the answer: each such miss uses up at least one removal.
    pub(crate) fn next_wake(&self) -> Option<u64> {
        (self.len != 0).then_some(self.wake)
    }

    /// Takes out every timer whose deadline is at or before `now`, never one that is not, and hands
    /// it to `fire`: ordered by tick, in any order within a tick.
    ///
    /// Called again with nothing due it costs one comparison, and some bit scans each millisecond.
    /// Time spent beyond that is proportional to the timers moved, not to the time passed. A `now`
    /// before an earlier one is harmless. If `fire` panics, the timers not yet yielded stay pending.
    pub(crate) fn expire(&mut self, now: u64, fire: &mut impl FnMut(Key, T)) {
        if now < self.quiet_until {
            return;
        }
        // Timers inserted late hang in the slot of `current`, so it is always worth a look, even if
        // the caller's clock went back.
        let target = (now >> TICK_BITS).max(self.current);
        loop {
            // Up to the start of the next slot above level 0, level 0 has everything there is.
            let cascade = self.next_cascade();
            let stop = cascade.map_or(target, |(start, _)| target.min(start.saturating_sub(1)));
            self.sift_until(stop, now, fire);
            let Some((start, level)) = cascade.filter(|(start, _)| *start <= target) else {
                break;
            };
            self.current = start;
            self.cascade(level);
        }
        // Following the clock even with nothing due keeps new timers on low levels.
        self.current = target;
        self.refresh_bounds();
    }

    /// Yields what is due on level 0 up to the tick `stop`.
    fn sift_until(&mut self, stop: u64, now: u64, fire: &mut impl FnMut(Key, T)) {
        while let Some(tick) = self.first_slot(0) {
            if tick > stop {
                break;
            }
            self.current = tick;
            self.sift(tick as usize % SLOTS, now, fire);
            if tick == stop {
                // The slot may keep entries that are due later within the tick.
                break;
            }
        }
    }

    /// The earliest start of an occupied slot above level 0, in ticks, and its level.
    fn next_cascade(&self) -> Option<(u64, usize)> {
        bits(self.levels & !1)
            .filter_map(|level| Some((self.first_slot(level)? << widen(level), level)))
            .min()
    }

    /// Yields what is due of a slot of level 0, and finds the exact bound of the rest.
    fn sift(&mut self, slot: usize, now: u64, fire: &mut impl FnMut(Key, T)) {
        let last = self.entries[self.slots[slot].head as usize].prev;
        let mut index = self.slots[slot].head;
        let mut earliest = u64::MAX;
        let mut wake = u64::MAX;
        loop {
            let Entry {
                deadline,
                next,
                generation,
                slack,
                ..
            } = self.entries[index as usize];
            if deadline <= now {
                // The wheel is whole again before it calls out.
                self.unlink(index);
                if let Some(payload) = self.release(index) {
                    fire(Key { index, generation }, payload);
                }
            } else {
                earliest = earliest.min(deadline);
                wake = wake.min(wake_time(deadline, slack));
            }
            if index == last {
                break;
            }
            index = next;
        }
        self.slots[slot].earliest = earliest;
        self.slots[slot].wake = wake;
    }

    /// Moves the entries of the slot that `current` has just arrived at to the levels below.
    fn cascade(&mut self, level: usize) {
        let place = place_of(level, self.current >> widen(level));
        let head = self.slots[place].head;
        self.clear(place);
        let mut index = head;
        loop {
            // Linking writes to this entry and to those already moved, not to the ones ahead.
            let next = self.entries[index as usize].next;
            self.link(index);
            if next == head {
                break;
            }
            index = next;
        }
    }

    /// Appends an entry to the slot that its deadline belongs to.
    fn link(&mut self, index: u32) {
        let Entry {
            deadline, slack, ..
        } = self.entries[index as usize];
        let tick = (deadline >> TICK_BITS).max(self.current);
        let level = level_of(self.current, tick);
        let place = place_of(level, tick >> widen(level));

        let slot = &mut self.slots[place];
        let head = slot.head;
        slot.earliest = slot.earliest.min(deadline);
        slot.wake = slot.wake.min(wake_time(deadline, slack));
        let (prev, next) = if head == NIL {
            slot.head = index;
            self.occupied[level] |= 1 << (place % SLOTS);
            self.levels |= 1 << level;
            (index, index)
        } else {
            let tail = self.entries[head as usize].prev;
            self.entries[tail as usize].next = index;
            self.entries[head as usize].prev = index;
            (tail, head)
        };
        let entry = &mut self.entries[index as usize];
        entry.prev = prev;
        entry.next = next;
        entry.place = place as u16;
    }

    /// Takes an entry out of the list of its slot, and tells whether one of the wheel's bounds may have
    /// been that slot's.
    fn unlink(&mut self, index: u32) -> bool {
        let Entry {
            prev, next, place, ..
        } = self.entries[index as usize];
        let place = usize::from(place);
        let Slot { earliest, wake, .. } = self.slots[place];
        let bound = earliest == self.next || wake == self.wake;
        if next == index {
            self.clear(place);
            return bound;
        }
        self.entries[prev as usize].next = next;
        self.entries[next as usize].prev = prev;
        let slot = &mut self.slots[place];
        if slot.head == index {
            slot.head = next;
        }
        if prev == next {
            // One is left, and it is at hand: keep the bound of a lone timer exact.
            let left = &self.entries[next as usize];
            slot.earliest = left.deadline;
            slot.wake = left.wake();
        }
        bound
    }

    /// Marks a slot as empty.
    fn clear(&mut self, place: usize) {
        self.slots[place] = EMPTY;
        let level = place / SLOTS;
        self.occupied[level] &= !(1 << (place % SLOTS));
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// The earliest occupied slot of a level, counted from time zero.
    fn first_slot(&self, level: usize) -> Option<u64> {
        let occupied = self.occupied[level];
        let reached = self.current >> widen(level);
        let ahead = occupied
            .rotate_right((reached % SLOTS as u64) as u32)
            .trailing_zeros();
        (occupied != 0).then_some(reached + u64::from(ahead))
    }

    /// Finds all bounds anew, after something was taken out or `current` moved.
    fn refresh_bounds(&mut self) {
        (self.next, self.wake) = (u64::MAX, u64::MAX);
        for level in bits(self.levels) {
            self.lower_bounds_to(level);
        }
        let lagging = (self.current + SLOTS as u64).saturating_mul(1 << TICK_BITS);
        self.quiet_until = self.next.min(lagging);
    }

    /// Lowers `next` and `wake` to those of a level.
    fn lower_bounds_to(&mut self, level: usize) {
        let reached = self.current >> widen(level);
        let mut ahead = self.occupied[level].rotate_right((reached % SLOTS as u64) as u32);
        while ahead != 0 {
            let slot = reached + u64::from(ahead.trailing_zeros());
            if slot > reached && slot << (widen(level) + TICK_BITS) >= self.wake {
                // Whatever is in there, or after it, needs no wake-up as early as that.
                break;
            }
            let Slot { earliest, wake, .. } = self.slots[place_of(level, slot)];
            self.next = self.next.min(earliest);
            self.wake = self.wake.min(wake);
            ahead &= ahead - 1;
        }
    }

    /// Lowers all bounds, after a timer was added.
    fn tighten_bounds(&mut self, deadline: u64, wake: u64) {
        self.next = self.next.min(deadline);
        self.wake = self.wake.min(wake);
        self.quiet_until = self.quiet_until.min(deadline);
    }

    /// Fills a free place, or a new one. The caller links it.
    fn allocate(&mut self, deadline: u64, slack: u16, payload: T) -> u32 {
        let index = if self.free == NIL {
            let index = u32::try_from(self.entries.len()).unwrap_or(NIL);
            assert!(index != NIL, "a timer wheel holds at most {NIL} timers");
            self.entries.push(Entry {
                deadline,
                prev: NIL,
                next: NIL,
                generation: 0,
                place: 0,
                slack,
                payload: Some(payload),
            });
            index
        } else {
            let index = self.free;
            let entry = &mut self.entries[index as usize];
            self.free = entry.next;
            entry.deadline = deadline;
            entry.slack = slack;
            entry.payload = Some(payload);
            index
        };
        self.len += 1;
        index
    }

    /// Frees the place of an unlinked entry and makes its keys stale.
    fn release(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[index as usize];
        let payload = entry.payload.take();
        self.len -= 1;
        entry.generation += 1;
        // A place whose generations are used up is given up, so that no key is ever valid twice.
        // That costs one place in four billion timers.
        if entry.generation != u32::MAX {
            entry.next = self.free;
            self.free = index;
        }
        payload
    }

    /// The pending entry of a key. Freeing a place changes its generation, so a match is pending.
    fn live(&mut self, key: Key) -> Option<&mut Entry<T>> {
        self.entries
            .get_mut(key.index as usize)
            .filter(|entry| entry.generation == key.generation)
    }
}

impl<T> fmt::Debug for Wheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("len", &self.len)
            .field("next_wake", &self.next_wake())
            .field("current", &(self.current << TICK_BITS))
            .finish_non_exhaustive()
    }
}

/// When somebody has to wake up for a timer.
fn wake_time(deadline: u64, slack: u16) -> u64 {
    deadline.saturating_add(u64::from(slack) << TICK_BITS)
}

/// The lowest level whose window, once it has slid to `current`, includes `tick`.
fn level_of(current: u64, tick: u64) -> usize {
    let distance = tick - current;
    if distance < SLOTS as u64 {
        return 0;
    }
    let level = ((distance.ilog2() - SLOT_BITS) / WIDEN_BITS + 1) as usize;
    // The slots in between are whole, and `current` and `tick` may each add a part of one.
    let beyond = (tick >> widen(level)) - (current >> widen(level)) >= SLOTS as u64;
    level + usize::from(beyond)
}

/// The width of a level's slots in ticks, as a power of two.
fn widen(level: usize) -> u32 {
    level as u32 * WIDEN_BITS
}

/// Where the list of a slot is, which is counted from time zero.
fn place_of(level: usize, slot: u64) -> usize {
    level * SLOTS + slot as usize % SLOTS
}

/// The numbers of the bits set in a word, from the lowest.
fn bits(mut word: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (lowest < u16::BITS).then_some(lowest as usize)
    })
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
