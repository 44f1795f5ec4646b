//! What a server does, in numbers.
//!
//! A connection has counters of its own, which its tasks alone write; the sum over all is made when somebody asks. So no
//! request touches what other workers write to.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heist_runtime::time::Instant;
use heist_sync::OwnedSemaphorePermit;

/// The counters of a server, from [`Serve::metrics`](super::Serve::metrics), before, while and after it runs. Clones are
/// the same counters.
#[derive(Clone, Default)]
pub struct ServerMetrics {
    registry: Arc<Registry>,
}

/// What a server has done so far; see [`ServerMetrics::snapshot`].
///
/// Each number is exact in the end. Those that change together are read one after another, so they may be an event apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServerSnapshot {
    /// Connections that are open now, those that were upgraded included.
    pub open: u64,
    /// Connections that were accepted.
    pub total: u64,
    /// Requests whose head was read.
    pub requests: u64,
    /// Requests of these that are not answered to the end.
    pub in_flight: u64,
    /// Bytes received, as they were on the wire: with TLS its records.
    pub bytes_received: u64,
    /// Bytes sent, likewise.
    pub bytes_sent: u64,
    /// Connections that were closed before their first request, because the handshake of TLS failed or took too long, no
    /// head came in time, or what came was not HTTP.
    pub refused: u64,
    /// Connections that were closed for being slow or idle, the refused ones of them included.
    pub timed_out: u64,
    /// Requests whose body stopped coming in the middle, see
    /// [`Serve::body_read_timeout`](super::Serve::body_read_timeout).
    pub stalled: u64,
    /// Responses of HTTP/2 that were reset because the client took nothing more of them, see
    /// [`Serve::write_timeout`](super::Serve::write_timeout).
    pub unread: u64,
    /// Connections that were cancelled at the end of the grace of a shutdown.
    pub cancelled: u64,
    /// Times that accepting failed, and was tried again after a pause.
    pub accept_errors: u64,
}

/// What one open connection has done so far; see [`ServerMetrics::connections`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionMetrics {
    /// Its number, in the order of accepting.
    pub id: u64,
    /// Where it comes from, as the listener says.
    pub peer: String,
    /// How long it has been open.
    pub age: Duration,
    /// Requests whose head was read.
    pub requests: u64,
    /// Requests of these that are not answered to the end.
    pub in_flight: u64,
    /// Bytes received, as they were on the wire.
    pub bytes_received: u64,
    /// Bytes sent, likewise.
    pub bytes_sent: u64,
}

#[derive(Default)]
struct Registry {
    total: AtomicU64,
    refused: AtomicU64,
    timed_out: AtomicU64,
    cancelled: AtomicU64,
    accept_errors: AtomicU64,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    open: HashMap<u64, Arc<Account>>,
    /// What those have done that are closed.
    requests: u64,
    stalled: u64,
    unread: u64,
    received: u64,
    sent: u64,
}

/// The counters of one connection, and what its clock needs to know.
pub(super) struct Account {
    id: u64,
    peer: String,
    born: Instant,
    requests: AtomicU64,
    stalled: AtomicU64,
    unread: AtomicU64,
    in_flight: AtomicUsize,
    tunnels: AtomicUsize,
    received: AtomicU64,
    sent: AtomicU64,
    /// When the last request was answered, or the last tunnel closed, in nanoseconds of the connection's life.
    idle_since: AtomicU64,
    /// Bytes received when that was, by which a head that has begun is known.
    received_when_idle: AtomicU64,
    /// When a write began to wait, plus one; 0: none does.
    blocked_since: AtomicU64,
}

/// An open connection: its account is open for as long as this lives, and so is its place under the limit.
pub(super) struct Opened {
    pub(super) account: Arc<Account>,
    registry: Arc<Registry>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A request that is not answered to the end.
pub(super) struct InFlight(Arc<Account>);

/// A stream of HTTP/2 that has left HTTP, or may: until the last clone is dropped its connection is not idle.
#[derive(Debug, Clone)]
pub(super) struct Tunnel {
    _held: Arc<Held>,
}

struct Held(Arc<Account>);

impl ServerMetrics {
    /// The sums.
    #[must_use]
    pub fn snapshot(&self) -> ServerSnapshot {
        let registry = &*self.registry;
        let connections = registry.connections();
        let mut sum = ServerSnapshot {
            open: connections.open.len() as u64,
            total: registry.total.load(Relaxed),
            requests: connections.requests,
            in_flight: 0,
            bytes_received: connections.received,
            bytes_sent: connections.sent,
            refused: registry.refused.load(Relaxed),
            timed_out: registry.timed_out.load(Relaxed),
            stalled: connections.stalled,
            unread: connections.unread,
            cancelled: registry.cancelled.load(Relaxed),
            accept_errors: registry.accept_errors.load(Relaxed),
        };
        for account in connections.open.values() {
            sum.requests += account.requests.load(Relaxed);
            sum.stalled += account.stalled.load(Relaxed);
            sum.unread += account.unread.load(Relaxed);
            sum.in_flight += account.in_flight.load(Relaxed) as u64;
            sum.bytes_received += account.received.load(Relaxed);
            sum.bytes_sent += account.sent.load(Relaxed);
        }
        sum
    }

    /// Each connection that is open now, in the order of accepting.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionMetrics> {
        let open: Vec<_> = self.registry.connections().open.values().cloned().collect();
        let mut all: Vec<_> = open.iter().map(|account| account.metrics()).collect();
        all.sort_unstable_by_key(|one| one.id);
        all
    }

    pub(super) fn open(
        &self,
        peer: &dyn fmt::Debug,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Opened {
        let registry = self.registry.clone();
        let id = registry.total.fetch_add(1, Relaxed);
        let account = Arc::new(Account {
            id,
            peer: format!("{peer:?}"),
            born: Instant::now(),
            requests: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            tunnels: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            received_when_idle: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
        });
        registry.connections().open.insert(id, account.clone());
        Opened {
            account,
            registry,
            _permit: permit,
        }
    }

    pub(super) fn refused(&self) {
        self.registry.refused.fetch_add(1, Relaxed);
    }

    pub(super) fn timed_out(&self) {
        self.registry.timed_out.fetch_add(1, Relaxed);
    }

    pub(super) fn cancelled(&self) {
        self.registry.cancelled.fetch_add(1, Relaxed);
    }

    pub(super) fn accept_failed(&self) {
        self.registry.accept_errors.fetch_add(1, Relaxed);
    }
}

impl fmt::Debug for ServerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerMetrics")
            .field(&self.snapshot())
            .finish()
    }
}

impl Registry {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        (self.connections.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let account = &*self.account;
        let mut connections = self.registry.connections();
        connections.open.remove(&account.id);
        connections.requests += account.requests.load(Relaxed);
        connections.stalled += account.stalled.load(Relaxed);
        connections.unread += account.unread.load(Relaxed);
        connections.received += account.received.load(Relaxed);
        connections.sent += account.sent.load(Relaxed);
    }
}

impl Account {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    fn metrics(&self) -> ConnectionMetrics {
        ConnectionMetrics {
            id: self.id,
            peer: self.peer.clone(),
            age: self.born.elapsed(),
            requests: self.requests.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed) as u64,
            bytes_received: self.received.load(Relaxed),
            bytes_sent: self.sent.load(Relaxed),
        }
    }

    /// The time of the connection's life.
    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn at(&self, nanos: u64) -> Instant {
        self.born.saturating_add(Duration::from_nanos(nanos))
    }

    pub(super) fn receive(&self, count: usize) {
        self.received.fetch_add(count as u64, Relaxed);
    }

    /// Bytes that were counted and go back.
    pub(super) fn unreceive(&self, count: usize) {
        self.received.fetch_sub(count as u64, Relaxed);
    }

    pub(super) fn send(&self, count: usize) {
        self.sent.fetch_add(count as u64, Relaxed);
        if self.blocked_since.load(Relaxed) != 0 {
            self.blocked_since.store(0, Relaxed);
        }
    }

    /// A write waits.
    pub(super) fn block(&self) {
        if self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since
                .store(self.now().saturating_add(1), Relaxed);
        }
    }

    /// Since when a write waits.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        let since = self.blocked_since.load(Relaxed).checked_sub(1)?;
        Some(self.at(since))
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self.clone())
    }

    /// A body has stopped in the middle.
    pub(super) fn stall(&self) {
        self.stalled.fetch_add(1, Relaxed);
    }

    /// A response is given up that the client does not take.
    pub(super) fn leave_unread(&self) {
        self.unread.fetch_add(1, Relaxed);
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Since when no request is in flight and no tunnel open.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.in_flight.load(Acquire) == 0 && self.tunnels.load(Acquire) == 0;
        is_idle.then(|| self.at(self.idle_since.load(Relaxed)))
    }

    /// What was open has ended. Before it is no longer counted, and released by that: whoever sees that nothing is open
    /// sees since when.
    fn end(&self) {
        self.idle_since.store(self.now(), Relaxed);
        self.received_when_idle
            .store(self.received.load(Relaxed), Relaxed);
    }

    /// Whether anything has come since the last request was answered.
    pub(super) fn has_begun_head(&self) -> bool {
        self.received.load(Relaxed) > self.received_when_idle.load(Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.end();
        self.0.in_flight.fetch_sub(1, Release);
    }
}

impl Tunnel {
    pub(super) fn new(account: &Arc<Account>) -> Self {
        account.tunnels.fetch_add(1, Relaxed);
        let _held = Arc::new(Held(account.clone()));
        Self { _held }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.end();
        self.0.tunnels.fetch_sub(1, Release);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.0.id).finish()
    }
}
