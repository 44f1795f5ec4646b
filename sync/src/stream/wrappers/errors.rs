use std::error::Error;
use std::fmt;

/// What a [`BroadcastStream`](super::BroadcastStream) returns in place of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BroadcastStreamRecvError {
    /// So many items were overwritten before they were read. The stream goes on with the oldest that there is.
    Lagged(u64),
}

impl fmt::Display for BroadcastStreamRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Lagged(missed) = self;
        write!(f, "the stream was too slow and lost {missed} items")
    }
}

impl Error for BroadcastStreamRecvError {}
