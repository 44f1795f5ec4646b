//! What an idle worker does for a busy sibling: it takes its tasks and its completions.
//!
//! A worker that runs one task for long submits nothing and reaps nothing. Up to two idle workers at a
//! time are watchers: such a worker sleeps at most the watch interval while anybody is awake, and when a
//! sibling's tick has not moved since the last look, it
//!
//! 1. steals the sibling's queue and its LIFO slot;
//! 2. has what the sibling has queued for the kernel submitted, and what the kernel holds back posted:
//!    - under DEFER by a signal, whose handler enters the ring on the sibling's own thread;
//!    - under COOP by entering the ring itself, and an expedited `membarrier(2)`, which interrupts the
//!      sibling so that its task work runs;
//! 3. drains the sibling's CQ under the CQ lock; the tasks it wakes are queued here.

#![expect(unsafe_code, reason = "membarrier and sched_getcpu")]

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::metrics::{add, bump};
use crate::scheduler::shared::Peer;
use crate::scheduler::signal;
use crate::scheduler::worker::Worker;

/// The watch interval doubles with every look that finds nobody stuck, up to this multiple of the
/// configured one.
const MAX_BACKOFF: u32 = 16;
/// Most workers that watch at a time. Two, so that one is left when the other gets work of its own and
/// nobody has to be called.
const WATCHERS: usize = 2;
/// Looks without any sign of life before the watcher goes to sleep for good.
const PATIENCE: u32 = 32;
/// After somebody was found stuck the interval stays short for this long.
const ALERT: Duration = Duration::from_millis(20);
/// How long to wait for a signalled sibling's completions.
const SIGNAL_PATIENCE: Duration = Duration::from_micros(150);

/// What a watcher remembers.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Ticks of all workers at the last look.
    seen: Box<[Cell<u32>]>,
    last_look: Cell<Instant>,
    last_stuck: Cell<Option<Instant>>,
    /// The present multiple of the configured interval.
    backoff: Cell<u32>,
    /// Looks left before a quiet runtime is left alone.
    patience: Cell<u32>,
    /// The worker has slept since it last ran a task.
    has_slept: Cell<bool>,
}

impl Watch {
    pub(crate) fn new(peers: usize) -> Self {
        Self {
            seen: (0..peers).map(|_| Cell::new(0)).collect(),
            last_look: Cell::new(Instant::now()),
            last_stuck: Cell::new(None),
            backoff: Cell::new(1),
            patience: Cell::new(0),
            has_slept: Cell::new(true),
        }
    }

    fn is_alert(&self) -> bool {
        self.last_stuck.get().is_some_and(|at| at.elapsed() < ALERT)
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
        let active = self.siblings().any(|(index, peer)| {
            (!shared.idle.is_parked(index) && peer.present.load(Ordering::Relaxed))
                || peer.tick.load(Ordering::Relaxed) != self.watch.seen[index].get()
        });
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
        let backoff = if self.watch.is_alert() {
            1
        } else {
            self.watch.backoff.get()
        };
        Some(interval * backoff)
    }

    /// Called after sleeping as the watcher: looks after the siblings if it is time to.
    pub(super) fn end_watch(&self, slept: Duration) {
        self.shared().watchers.fetch_sub(1, Ordering::AcqRel);
        if self.watch.last_look.get().elapsed() < slept {
            return;
        }
        self.watch.last_look.set(Instant::now());
        let mut any_stuck = false;
        for (index, peer) in self.peers().iter().enumerate() {
            let seen = &self.watch.seen[index];
            let tick = peer.tick.load(Ordering::Relaxed);
            let stuck = seen.replace(tick) == tick
                && index != self.index()
                && !self.shared().idle.is_parked(index)
                && peer.present.load(Ordering::Acquire);
            if stuck {
                any_stuck = true;
                self.rescue(peer);
            }
        }
        if any_stuck {
            self.watch.last_stuck.set(Some(Instant::now()));
            self.watch.backoff.set(1);
        } else {
            self.watch
                .backoff
                .set((self.watch.backoff.get() * 2).min(MAX_BACKOFF));
        }
    }

    /// Takes tasks and completions of a sibling that does not get on.
    fn rescue(&self, peer: &Peer) {
        peer.remote.mark_stuck();
        // All of it: whatever is left behind waits for another look.
        while self.steal_from(&peer.stealer) {}
        if let Some(task) = peer.lifo.take() {
            self.queue().push(task);
            add(&self.counters().stolen_tasks, 1);
        }
        let Some((waiting, deferred)) = inspect(peer) else {
            return;
        };
        if waiting {
            bump(&self.counters().rescues);
            if deferred {
                self.rescue_by_signal(peer);
            } else {
                rescue_by_membarrier(peer);
            }
        }
        let count = self.waking_to_back(|| self.driver().reaper().reap(&peer.remote));
        add(&self.counters().rescued_completions, count as u64);
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

/// Whether something waits in the sibling's ring, and whether only the sibling can bring it out.
fn inspect(peer: &Peer) -> Option<(bool, bool)> {
    let guard = peer.remote.ring.try_lock()?;
    let ring = guard.ring()?;
    Some((
        ring.unsubmitted() > 0 || ring.wants_enter(),
        ring.is_deferred(),
    ))
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
