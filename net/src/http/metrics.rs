//! What a client has done so far, in numbers.
//!
//! Counters are relaxed: each is exact in the end, and a snapshot may see one of two that change together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A snapshot of what a client and its clones have done, by [`Client::metrics`](super::Client::metrics).
///
/// A connection that is open is `connections_opened` less what `connections_closed` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Requests that were begun, without the redirects and retries that follow.
    pub requests: u64,
    /// Redirects that were followed.
    pub redirects: u64,
    /// How often a request was sent again, whatever the reason but a redirect: its idle connection had been closed as
    /// it was sent, its [`Retry`](super::Retry) said so, a server of HTTP/2 had not looked at it, or one of HTTP/1.1
    /// does not know `Expect: 100-continue`. One that could not connect and tries again counts too.
    pub retries: u64,
    /// Connections that were opened, through proxies too.
    pub connections_opened: u64,
    /// How often an idle connection was used again.
    pub connections_reused: u64,
    /// Connections that were closed, whatever the reason.
    pub connections_closed: u64,
    /// Of these: idle for longer than the [idle timeout](super::ClientBuilder::pool_idle_timeout).
    pub closed_expired: u64,
    /// Of these: to keep a limit of idle or of all connections.
    pub closed_for_limit: u64,
    /// Of these: by the server, while idle.
    pub closed_by_server: u64,
    /// Of these: after a whole response that allowed no other behind it.
    pub closed_finished: u64,
    /// Of these: the rest. An exchange failed or was dropped half-way, or the client was dropped.
    pub closed_unfinished: u64,
    /// Requests that had to wait for a connection, by the limit of their host or that of all.
    pub pool_waits: u64,
    /// The time they waited, taken together.
    pub pool_wait_time: Duration,
    /// Bytes of requests whose exchange has ended and was not dropped half-way, without TLS and what proxies are told.
    pub bytes_sent: u64,
    /// Bytes of responses, likewise.
    pub bytes_received: u64,
}

/// One number.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The numbers of a client.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: Counter,
    pub(super) redirects: Counter,
    pub(super) retries: Counter,
    pub(super) reused: Counter,
    pub(super) finished: Counter,
    pub(super) pool_waits: Counter,
    pool_wait_micros: Counter,
    opened: Counter,
    closed: Counter,
    sent: Counter,
    received: Counter,
}

/// Why a pool has closed connections.
#[derive(Debug, Default)]
pub(super) struct Closed {
    pub(super) expired: Counter,
    pub(super) for_limit: Counter,
    pub(super) by_server: Counter,
}

impl Counters {
    /// Someone has waited for a connection.
    pub(super) fn waited(&self, time: Duration) {
        self.pool_waits.add(1);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.pool_wait_micros.add(micros);
    }

    pub(super) fn snapshot(&self, pool: &Closed) -> Metrics {
        // Each before what contains it, so that the rest below is not negative but for a moment.
        let expired = pool.expired.get();
        let for_limit = pool.for_limit.get();
        let by_server = pool.by_server.get();
        let finished = self.finished.get();
        let closed = self.closed.get();
        Metrics {
            requests: self.requests.get(),
            redirects: self.redirects.get(),
            retries: self.retries.get(),
            connections_opened: self.opened.get(),
            connections_reused: self.reused.get(),
            connections_closed: closed,
            closed_expired: expired,
            closed_for_limit: for_limit,
            closed_by_server: by_server,
            closed_finished: finished,
            closed_unfinished: closed.saturating_sub(expired + for_limit + by_server + finished),
            pool_waits: self.pool_waits.get(),
            pool_wait_time: Duration::from_micros(self.pool_wait_micros.get()),
            bytes_sent: self.sent.get(),
            bytes_received: self.received.get(),
        }
    }
}

/// The account of one connection, from its opening to its end.
#[derive(Debug)]
pub(super) struct Account {
    counters: Arc<Counters>,
    sent: u64,
    received: u64,
}

impl Account {
    pub(super) fn open(counters: Arc<Counters>) -> Self {
        counters.opened.add(1);
        Self {
            counters,
            sent: 0,
            received: 0,
        }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Adds up what the connection has sent and received in all.
    pub(super) fn settle(&mut self, sent: u64, received: u64) {
        self.counters.sent.add(sent.wrapping_sub(self.sent));
        self.counters
            .received
            .add(received.wrapping_sub(self.received));
        (self.sent, self.received) = (sent, received);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.counters.closed.add(1);
    }
}
