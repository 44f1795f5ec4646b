//! The connections and slots of each host, behind the pool's lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use heist_runtime::time::Instant;

use super::ages::Ages;
use super::queue::{Turn, Waiter};
use super::table::{HostId, Table};
use super::{Afterwards, Claim, Pool, Slot, lock};

/// How many idle connections of a host a request chooses from.
const NEARLY_AS_YOUNG: usize = 16;

/// The token of a connection that is not watched.
pub(super) const NO_TOKEN: u64 = 0;

/// What the lock guards.
#[derive(Debug)]
pub(super) struct State<T> {
    pub(super) hosts: Table<T>,
    /// All idle connections by age.
    pub(super) ages: Ages,
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
    pub(super) home: Thread,
    pub(super) connection: T,
}

/// Tells threads apart, by an address of each one's own. That of one that has ended may be another's later: a guess at
/// where a connection is at home, which is then wrong once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thread(usize);

impl Thread {
    /// The present one. Cheaper than an id of the standard library's, which comes with a count of references.
    pub(super) fn current() -> Self {
        thread_local! {
            static HERE: u8 = const { 0 };
        }
        HERE.with(|here| Self(std::ptr::from_ref(here).addr()))
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self {
            hosts: Table::default(),
            ages: Ages::default(),
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

    /// Whether a connection of this age is idle.
    pub(super) fn has_idle(&self, age: u64) -> bool {
        (self.idle)
            .binary_search_by_key(&age, |idle| idle.age)
            .is_ok()
    }

    /// Takes out the youngest idle connection, or one that is nearly as young and was used on this thread: a
    /// connection that changes its worker wakes one for what the other waits for.
    fn pop_idle(&mut self, here: Thread) -> Option<Idle<T>> {
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
    /// An idle connection or a free slot of a host, if there is one, at `now`.
    pub(super) fn take(
        &mut self,
        pool: &Arc<Pool<T>>,
        id: HostId,
        fresh: bool,
        now: Instant,
        close: &mut Vec<T>,
    ) -> Option<Claim<T>> {
        let slot = || Slot {
            pool: pool.clone(),
            host: Some(id),
        };
        let here = Thread::current();
        while let Some(idle) = self.hosts.get_mut(id)?.pop_idle(here) {
            self.ages.remove(idle.age, is_idle(&self.hosts));
            if fresh {
                pool.closed.by_server.add(1);
                close.push(idle.connection);
                return Some(Claim::Open(slot()));
            }
            if idle.until.is_none_or(|until| until > now) {
                return Some(Claim::Reuse(idle.connection, slot()));
            }
            pool.closed.expired.add(1);
            close.push(idle.connection);
            self.hosts.get_mut(id)?.open -= 1;
        }
        let host = self.hosts.get_mut(id)?;
        if host.open < pool.limits.open_per_host {
            host.open += 1;
            return Some(Claim::Open(slot()));
        }
        None
    }

    pub(super) fn check_in(
        &mut self,
        pool: &Pool<T>,
        id: HostId,
        token: u64,
        connection: T,
        now: Instant,
        afterwards: &mut Afterwards<T>,
    ) {
        let limits = &pool.limits;
        let Some(entry) = self.hosts.get_mut(id) else {
            return;
        };
        let Err(connection) = entry.grant(Some(connection), &mut afterwards.wake) else {
            return;
        };
        if entry.idle.len() >= limits.idle_per_host || limits.idle_total == 0 {
            pool.closed.for_limit.add(1);
            afterwards.close.extend(connection);
            self.release(id, afterwards);
            return;
        }
        let age = self.ages.add(id);
        let until = limits
            .idle_timeout
            .and_then(|timeout| now.checked_add(timeout));
        entry.idle.extend(connection.map(|connection| Idle {
            age,
            token,
            until,
            home: Thread::current(),
            connection,
        }));
        if self.ages.idle() > limits.idle_total {
            pool.closed.for_limit.add(1);
            afterwards.close.extend(self.close_oldest());
        }
    }

    /// Takes an idle connection out, if it still is one. Its slot stays taken.
    pub(super) fn take_idle(&mut self, id: HostId, token: u64) -> Option<Idle<T>> {
        let entry = self.hosts.get_mut(id)?;
        let at = entry.idle.iter().position(|idle| idle.token == token)?;
        let idle = entry.idle.remove(at)?;
        self.ages.remove(idle.age, is_idle(&self.hosts));
        Some(idle)
    }

    /// Puts back what was taken out, where it was; or gives it to the first in the queue, which may have formed
    /// meanwhile.
    pub(super) fn put_back(
        &mut self,
        id: HostId,
        idle: Idle<T>,
        wake: &mut Option<Waker>,
    ) -> Option<T> {
        let entry = self.hosts.get_mut(id)?;
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
        self.ages.add_again(age, id);
        None
    }

    pub(super) fn release(&mut self, id: HostId, afterwards: &mut Afterwards<T>) {
        let Some(entry) = self.hosts.get_mut(id) else {
            return;
        };
        if entry.grant(None, &mut afterwards.wake).is_err() {
            entry.open -= 1;
            // A broad crawl meets more hosts than should be remembered.
            if entry.open == 0 {
                self.hosts.remove(id);
            }
        }
    }

    pub(super) fn oldest(&mut self) -> Option<&Idle<T>> {
        let id = self.ages.oldest(is_idle(&self.hosts))?;
        self.hosts.get(id)?.idle.front()
    }

    /// Takes the oldest idle connection out. Its host has no waiters (invariant 1), so its slot
    /// goes to nobody.
    pub(super) fn close_oldest(&mut self) -> Option<T> {
        let id = self.ages.oldest(is_idle(&self.hosts))?;
        let entry = self.hosts.get_mut(id)?;
        let idle = entry.idle.pop_front()?;
        entry.open -= 1;
        if entry.open == 0 {
            self.hosts.remove(id);
        }
        self.ages.remove(idle.age, is_idle(&self.hosts));
        Some(idle.connection)
    }
}

/// Says which connections are idle still.
fn is_idle<T>(hosts: &Table<T>) -> impl Fn(u64, HostId) -> bool {
    move |age, id| hosts.get(id).is_some_and(|host| host.has_idle(age))
}
