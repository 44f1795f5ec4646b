//! Why a mutex was not locked without waiting.

use std::error::Error;
use std::fmt;

/// Somebody has the lock, or has waited for it longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryLockError(pub(super) ());

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mutex is locked; wait with `lock`")
    }
}

impl Error for TryLockError {}
