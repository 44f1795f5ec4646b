//! The memory of every address that was ever found: 8 bytes of fingerprint each, in open-addressing tables.
//!
//! A table that doubles holds half of its memory for nothing and needs three times as much while it
//! grows. So the fingerprints are spread over many small tables by their upper bits. Each grows by
//! itself, by a half, which costs the peak of one small table, never of all.

use std::fmt;

/// Tables, a power of two: enough that one of them growing is no event.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 8;

/// What a table begins with.
const SMALLEST: usize = 16;

/// A set of 64-bit fingerprints that are already well mixed, as those of a keyed hash are.
///
/// It takes 10 to 16 bytes for each, so 20 million addresses cost about 250 MB.
#[derive(Clone)]
pub(crate) struct Seen {
    shards: Vec<Shard>,
    len: u64,
}

#[derive(Clone, Default)]
struct Shard {
    /// Zero is an empty slot.
    slots: Vec<u64>,
    len: usize,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            shards: vec![Shard::default(); SHARDS],
            len: 0,
        }
    }

    /// Adds a fingerprint. False when it was there.
    pub(crate) fn insert(&mut self, fingerprint: u64) -> bool {
        let new = self.shards[shard(fingerprint)].insert(filled(fingerprint));
        self.len += u64::from(new);
        new
    }

    pub(crate) fn contains(&self, fingerprint: u64) -> bool {
        self.shards[shard(fingerprint)].contains(filled(fingerprint))
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of memory that the tables take.
    pub(crate) fn memory(&self) -> usize {
        let slots: usize = self.shards.iter().map(|shard| shard.slots.capacity()).sum();
        slots * size_of::<u64>()
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("len", &self.len)
            .field("memory", &self.memory())
            .finish_non_exhaustive()
    }
}

fn shard(fingerprint: u64) -> usize {
    // The upper bits of a u64 that are left fit into any usize.
    (fingerprint >> (64 - SHARD_BITS)) as usize
}

/// Zero stands for an empty slot, so the fingerprint that is zero shares one with its neighbour: a chance of
/// one in 2^64, like that of any other two.
fn filled(fingerprint: u64) -> u64 {
    fingerprint.max(1)
}

impl Shard {
    fn insert(&mut self, fingerprint: u64) -> bool {
        // At four fifths a search that fails looks at 13 slots on average, mostly in one or two cache lines.
        if (self.len + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        let at = self.find(fingerprint);
        if self.slots[at] == fingerprint {
            return false;
        }
        self.slots[at] = fingerprint;
        self.len += 1;
        true
    }

    fn contains(&self, fingerprint: u64) -> bool {
        !self.slots.is_empty() && self.slots[self.find(fingerprint)] == fingerprint
    }

    /// The slot that holds the fingerprint, or the empty one where it belongs. There is always an empty one.
    fn find(&self, fingerprint: u64) -> usize {
        let mut at = home(fingerprint, self.slots.len());
        while self.slots[at] != 0 && self.slots[at] != fingerprint {
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
        at
    }

    fn grow(&mut self) {
        let larger = (self.slots.len() + self.slots.len() / 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.slots, vec![0; larger]);
        for fingerprint in old.into_iter().filter(|&slot| slot != 0) {
            let at = self.find(fingerprint);
            self.slots[at] = fingerprint;
        }
    }
}

/// Where a search begins: the bits below those of the shard, scaled to the size of the table.
fn home(fingerprint: u64, slots: usize) -> usize {
    let scaled = u128::from(fingerprint << SHARD_BITS) * slots as u128;
    (scaled >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// A mixed number (the finaliser of SplitMix64).
    fn mixed(number: u64) -> u64 {
        let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    #[test]
    fn it_is_a_set() {
        let mut seen = Seen::new();
        let mut model = HashSet::new();
        for number in 0..200_000u64 {
            // A third of them a second time.
            let fingerprint = mixed(if number % 3 == 0 { number / 2 } else { number });
            assert_eq!(seen.contains(fingerprint), model.contains(&fingerprint));
            assert_eq!(seen.insert(fingerprint), model.insert(fingerprint));
        }
        assert_eq!(seen.len(), model.len() as u64);
        assert!((1_000_000..1_001_000).all(|number| !seen.contains(mixed(number))));
    }

    #[test]
    fn neighbours_and_the_ends_of_a_table_are_no_trap() {
        let mut seen = Seen::new();
        // All of one shard, all with the last slot as their home: every search wraps around.
        let last = u64::MAX >> SHARD_BITS;
        for nth in 0..1000 {
            assert!(seen.insert(last - nth));
        }
        assert!((0..1000).all(|nth| seen.contains(last - nth)));
        assert!(!seen.contains(last - 1000));
        assert!(seen.insert(0));
        assert!(!seen.insert(0));
    }

    #[test]
    fn twenty_million_take_less_than_a_third_of_a_gibibyte() {
        // A hundredth of it unless asked for more: every shard is in the same place of its growth then.
        let count: u64 = if std::env::var_os("HEIST_LONG").is_some() {
            20_000_000
        } else {
            200_000
        };
        let mut seen = Seen::new();
        let mut most = 0.0f64;
        for number in 0..count {
            seen.insert(mixed(number));
            if number > count / 4 && number % 1000 == 0 {
                most = most.max(seen.memory() as f64 / number as f64);
            }
        }
        // 16 bytes for each of 20 million are 305 MiB.
        assert!(most <= 16.0, "{most} bytes for each");
    }
}
