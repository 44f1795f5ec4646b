//! Addresses that the frontier has had of late: what most links of most pages are.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::PageUrl;

/// Addresses that are kept, at most: half a megabyte.
const SLOTS: usize = 1 << 16;

/// What the fetches look at, so that the loop of the crawl is not bothered with what it knows.
///
/// It forgets, but what it says is there was there: the fingerprints are those of a keyed hash, as the frontier's are,
/// and two addresses share one as rarely.
pub(crate) struct Recent {
    key: RandomState,
    slots: Box<[AtomicU64]>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self {
            key: RandomState::new(),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The frontier has had this address.
    pub(crate) fn note(&self, url: &PageUrl) {
        let (slot, fingerprint) = self.place(url);
        // A fingerprint is all that anybody learns from it, so nothing has to be seen before or after.
        slot.store(fingerprint, Ordering::Relaxed);
    }

    pub(crate) fn has(&self, url: &PageUrl) -> bool {
        let (slot, fingerprint) = self.place(url);
        slot.load(Ordering::Relaxed) == fingerprint
    }

    fn place(&self, url: &PageUrl) -> (&AtomicU64, u64) {
        let hash = self.key.hash_one(url.as_str());
        // Zero is an empty slot. What is cut off here fits into any usize.
        (&self.slots[(hash % SLOTS as u64) as usize], hash.max(1))
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_what_it_was_told_of_late_and_nothing_else() {
        let recent = Recent::new();
        let url = |number: usize| format!("http://example.org/{number}").parse().unwrap();
        for number in 0..SLOTS * 4 {
            let url = url(number);
            assert!(!recent.has(&url));
            recent.note(&url);
            assert!(recent.has(&url));
        }
    }
}
