//! From a URL to a transport, one step after the other, each within what is left of the time to connect:
//!
//! 1. [`resolve`]: the addresses of the host that may be connected to, or the first of them;
//! 2. [`reach`]: a socket to the first of them that accepts;
//! 3. [`secure`]: TLS over it, for `https`.
//!
//! With a proxy the first two are the proxy's, and for one over TLS the third as well. Then it is asked for a tunnel, unless
//! it passes requests on.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::url::{Host, Url};
use heist_runtime::time::Instant;
use http::HeaderMap;

use super::deadline::Deadline;
use super::error::{Error, Phase};
use super::guard::{is_local_name, is_public};
use super::h1::Limits;
use super::proxy::{Destination, Server, open_tunnel};
use super::transport::Transport;
use crate::TcpStream;
use crate::dns::{self, BoxError, Name, Parts, Resolve};
#[cfg(feature = "tls")]
use crate::tls::TlsConnector;

/// What a client has to say about its connections.
pub(super) struct Config {
    pub(super) resolver: Arc<dyn Resolve>,
    /// For all steps together.
    pub(super) timeout: Option<Duration>,
    pub(super) public_only: bool,
    /// What a proxy is told of us when it is asked for a tunnel.
    pub(super) agent: HeaderMap,
    /// For what a proxy answers.
    pub(super) limits: Limits,
    #[cfg(feature = "tls")]
    pub(super) tls: TlsConnector,
    /// The same with HTTP/2 among the protocols to agree on.
    #[cfg(all(feature = "tls", feature = "http2"))]
    pub(super) tls_with_http2: TlsConnector,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("timeout", &self.timeout)
            .field("public_only", &self.public_only)
            .finish_non_exhaustive()
    }
}

/// What the server may choose from, if it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Http1,
    #[cfg(feature = "http2")]
    Http2,
}

#[cfg(feature = "tls")]
impl Config {
    fn connector(&self, offer: Offer) -> &TlsConnector {
        match offer {
            Offer::Http1 => &self.tls,
            #[cfg(feature = "http2")]
            Offer::Http2 => &self.tls_with_http2,
        }
    }
}

/// The time for all steps: the deadline of the request, and the client's patience in connecting.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    request: &'a mut Deadline,
    connect: Deadline,
    timeout: Option<Duration>,
    started: Instant,
}

/// Connects to the host of a URL, through a proxy if there is one. Yields the address that was connected to, too.
pub(super) async fn connect(
    config: &Config,
    url: &Url,
    via: Option<&Server>,
    offer: Offer,
    deadline: &mut Deadline,
) -> Result<(Transport, SocketAddr), Error> {
    let mut budget = Budget::new(deadline, config.timeout);
    if let Some(proxy) = via {
        let (transport, remote) = connect_through(config, url, proxy, &mut budget).await?;
        let transport = secure(config, url, transport, offer, &mut budget).await?;
        return Ok((transport, remote));
    }
    let resolving = pin!(resolve(config, url, config.public_only));
    let resolved = budget.spend(Phase::Resolve, resolving).await??;
    let (stream, remote) = reach(resolved, &mut budget).await?;
    let transport = secure(config, url, Transport::Tcp(stream), offer, &mut budget).await?;
    Ok((transport, remote))
}

/// Connects to a proxy, wherever it is, and asks it for a tunnel if the URL needs one. One that cannot reach an
/// address of the server is asked for the next.
async fn connect_through(
    config: &Config,
    url: &Url,
    proxy: &Server,
    budget: &mut Budget<'_>,
) -> Result<(Transport, SocketAddr), Error> {
    let destinations = destinations(config, url, proxy, budget).await?;
    let mut left = destinations.iter();
    loop {
        let reached = reach_proxy(config, proxy, budget).await;
        let (stream, remote) = reached.map_err(|error| error.with_proxy(proxy))?;
        let secured = secure_proxy(config, proxy, Transport::Tcp(stream), budget).await;
        let mut transport = secured.map_err(|error| error.with_proxy(proxy))?;
        let Some(to) = left.next().filter(|_| !proxy.forwards(url)) else {
            return Ok((transport, remote));
        };
        let opened = {
            let (agent, limits) = (&config.agent, config.limits);
            let opening = pin!(open_tunnel(proxy, &mut transport, to, agent, limits));
            budget.spend(Phase::Tunnel, opening).await
        };
        match opened.and_then(|opened| opened) {
            Ok(()) => return Ok((transport, remote)),
            Err(error) if error.is_of_address() && left.len() > 0 => {}
            Err(error) => return Err(error.with_proxy(proxy)),
        }
    }
}

async fn reach_proxy(
    config: &Config,
    proxy: &Server,
    budget: &mut Budget<'_>,
) -> Result<(TcpStream, SocketAddr), Error> {
    let resolving = pin!(resolve(config, &proxy.place, false));
    let resolved = budget.spend(Phase::Resolve, resolving).await??;
    reach(resolved, budget).await
}

/// What a proxy is told to connect to: a name if it resolves names itself, otherwise the addresses.
async fn destinations(
    config: &Config,
    url: &Url,
    proxy: &Server,
    budget: &mut Budget<'_>,
) -> Result<Vec<Destination>, Error> {
    if let (Some(Host::Domain(name)), true) = (url.host(), proxy.resolves_names()) {
        if config.public_only && is_local_name(name) {
            return Err(nothing_allowed());
        }
        let port = url.port_or_known_default().unwrap_or(80);
        return Ok(vec![Destination::Name(name.to_owned(), port)]);
    }
    let resolving = pin!(async {
        let resolved = resolve(config, url, config.public_only).await?;
        let mut addresses = resolved.addresses;
        if let Some(mut parts) = resolved.more {
            while let Some(more) = poll_fn(|cx| parts.poll_more(cx)).await {
                addresses.extend(more);
            }
        }
        Ok(addresses)
    });
    let addresses: Vec<_> = budget.spend(Phase::Resolve, resolving).await??;
    Ok(addresses.into_iter().map(Destination::Address).collect())
}

/// Addresses to connect to, at least one, and those that are still to come.
struct Resolved {
    addresses: Vec<SocketAddr>,
    more: Option<Parts>,
}

/// The addresses of the URL's host that may be connected to. An address that is allowed by itself may come with
/// others that are not, so each is looked at, whenever it comes.
async fn resolve(config: &Config, url: &Url, public_only: bool) -> Result<Resolved, Error> {
    let allowed: fn(&SocketAddr) -> bool = match public_only {
        true => |address| is_public(address.ip()),
        false => |_| true,
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let single = |address: IpAddr| Resolved {
        addresses: Vec::from_iter(Some(SocketAddr::new(address, port)).filter(allowed)),
        more: None,
    };
    let resolved = match url.host() {
        Some(Host::Ipv4(address)) => single(address.into()),
        Some(Host::Ipv6(address)) => single(address.into()),
        Some(Host::Domain(host)) => {
            let failed = |error: BoxError| Error::source(Phase::Resolve, error);
            let name: Name = host
                .parse()
                .map_err(|error: dns::Error| failed(error.into()))?;
            let mut parts = Parts::new(config.resolver.resolve_parts(name), port).only(allowed);
            let addresses = parts.first().await.map_err(failed)?;
            Resolved {
                addresses,
                more: Some(parts),
            }
        }
        None => return Err(Error::plain(Phase::Resolve, "the URL has no host")),
    };
    if resolved.addresses.is_empty() {
        return Err(nothing_allowed());
    }
    Ok(resolved)
}

fn nothing_allowed() -> Error {
    let text = "the host has no address that may be connected to";
    Error::plain(Phase::Connect, text).with_remedy(
        "`block_private_addresses` excludes addresses of this machine and of private networks",
    )
}

/// Connects to the first address that accepts. They race (RFC 8305), and each gets its share of the time that is
/// left, so that one that swallows packets does not use up the time of the others.
async fn reach(
    resolved: Resolved,
    budget: &mut Budget<'_>,
) -> Result<(TcpStream, SocketAddr), Error> {
    let Resolved { addresses, more } = resolved;
    let race = pin!(TcpStream::connect_within(addresses, more, budget.left()));
    let failed = |error| Error::source(Phase::Connect, error);
    let connected = budget.spend(Phase::Connect, race).await?;
    let (stream, remote) = connected.map_err(failed)?;
    // A request is at most two writes; the second must not wait for the first one's ACK.
    stream.set_nodelay(true).map_err(failed)?;
    Ok((stream, remote))
}

/// Speaks TLS with the host of the URL, if its scheme wants that.
#[cfg(feature = "tls")]
async fn secure(
    config: &Config,
    url: &Url,
    transport: Transport,
    offer: Offer,
    budget: &mut Budget<'_>,
) -> Result<Transport, Error> {
    if url.scheme() != "https" {
        return Ok(transport);
    }
    shake_hands(config.connector(offer), url, transport, budget).await
}

/// Speaks TLS with a proxy, if its URL's scheme wants that. It is asked in HTTP/1.1, so that is all it is offered.
#[cfg(feature = "tls")]
async fn secure_proxy(
    config: &Config,
    proxy: &Server,
    transport: Transport,
    budget: &mut Budget<'_>,
) -> Result<Transport, Error> {
    if !proxy.is_secure() {
        return Ok(transport);
    }
    shake_hands(
        config.connector(Offer::Http1),
        &proxy.place,
        transport,
        budget,
    )
    .await
}

#[cfg(feature = "tls")]
async fn shake_hands(
    connector: &TlsConnector,
    url: &Url,
    transport: Transport,
    budget: &mut Budget<'_>,
) -> Result<Transport, Error> {
    let host = url.host_str().unwrap_or_default();
    // A URL has brackets around the addresses of IPv6.
    let name = host.trim_matches(['[', ']']);
    let shaking = pin!(connector.connect(name, transport));
    match budget.spend(Phase::Tls, shaking).await? {
        Ok(stream) => Ok(Transport::Tls(Box::new(stream))),
        Err(error) => Err(Error::source(Phase::Tls, error)),
    }
}

/// Without TLS no URL gets here that wants it.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "the shape of the other")]
async fn secure(
    _config: &Config,
    _url: &Url,
    transport: Transport,
    _offer: Offer,
    _budget: &mut Budget<'_>,
) -> Result<Transport, Error> {
    Ok(transport)
}

/// Without TLS no proxy is made that wants it.
#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_async, reason = "the shape of the other")]
async fn secure_proxy(
    _config: &Config,
    _proxy: &Server,
    transport: Transport,
    _budget: &mut Budget<'_>,
) -> Result<Transport, Error> {
    Ok(transport)
}

impl<'a> Budget<'a> {
    fn new(request: &'a mut Deadline, timeout: Option<Duration>) -> Self {
        Self {
            request,
            connect: Deadline::after(timeout),
            timeout,
            started: Instant::now(),
        }
    }

    /// What is left of the client's patience.
    fn left(&self) -> Option<Duration> {
        let left = |timeout: Duration| timeout.saturating_sub(self.started.elapsed());
        self.timeout.map(left)
    }

    /// Takes a step, unless the time is over before.
    pub(super) async fn spend<F: Future + Unpin>(
        &mut self,
        phase: Phase,
        step: F,
    ) -> Result<F::Output, Error> {
        const REMEDY: &str = "raise `connect_timeout`, or try again later";
        match self.request.race(self.connect.race(step)).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(timed_out)) => Err(timed_out.at(phase).with_remedy(REMEDY)),
            Err(timed_out) => Err(timed_out.at(phase)),
        }
    }
}
