//! A resolver of our own, which asks name servers itself. In reading order:
//!
//! - [`provider`]: our sockets, timers and tasks for hickory, which speaks the protocol
//! - [`answer`]: what an answer says; [`lifetime`]: how long it is remembered
//! - [`servers`]: asking several servers
//! - [`hosts`], [`system_conf`]: the files of the system
//! - [`search`]: from one name to the queries that it takes, and back to its addresses
//! - [`builder`]: the settings

mod provider;
mod answer;
mod lifetime;
mod servers;
mod hosts;
mod system_conf;
mod search;
mod builder;

pub use builder::{HickoryBuilder, LookupIpStrategy};

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use heist_sync::Semaphore;
use heist_sync::stream::{StreamExt, once};

use super::error::Error;
use super::name::Name;
use super::resolve::{Addrs, BoxError, Resolve, Resolving, ResolvingParts};
use super::shared::Shared;
use answer::Family;
use hosts::Hosts;
use lifetime::Lifetimes;
use servers::Servers;

/// What a query for one family yields.
type Outcome = Result<Arc<[IpAddr]>, Error>;

/// One family of one name, without a dot at its end.
type Key = (Name, Family);

/// A resolver that asks name servers itself, by the protocol of the hickory project over this runtime's sockets, and
/// remembers what they say for as long as they say. Feature `dns`.
///
/// It reads `/etc/resolv.conf` and `/etc/hosts` when it is built, and knows UDP and TCP. What else the system may be set
/// up for (`nsswitch.conf`, multicast DNS) it does not know; see [`SystemResolver`](super::SystemResolver) for that.
///
/// - Both families are asked for at once, and [`resolve_parts`](Resolve::resolve_parts) yields one as soon as it is
///   known, with the resolution delay of RFC 8305.
/// - Answers are remembered, those that there is no address too (RFC 2308), and for a moment failures (RFC 9520).
/// - Lookups of the same name at the same time are one; the number of queries under way is bounded.
/// - A server that fails or does not answer costs a head start of a second at most, and is asked last from then on.
/// - `localhost`, `.invalid` and `.onion` are never asked for.
///
/// Clones share everything.
///
/// # Cancel safety
///
/// A lookup that is dropped gives up its place, and when nobody else waits for the same, its sockets too. A connection
/// over TCP is kept for further queries as long as the server keeps it.
///
/// ```no_run
/// use heist_net::dns::HickoryResolver;
///
/// # async fn example() -> Result<(), heist_net::dns::Error> {
/// let resolver = HickoryResolver::from_system()?;
/// for address in resolver.lookup_ip("example.com").await? {
///     println!("{address}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct HickoryResolver {
    inner: Arc<Inner>,
}

struct Inner {
    servers: Servers,
    shared: Arc<Shared<Key, Outcome>>,
    places: Arc<Semaphore>,
    search: Vec<Name>,
    ndots: usize,
    hosts: Hosts,
    strategy: LookupIpStrategy,
    resolution_delay: Duration,
    lifetimes: Lifetimes,
}

impl HickoryResolver {
    /// A resolver with the settings of the system.
    ///
    /// # Errors
    ///
    /// When `/etc/resolv.conf` or `/etc/hosts` cannot be read or understood.
    pub fn from_system() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// The settings of a new resolver.
    pub fn builder() -> HickoryBuilder {
        HickoryBuilder::new()
    }

    /// The addresses of a host, best family first.
    ///
    /// # Errors
    ///
    /// When it is no name, or has no address, or no server can tell. With addresses of one family, an error of the other
    /// does not matter.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As described at the type.
    pub async fn lookup_ip(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let name = host.parse()?;
        match self.inner.known(&name) {
            Some(known) => known,
            None => search::all(&self.inner, &name).await,
        }
    }

    /// Forgets all answers. Queries that are under way are remembered.
    pub fn clear_cache(&self) {
        self.inner.shared.forget();
    }

    /// How many answers are remembered, those included whose time is over.
    #[must_use]
    pub fn cached(&self) -> usize {
        self.inner.shared.counts().0
    }

    /// How many queries are under way or wait for their turn.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.inner.shared.counts().1
    }
}

fn boxed(addresses: Vec<IpAddr>) -> Addrs {
    let addresses = addresses.into_iter();
    Box::new(addresses.map(|address| SocketAddr::new(address, 0)))
}

impl Resolve for HickoryResolver {
    fn resolve(&self, name: Name) -> Resolving {
        if let Some(known) = self.inner.known(&name) {
            let known = known.map(boxed).map_err(BoxError::from);
            return Box::pin(std::future::ready(known));
        }
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { Ok(boxed(search::all(&inner, &name).await?)) })
    }

    fn resolve_parts(&self, name: Name) -> ResolvingParts {
        if let Some(known) = self.inner.known(&name) {
            return Box::pin(once(known.map(boxed).map_err(BoxError::from)));
        }
        let parts = search::parts(Arc::clone(&self.inner), name);
        Box::pin(parts.map(|part| part.map(boxed).map_err(BoxError::from)))
    }
}

impl fmt::Debug for HickoryResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryResolver")
            .field("cached", &self.cached())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
