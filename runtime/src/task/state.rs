//! The atomic word of a task, and the only functions that change it.
//!
//! # States
//!
//! ```text
//!                 ┌───────────────────── wake (5) ──────────────────────┐
//!                 ▼                                                      │
//!             SCHEDULED ── start_poll (1) ──▶ RUNNING ── finish_poll (2) ──▶ IDLE
//!                 ▲                            │   │
//!                 └── finish_poll, woken (3) ──┘   └── complete (4) ──▶ COMPLETE
//! ```
//!
//! A task is spawned `RUNNING`, queued for its first turn; and one that gives its turn away by itself remains
//! `RUNNING` while it is queued for the next. For others it is as if it were polled for all that time: they do not
//! queue it, and a wake leaves `SCHEDULED`, which the next poll or its end finds. Its turn begins with
//! [`resume`](State::resume), which changes nothing, instead of `start_poll`.
//!
//! # The bits
//!
//! - `SCHEDULED`: the task is in a queue, or will be put into one when the poll that is going on ends.
//!   Whoever sets it on an idle task must queue it, so a task is in at most one queue, once.
//! - `RUNNING`: a worker polls the future and owns the stage cell, or has queued the task to be polled on.
//! - `COMPLETE`: the stage cell holds the output (or nothing, if nobody wants it). Never cleared, never
//!   set together with `RUNNING`.
//! - `JOIN_INTEREST`: a `JoinHandle` exists. Set at birth, cleared when it is dropped. Whoever sees the
//!   other's bit last (`COMPLETE` or the clearing) drops the output.
//! - `JOIN_WAKER`: the join waker cell holds a waker that the completing worker may read. While it is
//!   clear and the task is not complete, the cell belongs to the `JoinHandle`.
//! - `ABORTED`: the next `start_poll` drops the future instead of polling it. Never cleared. A task that is
//!   cancelled is polled on, until it has unwound: its root scope says so, see `scope`.
//! - `CLAIMED`: of a closure on the blocking pool: a thread runs it, or it was withdrawn. Until then both the
//!   pool and whoever cancels it may. Never cleared.
//!
//! The rest of the word counts references: one of the worker's list while the task is not complete,
//! one of the `JoinHandle`, and one of each waker. Queues hold none: a queued task is not complete, so
//! the list's reference keeps it.

use crate::primitives::atomic::{AtomicUsize, Ordering};

const SCHEDULED: usize = 1;
const RUNNING: usize = 1 << 1;
const COMPLETE: usize = 1 << 2;
const JOIN_INTEREST: usize = 1 << 3;
const JOIN_WAKER: usize = 1 << 4;
const ABORTED: usize = 1 << 5;
const CLAIMED: usize = 1 << 6;
const REFERENCE: usize = 1 << 8;

/// What a worker does with a task it took from a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum StartPoll {
    Poll,
    /// Drop the future: the task was aborted.
    Abort,
}

/// What a worker does after a poll that was pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum FinishPoll {
    Idle,
    /// The task was woken meanwhile: queue it.
    Reschedule,
}

/// What the completing worker does with the output and the join waker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) struct Completed {
    pub(crate) drop_output: bool,
    pub(crate) wake_joiner: bool,
}

/// What the waker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// Queue the task.
    Schedule,
    Nothing,
    /// Nothing, and that was the last reference: free the task.
    Free,
}

/// What a dropped `JoinHandle` leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) struct Detached {
    pub(crate) drop_output: bool,
    pub(crate) drop_waker: bool,
}

/// The state word.
#[derive(Debug)]
pub(crate) struct State(AtomicUsize);

impl State {
    /// A spawned task: about to be queued for its first turn, referenced by its list and its `JoinHandle`.
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(RUNNING | JOIN_INTEREST | (2 * REFERENCE)))
    }

    /// The right to run a closure on the blocking pool, given once.
    pub(crate) fn claim(&self) -> bool {
        self.0.fetch_or(CLAIMED, Ordering::AcqRel) & CLAIMED == 0
    }

    /// Whether that was given.
    pub(crate) fn is_claimed(&self) -> bool {
        // Relaxed: it says nothing about anything else.
        self.0.load(Ordering::Relaxed) & CLAIMED != 0
    }

    /// (1) SCHEDULED to RUNNING.
    #[inline]
    pub(crate) fn start_poll(&self) -> StartPoll {
        // Acquire: the previous poll's writes to the future, and everything before the wake.
        let before = self.0.fetch_xor(SCHEDULED | RUNNING, Ordering::AcqRel);
        debug_assert_eq!(before & (SCHEDULED | RUNNING | COMPLETE), SCHEDULED);
        if before & ABORTED == 0 {
            StartPoll::Poll
        } else {
            StartPoll::Abort
        }
    }

    /// The first turn of a task, or the next of one that gave its turn away. The caller has it from a queue, and with it all that the poll
    /// before has written.
    #[inline]
    pub(crate) fn resume(&self) -> StartPoll {
        // Acquire: everything before a wake that is seen here. One that is not leaves its bit to `finish_poll`.
        let seen = self.0.load(Ordering::Acquire);
        debug_assert_eq!(seen & (RUNNING | COMPLETE), RUNNING);
        if seen & SCHEDULED != 0 {
            // This poll is the one it asks for. Acquire, for another wake since.
            self.0.fetch_and(!SCHEDULED, Ordering::AcqRel);
        }
        if seen & ABORTED == 0 {
            StartPoll::Poll
        } else {
            StartPoll::Abort
        }
    }

    /// Whether the poll that is under way will be followed by another one; `false` says nothing. For who runs it.
    #[inline]
    pub(crate) fn is_woken(&self) -> bool {
        // Relaxed: only the end of the poll takes the bit away, on this thread.
        self.0.load(Ordering::Relaxed) & SCHEDULED != 0
    }

    /// (2), (3) RUNNING to IDLE, or to SCHEDULED when the task was woken meanwhile.
    #[inline]
    pub(crate) fn finish_poll(&self) -> FinishPoll {
        // Release: the next poller, on whatever thread, sees the future as this poll left it.
        let before = self.0.fetch_and(!RUNNING, Ordering::AcqRel);
        if before & SCHEDULED == 0 {
            FinishPoll::Idle
        } else {
            FinishPoll::Reschedule
        }
    }

    /// (4) RUNNING to COMPLETE.
    #[inline]
    pub(crate) fn complete(&self) -> Completed {
        // A wake that came during the last poll left SCHEDULED set; nobody will queue the task, since
        // only an idle task is queued by its waker.
        let before = self.0.fetch_xor(RUNNING | COMPLETE, Ordering::AcqRel);
        debug_assert_eq!(before & (RUNNING | COMPLETE), RUNNING);
        Completed {
            drop_output: before & JOIN_INTEREST == 0,
            wake_joiner: before & JOIN_WAKER != 0,
        }
    }

    /// (4), and gives the runtime's reference back in the same step: afterwards the `JoinHandle` may free the
    /// task. Does nothing, and returns `false`, when there is no `JoinHandle` or it waits already.
    #[inline]
    pub(crate) fn complete_and_leave(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if seen & (JOIN_INTEREST | JOIN_WAKER) != JOIN_INTEREST {
                return false;
            }
            debug_assert_eq!(seen & (RUNNING | COMPLETE), RUNNING);
            // The reference of the handle remains.
            let next = (seen ^ (RUNNING | COMPLETE)) - REFERENCE;
            // Release: whoever sees it complete sees the output. Acquire: as in `complete`.
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// Whether the task is complete and the caller's reference is the only one, so that nobody else can
    /// come to know of the task any more.
    #[inline]
    pub(crate) fn is_left_to_caller(&self) -> bool {
        // Acquire: what the others did before they gave their references back.
        let seen = self.0.load(Ordering::Acquire);
        seen & COMPLETE != 0 && seen < 2 * REFERENCE
    }

    /// After [`complete`](Self::complete) woke the joiner: gives the waker cell back. Returns whether
    /// the `JoinHandle` is gone, so that the waker must be dropped here.
    pub(crate) fn release_join_waker(&self) -> bool {
        let before = self.0.fetch_and(!JOIN_WAKER, Ordering::AcqRel);
        before & JOIN_INTEREST == 0
    }

    /// (5) for a waker that stays.
    #[inline]
    pub(crate) fn wake(&self) -> Wake {
        // Release: what happened before the wake is seen by the poll it causes, also when another
        // waker has queued the task already; hence an RMW even then.
        let before = self.0.fetch_or(SCHEDULED, Ordering::AcqRel);
        if before & (SCHEDULED | RUNNING | COMPLETE) == 0 {
            Wake::Schedule
        } else {
            Wake::Nothing
        }
    }

    /// (5) for a waker that is used up: wakes and gives its reference back in one step.
    #[inline]
    pub(crate) fn wake_by_value(&self) -> Wake {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let woken = if seen & COMPLETE == 0 {
                seen | SCHEDULED
            } else {
                seen
            };
            let next = woken - REFERENCE;
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if seen & (SCHEDULED | RUNNING | COMPLETE) == 0 => return Wake::Schedule,
                Ok(_) if next < REFERENCE => return Wake::Free,
                Ok(_) => return Wake::Nothing,
                Err(now) => seen = now,
            }
        }
    }

    /// Marks the task aborted. Returns whether this was the first time on a live task, and whether the
    /// caller has to queue it.
    pub(crate) fn abort(&self) -> (bool, Wake) {
        let before = self.0.fetch_or(SCHEDULED | ABORTED, Ordering::AcqRel);
        let first = before & (COMPLETE | ABORTED) == 0;
        let idle = before & (SCHEDULED | RUNNING | COMPLETE) == 0;
        (first, if idle { Wake::Schedule } else { Wake::Nothing })
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Whether the join waker cell belongs to the completing worker.
    pub(crate) fn has_join_waker(&self) -> bool {
        self.0.load(Ordering::Acquire) & JOIN_WAKER != 0
    }

    /// Joiner: the waker cell was filled. Returns `false` when the task has completed, in which case
    /// the cell still belongs to the joiner.
    pub(crate) fn publish_join_waker(&self) -> bool {
        self.change_join_waker(|seen| seen | JOIN_WAKER)
    }

    /// Joiner: takes the waker cell back. Returns `false` when the task has completed.
    pub(crate) fn retract_join_waker(&self) -> bool {
        self.change_join_waker(|seen| seen & !JOIN_WAKER)
    }

    fn change_join_waker(&self, change: impl Fn(usize) -> usize) -> bool {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            if seen & COMPLETE != 0 {
                return false;
            }
            let next = change(seen);
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// The `JoinHandle` goes away.
    pub(crate) fn detach(&self) -> Detached {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let complete = seen & COMPLETE != 0;
            // While the task runs, the waker cell comes back with the bit; afterwards it belongs to
            // the completing worker until that has cleared the bit.
            let cleared = if complete {
                JOIN_INTEREST
            } else {
                JOIN_INTEREST | JOIN_WAKER
            };
            match self.0.compare_exchange_weak(
                seen,
                seen & !cleared,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    return Detached {
                        drop_output: complete,
                        drop_waker: !complete || seen & JOIN_WAKER == 0,
                    };
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Adds a waker's reference.
    #[inline]
    pub(crate) fn add_reference(&self) {
        let before = self.0.fetch_add(REFERENCE, Ordering::Relaxed);
        if before > usize::MAX / 2 {
            // Only leaking wakers in a loop gets here; wrapping around would free a live task.
            std::process::abort();
        }
    }

    /// Gives a reference back; whether it was the last.
    #[inline]
    #[must_use]
    pub(crate) fn drop_reference(&self) -> bool {
        let before = self.0.fetch_sub(REFERENCE, Ordering::AcqRel);
        debug_assert!(before >= REFERENCE);
        before < 2 * REFERENCE
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// A wake racing with the end of a poll is never lost, and queues the task exactly once.
    ///
    /// Control, tried: a `finish_poll` that looks before it takes `RUNNING` away.
    #[test]
    fn loom_wake_against_finish_poll() {
        loom::model(|| {
            let state = Arc::new(State::new());
            assert_eq!(state.resume(), StartPoll::Poll);
            let wakers: Vec<_> = (0..2)
                .map(|_| {
                    let state = state.clone();
                    thread::spawn(move || usize::from(state.wake() == Wake::Schedule))
                })
                .collect();
            let own = usize::from(state.finish_poll() == FinishPoll::Reschedule);
            let others: usize = wakers.into_iter().map(|w| w.join().expect("waker")).sum();
            assert_eq!(own + others, 1, "queued {} times", own + others);
            assert_eq!(state.start_poll(), StartPoll::Poll);
        });
    }

    /// A wake racing with a turn that is given away queues nothing, and a poll that begins afterwards sees what
    /// came before it. (Controls, tried: `resume` with a relaxed load, or clearing the bit unseen.)
    #[test]
    fn loom_wake_against_resume() {
        loom::model(|| {
            let state = Arc::new(State::new());
            let ready = Arc::new(loom::sync::atomic::AtomicBool::new(false));
            assert_eq!(state.resume(), StartPoll::Poll);
            let waker = {
                let (state, ready) = (state.clone(), ready.clone());
                thread::spawn(move || {
                    ready.store(true, Ordering::Relaxed);
                    state.wake()
                })
            };
            // It is the bit that carries it over, for the flag is relaxed.
            let poll = || ready.load(Ordering::Relaxed);
            assert_eq!(state.resume(), StartPoll::Poll);
            let mut seen = poll();
            if state.finish_poll() == FinishPoll::Reschedule {
                assert_eq!(state.start_poll(), StartPoll::Poll);
                seen = poll();
            }
            let woken = waker.join().expect("waker");
            assert!(seen || woken == Wake::Schedule, "a wake was lost");
        });
    }

    /// Completion racing with a registering joiner: it is woken, or it sees the completion.
    ///
    /// Control, tried: a `publish_join_waker` that does not look whether the task is complete.
    #[test]
    fn loom_join_waker_against_complete() {
        loom::model(|| {
            let state = Arc::new(State::new());
            assert_eq!(state.resume(), StartPoll::Poll);
            let worker = {
                let state = state.clone();
                thread::spawn(move || state.complete())
            };
            let published = state.publish_join_waker();
            let completed = worker.join().expect("worker");
            assert_eq!(completed.wake_joiner, published);
            assert!(!completed.drop_output);
            assert!(state.is_complete());
        });
    }

    /// Completion racing with a dropped handle: the output and the waker are dropped exactly once.
    ///
    /// Control, tried: a `detach` that never drops the output.
    #[test]
    fn loom_detach_against_complete() {
        loom::model(|| {
            let state = Arc::new(State::new());
            assert_eq!(state.resume(), StartPoll::Poll);
            assert!(state.publish_join_waker());
            let worker = {
                let state = state.clone();
                thread::spawn(move || {
                    let completed = state.complete();
                    let waker_dropped = completed.wake_joiner && state.release_join_waker();
                    (completed.drop_output, waker_dropped, state.drop_reference())
                })
            };
            let detached = state.detach();
            let handle_frees = state.drop_reference();
            let (output, waker, worker_frees) = worker.join().expect("worker");
            assert!(
                output ^ detached.drop_output,
                "output dropped twice or never"
            );
            assert!(waker ^ detached.drop_waker, "waker dropped twice or never");
            assert!(handle_frees ^ worker_frees, "freed twice or never");
        });
    }

    /// Leaving racing with a registering joiner, which then goes away: it is woken or sees the completion, and
    /// the task is freed once.
    ///
    /// Control, tried: a `complete_and_leave` that does not look for a waker.
    #[test]
    fn loom_complete_and_leave_against_join() {
        loom::model(|| {
            let state = Arc::new(State::new());
            assert_eq!(state.resume(), StartPoll::Poll);
            let worker = {
                let state = state.clone();
                thread::spawn(move || {
                    if state.complete_and_leave() {
                        return (false, None, false);
                    }
                    let completed = state.complete();
                    if completed.wake_joiner {
                        let _: bool = state.release_join_waker();
                    }
                    let drops = Some(completed.drop_output);
                    (completed.wake_joiner, drops, state.drop_reference())
                })
            };
            let published = state.publish_join_waker();
            let left = state.is_left_to_caller();
            let (handle_drops, freed) = if left {
                (true, true)
            } else {
                (state.detach().drop_output, state.drop_reference())
            };
            let (woken, worker_drops, worker_frees) = worker.join().expect("worker");
            assert!(!woken || published, "woken by a waker that is not there");
            assert!(!left || woken == published, "left, and the joiner sleeps");
            assert!(
                handle_drops ^ worker_drops.unwrap_or(false),
                "the output is dropped twice or never"
            );
            assert!(freed ^ worker_frees, "freed twice or never");
        });
    }

    /// Two aborts and a wake on an idle task queue it once, and one abort is the first.
    ///
    /// Control, tried: an `abort` that always says that it was the first.
    #[test]
    fn loom_abort_queues_once() {
        loom::model(|| {
            let state = Arc::new(State::new());
            assert_eq!(state.resume(), StartPoll::Poll);
            assert_eq!(state.finish_poll(), FinishPoll::Idle);
            let other = {
                let state = state.clone();
                thread::spawn(move || state.abort())
            };
            let (first, wake) = state.abort();
            let woken = state.wake();
            let (other_first, other_wake) = other.join().expect("aborter");
            assert!(first ^ other_first);
            let queued = [wake, woken, other_wake];
            assert_eq!(queued.iter().filter(|&&w| w == Wake::Schedule).count(), 1);
            assert_eq!(state.start_poll(), StartPoll::Abort);
        });
    }
}
