//! What an idle worker does for a busy sibling: it takes its tasks and its completions.
//!
//! A worker that runs one task for long submits nothing and reaps nothing. Up to two idle workers at a
//! time are watchers: such a worker sleeps at most the watch interval while anybody is awake, and when a
//! sibling's tick has not moved for as long as that, it
//!
//! 1. steals the sibling's queues and its LIFO slot;
//! 2. has what the sibling has queued for the kernel submitted, and what the kernel holds back posted:
//!    - under DEFER by a signal, whose handler enters the ring on the sibling's own thread;
//!    - under COOP by entering the ring itself, and an expedited `membarrier(2)`, which interrupts the
//!      sibling so that its task work runs;
//!    - without io_uring by entering the ring itself, which is all;
//! 3. drains the sibling's CQ under the CQ lock; the tasks it wakes are queued here.

#![expect(unsafe_code, reason = "membarrier and sched_getcpu")]

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::metrics::{add, bump};
use crate::scheduler::shared::Peer;
use crate::scheduler::signal;
use crate::scheduler::worker::Worker;
use crate::trace;

/// The watch interval doubles with every look that finds nothing to rescue, up to this multiple of the
/// configured one.
const MAX_BACKOFF: u32 = 32;
/// The same while somebody is stuck, who may have something to rescue at any time.
const STUCK_BACKOFF: u32 = 4;
/// Most workers that watch at a time. Two, so that one is left when the other gets work of its own and
/// nobody has to be called.
const WATCHERS: usize = 2;
/// Looks without any sign of life before the watcher goes to sleep for good.
const PATIENCE: u32 = 32;
/// After something was rescued the interval stays short for this long.
const ALERT: Duration = Duration::from_millis(20);
/// How long to wait for a signalled sibling's completions.
const SIGNAL_PATIENCE: Duration = Duration::from_micros(150);

/// What a watcher remembers.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Of all workers.
    seen: Box<[Cell<Sight>]>,
    last_look: Cell<Instant>,
    last_rescue: Cell<Option<Instant>>,
    /// The present multiple of the configured interval, while nobody is in a task for long.
    backoff: Cell<u32>,
    /// The same while somebody is, and has nothing to rescue.
    stuck_backoff: Cell<u32>,
    /// Looks left before a quiet runtime is left alone.
    patience: Cell<u32>,
    /// The worker has slept since it last ran a task.
    has_slept: Cell<bool>,
}

/// The tick of a sibling, and since when it is known to be that.
#[derive(Debug, Clone, Copy)]
struct Sight {
    tick: u32,
    since: Instant,
}

impl Watch {
    pub(crate) fn new(peers: usize) -> Self {
        let now = Instant::now();
        let sight = Sight {
            tick: 0,
            since: now,
        };
        Self {
            seen: (0..peers).map(|_| Cell::new(sight)).collect(),
            last_look: Cell::new(now),
            last_rescue: Cell::new(None),
            backoff: Cell::new(1),
            stuck_backoff: Cell::new(1),
            patience: Cell::new(0),
            has_slept: Cell::new(true),
        }
    }

    fn is_alert(&self, now: Instant) -> bool {
        self.last_rescue
            .get()
            .is_some_and(|at| now.duration_since(at) < ALERT)
    }

    /// Looks at a sibling. Returns how long it is known to have stood still.
    fn look(&self, index: usize, peer: &Peer, now: Instant) -> Duration {
        let tick = peer.tick.load(Ordering::Relaxed);
        let seen = &self.seen[index];
        if seen.get().tick != tick {
            seen.set(Sight { tick, since: now });
        }
        now.duration_since(seen.get().since)
    }

    /// How many intervals to sleep before the next look.
    fn intervals(&self, now: Instant, someone_is_in_a_task: bool) -> u32 {
        if self.is_alert(now) {
            1
        } else if someone_is_in_a_task {
            self.stuck_backoff.get()
        } else {
            self.backoff.get()
        }
    }

    /// Takes note of what a look has found.
    fn conclude(&self, now: Instant, any_stuck: bool, any_rescued: bool) {
        if any_rescued {
            self.last_rescue.set(Some(now));
            self.backoff.set(1);
            self.stuck_backoff.set(1);
        } else if any_stuck {
            let backoff = (self.stuck_backoff.get() * 2).min(STUCK_BACKOFF);
            self.stuck_backoff.set(backoff);
        } else {
            self.stuck_backoff.set(1);
            self.backoff.set((self.backoff.get() * 2).min(MAX_BACKOFF));
        }
    }
}

impl Worker {
    fn siblings(&self) -> impl Iterator<Item = (usize, &Peer)> {
        self.peers()
            .iter()
            .enumerate()
            .filter(|&(index, _)| index != self.index())
    }

    /// Notes that this worker sleeps, so that its next task has somebody watch over it.
    pub(crate) fn note_sleep(&self) {
        self.watch.has_slept.set(true);
    }

    /// Called before the first task after a sleep: a worker that gets stuck in it can call nobody, so
    /// somebody is called now unless a watcher is about.
    #[inline]
    pub(super) fn call_watcher(&self) {
        if self.watch.has_slept.replace(false) {
            self.call_watcher_after_sleep();
        }
    }

    fn call_watcher_after_sleep(&self) {
        let shared = self.shared();
        if shared.config.watch_interval.is_some()
            && shared.idle.count() > 0
            && shared.watchers.load(Ordering::Acquire) == 0
            && shared.wake_one(self.index() + 1)
        {
            bump(&self.counters().wakes_sent);
        }
    }

    /// Called when parking: takes the watch if somebody is awake and nobody else has it. Returns how
    /// long to sleep at most.
    pub(super) fn begin_watch(&self) -> Option<Duration> {
        let interval = self.shared().config.watch_interval?;
        if self.peers().len() == 1 {
            return None;
        }
        let shared = self.shared();
        let now = self.last_io();
        let (mut active, mut in_task) = (false, false);
        for (index, peer) in self.siblings() {
            let asleep = shared.idle.is_parked(index) || !peer.present.load(Ordering::Relaxed);
            let before = self.watch.seen[index].get().tick;
            self.watch.look(index, peer, now);
            active |= !asleep || self.watch.seen[index].get().tick != before;
            in_task |= !asleep && peer.is_in_task();
        }
        if active {
            self.watch.patience.set(PATIENCE);
        } else if self.watch.patience.get() > 0 {
            // The next burst finds the watcher about, and need not call one.
            self.watch.patience.set(self.watch.patience.get() - 1);
        } else {
            self.watch.backoff.set(1);
            return None;
        }
        if shared.watchers.fetch_add(1, Ordering::AcqRel) >= WATCHERS {
            shared.watchers.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(interval * self.watch.intervals(now, in_task))
    }

    /// Called after sleeping as the watcher: looks after the siblings if it is time to.
    pub(super) fn end_watch(&self, now: Instant, slept: Duration) {
        let shared = self.shared();
        shared.watchers.fetch_sub(1, Ordering::AcqRel);
        let Some(interval) = shared.config.watch_interval else {
            return;
        };
        if now.duration_since(self.watch.last_look.get()) < slept {
            return;
        }
        self.watch.last_look.set(now);
        let (mut any_stuck, mut any_rescued) = (false, false);
        for (index, peer) in self.siblings() {
            let still = self.watch.look(index, peer, now);
            let stuck = still >= interval
                && !shared.idle.is_parked(index)
                && peer.present.load(Ordering::Acquire);
            if stuck {
                any_stuck = true;
                any_rescued |= self.rescue(index, peer);
            }
        }
        self.watch.conclude(now, any_stuck, any_rescued);
    }

    /// Takes tasks and completions of a sibling that does not get on. Returns whether there were any.
    fn rescue(&self, index: usize, peer: &Peer) -> bool {
        peer.remote.mark_stuck();
        let stolen = || self.counters().stolen_tasks.load(Ordering::Relaxed);
        let before = stolen();
        let any = self.take_tasks(peer);
        let count = self.take_completions(peer);
        if any || count > 0 {
            trace::rescued(self.index(), index, stolen().wrapping_sub(before), count);
        }
        any || count > 0
    }

    /// Takes what waits in a sibling's queue and LIFO slot. Returns whether there was any.
    fn take_tasks(&self, peer: &Peer) -> bool {
        let mut any = false;
        // All of it: whatever is left behind waits for another look.
        while self.steal_from(&peer.due) || self.steal_from(&peer.stealer) {
            any = true;
        }
        if let Some(task) = peer.lifo.take() {
            self.queue().push(task);
            add(&self.counters().stolen_tasks, 1);
            any = true;
        }
        any
    }

    /// Brings a sibling's completions to light and delivers them. Returns how many.
    fn take_completions(&self, peer: &Peer) -> usize {
        let Some(sight) = inspect(peer) else {
            return 0;
        };
        if sight.is_emulated {
            if rescue_by_entering(peer) {
                bump(&self.counters().rescues);
            }
        } else if sight.is_waiting {
            bump(&self.counters().rescues);
            if sight.is_deferred {
                self.rescue_by_signal(peer);
            } else {
                rescue_by_membarrier(peer);
            }
        }
        let count = self.waking_to_back(|| self.driver().reaper().reap(&peer.remote));
        add(&self.counters().rescued_completions, count as u64);
        count
    }

    fn rescue_by_signal(&self, peer: &Peer) {
        let Some(number) = self.shared().config.rescue_signal else {
            return;
        };
        if !signal::send(number, peer.remote.thread.load(Ordering::Acquire)) {
            return;
        }
        let start = Instant::now();
        while !has_completions(peer) && start.elapsed() < SIGNAL_PATIENCE {
            std::hint::spin_loop();
        }
    }

    /// Publishes the CPU this worker runs on, for tasks that follow their data.
    pub(crate) fn note_cpu(&self) {
        // SAFETY: the call takes no arguments.
        let cpu = unsafe { libc::sched_getcpu() };
        self.driver().remote().cpu.store(cpu, Ordering::Relaxed);
    }
}

/// What a sibling's ring looks like.
struct RingSight {
    /// Something waits there, or may.
    is_waiting: bool,
    /// Only the sibling itself can bring it out.
    is_deferred: bool,
    is_emulated: bool,
}

fn inspect(peer: &Peer) -> Option<RingSight> {
    let guard = peer.remote.ring.try_lock()?;
    let ring = guard.ring()?;
    Some(RingSight {
        is_waiting: ring.unsubmitted() > 0 || ring.wants_enter(),
        is_deferred: ring.is_deferred(),
        is_emulated: ring.is_emulated(),
    })
}

/// Returns whether that has brought completions to light.
fn rescue_by_entering(peer: &Peer) -> bool {
    let Some(guard) = peer.remote.ring.try_lock() else {
        return false;
    };
    let Some(ring) = guard.ring() else {
        return false;
    };
    let before = ring.ready();
    // A failure means that the sibling is inside itself.
    drop(ring.enter_foreign());
    ring.ready() > before
}

fn has_completions(peer: &Peer) -> bool {
    let Some(guard) = peer.remote.ring.try_lock() else {
        return false;
    };
    guard.ring().is_some_and(|ring| ring.ready() > 0)
}

fn rescue_by_membarrier(peer: &Peer) {
    {
        let Some(guard) = peer.remote.ring.try_lock() else {
            return;
        };
        let Some(ring) = guard.ring() else { return };
        if ring.unsubmitted() > 0 && !ring.is_single_issuer() {
            // A failure is the owner's to see when it enters next.
            drop(ring.enter_foreign());
        }
    }
    membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

/// Registers the process for [`rescue_by_membarrier`].
pub(crate) fn register_membarrier() -> bool {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) >= 0
}

fn membarrier(command: libc::c_int) -> libc::c_long {
    // SAFETY: `membarrier(2)` takes plain numbers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}
