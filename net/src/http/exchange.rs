//! One request and its response, with the retry of stale connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::url::{Host, Url};
use heist_runtime::time::{Instant, Timer};
use http::HeaderMap;

use super::deadline::{Deadline, TimedOut};
use super::error::{Cause, Error, Phase};
use super::guard::is_public;
use super::h1;
use super::link::{Link, LinkError, Received};
use super::pool::{Checkout, Claim, Pool, Slot};
use super::request::Request;
use super::url::authority;
use crate::{TcpStream, lookup_host};

/// What an exchange needs to know of its client.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) default_headers: HeaderMap,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) public_only: bool,
    pub(super) limits: h1::Limits,
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
    let claim = match pool.checkout(authority(url), fresh) {
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
    let connected = connect(config, url, deadline).await;
    let (stream, remote) = connected.map_err(|error| error.with_url(url))?;
    let link = Link::new(stream, remote, config.limits);
    Ok((Carrier { link, slot }, false))
}

/// Resolves the host and tries its addresses in turn. Each gets its share of the time that is
/// left, so that one address that swallows packets does not use up the time of the others.
async fn connect(
    config: &Config,
    url: &Url,
    deadline: &mut Deadline,
) -> Result<(TcpStream, SocketAddr), Error> {
    const REMEDY: &str = "raise `connect_timeout`, or try again later";
    let started = Instant::now();
    let mut patience = Deadline::after(config.connect_timeout);
    let resolved = match deadline.race(patience.race(resolve(url))).await {
        Err(timed_out) => return Err(timed_out.at(Phase::Resolve)),
        Ok(Err(timed_out)) => return Err(timed_out.at(Phase::Resolve).with_remedy(REMEDY)),
        Ok(Ok(resolved)) => resolved?,
    };
    let allowed = |address: &SocketAddr| !config.public_only || is_public(address.ip());
    let addresses: Vec<_> = resolved.into_iter().filter(allowed).collect();
    let text = "the host has no address that may be connected to";
    let mut failure = Error::plain(Phase::Connect, text).with_remedy(
        "`block_private_addresses` excludes addresses of this machine and of private networks",
    );
    for (tried, address) in addresses.iter().enumerate() {
        let share = config.connect_timeout.map(|timeout| {
            timeout.saturating_sub(started.elapsed()) / (addresses.len() - tried) as u32
        });
        let mut patience = Deadline::after(share);
        let stream = match deadline
            .race(patience.race(TcpStream::connect(*address)))
            .await
        {
            Err(timed_out) => return Err(timed_out.at(Phase::Connect)),
            Ok(Err(_)) => {
                let timed_out = TimedOut(started.elapsed());
                failure = timed_out.at(Phase::Connect).with_remedy(REMEDY);
                continue;
            }
            Ok(Ok(Err(error))) => {
                failure = Error::source(Phase::Connect, error);
                continue;
            }
            Ok(Ok(Ok(stream))) => stream,
        };
        // A request is at most two writes; the second must not wait for the first one's ACK.
        stream
            .set_nodelay(true)
            .map_err(|error| Error::source(Phase::Connect, error))?;
        return Ok((stream, *address));
    }
    Err(failure)
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Error> {
    let port = url.port_or_known_default().unwrap_or(80);
    let single = |address: IpAddr| Ok(vec![SocketAddr::new(address, port)]);
    match url.host() {
        Some(Host::Ipv4(address)) => single(address.into()),
        Some(Host::Ipv6(address)) => single(address.into()),
        Some(Host::Domain(name)) => match lookup_host((name, port)).await {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(Error::source(Phase::Resolve, error)),
        },
        None => Err(Error::plain(Phase::Resolve, "the URL has no host")),
    }
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

impl TimedOut {
    fn at(self, phase: Phase) -> Error {
        Error::new(phase, Cause::TimedOut(self.0))
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
