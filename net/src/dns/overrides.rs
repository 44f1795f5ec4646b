//! Names that are given their addresses by hand.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::name::Name;
use super::resolve::{Addrs, Resolve, Resolving, ResolvingParts};

/// A resolver with names whose addresses are given by hand; all others are looked up by the resolver within.
///
/// ```
/// use heist_net::TcpStream;
/// use heist_net::dns::{Overrides, SystemResolver};
///
/// # heist_runtime::block_on(async {
/// # let listener = heist_net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// let resolver = Overrides::new(SystemResolver::new()).resolve("db.example", address);
/// let stream = TcpStream::connect_with(&resolver, "db.example", 5432).await?;
/// # drop(stream);
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Overrides<R> {
    names: HashMap<Box<str>, Arc<[SocketAddr]>>,
    inner: R,
}

impl<R> Overrides<R> {
    /// No overrides yet.
    pub fn new(inner: R) -> Self {
        Self {
            names: HashMap::new(),
            inner,
        }
    }

    /// Gives `name` this address. A port of 0 stands for the one that is to be connected to (reqwest: likewise).
    #[must_use]
    pub fn resolve(self, name: &str, address: SocketAddr) -> Self {
        self.resolve_to_addrs(name, &[address])
    }

    /// Gives `name` these addresses, best first, in place of those it was given before.
    #[must_use]
    pub fn resolve_to_addrs(mut self, name: &str, addresses: &[SocketAddr]) -> Self {
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = name.to_ascii_lowercase().into();
        self.names.insert(name, addresses.into());
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The same names, with another resolver for the rest.
    pub(crate) fn over<S>(self, inner: S) -> Overrides<S> {
        Overrides {
            names: self.names,
            inner,
        }
    }

    /// What a name was given.
    fn get(&self, name: &Name) -> Option<Addrs> {
        if self.is_empty() {
            return None;
        }
        let addresses = self.names.get(name.without_dot().as_str())?.to_vec();
        Some(Box::new(addresses.into_iter()))
    }
}

impl<R: Resolve> Resolve for Overrides<R> {
    fn resolve(&self, name: Name) -> Resolving {
        match self.get(&name) {
            Some(addresses) => Box::pin(std::future::ready(Ok(addresses))),
            None => self.inner.resolve(name),
        }
    }

    fn resolve_parts(&self, name: Name) -> ResolvingParts {
        match self.get(&name) {
            Some(addresses) => Box::pin(heist_sync::stream::once(Ok(addresses))),
            None => self.inner.resolve_parts(name),
        }
    }
}

impl<R> fmt::Debug for Overrides<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overrides")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}
