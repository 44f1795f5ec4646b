//! The atomic word of a scope, and the only functions that change it.
//!
//! # The bits
//!
//! - `OWN`: somebody cancelled this scope itself. Never cleared; comes with the reason, in `REASON`.
//! - `INHERITED`: a scope above was cancelled, and no shield is between. Set under the lock of this scope,
//!   and only while the scope that was cancelled is still its parent; cleared when the scope gets another
//!   parent.
//! - `ABORTED`: the body is to be dropped as it is, with no cleanup that awaits. Never cleared.
//! - `CLOSED`: the body is gone and every cleanup has run: nothing is adopted any more. Set under the lock.
//!   Never cleared.
//! - `SHIELD`: inherits nothing. Fixed at birth.
//! - `KEEPS`: cleanups that are left when the body is dropped stay for the scope's owner. Fixed at birth.
//! - `ROOT`: lies in a task's allocation and is counted with it. Fixed at birth.
//! - `TAKEN`: something runs a body in this scope. Never cleared.
//! - `TOUCHED`: somebody else may know of this scope: a scope below it, or a handle. While it is clear, the
//!   scope can be closed without its lock. Never cleared.
//! - `ADOPTED`: cleanups wait to be run. Changed under the lock.
//! - `HOLDING`: holds a token of its parent, which waits for it.
//! - `WOKEN`: what runs here was woken and has not been polled since. Kept up only while `HOLDING`.
//! - `POLLED`: was polled in the current round of its parent. Likewise.
//! - `HIT`: what runs here was woken since the round began.
//! - `USED`: what the lock guards was looked at, so it may hold something. Set before the lock is taken.
//!   Never cleared.
//! - `BEGUN`: something was begun right below that has to unwind, since whoever polls the body has cleared
//!   this last; see `watch`.
//! - `CALLED`: a wake has used up the waker, and the next poll is to bring one. Changed under the lock.
//! - `UNTOLD`: the cancel that has marked this scope, the first to do so, has yet to wake it, and may not have come to
//!   all that is below. Set with the mark, and cleared by whoever has set it, between `HIT` and the call of the waker.

use crate::primitives::atomic::{AtomicU32, Ordering};
use crate::scope::Reason;

const OWN: u32 = 1;
const INHERITED: u32 = 1 << 1;
const ABORTED: u32 = 1 << 2;
const CLOSED: u32 = 1 << 3;
const SHIELD: u32 = 1 << 4;
const KEEPS: u32 = 1 << 5;
const ROOT: u32 = 1 << 6;
const TAKEN: u32 = 1 << 7;
const TOUCHED: u32 = 1 << 8;
const ADOPTED: u32 = 1 << 9;
const HOLDING: u32 = 1 << 10;
const WOKEN: u32 = 1 << 11;
const POLLED: u32 = 1 << 12;
const HIT: u32 = 1 << 13;
const BEGUN: u32 = 1 << 14;
const USED: u32 = 1 << 15;
const CALLED: u32 = 1 << 16;
const UNTOLD: u32 = 1 << 17;
const REASON_SHIFT: u32 = 24;

/// What a scope is from birth on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Shield,
    /// Keeps the cleanups that are left when its body is dropped.
    Keeper,
    /// Of a task.
    Root,
}

impl Kind {
    fn bits(self) -> u32 {
        match self {
            Self::Plain => 0,
            Self::Shield => SHIELD,
            Self::Keeper => KEEPS,
            Self::Root => ROOT | TAKEN,
        }
    }
}

/// The bits at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot(u32);

impl Snapshot {
    pub(crate) fn is_cancelled(self) -> bool {
        self.0 & (OWN | INHERITED) != 0
    }

    pub(crate) fn is_own(self) -> bool {
        self.0 & OWN != 0
    }

    pub(crate) fn is_aborted(self) -> bool {
        self.0 & ABORTED != 0
    }

    pub(crate) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(crate) fn is_shield(self) -> bool {
        self.0 & SHIELD != 0
    }

    pub(crate) fn keeps(self) -> bool {
        self.0 & KEEPS != 0
    }

    pub(crate) fn is_root(self) -> bool {
        self.0 & ROOT != 0
    }

    pub(crate) fn is_touched(self) -> bool {
        self.0 & TOUCHED != 0
    }

    pub(crate) fn has_adopted(self) -> bool {
        self.0 & ADOPTED != 0
    }

    pub(crate) fn is_holding(self) -> bool {
        self.0 & HOLDING != 0
    }

    /// Whether a poll of the body takes more than a poll.
    #[inline]
    pub(crate) fn needs_care(self) -> bool {
        self.0 & (OWN | INHERITED | ABORTED | ADOPTED) != 0
    }

    pub(crate) fn was_woken(self) -> bool {
        self.0 & WOKEN != 0
    }

    /// Woken, waited for, and passed over in this round.
    pub(crate) fn is_stalled(self) -> bool {
        self.0 & (HOLDING | WOKEN | POLLED) == HOLDING | WOKEN
    }

    pub(crate) fn was_used(self) -> bool {
        self.0 & USED != 0
    }

    pub(crate) fn was_hit(self) -> bool {
        self.0 & HIT != 0
    }

    pub(crate) fn was_called(self) -> bool {
        self.0 & CALLED != 0
    }

    pub(crate) fn is_untold(self) -> bool {
        self.0 & UNTOLD != 0
    }

    pub(crate) fn has_begun(self) -> bool {
        self.0 & BEGUN != 0
    }

    /// Why this scope itself was cancelled.
    pub(crate) fn reason(self) -> Option<Reason> {
        self.is_own()
            .then(|| Reason::from_raw((self.0 >> REASON_SHIFT) as u8))
    }
}

/// `UNTOLD` if a mark that is set now is the first one.
fn untold_from(seen: u32) -> u32 {
    if Snapshot(seen).is_cancelled() {
        0
    } else {
        UNTOLD
    }
}

/// The word.
#[derive(Debug)]
pub(crate) struct Flags(AtomicU32);

impl Flags {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(AtomicU32::new(kind.bits()))
    }

    /// The word of a scope that is born with an owner, and maybe a parent.
    pub(crate) fn owned(kind: Kind) -> Self {
        Self(AtomicU32::new(kind.bits() | TAKEN | USED))
    }

    #[inline]
    pub(crate) fn get(&self) -> Snapshot {
        // Acquire: whoever sees a cancellation sees what its author did before.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    fn set(&self, bits: u32) -> Snapshot {
        Snapshot(self.0.fetch_or(bits, Ordering::AcqRel))
    }

    fn clear(&self, bits: u32) -> Snapshot {
        Snapshot(self.0.fetch_and(!bits, Ordering::AcqRel))
    }

    /// The first cancellation of the scope itself. Returns how it was before; `None` if it is not the first.
    pub(crate) fn cancel(&self, reason: Reason) -> Option<Snapshot> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if seen & (OWN | CLOSED) != 0 {
                return None;
            }
            let reason = u32::from(reason.to_raw()) << REASON_SHIFT;
            let next = seen | OWN | reason | untold_from(seen);
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Some(Snapshot(seen)),
                Err(now) => seen = now,
            }
        }
    }

    /// Returns whether the scope was cancelled already, in one way or the other.
    pub(crate) fn inherit(&self) -> bool {
        self.set(INHERITED).is_cancelled()
    }

    /// The same for who is going to wake it.
    pub(crate) fn inherit_untold(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = seen | INHERITED | untold_from(seen);
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Snapshot(seen).is_cancelled(),
                Err(now) => seen = now,
            }
        }
    }

    /// It has been woken, and its waker is about to be called.
    pub(crate) fn tell(&self) {
        self.clear(UNTOLD);
    }

    pub(crate) fn disinherit(&self) {
        if self.0.load(Ordering::Relaxed) & INHERITED != 0 {
            self.clear(INHERITED);
        }
    }

    pub(crate) fn abort(&self) {
        self.set(ABORTED);
    }

    pub(crate) fn close(&self) {
        self.set(CLOSED);
    }

    /// The same for a scope that nobody else knows of.
    pub(crate) fn close_alone(&self) {
        // Relaxed: there is nobody to see it.
        let bits = self.0.load(Ordering::Relaxed) | CLOSED;
        self.0.store(bits, Ordering::Relaxed);
    }

    /// Returns whether the scope was free.
    pub(crate) fn take(&self) -> bool {
        self.set(TAKEN).0 & TAKEN == 0
    }

    pub(crate) fn touch(&self) {
        if self.0.load(Ordering::Relaxed) & TOUCHED == 0 {
            self.set(TOUCHED);
        }
    }

    pub(crate) fn set_adopted(&self, adopted: bool) {
        if adopted {
            self.set(ADOPTED);
        } else {
            self.clear(ADOPTED);
        }
    }

    pub(crate) fn set_holding(&self, holding: bool) {
        if holding {
            // It is being polled.
            self.set(HOLDING | POLLED);
        } else {
            self.clear(HOLDING | WOKEN | POLLED);
        }
    }

    /// The scope's poll begins.
    pub(crate) fn begin_poll(&self) {
        // In this order: a wake that comes between counts for the next round.
        self.set(POLLED);
        self.clear(WOKEN);
    }

    /// The parent's round begins.
    pub(crate) fn forget_poll(&self) {
        self.clear(POLLED);
    }

    /// Woken, which uses up its waker if it is `called`. Returns how it was before.
    ///
    /// In one step, since a poll clears `WOKEN` before it looks whether it has to bring a waker: without one there is
    /// a note.
    pub(crate) fn woken(&self, called: bool) -> Snapshot {
        self.set(WOKEN | HIT | if called { CALLED } else { 0 })
    }

    /// Something below was woken. Returns how it was before.
    pub(crate) fn woken_below(&self) -> Snapshot {
        self.set(WOKEN)
    }

    /// The scope's own round begins.
    pub(crate) fn forget_hit(&self) {
        self.clear(HIT);
    }

    /// It has a waker again.
    pub(crate) fn forget_call(&self) {
        if self.get().was_called() {
            self.clear(CALLED);
        }
    }

    #[inline]
    pub(crate) fn note_used(&self) {
        if self.0.load(Ordering::Relaxed) & USED == 0 {
            self.set(USED);
        }
    }

    #[inline]
    pub(crate) fn note_begun(&self) {
        if self.0.load(Ordering::Relaxed) & BEGUN == 0 {
            self.set(BEGUN);
        }
    }

    /// Clears the note; returns whether it was there. It is written by nobody but the thread that polls the
    /// body.
    #[inline]
    pub(crate) fn take_begun(&self) -> bool {
        let begun = self.0.load(Ordering::Relaxed) & BEGUN != 0;
        if begun {
            self.clear(BEGUN);
        }
        begun
    }
}
