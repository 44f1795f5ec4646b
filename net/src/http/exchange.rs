//! One request and its response, with the retry of stale connections.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use ::url::Url;
use heist_runtime::time::Timer;
use http::HeaderMap;

use super::connect::{self, connect};
#[cfg(feature = "cookies")]
use super::cookie::Provider;
use super::deadline::Deadline;
use super::error::{Cause, Error, Phase};
use super::h1;
use super::link::{Link, LinkError, Received};
use super::pool::{Checkout, Claim, Pool, Slot};
use super::request::Request;
use super::url::origin;

/// What an exchange needs to know of its client.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) default_headers: HeaderMap,
    pub(super) connect: connect::Config,
    pub(super) limits: h1::Limits,
    #[cfg(feature = "cookies")]
    pub(super) cookies: Option<Provider>,
}

/// A connection that is in use, with its slot.
#[derive(Debug)]
pub(super) struct Carrier {
    // Before the slot, so that the connection is closed when its slot is given to another.
    link: Link,
    slot: Slot<Link>,
}

/// How often a request is tried on connections that turn out to be stale, before it fails. A new
/// connection is not stale, and from the second attempt on one is opened unless the host is at its
/// limit of connections.
const ATTEMPTS: usize = 3;

/// Runs a request up to its response's head. The carrier is gone if the body came along with it.
pub(super) async fn exchange(
    config: &Config,
    pool: &Arc<Pool<Link>>,
    request: &Request,
    deadline: &mut Deadline,
) -> Result<(Received, SocketAddr, Option<Carrier>), Error> {
    let url = &request.url;
    for attempt in 1.. {
        let (mut carrier, reused) = claim(config, pool, url, attempt > 1, deadline).await?;
        if let Err(error) = carrier.link.encode(request, &config.default_headers) {
            carrier.finish();
            return Err(Error::new(Phase::Build, Cause::Codec(error)).with_url(url));
        }
        match carrier.run(request, deadline).await {
            Ok(received) => {
                let remote = carrier.link.remote();
                let carrier = carrier.finish_if(received.ended);
                return Ok((received, remote, carrier));
            }
            Err(error) => {
                // The server may have closed the connection while it was idle, in which case it has
                // not seen the request. It may also have acted on it and then failed; so only
                // what may be done twice is done twice.
                let stale = reused && !error.is_timeout() && !carrier.link.has_response_started();
                if !stale || attempt >= ATTEMPTS {
                    return Err(error.with_url(url));
                }
                if !request.method.is_idempotent() {
                    let remedy = "the server closed an idle connection as it was used again; \
                         it may or may not have acted on the request, so repeat it only if \
                         that is harmless";
                    return Err(error.with_url(url).with_remedy(remedy));
                }
            }
        }
    }
    unreachable!("the last attempt returns")
}

/// Gets a connection: an idle one that is still quiet, or a new one.
async fn claim(
    config: &Config,
    pool: &Arc<Pool<Link>>,
    url: &Url,
    fresh: bool,
    deadline: &mut Deadline,
) -> Result<(Carrier, bool), Error> {
    let claim = match pool.checkout(origin(url), fresh) {
        Checkout::Claim(claim) => claim,
        Checkout::Wait(waiting) => {
            let turn = deadline.race(waiting).await;
            turn.map_err(|timed_out| timed_out.at(Phase::Wait).with_url(url))?
        }
    };
    let slot = match claim {
        Claim::Reuse(mut link, slot) => {
            if link.is_quiet() {
                return Ok((Carrier { link, slot }, true));
            }
            // A closed idle connection leaves its slot to its successor.
            slot
        }
        Claim::Open(slot) => slot,
    };
    let connected = connect(&config.connect, url, deadline).await;
    let (transport, remote) = connected.map_err(|error| error.with_url(url))?;
    let link = Link::new(transport, remote, config.limits);
    Ok((Carrier { link, slot }, false))
}

impl Carrier {
    /// Sends the encoded request and receives the head of its response.
    async fn run(&mut self, request: &Request, deadline: &mut Deadline) -> Result<Received, Error> {
        let sent = deadline.race(self.link.send(request.body.as_ref())).await;
        let sent = sent.map_err(|timed_out| timed_out.at(Phase::Send))?;
        // A server that refuses a body may answer and close before it has read all of it. Its
        // answer says more than the broken pipe.
        let received = deadline.race(self.link.receive_head()).await;
        match (sent, received) {
            (_, Ok(Ok(received))) => {
                let unknown = received.head.has_unknown_transfer_coding();
                if unknown && request.method != http::Method::HEAD {
                    let text = "the server applied a transfer coding that was not offered";
                    return Err(Error::new(Phase::Head, Cause::Undecodable(text)));
                }
                Ok(received)
            }
            (Err(error), _) => Err(Error::source(Phase::Send, error)),
            (Ok(()), Ok(Err(error))) => Err(error.at(Phase::Head)),
            (Ok(()), Err(timed_out)) => Err(timed_out.at(Phase::Head)),
        }
    }

    /// Receives one buffer of the body into `sink`; returns whether it has ended.
    pub(super) async fn receive(
        &mut self,
        sink: &mut Vec<u8>,
        deadline: &mut Deadline,
    ) -> Result<bool, Error> {
        match deadline.race(self.link.receive_body(sink)).await {
            Ok(result) => result.map_err(|error| error.at(Phase::Body)),
            Err(timed_out) => Err(timed_out.at(Phase::Body)),
        }
    }

    /// Ends the exchange: the connection goes back to the pool if it can be used again.
    pub(super) fn finish(self) {
        if !self.link.can_reuse() {
            return;
        }
        let reaper = self.slot.check_in(self.link);
        // Without a runtime (a response may be dropped anywhere) expired connections are still
        // closed when they are met.
        if let (Some(pool), Some(handle)) = (reaper, heist_runtime::Handle::try_current()) {
            drop(handle.spawn(reap(Reaper(pool))));
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

/// The promise to close idle connections in time.
struct Reaper(Weak<Pool<Link>>);

/// Closes idle connections as they expire; ends when there are none, or when the client is gone.
async fn reap(mut reaper: Reaper) {
    while let Some(pool) = reaper.0.upgrade() {
        let Some(next) = pool.evict() else {
            // The promise has ended with that answer; the next one is another reaper's.
            reaper.0 = Weak::new();
            return;
        };
        drop(pool);
        Timer::new(next).await;
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        // The runtime of this task shuts down, but the client may live on under another.
        if let Some(pool) = self.0.upgrade() {
            pool.stop_reaping();
        }
    }
}

impl LinkError {
    fn at(self, phase: Phase) -> Error {
        match self {
            Self::Io(error) => Error::source(phase, error),
            Self::Codec(error) => Error::new(phase, Cause::Codec(error)),
        }
    }
}
