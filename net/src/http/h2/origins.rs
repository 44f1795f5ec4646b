//! Which origins have a connection, and who makes it while the others wait.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heist_runtime::time::Instant;
use heist_sync::Semaphore;

use super::connection::{Connection, Lease, Usage};
use crate::http::link::Link;
use crate::http::pool::Pool;
use crate::http::total::Total;

/// How many origins are remembered that agreed to HTTP/1.1 only. The oldest is forgotten first, and is then asked by
/// one request alone again.
const REMEMBERED: usize = 4096;

/// The origins of a client, by the names that the pool has for them.
///
/// The lock is held for a few dozen instructions, and no connection is dropped under it. Connections are leased
/// under it, so that one which is found idle under it stays idle.
#[derive(Debug)]
pub(in crate::http) struct Origins {
    state: Mutex<State>,
    pool: Arc<Pool<Box<Link>>>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Arc<str>, Entry>,
    /// Those with HTTP/1.1 only, oldest first.
    old: VecDeque<Arc<str>>,
}

#[derive(Debug)]
enum Entry {
    /// A connection is being made.
    Opening(Arc<Opening>),
    /// It is there.
    Open(Arc<Connection>),
    /// The server speaks HTTP/1.1 only.
    Http1,
}

/// The making of a connection, for those who wait for it.
#[derive(Debug)]
pub(in crate::http) struct Opening {
    /// Has no permits, and is closed when it is over.
    over: Arc<Semaphore>,
    failed: AtomicBool,
}

/// The duty to make an origin's connection. If it is dropped, another takes it over.
#[derive(Debug)]
pub(in crate::http) struct Lead {
    origins: Arc<Origins>,
    origin: Arc<str>,
    opening: Arc<Opening>,
}

/// What a request finds.
#[derive(Debug)]
pub(in crate::http) enum Place {
    /// The connection.
    Shared(Lease),
    /// Nothing, and it is to make one.
    Lead(Lead),
    /// Somebody makes one.
    Wait(Arc<Opening>),
    /// An origin with HTTP/1.1 only.
    Http1,
}

impl Opening {
    /// Waits until it is over. Yields whether it is worth asking again: a failure is everybody's, so that it does not
    /// take the time of one after the other.
    pub(in crate::http) async fn wait(&self) -> bool {
        // An error is what tells that it is closed.
        let _ = self.over.clone().acquire_owned().await;
        !self.failed.load(SeqCst)
    }
}

impl Origins {
    pub(in crate::http) fn new(pool: Arc<Pool<Box<Link>>>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            pool,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.pool.limits().idle_timeout
    }

    /// What there is for a request.
    pub(in crate::http) fn find(self: &Arc<Self>, origin: &str) -> Place {
        let mut state = self.lock();
        let mut stale = None;
        let place = match state.entries.get(origin) {
            Some(Entry::Open(connection)) if connection.is_open() => {
                Place::Shared(Lease::new(connection.clone(), self))
            }
            Some(Entry::Http1) => Place::Http1,
            Some(Entry::Opening(opening)) => Place::Wait(opening.clone()),
            Some(Entry::Open(_)) | None => {
                let origin: Arc<str> = origin.into();
                let opening = Arc::new(Opening {
                    over: Arc::new(Semaphore::new(0)),
                    failed: AtomicBool::new(false),
                });
                let entry = Entry::Opening(opening.clone());
                stale = state.entries.insert(origin.clone(), entry);
                Place::Lead(Lead {
                    origins: self.clone(),
                    origin,
                    opening,
                })
            }
        };
        drop(state);
        drop(stale);
        place
    }

    /// The connection of an origin, if it is there.
    pub(in crate::http) fn find_open(self: &Arc<Self>, origin: &str) -> Option<Lease> {
        match self.lock().entries.get(origin) {
            Some(Entry::Open(connection)) if connection.is_open() => {
                Some(Lease::new(connection.clone(), self))
            }
            _ => None,
        }
    }

    /// Adds a connection, unless there is one already, which is then used instead.
    pub(in crate::http) fn add(
        self: &Arc<Self>,
        origin: &str,
        connection: Arc<Connection>,
    ) -> Lease {
        let mut state = self.lock();
        if let Some(Entry::Open(other)) = state.entries.get(origin)
            && other.is_open()
        {
            let lease = Lease::new(other.clone(), self);
            drop(state);
            return lease;
        }
        let lease = Lease::new(connection.clone(), self);
        let before = state.entries.insert(origin.into(), Entry::Open(connection));
        if matches!(before, Some(Entry::Http1)) {
            state.old.retain(|old| **old != *origin);
        }
        drop(state);
        if let Some(Entry::Opening(opening)) = &before {
            opening.over.close();
        }
        lease
    }

    /// Forgets a connection, which is then closed by the last to use it. Yields whether it was known.
    pub(super) fn forget(&self, usage: &Arc<Usage>) -> bool {
        self.take(|connection| Arc::ptr_eq(&connection.usage, usage))
            .is_some()
    }

    /// Takes out the first connection that is like this.
    fn take(&self, mut is_it: impl FnMut(&Connection) -> bool) -> Option<Arc<Connection>> {
        let mut state = self.lock();
        let found = state
            .entries
            .iter()
            .find_map(|(origin, entry)| match entry {
                Entry::Open(connection) if is_it(connection) => Some(origin.clone()),
                _ => None,
            })?;
        match state.entries.remove(&found) {
            Some(Entry::Open(connection)) => Some(connection),
            _ => None,
        }
    }

    /// Closes a connection that nobody has used for so long. Yields whether it is no longer known.
    pub(super) fn expire(&self, usage: &Arc<Usage>, now: Instant, timeout: Duration) -> bool {
        let is_over = |since: Instant| since.checked_add(timeout).is_some_and(|end| end <= now);
        let taken = self.take(|connection| {
            Arc::ptr_eq(&connection.usage, usage) && usage.idle_since().is_some_and(is_over)
        });
        if taken.is_some() {
            usage.dismiss();
            self.pool.closed().expired.add(1);
        }
        taken.is_some()
    }

    /// A connection has no exchange any more: it makes room if others wait for a connection of theirs.
    pub(super) fn became_idle(&self) {
        if self.pool.total().is_some_and(Total::is_wanted) {
            self.make_room();
        }
    }

    /// Closes a connection that nobody uses.
    pub(in crate::http) fn make_room(&self) {
        let taken = self.take(|connection| connection.usage.idle_since().is_some());
        if let Some(connection) = taken {
            connection.usage.dismiss();
            self.pool.closed().for_limit.add(1);
        }
    }

    pub(super) fn closed_by_server(&self) {
        self.pool.closed().by_server.add(1);
    }
}

impl Lead {
    /// The connection is there.
    pub(in crate::http) fn opened(self, connection: Arc<Connection>) -> Lease {
        self.origins.add(&self.origin, connection)
    }

    /// The server speaks HTTP/1.1 only.
    pub(in crate::http) fn agreed_on_http1(self) {
        let mut state = self.origins.lock();
        state.entries.insert(self.origin.clone(), Entry::Http1);
        state.old.push_back(self.origin.clone());
        if state.old.len() > REMEMBERED
            && let Some(oldest) = state.old.pop_front()
        {
            state.entries.remove(&oldest);
        }
    }

    /// There is no connection, and those who wait are to see for themselves.
    pub(in crate::http) fn failed(self) {
        self.opening.failed.store(true, SeqCst);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut state = self.origins.lock();
        if let Some(Entry::Opening(opening)) = state.entries.get(&self.origin)
            && Arc::ptr_eq(opening, &self.opening)
        {
            state.entries.remove(&self.origin);
        }
        drop(state);
        self.opening.over.close();
    }
}
