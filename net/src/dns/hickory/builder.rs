//! The settings of a resolver.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use heist_sync::Semaphore;

use super::super::error::{Error, Kind};
use super::super::name::Name;
use super::super::shared::Shared;
use super::hosts::Hosts;
use super::lifetime::Lifetimes;
use super::servers::Servers;
use super::system_conf::SystemConf;
use super::{HickoryResolver, Inner};

/// Which addresses are looked up, and which come first. The names are hickory's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LookupIpStrategy {
    /// Only addresses of IPv4.
    Ipv4Only,
    /// Only addresses of IPv6.
    Ipv6Only,
    /// Both at once, those of IPv4 first.
    Ipv4AndIpv6,
    /// Both at once, those of IPv6 first: the default (hickory's is the other), as RFC 8305 wants it.
    #[default]
    Ipv6AndIpv4,
}

/// Builds a [`HickoryResolver`]. What is not set is taken from `/etc/resolv.conf`.
#[derive(Debug, Clone)]
#[must_use = "settings do nothing until the resolver is built"]
pub struct HickoryBuilder {
    name_servers: Option<Vec<SocketAddr>>,
    resolv_conf: PathBuf,
    search: Option<Vec<String>>,
    ndots: Option<usize>,
    timeout: Option<Duration>,
    attempts: Option<usize>,
    hosts_file: Option<PathBuf>,
    strategy: LookupIpStrategy,
    resolution_delay: Duration,
    concurrency: usize,
    cache_size: usize,
    lifetimes: Lifetimes,
}

impl Default for HickoryBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl HickoryBuilder {
    /// The defaults: as described at each setting.
    pub fn new() -> Self {
        Self {
            name_servers: None,
            resolv_conf: "/etc/resolv.conf".into(),
            search: None,
            ndots: None,
            timeout: None,
            attempts: None,
            hosts_file: Some("/etc/hosts".into()),
            strategy: LookupIpStrategy::default(),
            resolution_delay: Duration::from_millis(50),
            concurrency: 128,
            cache_size: 4096,
            lifetimes: Lifetimes::default(),
        }
    }

    /// The name servers, with their ports, in the order they are asked until one has answered. `resolv.conf` is not read
    /// then. Default: those of `resolv.conf`, or without any, the one on this machine.
    pub fn name_servers(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.name_servers = Some(servers.into_iter().collect());
        self
    }

    /// The file with the system's settings. Default: `/etc/resolv.conf`. One that does not exist is as good as an empty
    /// one.
    pub fn resolv_conf(mut self, path: impl Into<PathBuf>) -> Self {
        self.resolv_conf = path.into();
        self
    }

    /// The domains in which names with few dots are searched. Default: those of `resolv.conf`.
    pub fn search<S: Into<String>>(mut self, domains: impl IntoIterator<Item = S>) -> Self {
        self.search = Some(domains.into_iter().map(Into::into).collect());
        self
    }

    /// With how many dots a name is asked for as it is before it is searched. Default: that of `resolv.conf`, or 1.
    pub fn ndots(mut self, dots: usize) -> Self {
        self.ndots = Some(dots);
        self
    }

    /// How long a server has for each attempt, in which a lost datagram is sent again. Default: that of
    /// `resolv.conf`, or 5 seconds.
    ///
    /// A lookup takes no longer than this times the [`attempts`](Self::attempts), whatever the number of servers, from
    /// when it has its place among the concurrent ones; with search domains, each of them.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How often a server is asked, if it does not answer. Default: that of `resolv.conf`, or 2.
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// The file of hosts, which is asked first; `None` for none. Default: `/etc/hosts`. One that does not exist is as
    /// good as an empty one.
    pub fn hosts_file(mut self, path: impl Into<Option<PathBuf>>) -> Self {
        self.hosts_file = path.into();
        self
    }

    /// Which addresses are looked up, and which come first. Default: both, IPv6 first.
    pub fn ip_strategy(mut self, strategy: LookupIpStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How long the addresses of the second family wait for those of the first when they are known earlier
    /// ([RFC 8305], section 3). Default: 50 ms.
    ///
    /// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
    pub fn resolution_delay(mut self, delay: Duration) -> Self {
        self.resolution_delay = delay;
        self
    }

    /// How many queries are under way at most; others wait in turn. A lookup of both families is two queries, and a
    /// query has a socket or a few. Default: 128.
    pub fn max_concurrent_queries(mut self, queries: usize) -> Self {
        self.concurrency = queries;
        self
    }

    /// How many answers are remembered, each for one family of one name; 0 for none. Default: 4096.
    pub fn cache_size(mut self, answers: usize) -> Self {
        self.cache_size = answers;
        self
    }

    /// The least time that addresses are remembered, whatever the servers say. Default: none.
    pub fn positive_min_ttl(mut self, ttl: Duration) -> Self {
        self.lifetimes.positive.0 = ttl;
        self
    }

    /// The most time that addresses are remembered, whatever the servers say. Default: a day.
    pub fn positive_max_ttl(mut self, ttl: Duration) -> Self {
        self.lifetimes.positive.1 = ttl;
        self
    }

    /// The least time that it is remembered that there is no address; with 0, an answer that does not say how long it
    /// is good for is not remembered (RFC 2308). Default: 0.
    pub fn negative_min_ttl(mut self, ttl: Duration) -> Self {
        self.lifetimes.negative.0 = ttl;
        self
    }

    /// The most time that it is remembered that there is no address. Default: an hour.
    pub fn negative_max_ttl(mut self, ttl: Duration) -> Self {
        self.lifetimes.negative.1 = ttl;
        self
    }

    /// How long it is remembered that the servers did not answer or failed ([RFC 9520]), so that a name whose servers
    /// are down does not keep them, and us, busy; 0 for not at all. Default: 1 second.
    ///
    /// [RFC 9520]: https://www.rfc-editor.org/rfc/rfc9520
    pub fn failure_ttl(mut self, ttl: Duration) -> Self {
        self.lifetimes.failure = ttl;
        self
    }

    /// Builds the resolver. It reads the files, here and now; they are small.
    ///
    /// # Errors
    ///
    /// When a file exists and cannot be read or understood, or a setting makes no sense; the message names it.
    pub fn build(self) -> Result<HickoryResolver, Error> {
        let system = match self.name_servers {
            None => Some(SystemConf::parse(&read(&self.resolv_conf)?)?),
            Some(_) => None,
        };
        let system = system.as_ref();
        let servers = self.name_servers.as_ref();
        let servers = servers.or(system.map(|system| &system.servers));
        let servers = servers.map(Vec::as_slice).unwrap_or_default();
        if servers.is_empty() {
            return Err(wrong("`name_servers` is empty, so there is nobody to ask"));
        }
        let timeout = self.timeout.or(system.map(|system| system.timeout));
        let timeout = timeout.unwrap_or(Duration::from_secs(5));
        let attempts = self.attempts.or(system.map(|system| system.attempts));
        let attempts = attempts.unwrap_or(2);
        if timeout.is_zero() || attempts == 0 || self.concurrency == 0 {
            let what = "`timeout`, `attempts` and `max_concurrent_queries` must not be 0";
            return Err(wrong(what));
        }
        let search = match &self.search {
            Some(domains) => domains.iter().map(|domain| domain_of(domain)).collect(),
            None => Ok(system
                .map(|system| system.search.clone())
                .unwrap_or_default()),
        }?;
        let hosts = match &self.hosts_file {
            Some(path) => Hosts::parse(&read(path)?),
            None => Hosts::default(),
        };
        let servers = Servers::new(servers, timeout, attempts);
        let servers = servers.map_err(|error| wrong(&error.to_string()))?;
        let ndots = self
            .ndots
            .or(system.map(|system| system.ndots))
            .unwrap_or(1);
        Ok(HickoryResolver {
            inner: Arc::new(Inner {
                servers,
                shared: Shared::new(self.cache_size),
                places: Arc::new(Semaphore::new(self.concurrency.min(Semaphore::MAX_PERMITS))),
                search,
                ndots,
                hosts,
                strategy: self.strategy,
                resolution_delay: self.resolution_delay,
                lifetimes: self.lifetimes,
            }),
        })
    }
}

fn domain_of(domain: &str) -> Result<Name, Error> {
    let name: Name = domain
        .parse()
        .map_err(|error| wrong(&format!("`search`: {error}")))?;
    Ok(name.without_dot())
}

fn wrong(what: &str) -> Error {
    Error::new("", Kind::Config(what.into()))
}

/// What is in a file; nothing when there is none.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        outcome => {
            let failed = |error| wrong(&format!("{} cannot be read: {error}", path.display()));
            outcome.map_err(failed)
        }
    }
}
