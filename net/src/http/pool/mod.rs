//! Idle connections, limits per host, and the fair queue for a free slot.
//!
//! The pool is generic over the connection, because it only keeps them; its tests keep numbers.
//!
//! # Slots
//!
//! Every open connection of a host, in use or idle, occupies a [`Slot`]. A slot is taken before
//! connecting and given back when the connection is gone. An idle connection keeps its slot.
//!
//! # Fairness
//!
//! Who finds neither an idle connection nor a free slot queues up. A connection or slot that
//! becomes free is handed to the first in the queue, never put where a newcomer could take it
//! first. Two invariants follow, and every transition below keeps them:
//!
//! 1. a host with waiters has no idle connection and no free slot;
//! 2. a grant is either taken by its waiter or, if that is dropped first, passed on.
//!
//! # Locks
//!
//! One mutex, held for a few dozen instructions; connections are dropped and tasks woken after it
//! is released. A waiter's own mutex is only ever locked inside it, or alone. What would a shard for each worker be for,
//! namely that a connection stays with its worker, the choice among the idle ones does.

mod table;
mod ages;
mod hosts;
mod queue;
mod chores;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use heist_runtime::time::Instant;

pub(super) use self::chores::Chore;
use self::hosts::State;
pub(super) use self::queue::Waiting;
pub(super) use self::table::HostId;
use super::keeper::Bell;
use super::metrics::Closed;
use super::total::Total;

/// How many connections to keep, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolLimits {
    /// Connections of all hosts, in use or idle; `None`: any number.
    pub(super) open_total: Option<usize>,
    /// Connections per host, in use or idle.
    pub(super) open_per_host: usize,
    /// Idle connections per host.
    pub(super) idle_per_host: usize,
    /// Idle connections of all hosts; the oldest yields.
    pub(super) idle_total: usize,
    /// How long a connection may be idle; `None`: for ever.
    pub(super) idle_timeout: Option<Duration>,
}

/// The connections of one client.
#[derive(Debug)]
pub(super) struct Pool<T> {
    limits: PoolLimits,
    state: Mutex<State<T>>,
    total: Option<Total>,
    bell: Arc<Bell>,
    closed: Closed,
}

/// The right to have one connection to one host open. Given back when dropped.
#[derive(Debug)]
pub(super) struct Slot<T> {
    pool: Arc<Pool<T>>,
    /// `None` once the slot has gone back together with its connection.
    host: Option<HostId>,
}

/// What a request gets from the pool.
#[derive(Debug)]
pub(super) enum Claim<T> {
    /// A connection that was idle.
    Reuse(T, Slot<T>),
    /// The right to open one.
    Open(Slot<T>),
}

/// The result of asking without waiting.
#[derive(Debug)]
pub(super) enum Checkout<T> {
    Claim(Claim<T>),
    Wait(Waiting<T>),
}

/// What to do once the lock is released.
struct Afterwards<T> {
    wake: Option<Waker>,
    close: Vec<T>,
}

impl<T> Afterwards<T> {
    fn new() -> Self {
        Self {
            wake: None,
            close: Vec::new(),
        }
    }

    fn run(self) {
        drop(self.close);
        if let Some(waker) = self.wake {
            waker.wake();
        }
    }
}

fn lock<U>(mutex: &Mutex<U>) -> MutexGuard<'_, U> {
    // No code of others runs under these locks, and every transition is complete before it could
    // panic, so a poisoned state is still a valid one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Pool<T> {
    pub(super) fn new(limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
            total: limits.open_total.map(Total::new),
            bell: Arc::default(),
            closed: Closed::default(),
        })
    }

    #[cfg(feature = "http2")]
    pub(super) fn limits(&self) -> &PoolLimits {
        &self.limits
    }

    /// The limit of all connections. Whoever connects asks for a permit, behind the slot.
    pub(super) fn total(&self) -> Option<&Total> {
        self.total.as_ref()
    }

    /// Through which idle connections call for the keeper.
    pub(super) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Why connections were closed here.
    pub(super) fn closed(&self) -> &Closed {
        &self.closed
    }

    /// An idle connection of `host`, or a slot, or a place in the queue. With `fresh`, an idle
    /// connection is closed and its slot used for a new one: for who has just seen a stale one. `now` is the time.
    pub(super) fn checkout(self: &Arc<Self>, host: &str, fresh: bool, now: Instant) -> Checkout<T> {
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.state);
        let id = state.hosts.find_or_add(host);
        let claim = state.take(self, id, fresh, now, &mut afterwards.close);
        let checkout = match claim {
            Some(claim) => Checkout::Claim(claim),
            None => Checkout::Wait(state.queue_up(self, id)),
        };
        drop(state);
        afterwards.run();
        checkout
    }

    /// A slot and its connection come back together. Returns whether a keeper is needed.
    fn check_in(&self, host: HostId, token: u64, connection: T, now: Instant) -> bool {
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.state);
        state.check_in(self, host, token, connection, now, &mut afterwards);
        let keep = !state.keeping && state.ages.idle() > 0;
        state.keeping |= keep;
        drop(state);
        afterwards.run();
        keep
    }

    /// A slot comes back alone: its connection is gone or never was.
    fn release(&self, host: HostId) {
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.state);
        state.release(host, &mut afterwards);
        drop(state);
        afterwards.run();
    }

    #[cfg(test)]
    fn counts(&self, host: &str) -> (usize, usize, usize) {
        let state = lock(&self.state);
        let Some(host) = state.hosts.by_name(host) else {
            return (0, 0, 0);
        };
        (host.open, host.idle.len(), host.waiters.len())
    }
}

impl<T> Slot<T> {
    /// The pool it is of.
    pub(super) fn pool(&self) -> &Arc<Pool<T>> {
        &self.pool
    }

    /// The host it is for.
    pub(super) fn host(&self) -> Option<HostId> {
        self.host
    }

    /// Gives the slot back with its connection, which may then be used by others and is idle from `now` on; `token` is
    /// what its watch calls it by. Returns the pool if somebody should now do its [chores](Pool::next_chore): a promise that is
    /// asked for once, until it has ended.
    pub(super) fn check_in(
        mut self,
        token: u64,
        connection: T,
        now: Instant,
    ) -> Option<Weak<Pool<T>>> {
        let host = self.host.take()?;
        self.pool
            .check_in(host, token, connection, now)
            .then(|| Arc::downgrade(&self.pool))
    }
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        self.bell.call();
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        if let Some(host) = self.host.take() {
            self.pool.release(host);
        }
    }
}
