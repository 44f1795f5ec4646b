//! A bounded number of answers, each for its time.
//!
//! When it is full, a hand goes round (the "clock" algorithm): it takes what has expired, or what nobody has asked for
//! since it came by last. A hit moves nothing, it only leaves a mark.

use std::collections::HashMap;
use std::hash::Hash;

use heist_runtime::time::Instant;

/// Values by key, until they expire or make room.
pub(super) struct Cache<K, V> {
    capacity: usize,
    places: HashMap<K, usize>,
    entries: Vec<Entry<K, V>>,
    hand: usize,
}

struct Entry<K, V> {
    key: K,
    value: V,
    until: Instant,
    was_asked_for: bool,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// What is there and has not expired. The clock is read only when something is there.
    pub(super) fn get(&mut self, key: &K, now: impl FnOnce() -> Instant) -> Option<V> {
        let place = *self.places.get(key)?;
        let entry = &mut self.entries[place];
        if entry.until <= now() {
            return None;
        }
        entry.was_asked_for = true;
        Some(entry.value.clone())
    }

    /// Puts a value in place of an older one, or in that of the next to go.
    pub(super) fn insert(&mut self, key: K, value: V, until: Instant) {
        if self.capacity == 0 {
            return;
        }
        let entry = Entry {
            key: key.clone(),
            value,
            until,
            was_asked_for: false,
        };
        if let Some(place) = self.places.get(&key) {
            self.entries[*place] = entry;
            return;
        }
        if self.entries.len() < self.capacity {
            self.places.insert(key, self.entries.len());
            self.entries.push(entry);
            return;
        }
        let place = self.turn();
        self.places.remove(&self.entries[place].key);
        self.places.insert(key, place);
        self.entries[place] = entry;
    }

    /// Moves the hand to what is to go. It goes round once at most, as it takes away the marks.
    fn turn(&mut self) -> usize {
        let now = Instant::now();
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &mut self.entries[place];
            if entry.until <= now || !entry.was_asked_for {
                return place;
            }
            entry.was_asked_for = false;
        }
    }
}

impl<K, V> Cache<K, V> {
    /// For so many values; for none if `capacity` is 0.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            places: HashMap::new(),
            entries: Vec::new(),
            hand: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes everything out.
    #[cfg(feature = "dns")]
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.capacity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn later(millis: u64) -> Instant {
        Instant::now() + Duration::from_millis(millis)
    }

    #[test]
    fn a_value_is_there_until_its_time() {
        let mut cache = Cache::new(2);
        let until = later(100);
        cache.insert("a", 1, until);
        let just_before = until.checked_sub(Duration::from_nanos(1)).unwrap();
        assert_eq!(cache.get(&"a", || just_before), Some(1));
        assert_eq!(cache.get(&"a", || until), None);
        cache.insert("a", 2, later(1000));
        assert_eq!(cache.get(&"a", Instant::now), Some(2));
        assert_eq!(cache.get(&"b", || panic!("the clock is not needed")), None);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn what_is_not_asked_for_makes_room_first() {
        let mut cache = Cache::new(3);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            cache.insert(key, value, later(1000));
        }
        assert_eq!(cache.get(&"a", Instant::now), Some(1));
        cache.insert("d", 4, later(1000));
        assert_eq!(cache.get(&"b", Instant::now), None);
        for key in ["a", "c", "d"] {
            assert!(cache.get(&key, Instant::now).is_some(), "{key}");
        }
        // All are marked: the hand goes round once and takes one.
        cache.insert("e", 5, later(1000));
        assert_eq!((cache.len(), cache.places.len()), (3, 3));
    }

    #[test]
    fn what_has_expired_makes_room_although_it_was_asked_for() {
        let mut cache = Cache::new(1);
        cache.insert("a", 1, later(0));
        cache.entries[0].was_asked_for = true;
        cache.insert("b", 2, later(1000));
        assert_eq!(cache.get(&"b", Instant::now), Some(2));
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let mut cache = Cache::new(0);
        cache.insert("a", 1, later(1000));
        assert_eq!(cache.get(&"a", Instant::now), None);
    }
}
