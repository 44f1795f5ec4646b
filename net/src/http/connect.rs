//! From a URL to a transport, one step after the other, each within what is left of the time to connect:
//!
//! 1. [`resolve`]: the addresses of the host that may be connected to, or the first of them;
//! 2. [`reach`]: a socket to the first of them that accepts.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::url::{Host, Url};
use heist_runtime::time::Instant;

use super::deadline::Deadline;
use super::error::{Error, Phase};
use super::guard::is_public;
use super::transport::Transport;
use crate::TcpStream;
use crate::dns::{self, BoxError, Name, Parts, Resolve};

/// What a client has to say about its connections.
pub(super) struct Config {
    pub(super) resolver: Arc<dyn Resolve>,
    /// For all steps together.
    pub(super) timeout: Option<Duration>,
    pub(super) public_only: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("timeout", &self.timeout)
            .field("public_only", &self.public_only)
            .finish_non_exhaustive()
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

/// Connects to the host of a URL. Yields the address that was connected to, too.
pub(super) async fn connect(
    config: &Config,
    url: &Url,
    deadline: &mut Deadline,
) -> Result<(Transport, SocketAddr), Error> {
    let mut budget = Budget::new(deadline, config.timeout);
    let resolved = budget.spend(Phase::Resolve, resolve(config, url)).await??;
    let (stream, remote) = reach(resolved, &mut budget).await?;
    Ok((Transport::Tcp(stream), remote))
}

/// Addresses to connect to, at least one, and those that are still to come.
struct Resolved {
    addresses: Vec<SocketAddr>,
    more: Option<Parts>,
}

/// The addresses of the URL's host that may be connected to. An address that is allowed by itself may come with
/// others that are not, so each is looked at, whenever it comes.
async fn resolve(config: &Config, url: &Url) -> Result<Resolved, Error> {
    let allowed: fn(&SocketAddr) -> bool = match config.public_only {
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
        let text = "the host has no address that may be connected to";
        return Err(Error::plain(Phase::Connect, text).with_remedy(
            "`block_private_addresses` excludes addresses of this machine and of private networks",
        ));
    }
    Ok(resolved)
}

/// Connects to the first address that accepts. They race (RFC 8305), and each gets its share of the time that is
/// left, so that one that swallows packets does not use up the time of the others.
async fn reach(
    resolved: Resolved,
    budget: &mut Budget<'_>,
) -> Result<(TcpStream, SocketAddr), Error> {
    let Resolved { addresses, more } = resolved;
    let race = TcpStream::connect_within(addresses, more, budget.left());
    let failed = |error| Error::source(Phase::Connect, error);
    let connected = budget.spend(Phase::Connect, race).await?;
    let (stream, remote) = connected.map_err(failed)?;
    // A request is at most two writes; the second must not wait for the first one's ACK.
    stream.set_nodelay(true).map_err(failed)?;
    Ok((stream, remote))
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
    pub(super) async fn spend<F: Future>(
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
