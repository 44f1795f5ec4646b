//! Bytes that a crawl may still receive.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number of bytes that many fetches draw from.
///
/// A counter that orders nothing else, so every access is relaxed: what counts is only that no byte is given twice.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    left: AtomicU64,
    limited: bool,
}

impl ByteBudget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            left: AtomicU64::new(bytes),
            limited: bytes < u64::MAX,
        }
    }

    /// Takes `bytes`, or what is left of them, and says how many that are.
    pub(crate) fn take(&self, bytes: u64) -> u64 {
        if !self.limited {
            return bytes;
        }
        let take = |left: u64| Some(left - left.min(bytes));
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        // The closure never refuses, so both arms hold what was left.
        let (Ok(before) | Err(before)) = before;
        before.min(bytes)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.limited && self.left.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_given_twice() {
        let budget = ByteBudget::new(1_000_001);
        let taken: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=4)
                .map(|step| {
                    let budget = &budget;
                    scope.spawn(move || {
                        std::iter::repeat_with(|| budget.take(step * 7))
                            .take_while(|&n| n > 0)
                            .sum::<u64>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 1_000_001);
        assert!(budget.is_spent());
        let unlimited = ByteBudget::new(u64::MAX);
        assert_eq!(unlimited.take(u64::MAX), u64::MAX);
        assert!(!unlimited.is_spent());
    }
}
