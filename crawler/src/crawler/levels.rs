//! How deep a crawl may go at the moment.
//!
//! The depth of a page is the least number of links that lead to it. A crawl that fetches many pages at a time may find
//! a page over a longer way first, and with a limit it then stops too early there: which pages it finds is a matter of
//! luck. So a crawl with a limit does not begin with a level before the one above it is done. That costs a little time
//! for every level, and makes the limit exact. Without a limit nobody asks for it, and there are no levels.

use std::collections::BTreeMap;

/// Pages that are not done, by depth.
#[derive(Debug)]
pub(super) struct Levels {
    /// `None`: depth does not matter.
    unfinished: Option<BTreeMap<u32, u64>>,
}

impl Levels {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            unfinished: (limit < u32::MAX).then(BTreeMap::new),
        }
    }

    /// A page was found.
    pub(super) fn add(&mut self, depth: u32) {
        if let Some(unfinished) = &mut self.unfinished {
            *unfinished.entry(depth).or_default() += 1;
        }
    }

    /// A page is done, and everything that it led to was found. True when that opens the next level.
    pub(super) fn remove(&mut self, depth: u32) -> bool {
        let Some(unfinished) = &mut self.unfinished else {
            return false;
        };
        let before = unfinished.keys().next().copied();
        // A page that came with a frontier of the user's is not known here.
        if let Some(count) = unfinished.get_mut(&depth) {
            *count -= 1;
            if *count == 0 {
                unfinished.remove(&depth);
            }
        }
        unfinished.keys().next().copied() != before
    }

    /// The depth of the pages that may be fetched.
    pub(super) fn deepest(&self) -> u32 {
        let first = self
            .unfinished
            .as_ref()
            .and_then(|unfinished| unfinished.keys().next());
        first.copied().unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_opens_when_the_one_above_is_done() {
        let mut levels = Levels::new(5);
        assert_eq!(levels.deepest(), u32::MAX);
        for depth in [0, 1, 1, 0] {
            levels.add(depth);
        }
        assert_eq!(levels.deepest(), 0);
        assert!(!levels.remove(0));
        assert!(!levels.remove(7));
        assert!(levels.remove(0));
        assert_eq!(levels.deepest(), 1);
        let mut none = Levels::new(u32::MAX);
        none.add(3);
        assert_eq!((none.deepest(), none.remove(3)), (u32::MAX, false));
    }
}
