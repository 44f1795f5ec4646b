//! The timers of one worker: the wheel, and the clock it runs by.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::driver::slot::SlotState;
use crate::panics;
use crate::time::wheel::{Key, Wheel};
use crate::time::{Instant, timer::TimerState};

/// Names a timer in its worker's wheel.
pub(crate) type TimerKey = Key;

/// A timer may be late by its length divided by this.
const SLACK_PART: u64 = 16;
/// How many states of ended timers are kept for those to come.
const SPARE: usize = 64;

/// A worker's timers, used on its thread only.
#[derive(Debug)]
pub(crate) struct Timers {
    /// The wheel's zero.
    start: Instant,
    /// Nanoseconds a timer may be late at most for the sake of fewer wake-ups.
    slack: u64,
    /// The time up to which timers have fired.
    reached: Cell<u64>,
    wheel: RefCell<Wheel<TimerState>>,
    fired: RefCell<Vec<TimerState>>,
    /// Of ended timers, without wakers and known to nobody else.
    spare: RefCell<Vec<TimerState>>,
}

impl Timers {
    pub(crate) fn new(slack: Duration) -> Self {
        Self {
            start: Instant::now(),
            slack: u64::try_from(slack.as_nanos()).unwrap_or(u64::MAX),
            reached: Cell::new(0),
            wheel: RefCell::new(Wheel::new(0)),
            fired: RefCell::new(Vec::new()),
            spare: RefCell::new(Vec::new()),
        }
    }

    /// Nanoseconds from the wheel's zero.
    fn nanos(&self, instant: Instant) -> u64 {
        let since = instant.duration_since(self.start);
        // In 64 bits: this is on the way of every timer.
        since
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(since.subsec_nanos()))
    }

    /// Registers a timer, at `now`. It may be late by a part of its length, so that one wake-up serves
    /// several, unless the worker is awake anyway.
    pub(crate) fn insert(&self, now: Instant, deadline: Instant, state: TimerState) -> TimerKey {
        let deadline = self.nanos(deadline);
        let length = deadline.saturating_sub(self.nanos(now));
        let slack = (length / SLACK_PART).min(self.slack);
        self.wheel
            .borrow_mut()
            .insert_with_slack(deadline, slack, state)
    }

    /// A state for a new timer.
    pub(crate) fn state(&self) -> TimerState {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_else(|| TimerState::new(SlotState::new()))
    }

    /// Keeps the state of a timer that is over, if nobody else has it.
    pub(crate) fn keep(&self, mut state: TimerState) {
        let Some(alone) = TimerState::get_mut(&mut state) else {
            return;
        };
        let waker = alone.clear();
        {
            let mut spare = self.spare.borrow_mut();
            if spare.len() < SPARE {
                spare.push(state);
            }
        }
        // After the borrow: its destructor may come back.
        drop(waker);
    }

    pub(crate) fn remove(&self, key: TimerKey) {
        // The state is dropped after the borrow: the waker in it may run a destructor that comes back.
        let removed = self.wheel.borrow_mut().remove(key);
        drop(removed);
    }

    /// Whether timers have fired up to `deadline`; `false` says nothing.
    pub(crate) fn has_reached(&self, deadline: Instant) -> bool {
        self.nanos(deadline) <= self.reached.get()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wheel.borrow().len() == 0
    }

    /// Time from `now` until the next wake-up is due, `None` when there is no timer.
    pub(crate) fn next(&self, now: Instant) -> Option<Duration> {
        let wake = self.wheel.borrow().next_wake()?;
        let now = self.nanos(now);
        Some(Duration::from_nanos(wake.saturating_sub(now)))
    }

    /// Fires what is due at `now`. Returns how many.
    pub(crate) fn fire(&self, now: Instant) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.expire(self.nanos(now))
    }

    /// Fires everything, due or not: each timer that is still wanted registers again where it is polled
    /// next.
    pub(crate) fn evacuate(&self) -> usize {
        {
            let mut fired = self.fired.borrow_mut();
            self.wheel.borrow_mut().drain(|state| fired.push(state));
        }
        self.wake_fired()
    }

    fn expire(&self, now: u64) -> usize {
        self.reached.set(now);
        {
            let mut fired = self.fired.borrow_mut();
            self.wheel
                .borrow_mut()
                .expire(now, &mut |_, state| fired.push(state));
            if fired.is_empty() {
                return 0;
            }
        }
        self.wake_fired()
    }

    fn wake_fired(&self) -> usize {
        // Nothing is borrowed while a waker runs: it may be foreign, and may set or drop timers.
        let mut fired = self.fired.take();
        let count = fired.len();
        for state in fired.drain(..) {
            if let (Some(waker), _) = state.complete() {
                panics::wake(waker);
            }
        }
        self.fired.replace(fired);
        count
    }
}
