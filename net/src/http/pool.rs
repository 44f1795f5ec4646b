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

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::thread::{self, ThreadId};
use std::time::Duration;

use heist_runtime::scope::Leaf;
use heist_runtime::time::Instant;

use super::keeper::Bell;
use super::metrics::Closed;
use super::total::Total;

/// How many idle connections of a host a request chooses from.
const NEARLY_AS_YOUNG: usize = 16;

/// The token of a connection that is not watched.
const NO_TOKEN: u64 = 0;

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

#[derive(Debug)]
struct State<T> {
    hosts: HashMap<Arc<str>, Host<T>>,
    /// All idle connections by age, oldest first.
    by_age: BTreeMap<u64, Arc<str>>,
    /// The age of the next connection to become idle.
    next_age: u64,
    /// Whether someone has promised to do the pool's chores.
    keeping: bool,
}

#[derive(Debug)]
struct Host<T> {
    open: usize,
    /// Oldest first; the youngest are used first, so that the others can expire.
    idle: VecDeque<Idle<T>>,
    waiters: VecDeque<Arc<Waiter<T>>>,
}

#[derive(Debug)]
struct Idle<T> {
    age: u64,
    /// By which its watch names it.
    token: u64,
    until: Option<Instant>,
    /// Where it was used last, which is where what it receives mostly arrives.
    home: ThreadId,
    connection: T,
}

/// The right to have one connection to one host open. Given back when dropped.
#[derive(Debug)]
pub(super) struct Slot<T> {
    pool: Arc<Pool<T>>,
    /// `None` once the slot has gone back together with its connection.
    host: Option<Arc<str>>,
}

/// What a request gets from the pool.
#[derive(Debug)]
pub(super) enum Claim<T> {
    /// A connection that was idle.
    Reuse(T, Slot<T>),
    /// The right to open one.
    Open(Slot<T>),
}

/// A place in the queue of a host. A future of its turn.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pool: Arc<Pool<T>>,
    host: Arc<str>,
    waiter: Arc<Waiter<T>>,
    leaf: Leaf,
    started: bool,
}

/// What the keeper of a pool does next.
#[derive(Debug)]
pub(super) enum Chore<T> {
    /// Something happened to this idle connection.
    Look(Taken<T>),
    /// Nothing, until then, or until the bell rings.
    Rest(Option<Instant>),
    /// Nothing at all: the promise has ended.
    End,
}

/// An idle connection that is looked at. Nobody gets it meanwhile, and it keeps its slot.
#[derive(Debug)]
pub(super) struct Taken<T> {
    /// `None` once it is decided.
    idle: Option<Idle<T>>,
    slot: Slot<T>,
}

#[derive(Debug)]
struct Waiter<T>(Mutex<Turn<T>>);

#[derive(Debug)]
enum Turn<T> {
    /// It has not come; whom to wake when it does.
    Waiting(Option<Waker>),
    /// It has come: a connection, or a slot to open one.
    Granted(Option<T>),
    /// It has been taken.
    Over,
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
        let state = State {
            hosts: HashMap::new(),
            by_age: BTreeMap::new(),
            next_age: 0,
            keeping: false,
        };
        Arc::new(Self {
            limits,
            state: Mutex::new(state),
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
    /// connection is closed and its slot used for a new one: for who has just seen a stale one.
    pub(super) fn checkout(self: &Arc<Self>, host: &str, fresh: bool) -> Checkout<T> {
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.state);
        let State { hosts, by_age, .. } = &mut *state;
        let host: Arc<str> = match hosts.get_key_value(host) {
            Some((known, _)) => known.clone(),
            None => host.into(),
        };
        let entry = hosts.entry(host.clone()).or_default();
        let claim = entry.take(self, &host, fresh, by_age, &mut afterwards.close);
        let checkout = claim.map(Checkout::Claim).unwrap_or_else(|| {
            let waiter = Arc::new(Waiter(Mutex::new(Turn::Waiting(None))));
            entry.waiters.push_back(waiter.clone());
            Checkout::Wait(Waiting {
                pool: self.clone(),
                host,
                waiter,
                leaf: Leaf::here(),
                started: false,
            })
        });
        drop(state);
        afterwards.run();
        checkout
    }

    /// What the keeper does next; `waker` is woken when there is something else to do.
    pub(super) fn next_chore(self: &Arc<Self>, waker: &Waker) -> Chore<T> {
        // The bell comes first: what rings from now on wakes the keeper.
        while let Some((host, token)) = self.bell.next(waker) {
            if let Some(idle) = lock(&self.state).take_idle(&host, token) {
                let slot = Slot {
                    pool: self.clone(),
                    host: Some(host),
                };
                return Chore::Look(Taken {
                    idle: Some(idle),
                    slot,
                });
            }
        }
        self.evict()
    }

    /// Closes what has been idle for too long.
    fn evict(&self) -> Chore<T> {
        let now = Instant::now();
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.state);
        let next = loop {
            let Some(oldest) = state.oldest() else {
                state.keeping = false;
                break Chore::End;
            };
            match oldest.until {
                Some(until) if until <= now => {
                    self.closed.expired.add(1);
                    afterwards.close.extend(state.close_oldest());
                }
                until => break Chore::Rest(until),
            }
        };
        drop(state);
        afterwards.run();
        next
    }

    /// Closes the idle connection that is oldest, to make room for another host's. Yields whether there was one.
    pub(super) fn make_room(&self) -> bool {
        let closed = lock(&self.state).close_oldest();
        if closed.is_some() {
            self.closed.for_limit.add(1);
        }
        closed.is_some()
    }

    /// Takes back the promise to do the chores.
    pub(super) fn stop_keeping(&self) {
        lock(&self.state).keeping = false;
    }

    /// A slot and its connection come back together. Returns whether a keeper is needed.
    fn check_in(&self, host: &Arc<str>, token: u64, connection: T) -> bool {
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.state);
        state.check_in(self, host, token, connection, &mut afterwards);
        let keep = !state.keeping && !state.by_age.is_empty();
        state.keeping |= keep;
        drop(state);
        afterwards.run();
        keep
    }

    /// A slot comes back alone: its connection is gone or never was.
    fn release(&self, host: &Arc<str>) {
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.state);
        state.release(host, &mut afterwards);
        drop(state);
        afterwards.run();
    }

    #[cfg(test)]
    fn counts(&self, host: &str) -> (usize, usize, usize) {
        let state = lock(&self.state);
        let Some(host) = state.hosts.get(host) else {
            return (0, 0, 0);
        };
        (host.open, host.idle.len(), host.waiters.len())
    }
}

impl<T> Default for Host<T> {
    fn default() -> Self {
        Self {
            open: 0,
            idle: VecDeque::new(),
            waiters: VecDeque::new(),
        }
    }
}

impl<T> Host<T> {
    /// An idle connection or a free slot, if there is one.
    fn take(
        &mut self,
        pool: &Arc<Pool<T>>,
        host: &Arc<str>,
        fresh: bool,
        by_age: &mut BTreeMap<u64, Arc<str>>,
        close: &mut Vec<T>,
    ) -> Option<Claim<T>> {
        let slot = || Slot {
            pool: pool.clone(),
            host: Some(host.clone()),
        };
        let here = thread::current().id();
        while let Some(idle) = self.pop_idle(here) {
            by_age.remove(&idle.age);
            if fresh {
                pool.closed.by_server.add(1);
                close.push(idle.connection);
                return Some(Claim::Open(slot()));
            }
            if idle.until.is_none_or(|until| until > Instant::now()) {
                return Some(Claim::Reuse(idle.connection, slot()));
            }
            pool.closed.expired.add(1);
            close.push(idle.connection);
            self.open -= 1;
        }
        if self.open < pool.limits.open_per_host {
            self.open += 1;
            return Some(Claim::Open(slot()));
        }
        None
    }

    /// Takes out the youngest idle connection, or one that is nearly as young and was used on this thread: a
    /// connection that changes its worker wakes one for what the other waits for.
    fn pop_idle(&mut self, here: ThreadId) -> Option<Idle<T>> {
        let youngest = self.idle.len().checked_sub(1)?;
        let oldest = self.idle.len().saturating_sub(NEARLY_AS_YOUNG);
        let at_home = |at: &usize| self.idle[*at].home == here;
        let at = (oldest..=youngest).rev().find(at_home);
        self.idle.remove(at.unwrap_or(youngest))
    }

    /// Gives a connection, or the slot of one, to the first in the queue. Gives it back if there
    /// is nobody.
    fn grant(&mut self, grant: Option<T>, wake: &mut Option<Waker>) -> Result<(), Option<T>> {
        let Some(waiter) = self.waiters.pop_front() else {
            return Err(grant);
        };
        let turn = std::mem::replace(&mut *lock(&waiter.0), Turn::Granted(grant));
        if let Turn::Waiting(waker) = turn {
            *wake = waker;
        }
        Ok(())
    }
}

impl<T> State<T> {
    fn check_in(
        &mut self,
        pool: &Pool<T>,
        host: &Arc<str>,
        token: u64,
        connection: T,
        afterwards: &mut Afterwards<T>,
    ) {
        let limits = &pool.limits;
        let Some(entry) = self.hosts.get_mut(host) else {
            return;
        };
        let Err(connection) = entry.grant(Some(connection), &mut afterwards.wake) else {
            return;
        };
        if entry.idle.len() >= limits.idle_per_host || limits.idle_total == 0 {
            pool.closed.for_limit.add(1);
            afterwards.close.extend(connection);
            self.release(host, afterwards);
            return;
        }
        let age = self.next_age;
        self.next_age += 1;
        let until = limits
            .idle_timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        entry.idle.extend(connection.map(|connection| Idle {
            age,
            token,
            until,
            home: thread::current().id(),
            connection,
        }));
        self.by_age.insert(age, host.clone());
        if self.by_age.len() > limits.idle_total {
            pool.closed.for_limit.add(1);
            afterwards.close.extend(self.close_oldest());
        }
    }

    /// Takes an idle connection out, if it still is one. Its slot stays taken.
    fn take_idle(&mut self, host: &Arc<str>, token: u64) -> Option<Idle<T>> {
        let entry = self.hosts.get_mut(host)?;
        let at = entry.idle.iter().position(|idle| idle.token == token)?;
        let idle = entry.idle.remove(at)?;
        self.by_age.remove(&idle.age);
        Some(idle)
    }

    /// Puts back what was taken out, where it was; or gives it to the first in the queue, which may have formed
    /// meanwhile.
    fn put_back(&mut self, host: &Arc<str>, idle: Idle<T>, wake: &mut Option<Waker>) -> Option<T> {
        let entry = self.hosts.get_mut(host)?;
        let Idle {
            age,
            token,
            until,
            home,
            connection,
        } = idle;
        let connection = match entry.grant(Some(connection), wake) {
            Ok(()) => return None,
            Err(connection) => connection?,
        };
        let at = entry.idle.partition_point(|other| other.age < age);
        entry.idle.insert(
            at,
            Idle {
                age,
                token,
                until,
                home,
                connection,
            },
        );
        self.by_age.insert(age, host.clone());
        None
    }

    fn release(&mut self, host: &Arc<str>, afterwards: &mut Afterwards<T>) {
        let Some(entry) = self.hosts.get_mut(host) else {
            return;
        };
        if entry.grant(None, &mut afterwards.wake).is_err() {
            entry.open -= 1;
            // A broad crawl meets more hosts than should be remembered.
            if entry.open == 0 {
                self.hosts.remove(host);
            }
        }
    }

    fn oldest(&self) -> Option<&Idle<T>> {
        let (_, host) = self.by_age.first_key_value()?;
        self.hosts.get(host)?.idle.front()
    }

    /// Takes the oldest idle connection out. Its host has no waiters (invariant 1), so its slot
    /// goes to nobody.
    fn close_oldest(&mut self) -> Option<T> {
        let (_, host) = self.by_age.pop_first()?;
        let entry = self.hosts.get_mut(&host)?;
        let idle = entry.idle.pop_front()?;
        entry.open -= 1;
        if entry.open == 0 {
            self.hosts.remove(&host);
        }
        Some(idle.connection)
    }
}

impl<T> Slot<T> {
    /// The pool it is of.
    pub(super) fn pool(&self) -> &Arc<Pool<T>> {
        &self.pool
    }

    /// The host it is for.
    pub(super) fn host(&self) -> Option<&Arc<str>> {
        self.host.as_ref()
    }

    /// Gives the slot back with its connection, which may then be used by others; `token` is what its watch
    /// calls it by. Returns the pool if somebody should now do its [chores](Pool::next_chore): a promise that is
    /// asked for once, until it has ended.
    pub(super) fn check_in(mut self, token: u64, connection: T) -> Option<Weak<Pool<T>>> {
        let host = self.host.take()?;
        self.pool
            .check_in(&host, token, connection)
            .then(|| Arc::downgrade(&self.pool))
    }
}

impl<T> Taken<T> {
    /// The connection, to be looked at.
    pub(super) fn connection(&mut self) -> &mut T {
        let idle = self.idle.as_mut();
        &mut idle.expect("it is there until it is decided").connection
    }

    /// It is idle as before.
    pub(super) fn put_back(mut self) {
        let (Some(idle), Some(host)) = (self.idle.take(), self.slot.host.take()) else {
            return;
        };
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.slot.pool.state);
        let orphan = state.put_back(&host, idle, &mut afterwards.wake);
        afterwards.close.extend(orphan);
        drop(state);
        afterwards.run();
    }

    /// The server has closed it, or spoken out of turn.
    pub(super) fn close(self) {
        self.slot.pool.closed.by_server.add(1);
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
            self.pool.release(&host);
        }
    }
}

impl<T> Future for Waiting<T> {
    type Output = Claim<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Claim<T>> {
        if !self.started {
            ready!(self.leaf.start());
            self.started = true;
        }
        let mut turn = lock(&self.waiter.0);
        if let Turn::Waiting(waker) = &mut *turn {
            match waker {
                Some(known) => known.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return self.leaf.pending();
        }
        let Turn::Granted(grant) = std::mem::replace(&mut *turn, Turn::Over) else {
            panic!("a place in the connection queue was polled after its turn");
        };
        let slot = Slot {
            pool: self.pool.clone(),
            host: Some(self.host.clone()),
        };
        Poll::Ready(match grant {
            Some(connection) => Claim::Reuse(connection, slot),
            None => Claim::Open(slot),
        })
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        let mut afterwards = Afterwards::new();
        let mut state = lock(&self.pool.state);
        // Grants are made under the pool's lock, so the answer cannot change while it is held.
        match std::mem::replace(&mut *lock(&self.waiter.0), Turn::Over) {
            Turn::Over => {}
            Turn::Waiting(_) => {
                if let Some(entry) = state.hosts.get_mut(&self.host) {
                    entry
                        .waiters
                        .retain(|waiter| !Arc::ptr_eq(waiter, &self.waiter));
                }
            }
            Turn::Granted(Some(connection)) => {
                // Without a token nobody can call for it; the next to use it looks.
                state.check_in(
                    &self.pool,
                    &self.host,
                    NO_TOKEN,
                    connection,
                    &mut afterwards,
                );
            }
            Turn::Granted(None) => state.release(&self.host, &mut afterwards),
        }
        drop(state);
        afterwards.run();
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
