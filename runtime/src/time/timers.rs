//! The timers of one worker: the wheel, and the clock it runs by.

use std::cell::RefCell;
use std::time::Duration;

use crate::panics;
use crate::time::wheel::{Key, Wheel};
use crate::time::{Instant, timer::TimerState};

/// Names a timer in its worker's wheel.
pub(crate) type TimerKey = Key;

/// A worker's timers, used on its thread only.
#[derive(Debug)]
pub(crate) struct Timers {
    /// The wheel's zero.
    start: Instant,
    wheel: RefCell<Wheel<TimerState>>,
    fired: RefCell<Vec<TimerState>>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            wheel: RefCell::new(Wheel::new(0)),
            fired: RefCell::new(Vec::new()),
        }
    }

    /// Nanoseconds from the wheel's zero.
    fn nanos(&self, instant: Instant) -> u64 {
        u64::try_from(instant.duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn insert(&self, deadline: Instant, state: TimerState) -> TimerKey {
        self.wheel.borrow_mut().insert(self.nanos(deadline), state)
    }

    pub(crate) fn remove(&self, key: TimerKey) {
        // The state is dropped after the borrow: the waker in it may run a destructor that comes back.
        let removed = self.wheel.borrow_mut().remove(key);
        drop(removed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wheel.borrow().len() == 0
    }

    /// Time until the next deadline, `None` when there is none.
    pub(crate) fn next(&self) -> Option<Duration> {
        let deadline = self.wheel.borrow().next_deadline()?;
        let now = self.nanos(Instant::now());
        Some(Duration::from_nanos(deadline.saturating_sub(now)))
    }

    /// Fires what is due. Returns how many.
    pub(crate) fn fire(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        let now = self.nanos(Instant::now());
        self.expire(now)
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
