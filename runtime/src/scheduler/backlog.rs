//! When a worker's queue is worth a sibling's help.
//!
//! A move costs the sibling's sleep, and cold caches for what moves. There are two reasons for one:
//!
//! - *The queue takes long*: queued tasks x mean poll time. Whoever is last would wait too long.
//! - *The queue does not end*: it has had many tasks in it for some time without a break. Short as they may be,
//!   there is work for two: tasks that wait for each other, at a lock or a channel, should make the queue run low
//!   again and again.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::metrics::bump;
use crate::scheduler::shared::Peer;
use crate::scheduler::worker::{HOUSEKEEPING_INTERVAL, Worker};

/// A sibling is woken when the time to work off the queue exceeds this.
const WAKE_BACKLOG: Duration = Duration::from_micros(150);
/// Nanoseconds of queued work from which a sibling takes some.
const STEAL_WORTH: u64 = 50_000;
/// Below this mean poll time the backlog is looked at only with the housekeeping.
const SHORT_POLL: Duration = Duration::from_micros(2);
/// Queued tasks that are many. Fewer, when they are short, may be those who hold the permits of one semaphore,
/// who are presumably better off together.
const MANY: usize = 16;
/// A queue with many tasks for as long as this does not end.
const LASTING: Duration = Duration::from_micros(300);

/// What a worker remembers of its queue.
#[derive(Debug)]
pub(super) struct Backlog {
    /// When it was last weighed, and at which tick.
    weighed: Cell<(Instant, u32)>,
    mean_poll: Cell<Duration>,
    /// Since when every look has found many tasks in it, and it has not been empty.
    many_since: Cell<Instant>,
    /// It was empty after a poll since the last look.
    was_empty: Cell<bool>,
}

impl Backlog {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            weighed: Cell::new((now, 0)),
            mean_poll: Cell::new(Duration::ZERO),
            many_since: Cell::new(now),
            was_empty: Cell::new(false),
        }
    }

    /// Whether there have been many tasks for long; once that was so it is to last as long again.
    fn is_lasting(&self, now: Instant) -> bool {
        let lasting = now.duration_since(self.many_since.get()) >= LASTING;
        if lasting {
            self.many_since.set(now);
        }
        lasting
    }

    /// Takes the time since the last look into account. Returns the mean time of a poll.
    fn learn(&self, sample: Duration) -> Duration {
        // A thread that lost its CPU for a moment measures that moment; one such sample must not count
        // for much.
        let before = self.mean_poll.get();
        let mean = (before + sample.min(before * 4 + SHORT_POLL * 5)) / 2;
        self.mean_poll.set(mean);
        mean
    }
}

impl Peer {
    /// Whether this worker's queue is worth moving tasks to another core: for the time it needs, or because it
    /// does not end. What is not is run by the worker itself, or taken by the watcher if it gets stuck.
    ///
    /// A worker between two tasks is about to take the first itself. Taking a lone task away from one that
    /// has just been woken for it would move tasks, and what comes with them, back and forth.
    pub(crate) fn is_worth_stealing_from(&self) -> bool {
        let queued = self.stealer.len() + self.due.len();
        let backlog = if self.is_in_task() {
            queued
        } else {
            queued.saturating_sub(1)
        };
        backlog as u64 * u64::from(self.mean_poll.load(Ordering::Relaxed)) >= STEAL_WORTH
            || backlog >= MANY / 2 && self.has_lasting_backlog.load(Ordering::Relaxed)
    }
}

impl Worker {
    /// Starts weighing anew after a sleep, whose length says nothing about polls.
    pub(super) fn forget_backlog(&self, now: Instant) {
        self.backlog().weighed.set((now, self.tick()));
        self.note_break(now);
    }

    /// Wakes a sibling when the queue is worth its help. Called after polls, while a sibling sleeps.
    #[inline]
    pub(super) fn weigh_backlog(&self) {
        let backlog = self.backlog();
        if self.queue().is_empty() && self.due().is_empty() {
            // Noted, as looks come at regular times, and queues that many are woken for run empty at such too.
            backlog.was_empty.set(true);
            return;
        }
        let polls = self.tick().wrapping_sub(backlog.weighed.get().1);
        if backlog.mean_poll.get() >= SHORT_POLL || polls >= HOUSEKEEPING_INTERVAL {
            self.weigh_backlog_now(polls);
        }
    }

    fn weigh_backlog_now(&self, polls: u32) {
        let backlog = self.backlog();
        let now = Instant::now();
        let (last, _) = backlog.weighed.replace((now, self.tick()));
        if polls > 2 * HOUSEKEEPING_INTERVAL {
            // Not looked at for long, as there was nothing in the queue or nobody slept: the time between says
            // nothing about one poll.
            self.note_break(now);
            return;
        }
        let mean = backlog.learn(now.duration_since(last) / polls.max(1));
        let nanos = u32::try_from(mean.as_nanos()).unwrap_or(u32::MAX);
        self.peer().mean_poll.store(nanos, Ordering::Relaxed);
        let queued = self.queue().len() + self.due().len();
        if queued < MANY || backlog.was_empty.take() {
            self.note_break(now);
        }
        let lasting = backlog.is_lasting(now);
        if lasting {
            self.peer()
                .has_lasting_backlog
                .store(true, Ordering::Relaxed);
        }
        let long = mean.saturating_mul(u32::try_from(queued).unwrap_or(u32::MAX)) > WAKE_BACKLOG;
        if (long || lasting)
            && self.shared().config.steals
            && !self.shared().idle.someone_searches()
            && self.shared().wake_one(self.index())
        {
            bump(&self.counters().wakes_sent);
        }
    }

    /// The queue has had few tasks in it.
    fn note_break(&self, now: Instant) {
        self.backlog().many_since.set(now);
        self.peer()
            .has_lasting_backlog
            .store(false, Ordering::Relaxed);
    }
}
