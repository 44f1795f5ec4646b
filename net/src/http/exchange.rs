//! One request and its response, with the retry of stale connections.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::url::Url;
use heist_runtime::Handle;
use heist_runtime::time::{Instant, Timer};
use http::HeaderMap;
use http::header::{EXPECT, RANGE};

use super::arrived::Arrived;
use super::claim::{Connections, Way, claim};
use super::coding::{Codings, DecodeLimits};
use super::connect;
#[cfg(feature = "cookies")]
use super::cookie::Provider;
use super::deadline::Clocks;
use super::error::{Cause, Error, Phase};
use super::flow::Flow;
use super::h1;
#[cfg(feature = "http2")]
use super::h2;
use super::keeper::{Keeper, keep};
use super::link::{Link, LinkError, Received};
use super::metrics::Counters;
use super::pool::Slot;
use super::proxy::Proxies;
use super::request::Request;
use super::total::{TURNS, Total};
use super::transport::Transport;

/// What an exchange needs to know of its client.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) default_headers: HeaderMap,
    /// The same for requests of a range.
    pub(super) range_headers: HeaderMap,
    pub(super) codings: Codings,
    pub(super) decode_limits: DecodeLimits,
    pub(super) connect: connect::Config,
    pub(super) head_timeout: Option<Duration>,
    pub(super) limits: h1::Limits,
    pub(super) proxies: Proxies,
    pub(super) counters: Arc<Counters>,
    pub(super) https_only: bool,
    #[cfg(feature = "http2")]
    pub(super) http2: h2::Settings,
    #[cfg(feature = "cookies")]
    pub(super) cookies: Option<Provider>,
}

impl Config {
    pub(super) fn defaults(&self, request: &Request) -> &HeaderMap {
        if request.headers.contains_key(RANGE) {
            return &self.range_headers;
        }
        &self.default_headers
    }

    /// Refuses what would be sent in clear, if the client is for `https` only.
    pub(super) fn check_secure(&self, url: &Url, phase: Phase) -> Result<(), Error> {
        if self.https_only && url.scheme() != "https" {
            let text = "the client is for https only (`https_only`)";
            return Err(Error::plain(phase, text).with_url(url));
        }
        Ok(())
    }
}

/// A connection that is in use, with its slot.
#[derive(Debug)]
pub(super) struct Carrier {
    // Before the slot, so that the connection is closed when its slot is given to another. In a box, as it moves: into
    // the pool and out of it, and with a response.
    pub(super) link: Box<Link>,
    pub(super) slot: Slot<Box<Link>>,
}

/// How often a request is tried on connections that turn out to be stale, before it fails. A new
/// connection is not stale, and from the second attempt on one is opened unless the host is at its
/// limit of connections.
const ATTEMPTS: usize = 3;

/// What an exchange came to: the response's head with the server's address, and the connection unless the body
/// came along.
pub(super) type Outcome = Result<(Received, SocketAddr, Option<Flow>), Error>;

/// How long a body is held back for a server that does not answer `Expect: 100-continue` (RFC 9110,
/// section 10.1.1, leaves the time open).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// Runs a request up to its response's head. The flow is gone if the body came along with it.
pub(super) async fn exchange(
    config: &Config,
    connections: &Connections,
    request: &mut Request,
    clocks: &mut Clocks,
) -> Outcome {
    for attempt in 1.. {
        let claimed = claim(config, connections, request, attempt > 1, clocks).await?;
        clocks.trace.connected(claimed.1);
        let (mut carrier, reused) = match claimed {
            (Way::Link(carrier), reused) => (carrier, reused),
            #[cfg(feature = "http2")]
            (Way::Shared(lease), reused) => {
                let last = attempt >= ATTEMPTS;
                match h2::exchange(config, lease, reused, last, request, clocks).await {
                    Some(outcome) => return outcome,
                    None => {
                        config.counters.retries.add(1);
                        clocks.trace.resends("not_seen");
                        continue;
                    }
                }
            }
        };
        if let Err(error) = carrier.link.start(request, config.defaults(request)) {
            carrier.finish();
            return Err(Error::new(Phase::Build, Cause::Codec(error)).with_url(&request.url));
        }
        match carrier.run(request, clocks).await {
            Ok(received) if received.head.status() == 417 && carrier.link.was_held() => {
                // The server does not know the expectation: the same again without it.
                request.give_back_body(carrier.link.take_unread_body());
                request.headers.remove(EXPECT);
                config.counters.retries.add(1);
                clocks.trace.resends("expectation");
            }
            Ok(received) => {
                let remote = carrier.link.remote();
                let carrier = carrier.finish_if(received.ended && !received.tunnel);
                return Ok((received, remote, carrier.map(Flow::Link)));
            }
            Err(error) => {
                carrier.link.settle();
                request.give_back_body(carrier.link.take_unread_body());
                // The server may have closed the connection while it was idle, in which case it has
                // not seen the request. It may also have acted on it and then failed; so only
                // what may be done twice is done twice.
                let broke = !error.is_timeout() && !error.is_body();
                let unanswered = broke && !carrier.link.has_response_started();
                let error = error.with_url(&request.url).with_unanswered(unanswered);
                if !reused || !unanswered || attempt >= ATTEMPTS {
                    return Err(error);
                }
                if request.is_body_spent() {
                    let remedy = "the server closed an idle connection as it was used again, and \
                         a stream cannot be sent twice; use a body in memory, or \
                         `expect_continue`";
                    return Err(error.with_remedy(remedy));
                }
                if !request.is_idempotent() {
                    let remedy = "the server closed an idle connection as it was used again; \
                         it may or may not have acted on the request, so repeat it only if \
                         that is harmless";
                    return Err(error.with_remedy(remedy));
                }
                config.counters.retries.add(1);
                clocks.trace.resends("stale_connection");
            }
        }
    }
    unreachable!("the last attempt returns")
}

impl Carrier {
    /// Sends the request and receives the head of its response.
    async fn run(&mut self, request: &Request, clocks: &mut Clocks) -> Result<Received, Error> {
        let link = &mut self.link;
        // It starts with the first wait that it is for.
        let mut patience: Option<Box<Timer>> = None;
        let received = poll_fn(|cx| {
            loop {
                if let Poll::Ready(received) = link.poll_head(cx) {
                    return Poll::Ready(received.map_err(|error| error.at(Phase::Head)));
                }
                if !link.is_held() {
                    break;
                }
                let until = || Box::new(Timer::new(Instant::now() + CONTINUE_WAIT));
                let patience = patience.get_or_insert_with(until);
                if Pin::new(patience).poll(cx).is_pending() {
                    break;
                }
                link.release();
            }
            let phase = if link.is_sending() {
                Phase::Send
            } else {
                Phase::Head
            };
            let late = link.waits_for_body();
            clocks.poll(cx, late, link.progress(), phase).map(Err)
        });
        let received = received.await;
        clocks.pause();
        let received = received?;
        if received.head.has_unknown_transfer_coding() && request.method != http::Method::HEAD {
            let text = "the server applied a transfer coding that was not offered";
            return Err(Error::new(Phase::Head, Cause::Undecodable(text)));
        }
        Ok(received)
    }

    /// Receives one buffer of the body into `sink`; ready with whether it has ended.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut Arrived,
        clocks: &mut Clocks,
    ) -> Poll<Result<bool, Error>> {
        if let Poll::Ready(received) = self.link.poll_body(cx, sink) {
            clocks.pause();
            return Poll::Ready(received.map_err(|error| error.at(Phase::Body)));
        }
        let (late, progress) = (self.link.waits_for_body(), self.link.progress());
        clocks.poll(cx, late, progress, Phase::Body).map(Err)
    }

    /// The trailers of a body that has ended.
    pub(super) fn take_trailers(&mut self) -> Option<Box<HeaderMap>> {
        self.link.take_trailers()
    }

    /// The connection itself, for another protocol, and what came of that already. It no longer counts as
    /// one of the client's connections.
    pub(super) fn into_tunnel(self) -> (Transport, Vec<u8>) {
        self.link.into_tunnel()
    }

    /// Ends the exchange: the connection goes back to the pool if it can be used again.
    pub(super) fn finish(mut self) {
        let served = self.link.settle();
        if !self.link.can_reuse() {
            self.link.counters().finished.add(1);
            return;
        }
        // Held only where all connections have a limit: all workers share the count of references.
        let pool = self.slot.pool();
        let limited = pool.total().is_some().then(|| pool.clone());
        let total = limited.as_ref().and_then(|pool| pool.total());
        if served.is_multiple_of(TURNS) && total.is_some_and(Total::is_wanted) {
            pool.closed().for_limit.add(1);
            return;
        }
        self.put_in();
        if let Some(pool) = &limited
            && total.is_some_and(Total::is_wanted)
        {
            pool.make_room();
        }
    }

    /// Puts the connection into the pool, and has it looked after.
    pub(super) fn put_in(mut self) {
        let Some(host) = self.slot.host() else { return };
        let watch = self.link.watch_by(self.slot.pool().bell(), host);
        // Without a runtime (a response may be dropped anywhere) idle connections are still looked at before they
        // are used again.
        let now = Instant::now();
        if Handle::has_current() && !self.link.watch(now) {
            self.slot.pool().closed().by_server.add(1);
            return;
        }
        let keeper = self.slot.check_in(self.link.token(), self.link, now);
        watch.repeat();
        if let Some(pool) = keeper {
            let keeper = Keeper(pool);
            if let Some(handle) = Handle::try_current() {
                drop(handle.spawn(keep(keeper)));
            }
        }
    }

    fn finish_if(self, ended: bool) -> Option<Self> {
        if ended {
            self.finish();
            return None;
        }
        Some(self)
    }
}

impl LinkError {
    fn at(self, phase: Phase) -> Error {
        match self {
            Self::Io(error) => Error::source(phase, error),
            Self::Send(error) => Error::source(Phase::Send, error),
            Self::Body(error) => Error::source(Phase::Upload, error),
            Self::Codec(error) => Error::new(phase, Cause::Codec(error)),
        }
    }
}
