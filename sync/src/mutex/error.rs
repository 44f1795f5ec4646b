//! Why a lock was not taken without waiting.

use std::error::Error;
use std::fmt;

/// Somebody has the lock, or has waited for it longer. Of [`Mutex`](crate::Mutex) and
/// [`RwLock`](crate::RwLock).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryLockError(pub(crate) ());

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is taken; wait with `lock`, `read` or `write`")
    }
}

impl Error for TryLockError {}
