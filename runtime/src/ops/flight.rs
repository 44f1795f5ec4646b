//! Whether a sender has a send in flight, shared with the operation that makes it.
//!
//! # States
//!
//! ```text
//!          begin                    end(Ok)
//!   IDLE ─────────▶ FLYING ──────────────────────▶ IDLE
//!                    │  └── watch ──▶ + WATCHED ──▶ IDLE, and the watcher is woken
//!                    │                              ▲
//!                    └── end(Err) ──▶ FAILED ───────┘ take_error
//! ```
//!
//! `CLOSES` beside `FLYING` has the operation end the direction (`shutdown(2)`) when all has been sent.
//!
//! The sender begins, watches and takes the error; the operation, which whichever worker reaps it runs, only
//! ends. So one of the two is at work at a time, but for the end that comes while the sender registers to be
//! woken: there, either the sender sees it or the operation sees the sender.

use std::io;
use std::sync::PoisonError;
use std::task::Waker;

use crate::primitives::Mutex;
use crate::primitives::atomic::{AtomicU32, Ordering};

const FLYING: u32 = 1;
const WATCHED: u32 = 1 << 1;
const CLOSES: u32 = 1 << 2;
const FAILED: u32 = 1 << 3;
/// The number of the error is above the bits.
const ERROR_SHIFT: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Flight {
    state: AtomicU32,
    watcher: Mutex<Option<Waker>>,
}

impl Flight {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            watcher: Mutex::new(None),
        }
    }

    /// Sender: whether nothing is in flight and nothing has failed.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == 0
    }

    /// Sender: whether something is in flight.
    pub(super) fn is_flying(&self) -> bool {
        self.state.load(Ordering::Acquire) & FLYING != 0
    }

    /// Sender: a send is about to be submitted, which publishes this.
    #[inline]
    pub(super) fn begin(&self) {
        debug_assert!(self.is_idle(), "a sender has one send in flight at a time");
        self.state.store(FLYING, Ordering::Relaxed);
    }

    /// Sender: the error of what was sent last; it is told once.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        let state = self.state.load(Ordering::Acquire);
        if state & FAILED == 0 {
            return None;
        }
        self.state.store(0, Ordering::Relaxed);
        let number = (state >> ERROR_SHIFT).cast_signed();
        Some(io::Error::from_raw_os_error(number))
    }

    /// Sender: has `waker` called at the end. Returns whether it will be: `false` if the end has come.
    pub(super) fn watch(&self, waker: &Waker) -> bool {
        // Before the bit, so that an end that sees the bit finds the waker.
        drop(self.watcher().replace(waker.clone()));
        let watched = self.set(WATCHED);
        if !watched {
            drop(self.take_watcher());
        }
        watched
    }

    /// Sender: has the end close the direction. Returns whether it will: `false` if the end has come.
    pub(super) fn close_at_end(&self) -> bool {
        self.set(CLOSES)
    }

    /// Sets `bit` if something is in flight.
    fn set(&self, bit: u32) -> bool {
        let flying = |state: u32| (state & FLYING != 0).then_some(state | bit);
        // AcqRel: publishes what the bit announces, or acquires the end.
        let set = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, flying);
        set.is_ok()
    }

    /// Operation: everything was sent, or nothing more will be, with the number of an error. `close` is called
    /// if the direction is to be closed.
    pub(super) fn end(&self, result: Result<(), i32>, close: impl FnOnce()) {
        let next = match result {
            Ok(()) => 0,
            Err(number) => FAILED | number.cast_unsigned() << ERROR_SHIFT,
        };
        // AcqRel: publishes what was done, and acquires the watcher.
        let before = self.state.swap(next, Ordering::AcqRel);
        debug_assert!(before & FLYING != 0, "a flight ends once");
        if before & CLOSES != 0 {
            close();
        }
        if before & WATCHED != 0
            && let Some(watcher) = self.take_watcher()
        {
            crate::panics::wake(watcher);
        }
    }

    fn watcher(&self) -> crate::primitives::MutexGuard<'_, Option<Waker>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_watcher(&self) -> Option<Waker> {
        self.watcher().take()
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::primitives::model::Flag;
    use loom::sync::Arc;
    use loom::thread;

    fn in_flight() -> Arc<Flight> {
        let flight = Arc::new(Flight::new());
        flight.begin();
        flight
    }

    /// A sender that registers twice while the send ends: it sees the end or its last waker is called. Control, tried:
    /// the waker stored after the bit.
    #[test]
    fn loom_the_end_of_a_flight_is_seen_or_wakes() {
        loom::model(|| {
            let flight = in_flight();
            let operation = {
                let flight = flight.clone();
                thread::spawn(move || flight.end(Ok(()), || ()))
            };
            let (_, first) = Flag::new();
            let (flag, second) = Flag::new();
            let waits = flight.watch(&first) && flight.watch(&second);
            operation.join().expect("the operation");
            assert!(flight.is_idle());
            assert!(!waits || flag.take(), "the watcher sleeps for ever");
        });
    }

    /// A request to close the direction comes in time, or is told that it has not. Control, tried: `end` that looks at
    /// the bit before the swap and not after it.
    #[test]
    fn loom_a_direction_is_closed_by_one_of_the_two() {
        loom::model(|| {
            let flight = in_flight();
            let closed = Arc::new(AtomicU32::new(0));
            let operation = {
                let (flight, closed) = (flight.clone(), closed.clone());
                thread::spawn(move || {
                    flight.end(Ok(()), || {
                        closed.fetch_add(1, Ordering::Relaxed);
                    });
                })
            };
            if !flight.close_at_end() {
                closed.fetch_add(1, Ordering::Relaxed);
            }
            operation.join().expect("the operation");
            assert_eq!(closed.load(Ordering::Relaxed), 1);
        });
    }

    /// An error is told, once.
    ///
    /// Control, tried: a `take_error` that leaves the error.
    #[test]
    fn loom_an_error_is_told_once() {
        loom::model(|| {
            let flight = in_flight();
            let operation = {
                let flight = flight.clone();
                thread::spawn(move || flight.end(Err(libc::EPIPE), || ()))
            };
            let early = flight.take_error();
            operation.join().expect("the operation");
            let late = flight.take_error();
            assert_eq!(
                usize::from(early.is_some()) + usize::from(late.is_some()),
                1
            );
            assert!(flight.is_idle());
        });
    }
}
