//! Why permits were not given.

use crate::wait::{Closed, Refusal};
use std::error::Error;
use std::fmt;

/// The semaphore was closed, before or during the wait. It gives out no permits any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcquireError;

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed")
    }
}

impl Error for AcquireError {}

/// Why a `try_acquire` got no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore was closed. It gives out no permits any more.
    Closed,
    /// Not enough permits are free, or others have waited for them longer.
    NoPermits,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the semaphore is closed",
            Self::NoPermits => "the semaphore has too few free permits; wait with `acquire`",
        })
    }
}

impl Error for TryAcquireError {}

impl From<Closed> for AcquireError {
    fn from(_: Closed) -> Self {
        Self
    }
}

impl From<Refusal> for TryAcquireError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Self::Closed,
            Refusal::TooFew => Self::NoPermits,
        }
    }
}
