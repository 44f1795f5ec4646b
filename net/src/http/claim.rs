//! Where a request gets its connection from: the pool, the one that all share, or a new one.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;

use ::url::Url;
use heist_runtime::time::Instant;

use super::connect::{Offer, connect};
use super::deadline::{Clocks, Deadline};
use super::error::{Error, Phase};
use super::exchange::{Carrier, Config};
#[cfg(feature = "http2")]
use super::h2;
use super::link::Link;
use super::metrics::Account;
use super::pool::{Checkout, Claim, Pool, Slot};
use super::proxy::Server;
use super::request::Request;
use super::url::origin;

/// The connections of a client.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) pool: Arc<Pool<Box<Link>>>,
    #[cfg(feature = "http2")]
    pub(super) shared: Arc<h2::Origins>,
}

/// What a request is sent over.
#[derive(Debug)]
pub(super) enum Way {
    Link(Carrier),
    #[cfg(feature = "http2")]
    Shared(h2::Lease),
}

/// Gets a connection, an idle one that is still quiet or a new one; or the one that all share. Yields whether it was
/// used before.
pub(super) async fn claim(
    config: &Config,
    connections: &Connections,
    request: &Request,
    fresh: bool,
    clocks: &mut Clocks,
) -> Result<(Way, bool), Error> {
    let (pool, url) = (&connections.pool, &request.url);
    let via = config.proxies.pick(url)?;
    let name = way(url, via.as_deref());
    #[cfg(feature = "http2")]
    let mut lead = None;
    #[cfg(feature = "http2")]
    let offer = config.offer(request, via.as_deref());
    #[cfg(not(feature = "http2"))]
    let offer = Offer::Http1;
    // Of the request's start, which was just now, or there is none.
    let seen = clocks.take_look();
    // It may have to wait.
    #[cfg(feature = "http2")]
    let seen = seen.filter(|_| offer != Offer::Http2);
    #[cfg(feature = "http2")]
    if offer == Offer::Http2 {
        match find_shared(config, connections, url, &name, clocks).await? {
            Found::Shared(lease) => {
                config.counters.reused.add(1);
                return Ok((Way::Shared(lease), true));
            }
            Found::Lead(duty) => lead = Some(duty),
            Found::Alone => {}
        }
    }
    let mut now = seen.unwrap_or_else(Instant::now);
    let claim = match pool.checkout(&name, fresh, now) {
        Checkout::Claim(claim) => claim,
        Checkout::Wait(waiting) => {
            let claim = wait(config, url, clocks, pin!(waiting)).await?;
            now = Instant::now();
            claim
        }
    };
    let slot = match claim {
        Claim::Reuse(mut link, slot) => {
            // What can be sent again need not be looked after as closely.
            let again = request.is_idempotent() && request.body.is_none();
            let mut quiet = again && link.is_just_idle(now);
            if quiet {
                clocks.has_looked(now);
            } else {
                let asking = poll_fn(|cx| link.poll_is_quiet(cx));
                quiet = clocks.total.race(asking).await == Ok(true);
            }
            if quiet {
                config.counters.reused.add(1);
                return Ok((Way::Link(Carrier { link, slot }), true));
            }
            // A closed idle connection leaves its slot to its successor.
            pool.closed().by_server.add(1);
            slot
        }
        Claim::Open(slot) => slot,
    };
    // It may have been made while this request waited.
    #[cfg(feature = "http2")]
    if offer == Offer::Http2
        && lead.is_none()
        && let Some(lease) = connections.shared.find_open(&name)
    {
        config.counters.reused.add(1);
        return Ok((Way::Shared(lease), true));
    }
    let opened = open(config, connections, slot, url, via, offer, clocks).await;
    #[cfg(feature = "http2")]
    let opened = settle(opened, lead, connections, &name);
    #[cfg(not(feature = "http2"))]
    let opened = opened.map(|Opened::Link(carrier)| Way::Link(carrier));
    Ok((opened?, false))
}

/// What a request finds that may share a connection.
#[cfg(feature = "http2")]
pub(super) enum Found {
    Shared(h2::Lease),
    /// It makes the connection, and others wait for it.
    Lead(h2::Lead),
    /// It makes one for itself.
    Alone,
}

/// Looks for the shared connection of an origin, and waits while somebody makes it.
#[cfg(feature = "http2")]
pub(super) async fn find_shared(
    config: &Config,
    connections: &Connections,
    url: &Url,
    name: &str,
    clocks: &mut Clocks,
) -> Result<Found, Error> {
    loop {
        match connections.shared.find(name) {
            h2::Place::Shared(lease) => return Ok(Found::Shared(lease)),
            h2::Place::Lead(lead) => return Ok(Found::Lead(lead)),
            h2::Place::Http1 => return Ok(Found::Alone),
            h2::Place::Wait(opening) => {
                if !wait(config, url, clocks, pin!(opening.wait())).await? {
                    return Ok(Found::Alone);
                }
            }
        }
    }
}

/// Says to those who wait what came of it.
#[cfg(feature = "http2")]
pub(super) fn settle(
    opened: Result<Opened, Error>,
    lead: Option<h2::Lead>,
    connections: &Connections,
    name: &str,
) -> Result<Way, Error> {
    match (opened, lead) {
        (Ok(Opened::Shared(connection)), Some(lead)) => Ok(Way::Shared(lead.opened(connection))),
        (Ok(Opened::Shared(connection)), None) => {
            Ok(Way::Shared(connections.shared.add(name, connection)))
        }
        (Ok(Opened::Link(carrier)), lead) => {
            if let Some(lead) = lead {
                lead.agreed_on_http1();
            }
            Ok(Way::Link(carrier))
        }
        (Err(error), lead) => {
            if let Some(lead) = lead {
                lead.failed();
            }
            Err(error)
        }
    }
}

/// Waits for a connection of a host, or for the right to open one.
async fn wait<F: Future + Unpin>(
    config: &Config,
    url: &Url,
    clocks: &mut Clocks,
    turn: F,
) -> Result<F::Output, Error> {
    let started = Instant::now();
    clocks.trace.waits();
    let mut patience = Deadline::after(clocks.turn);
    let waited = clocks.total.race(patience.race(turn)).await;
    let time = started.elapsed();
    config.counters.waited(time);
    clocks.trace.waited(time);
    match waited {
        Ok(Ok(output)) => Ok(output),
        Err(timed_out) => Err(timed_out.at(Phase::Wait).with_url(url)),
        Ok(Err(timed_out)) => {
            let remedy = "read or drop earlier responses sooner, or raise \
                 `max_connections_per_host`, `max_connections` or `pool_timeout`";
            Err(timed_out.at(Phase::Wait).with_url(url).with_remedy(remedy))
        }
    }
}

/// A new connection.
#[derive(Debug)]
pub(super) enum Opened {
    Link(Carrier),
    #[cfg(feature = "http2")]
    Shared(Arc<h2::Connection>),
}

/// Opens a connection for a slot, which a shared one gives back: there is one for all.
///
/// It is in a box: it is larger than all else that a request does, and most requests find a connection. It is made
/// here, so that it never lies on the stack of those who wait for it.
pub(super) fn open<'a>(
    config: &'a Config,
    connections: &'a Connections,
    slot: Slot<Box<Link>>,
    url: &'a Url,
    via: Option<Arc<Server>>,
    offer: Offer,
    clocks: &'a mut Clocks,
) -> Opening<'a> {
    Box::pin(open_in_place(
        config,
        connections,
        slot,
        url,
        via,
        offer,
        clocks,
    ))
}

/// The making of a connection.
pub(super) type Opening<'a> = Pin<Box<dyn Future<Output = Result<Opened, Error>> + Send + 'a>>;

async fn open_in_place(
    config: &Config,
    connections: &Connections,
    slot: Slot<Box<Link>>,
    url: &Url,
    via: Option<Arc<Server>>,
    offer: Offer,
    clocks: &mut Clocks,
) -> Result<Opened, Error> {
    let permit = match connections.pool.total() {
        None => None,
        Some(total) => Some(match total.try_acquire() {
            Some(permit) => permit,
            None => {
                let acquired = pin!(total.acquire(|| connections.make_room()));
                wait(config, url, clocks, acquired).await?
            }
        }),
    };
    let connected = connect(
        &config.connect,
        url,
        via.as_deref(),
        offer,
        &mut clocks.total,
    );
    let (transport, remote) = connected.await.map_err(|error| error.with_url(url))?;
    let account = Account::open(config.counters.clone());
    #[cfg(feature = "http2")]
    if offer == Offer::Http2
        && (config.http2.mode == h2::Mode::Always || transport.agreed_on_http2())
    {
        drop(slot);
        let (settings, head) = (&config.http2, config.limits.head);
        let origins = &connections.shared;
        let io = h2::Io::new(transport, account, permit);
        let established = pin!(h2::establish(settings, head, origins, io, remote));
        return match clocks.total.race(established).await {
            Ok(Ok(connection)) => Ok(Opened::Shared(connection)),
            Ok(Err(error)) => Err(Error::source(Phase::Connect, error).with_url(url)),
            Err(timed_out) => Err(timed_out.at(Phase::Connect).with_url(url)),
        };
    }
    let mut link = Box::new(Link::new(transport, remote, config.limits, account, permit));
    if let Some(proxy) = via.filter(|proxy| proxy.forwards(url)) {
        link.set_forward(proxy);
    }
    Ok(Opened::Link(Carrier { link, slot }))
}

impl Connections {
    /// Closes an idle connection for another host's.
    fn make_room(&self) {
        let made = self.pool.make_room();
        #[cfg(feature = "http2")]
        if !made {
            self.shared.make_room();
        }
        #[cfg(not(feature = "http2"))]
        let _ = made;
    }
}

#[cfg(feature = "http2")]
impl Config {
    /// Whether a request may share a connection. One that asks for another protocol has it for itself, as has one
    /// that wants a version with 1.
    pub(super) fn offer(&self, request: &Request, via: Option<&Server>) -> Offer {
        let url = &request.url;
        let by_version = |version| version == http::Version::HTTP_2;
        let suits = request.version.is_none_or(by_version)
            && !request.headers.contains_key(http::header::UPGRADE)
            && !via.is_some_and(|proxy| proxy.forwards(url));
        let speaks = match self.http2.mode {
            h2::Mode::Never => false,
            h2::Mode::Agreed => url.scheme() == "https",
            h2::Mode::Always => true,
        };
        match suits && speaks {
            true => Offer::Http2,
            false => Offer::Http1,
        }
    }
}

/// What connections are pooled by: where they lead, and by which way.
pub(super) fn way<'a>(url: &'a Url, via: Option<&Server>) -> Cow<'a, str> {
    match via {
        None => Cow::Borrowed(origin(url)),
        Some(proxy) => Cow::Owned(format!("{} through {}", origin(url), proxy.key())),
    }
}
