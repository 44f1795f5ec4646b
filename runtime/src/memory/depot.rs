//! The depot: full magazines that threads have had too many of.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::magazine::Magazine;
use super::{SIZES, layout_of_size};

/// What has not been used for so long is given up.
pub(crate) const PERIOD: Duration = Duration::from_millis(50);
/// Most magazines of one size that are given up at a time: some hundred microseconds.
const TRIMMED_AT_A_TIME: usize = 16;

/// The magazines of one size.
struct Shelf {
    magazines: Vec<Magazine>,
    /// The fewest there have been since the last trim: so many were not used.
    fewest: usize,
}

/// See the module.
pub(super) struct Depot {
    shelves: [Mutex<Shelf>; SIZES],
    /// How many magazines there are, so that nobody takes a lock for none.
    count: AtomicUsize,
    /// When it was last trimmed, in milliseconds of `scope::age`.
    trimmed: AtomicU32,
}

impl Depot {
    pub(super) const fn new() -> Self {
        Self {
            shelves: [const {
                Mutex::new(Shelf {
                    magazines: Vec::new(),
                    fewest: 0,
                })
            }; SIZES],
            count: AtomicUsize::new(0),
            trimmed: AtomicU32::new(0),
        }
    }

    fn shelf(&self, size: usize) -> MutexGuard<'_, Shelf> {
        self.shelves[size]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        // Relaxed, here and below: a count that is out of date leads to an allocation, or to a look under
        // the lock, which orders what matters.
        self.count.load(Ordering::Relaxed) == 0
    }

    pub(super) fn take(&self, size: usize) -> Option<Magazine> {
        if self.is_empty() {
            return None;
        }
        let mut shelf = self.shelf(size);
        let magazine = shelf.magazines.pop()?;
        shelf.fewest = shelf.fewest.min(shelf.magazines.len());
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(magazine)
    }

    pub(super) fn give(&self, size: usize, magazine: Magazine) {
        let mut shelf = self.shelf(size);
        shelf.magazines.push(magazine);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives up what was not used over the last [`PERIOD`], a part at a time. Returns when to come again, if
    /// there is anything left. The clock is that of `scope::age`, in milliseconds.
    pub(super) fn trim(&self, clock: impl FnOnce() -> u32) -> Option<Duration> {
        if self.is_empty() {
            return None;
        }
        let (now, last) = (clock(), self.trimmed.load(Ordering::Relaxed));
        let since = Duration::from_millis(u64::from(now.saturating_sub(last)));
        if since < PERIOD {
            return Some(PERIOD - since);
        }
        let won = self
            .trimmed
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        if won.is_ok() {
            for size in 0..SIZES {
                self.trim_shelf(size, TRIMMED_AT_A_TIME);
            }
        }
        (!self.is_empty()).then_some(PERIOD)
    }

    fn trim_shelf(&self, size: usize, most: usize) {
        let given_up = {
            let mut shelf = self.shelf(size);
            let length = shelf.magazines.len();
            let unused = shelf.fewest.min(length).min(most);
            let given_up = shelf.magazines.split_off(length - unused);
            shelf.fewest = shelf.magazines.len();
            if shelf.magazines.is_empty() {
                // The room for a large number of them, too.
                shelf.magazines = Vec::new();
            }
            self.count.fetch_sub(given_up.len(), Ordering::Relaxed);
            given_up
        };
        for magazine in given_up {
            magazine.free(layout_of_size(size));
        }
    }

    /// Gives up everything.
    pub(super) fn clear(&self) {
        for size in 0..SIZES {
            self.shelf(size).fewest = usize::MAX;
            self.trim_shelf(size, usize::MAX);
        }
    }
}
