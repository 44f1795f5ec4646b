//! Numbers that cannot be guessed, for jitter and boundaries.

use std::hash::{BuildHasher, RandomState};

/// 64 bits: a keyed hash, whose key the standard library takes from the system's random numbers and changes
/// every time.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(0u8)
}
