//! The connections and slots of each host, behind the pool's lock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, ThreadId};

use heist_runtime::time::Instant;

use super::queue::{Turn, Waiter};
use super::{Afterwards, Claim, Pool, Slot, lock};

/// How many idle connections of a host a request chooses from.
const NEARLY_AS_YOUNG: usize = 16;

/// The token of a connection that is not watched.
pub(super) const NO_TOKEN: u64 = 0;

/// What the lock guards.
#[derive(Debug)]
pub(super) struct State<T> {
    pub(super) hosts: HashMap<Arc<str>, Host<T>>,
    /// All idle connections by age, oldest first.
    pub(super) by_age: BTreeMap<u64, Arc<str>>,
    /// The age of the next connection to become idle.
    pub(super) next_age: u64,
    /// Whether someone has promised to do the pool's chores.
    pub(super) keeping: bool,
}

/// The connections of one host.
#[derive(Debug)]
pub(super) struct Host<T> {
    pub(super) name: Arc<str>,
    pub(super) open: usize,
    /// Oldest first; the youngest are used first, so that the others can expire.
    pub(super) idle: VecDeque<Idle<T>>,
    pub(super) waiters: VecDeque<Arc<Waiter<T>>>,
}

/// A connection that nobody uses.
#[derive(Debug)]
pub(super) struct Idle<T> {
    pub(super) age: u64,
    /// By which its watch names it.
    pub(super) token: u64,
    pub(super) until: Option<Instant>,
    /// Where it was used last, which is where what it receives mostly arrives.
    pub(super) home: ThreadId,
    pub(super) connection: T,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            hosts: HashMap::new(),
            by_age: BTreeMap::new(),
            next_age: 0,
            keeping: false,
        }
    }
}

impl<T> Host<T> {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            open: 0,
            idle: VecDeque::new(),
            waiters: VecDeque::new(),
        }
    }

    /// An idle connection or a free slot, if there is one.
    pub(super) fn take(
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
    pub(super) fn pop_idle(&mut self, here: ThreadId) -> Option<Idle<T>> {
        let youngest = self.idle.len().checked_sub(1)?;
        let oldest = self.idle.len().saturating_sub(NEARLY_AS_YOUNG);
        let at_home = |at: &usize| self.idle[*at].home == here;
        let at = (oldest..=youngest).rev().find(at_home);
        self.idle.remove(at.unwrap_or(youngest))
    }

    /// Gives a connection, or the slot of one, to the first in the queue. Gives it back if there
    /// is nobody.
    pub(super) fn grant(
        &mut self,
        grant: Option<T>,
        wake: &mut Option<Waker>,
    ) -> Result<(), Option<T>> {
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
    pub(super) fn check_in(
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
    pub(super) fn take_idle(&mut self, host: &Arc<str>, token: u64) -> Option<Idle<T>> {
        let entry = self.hosts.get_mut(host)?;
        let at = entry.idle.iter().position(|idle| idle.token == token)?;
        let idle = entry.idle.remove(at)?;
        self.by_age.remove(&idle.age);
        Some(idle)
    }

    /// Puts back what was taken out, where it was; or gives it to the first in the queue, which may have formed
    /// meanwhile.
    pub(super) fn put_back(
        &mut self,
        host: &Arc<str>,
        idle: Idle<T>,
        wake: &mut Option<Waker>,
    ) -> Option<T> {
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

    pub(super) fn release(&mut self, host: &Arc<str>, afterwards: &mut Afterwards<T>) {
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

    pub(super) fn oldest(&self) -> Option<&Idle<T>> {
        let (_, host) = self.by_age.first_key_value()?;
        self.hosts.get(host)?.idle.front()
    }

    /// Takes the oldest idle connection out. Its host has no waiters (invariant 1), so its slot
    /// goes to nobody.
    pub(super) fn close_oldest(&mut self) -> Option<T> {
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
