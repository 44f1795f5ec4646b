//! Enough randomness to be fair.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    /// Never 0 once it is seeded.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// A number below `bound`, which is small and not 0. Nobody's secrets depend on it.
#[inline]
pub(crate) fn below(bound: usize) -> usize {
    let mut state = STATE.get();
    if state == 0 {
        state = RandomState::new().hash_one(0) | 1;
    }
    // Xorshift of 64 bits, whose upper half passes for random.
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.set(state);
    // A product instead of a division; the bias is of the order of `bound` in 2^32.
    (((state >> 32) * bound as u64) >> 32) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    /// Control, tried: a number that is always 0. (A state that is not stored is not seen: it is seeded anew each
    /// time.)
    #[test]
    fn each_number_comes_about_as_often() {
        for bound in [1, 2, 3, 7] {
            let mut counts = vec![0_u32; bound];
            for _ in 0..10_000 * bound {
                counts[super::below(bound)] += 1;
            }
            assert!(
                counts.iter().all(|&count| count.abs_diff(10_000) < 1_000),
                "{counts:?}"
            );
        }
    }
}
