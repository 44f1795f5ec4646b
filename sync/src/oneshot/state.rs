//! The state word of a channel: what has happened to it, and who frees it.
//!
//! Either side makes its last change of the word and then touches the channel no more; the one
//! that finds the other gone touches it alone and frees it. Thus two words in one allocation do
//! what a reference count, two locks and a flag would.
//!
//! | bit | set by | meaning |
//! |---|---|---|
//! | 0, `SENT` | the sender, with `TX_GONE` | there is a value, and it is the receiver's |
//! | 1, `TX_GONE` | the sender, at last | the sender will not touch the channel again |
//! | 2, `CLOSED` | the receiver | no value is accepted any more; cannot be set after `TX_GONE` |
//! | 3, `RX_GONE` | the receiver, at last, with `CLOSED` | the receiver will not touch the channel again |
//! | 4, `RX_WAKER` | the receiver | its cell holds a waker, for whoever clears the bit |
//! | 5, `TX_WAKER` | the sender | its cell holds a waker, for whoever clears the bit |
//! | 6 and up, `VERSION` | whoever sets a waker bit | how often that was done |
//!
//! `TX_GONE` and `RX_GONE` are never set together: the second to go frees the channel instead.
//! Neither waker bit outlives either of them, since setting one clears both: a channel that is freed
//! holds no waker. `VERSION` makes every word with a waker bit a new one, as `waker_cell` needs it.
//!
//! ```text
//!                 send: SENT, TX_GONE
//!   OPEN ───────────────────────────────────▶ the receiver takes the value and frees
//!    │  └───── sender dropped: TX_GONE ─────▶ the receiver learns that there is none, and frees
//!    │
//!    │ close: CLOSED
//!    ▼
//!   CLOSED ──── sender dropped: TX_GONE ────▶ the receiver frees
//!    │
//!    └───────── receiver dropped: RX_GONE ──▶ the sender frees
//! ```

/// There is a value.
pub(super) const SENT: usize = 1;
/// The sender has gone.
pub(super) const TX_GONE: usize = 1 << 1;
/// No value is accepted.
pub(super) const CLOSED: usize = 1 << 2;
/// The receiver has gone.
pub(super) const RX_GONE: usize = 1 << 3;
/// The receiver waits.
pub(super) const RX_WAKER: usize = 1 << 4;
/// The sender waits.
pub(super) const TX_WAKER: usize = 1 << 5;
const VERSION: usize = 1 << 6;

/// What the word was at a moment, or is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Snapshot(pub(super) usize);

impl Snapshot {
    /// Whether any of these bits is set.
    pub(super) fn has(self, bits: usize) -> bool {
        self.0 & bits != 0
    }

    pub(super) fn with(self, bits: usize) -> Self {
        Self(self.0 | bits)
    }

    pub(super) fn without(self, bits: usize) -> Self {
        Self(self.0 & !bits)
    }

    /// The next version. It wraps around, after more registrations than a channel can see.
    pub(super) fn renewed(self) -> Self {
        Self(self.0.wrapping_add(VERSION))
    }
}
