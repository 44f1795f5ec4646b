//! What a client's builder has to say about the names of hosts.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::builder::ClientBuilder;
use crate::dns::{Overrides, Resolve, SystemResolver};

/// Who is asked for addresses, and what nobody is asked for.
pub(super) struct Names {
    resolver: Option<Arc<dyn Resolve>>,
    overrides: Overrides<()>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            resolver: None,
            overrides: Overrides::new(()),
        }
    }
}

impl Names {
    /// The client's resolver, behind the overrides if there are any.
    pub(super) fn resolver(self) -> Arc<dyn Resolve> {
        let resolver = self
            .resolver
            .unwrap_or_else(|| Arc::new(SystemResolver::new()));
        if self.overrides.is_empty() {
            return resolver;
        }
        Arc::new(self.overrides.over(resolver))
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names")
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

/// # Names of hosts
impl ClientBuilder {
    /// The resolver for names of hosts. Default: [`SystemResolver`].
    pub fn dns_resolver<R: Resolve + 'static>(mut self, resolver: Arc<R>) -> Self {
        self.names.resolver = Some(resolver);
        self
    }

    /// Gives a host this address, whatever a resolver says. A port of 0 stands for that of the URL.
    pub fn resolve(self, domain: &str, address: SocketAddr) -> Self {
        self.resolve_to_addrs(domain, &[address])
    }

    /// Gives a host these addresses, best first, whatever a resolver says. A port of 0 stands for that of the URL.
    pub fn resolve_to_addrs(mut self, domain: &str, addresses: &[SocketAddr]) -> Self {
        self.names.overrides = self.names.overrides.resolve_to_addrs(domain, addresses);
        self
    }
}
