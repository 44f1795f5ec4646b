//! Why no value was received.

use std::error::Error;
use std::fmt;

/// The sender was dropped without sending, or the receiver had closed the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError(pub(super) ());

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed and nothing was sent")
    }
}

impl Error for RecvError {}

/// Why a `try_recv` got no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// The sender has not sent yet.
    Empty,
    /// There will be no value: the sender was dropped, the receiver has closed the channel, or the
    /// value was received before.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "nothing was sent yet; wait by awaiting the receiver",
            Self::Closed => "the channel is closed",
        })
    }
}

impl Error for TryRecvError {}
