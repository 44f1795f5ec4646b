//! Idle connections of all hosts by age.

use std::collections::VecDeque;

use super::table::HostId;

/// Entries of connections that have left, above which they are looked for.
const LEFT_BEHIND: usize = 64;

/// Idle connections in the order in which they became idle, to find the oldest.
///
/// Nearly every connection leaves soon, and as the youngest: then its entry goes at once. Others leave theirs behind,
/// which costs nothing until it is met at the front, or until there are more of them than of the others.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// Oldest first.
    entries: VecDeque<(u64, HostId)>,
    /// How many of them are idle.
    idle: usize,
    /// Of the next connection to become idle.
    next: u64,
}

impl Ages {
    /// How many connections are idle.
    pub(super) fn idle(&self) -> usize {
        self.idle
    }

    /// A connection becomes idle. Yields its age, which is like no other.
    pub(super) fn add(&mut self, host: HostId) -> u64 {
        let age = self.next;
        self.next += 1;
        self.entries.push_back((age, host));
        self.idle += 1;
        age
    }

    /// A connection is idle again, and as old as it was.
    pub(super) fn add_again(&mut self, age: u64, host: HostId) {
        if let Err(at) = self.entries.binary_search_by_key(&age, |entry| entry.0) {
            self.entries.insert(at, (age, host));
        }
        self.idle += 1;
    }

    /// A connection of this age is idle no more. `is_idle` says which still are.
    pub(super) fn remove(&mut self, age: u64, is_idle: impl Fn(u64, HostId) -> bool) {
        self.idle -= 1;
        if self.entries.back().is_some_and(|entry| entry.0 == age) {
            self.entries.pop_back();
        } else if self.entries.len() > 2 * self.idle + LEFT_BEHIND {
            self.entries.retain(|(age, host)| is_idle(*age, *host));
        }
    }

    /// The host of the oldest. `is_idle` says which still are.
    pub(super) fn oldest(&mut self, is_idle: impl Fn(u64, HostId) -> bool) -> Option<HostId> {
        loop {
            let (age, host) = *self.entries.front()?;
            if is_idle(age, host) {
                return Some(host);
            }
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostId = HostId::new(0);

    /// The negative control, tried: entries that stay until they are met at the front.
    #[test]
    fn what_is_left_behind_is_bounded() {
        let mut ages = Ages::default();
        let oldest = ages.add(HOST);
        let mut before = ages.add(HOST);
        for _ in 0..10_000 {
            let age = ages.add(HOST);
            // Never the youngest.
            ages.remove(before, |it, _| it == oldest || it == age);
            before = age;
            assert!(ages.entries.len() <= 2 * ages.idle() + LEFT_BEHIND + 1);
        }
        assert_eq!(ages.idle(), 2);
        let is_idle = |it, _| it == oldest || it == before;
        assert_eq!(ages.oldest(is_idle), Some(HOST));
        assert_eq!(ages.entries.front(), Some(&(oldest, HOST)));
    }

    #[test]
    fn what_comes_back_has_its_place() {
        let mut ages = Ages::default();
        let [first, second, third] = [(); 3].map(|()| ages.add(HOST));
        // The entry of one is still there, that of the other is not.
        ages.remove(first, |age, _| age != first);
        ages.remove(third, |age, _| age == second);
        ages.add_again(first, HOST);
        ages.add_again(third, HOST);
        let entries: Vec<_> = ages.entries.iter().map(|entry| entry.0).collect();
        assert_eq!((entries, ages.idle()), (vec![first, second, third], 3));
        ages.remove(first, |age, _| age != first);
        assert!(ages.oldest(|age, _| age != first).is_some());
        assert_eq!(ages.entries.front(), Some(&(second, HOST)));
    }
}
