//! The state that one operation shares with the kernel, from submission to its final completion.
//!
//! # States
//!
//! ```text
//!            arm                 complete                    (future polls)
//!   FREE ─────────▶ IN FLIGHT ──────────────▶ COMPLETE ─────────────────────▶ FREE
//!                     │    ▲                                                    ▲
//!             abandon │    │ notify (more completions to come)                  │
//!                     ▼    │                                                    │
//!                   ORPHANED ── complete: the reaper disposes of the payload ───┘
//! ```
//!
//! | field | in flight | orphaned | complete |
//! |---|---|---|---|
//! | payload | kernel; the reaper while it delivers | reaper | the future |
//! | result | reaper | reaper | the future |
//! | waker cell | see the bits below | reaper | the future |
//!
//! The *reaper* is whichever worker holds the CQ lock of the slot's ring. The future may live on any
//! thread. Neither ever blocks the other.
//!
//! # The bits
//!
//! - `WAKER`: the cell holds a waker that belongs to the reaper. Set by the future, cleared by whoever
//!   takes the cell over.
//! - `TAKING`: the reaper is moving the waker out. Set only from `WAKER`; cannot outlive the call.
//! - `COMPLETE`: the result is written, the reaper is done. Never set together with `TAKING`; once it
//!   is set, everything in the slot belongs to the future.
//! - `ORPHAN`: the future is gone. Set once; the reaper then frees the slot on the final completion.

#![expect(
    unsafe_code,
    reason = "the waker cell changes hands by the bits of the state word"
)]

use std::task::Waker;

use crate::primitives::UnsafeCell;
use crate::primitives::atomic::{AtomicU32, Ordering};

const WAKER: u32 = 1;
const TAKING: u32 = 1 << 1;
const COMPLETE: u32 = 1 << 2;
const ORPHAN: u32 = 1 << 3;

/// What registering a waker found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Registered {
    /// The waker will be called.
    Waiting,
    /// The operation is complete: nothing will be called, the result is there.
    Complete,
}

/// What abandoning a slot found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Abandoned {
    /// The reaper frees the slot on the final completion.
    InFlight,
    /// The final completion was there already: the caller owns the slot and frees it.
    Complete,
}

/// The state word and the waker cell it guards.
#[derive(Debug)]
pub(crate) struct SlotState {
    word: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the waker cell is accessed only by the party that the bits name.
unsafe impl Send for SlotState {}
// SAFETY: as above.
unsafe impl Sync for SlotState {}

impl SlotState {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU32::new(COMPLETE),
            waker: UnsafeCell::new(None),
        }
    }

    /// Takes out what a state holds that nobody else knows of, to use it again.
    pub(crate) fn clear(&mut self) -> Option<Waker> {
        self.take()
    }

    fn put(&self, waker: Waker) {
        // SAFETY: callers have the cell to themselves: the slot is free, or `WAKER` and `TAKING` are
        // clear and only the single future registers.
        self.waker.with_mut(|cell| unsafe { *cell = Some(waker) });
    }

    fn take(&self) -> Option<Waker> {
        // SAFETY: callers own the cell: the reaper under `TAKING`, the future under `COMPLETE`, or whoever
        // is alone.
        self.waker.with_mut(|cell| unsafe { (*cell).take() })
    }

    /// Prepares a free slot for submission. Publishing the SQE publishes these writes.
    pub(crate) fn arm(&self, waker: Waker) {
        self.put(waker);
        self.word.store(WAKER, Ordering::Relaxed);
    }

    /// As [`arm`](Self::arm), for an operation that no future waits for.
    pub(crate) fn arm_orphaned(&self) {
        self.word.store(ORPHAN, Ordering::Relaxed);
    }

    /// Whether the final completion has been delivered; acquires the result.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        self.word.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Future: whether the waker registered last is still in the cell, to be called. When it is not, an
    /// equal one has to be registered again.
    #[inline]
    pub(crate) fn has_waker(&self) -> bool {
        self.word.load(Ordering::Acquire) & WAKER != 0
    }

    /// Future: replaces the waker.
    pub(crate) fn register(&self, waker: &Waker) -> Registered {
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            if seen & COMPLETE != 0 {
                return Registered::Complete;
            }
            if seen & TAKING != 0 {
                // The reaper is about to call the waker of the previous poll. Ours would come too
                // late, so we stand in for it.
                waker.wake_by_ref();
                return Registered::Waiting;
            }
            if seen & WAKER == 0 {
                break;
            }
            let next = seen & !WAKER;
            match self
                .word
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        self.put(waker.clone());
        // AcqRel: publishes the waker to the reaper, and acquires what the reaper published if it
        // came first (the result, or an item of a multishot operation).
        if self.word.fetch_or(WAKER, Ordering::AcqRel) & COMPLETE == 0 {
            return Registered::Waiting;
        }
        self.word.fetch_and(!WAKER, Ordering::Relaxed);
        drop(self.take());
        Registered::Complete
    }

    /// Reaper: moves the waker out after `WAKER` was exchanged for `TAKING`, then ends `TAKING` and
    /// sets `then`. Returns the waker and the bits before.
    fn finish_taking(&self, then: u32) -> (Option<Waker>, u32) {
        let waker = self.take();
        let before = self.word.fetch_xor(TAKING | then, Ordering::AcqRel);
        (waker, before)
    }

    /// Reaper: delivered one of several completions; more will come. Returns the waker to call.
    pub(crate) fn notify(&self) -> Option<Waker> {
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            // An RMW even when no waker is there: the future registers with an RMW on the same word
            // and looks for items afterwards, so one of the two sees the other.
            let next = if seen & WAKER == 0 {
                seen
            } else {
                (seen & !WAKER) | TAKING
            };
            match self
                .word
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if next == seen => return None,
                Ok(_) => return self.finish_taking(0).0,
                Err(now) => seen = now,
            }
        }
    }

    /// Reaper: the result is written and nothing more will come. Returns the waker to call and
    /// whether the future is gone, in which case the caller disposes of the payload and frees the
    /// slot.
    pub(crate) fn complete(&self) -> (Option<Waker>, bool) {
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            let next = if seen & WAKER == 0 {
                seen | COMPLETE
            } else {
                (seen & !WAKER) | TAKING
            };
            match self
                .word
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if seen & WAKER == 0 => return (None, seen & ORPHAN != 0),
                Ok(_) => {
                    let (waker, before) = self.finish_taking(COMPLETE);
                    return (waker, before & ORPHAN != 0);
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Future: goes away for good.
    pub(crate) fn abandon(&self) -> Abandoned {
        let seen = self.word.fetch_or(ORPHAN, Ordering::AcqRel);
        if seen & COMPLETE != 0 {
            Abandoned::Complete
        } else {
            Abandoned::InFlight
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;
    use std::sync::atomic::{AtomicUsize as StdUsize, Ordering as StdOrdering};
    use std::task::Wake;

    struct Count(StdUsize);

    impl Wake for Count {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, StdOrdering::SeqCst);
        }
    }

    fn counter() -> (std::sync::Arc<Count>, Waker) {
        let count = std::sync::Arc::new(Count(StdUsize::new(0)));
        (count.clone(), Waker::from(count))
    }

    /// A completion racing with a change of waker: the future sees the result or is woken.
    ///
    /// Control, tried: a `register` without the second look at the state.
    #[test]
    fn loom_completion_is_seen_or_wakes() {
        loom::model(|| {
            let state = Arc::new(SlotState::new());
            let (first, first_waker) = counter();
            let (second, second_waker) = counter();
            state.arm(first_waker);
            let reaper = {
                let state = state.clone();
                thread::spawn(move || {
                    let (waker, orphan) = state.complete();
                    assert!(!orphan);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                })
            };
            let registered = state.register(&second_waker);
            reaper.join().expect("reaper");
            assert!(state.is_complete());
            let woken = second.0.load(StdOrdering::SeqCst);
            if registered == Registered::Waiting {
                assert_eq!(woken, 1, "the new waker was lost");
            } else {
                assert_eq!(woken, 0);
            }
            assert!(first.0.load(StdOrdering::SeqCst) <= 1);
        });
    }

    /// An item racing with registration: it is either seen after registering, or wakes.
    ///
    /// Control, tried: a `notify` that only reads the word when no waker is there.
    #[test]
    fn loom_item_is_seen_or_wakes() {
        loom::model(|| {
            let state = Arc::new(SlotState::new());
            let items = Arc::new(AtomicU32::new(0));
            let (_, first_waker) = counter();
            let (second, second_waker) = counter();
            state.arm(first_waker);
            let reaper = {
                let (state, items) = (state.clone(), items.clone());
                thread::spawn(move || {
                    items.fetch_add(1, Ordering::Release);
                    if let Some(waker) = state.notify() {
                        waker.wake();
                    }
                })
            };
            let registered = state.register(&second_waker);
            assert_eq!(registered, Registered::Waiting);
            let seen = items.load(Ordering::Acquire);
            reaper.join().expect("reaper");
            let woken = second.0.load(StdOrdering::SeqCst);
            assert!(
                seen == 1 || woken == 1,
                "an item was neither seen nor announced"
            );
        });
    }

    /// A drop racing with the final completion: exactly one side owns the slot afterwards.
    ///
    /// Control, tried: an `abandon` that looks for the completion before it marks.
    #[test]
    fn loom_exactly_one_side_frees() {
        loom::model(|| {
            let state = Arc::new(SlotState::new());
            let (_, waker) = counter();
            state.arm(waker);
            let reaper = {
                let state = state.clone();
                thread::spawn(move || state.complete().1)
            };
            let future_frees = state.abandon() == Abandoned::Complete;
            let reaper_frees = reaper.join().expect("reaper");
            assert!(future_frees ^ reaper_frees);
        });
    }
}
