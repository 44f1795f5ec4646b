//! What a client's builder has to say about the names of hosts.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::builder::ClientBuilder;
use super::error::Error;
#[cfg(feature = "dns")]
use super::error::Phase;
#[cfg(feature = "dns")]
use crate::dns::HickoryResolver;
use crate::dns::{Overrides, Resolve, SystemResolver};

/// Who is asked for addresses, and what nobody is asked for.
pub(super) struct Names {
    resolver: Option<Arc<dyn Resolve>>,
    #[cfg(feature = "dns")]
    hickory: bool,
    overrides: Overrides<()>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            resolver: None,
            #[cfg(feature = "dns")]
            hickory: false,
            overrides: Overrides::new(()),
        }
    }
}

impl Names {
    /// The client's resolver, behind the overrides if there are any.
    pub(super) fn resolver(self) -> Result<Arc<dyn Resolve>, Error> {
        let resolver = match self.resolver {
            Some(resolver) => resolver,
            #[cfg(feature = "dns")]
            None if self.hickory => {
                let built = HickoryResolver::from_system();
                Arc::new(built.map_err(|error| Error::source(Phase::Build, error))?)
            }
            None => Arc::new(SystemResolver::new()),
        };
        if self.overrides.is_empty() {
            return Ok(resolver);
        }
        Ok(Arc::new(self.overrides.over(resolver)))
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

    /// Whether names are looked up by a [`HickoryResolver`] with the settings of the system, if no other resolver is
    /// given. Default: false (reqwest's is true with its feature).
    ///
    /// [`build`](Self::build) reads the settings, and fails when they cannot be read.
    #[cfg(feature = "dns")]
    pub fn hickory_dns(mut self, enable: bool) -> Self {
        self.names.hickory = enable;
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
