//! The settings of a client.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, USER_AGENT};

use super::client::{Client, Rules, Timeouts};
use super::coding::{Codings, DecodeLimits};
use super::connect;
#[cfg(feature = "cookies")]
use super::cookie::{CookieStore, Jar, Provider};
use super::error::{Error, Phase};
use super::exchange::Config;
use super::h1;
use super::names::Names;
use super::pool::PoolLimits;
use super::proxy::{Proxies, Proxy};
use super::redirect::Policy;
use super::retry::Retry;
#[cfg(feature = "tls")]
use crate::tls::TlsConnectorBuilder;

/// Builds a [`Client`]. The names are reqwest's where it has them.
#[derive(Debug)]
#[must_use = "settings do nothing until the client is built"]
pub struct ClientBuilder {
    default_headers: HeaderMap,
    timeouts: Timeouts,
    connect_timeout: Option<Duration>,
    head_timeout: Option<Duration>,
    redirect: Policy,
    referer: bool,
    retry: Retry,
    pool: PoolLimits,
    limits: h1::Limits,
    public_only: bool,
    /// `None`: those of the environment.
    proxies: Option<Vec<Proxy>>,
    #[cfg(feature = "cookies")]
    cookies: Option<Provider>,
    pub(super) names: Names,
    pub(super) codings: Codings,
    pub(super) ratio: Option<u32>,
    pub(super) https_only: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: TlsConnectorBuilder,
    #[cfg(feature = "http2")]
    pub(super) http2: super::h2::Settings,
    error: Option<Error>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientBuilder {
    /// The defaults: as described at each setting.
    pub fn new() -> Self {
        let mut default_headers = HeaderMap::new();
        default_headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let agent = concat!("heist/", env!("CARGO_PKG_VERSION"));
        default_headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        Self {
            default_headers,
            timeouts: Timeouts::default(),
            connect_timeout: Some(Duration::from_secs(10)),
            head_timeout: None,
            redirect: Policy::default(),
            referer: true,
            retry: Retry::never(),
            pool: PoolLimits {
                open_total: None,
                open_per_host: usize::MAX,
                idle_per_host: usize::MAX,
                idle_total: 1024,
                idle_timeout: Some(Duration::from_secs(90)),
            },
            limits: h1::Limits::default(),
            public_only: false,
            proxies: None,
            #[cfg(feature = "cookies")]
            cookies: None,
            names: Names::default(),
            codings: Codings::COMPILED,
            ratio: Some(1000),
            https_only: false,
            #[cfg(feature = "tls")]
            tls: super::secure::settings(),
            #[cfg(feature = "http2")]
            http2: super::h2::Settings::default(),
            error: None,
        }
    }

    /// The `User-Agent` of requests that do not bring their own. Default: `heist/` and the version.
    pub fn user_agent<V>(mut self, value: V) -> Self
    where
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        match value.try_into() {
            Ok(value) => {
                self.default_headers.insert(USER_AGENT, value);
            }
            Err(error) => self.error = Some(Error::source(Phase::Build, error.into())),
        }
        self
    }

    /// Headers of every request that does not bring its own of the same name. Default:
    /// `Accept: */*` and the `User-Agent`, which stay unless replaced.
    pub fn default_headers(mut self, headers: HeaderMap) -> Self {
        self.default_headers.extend(headers);
        self
    }

    /// The time for a whole request: from `send` through redirects to the end of the body.
    /// Default: none.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.total = Some(timeout);
        self
    }

    /// How long a connection may be silent while a request is sent or a response received: the clock
    /// starts anew with everything that moves, and does not run while the caller does not ask for more or
    /// the body of a request is late. For large downloads, which no time for everything suits. Default: none.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.read = Some(timeout);
        self
    }

    /// The time from the end of a request to the end of its response's head. Default: none.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = Some(timeout);
        self
    }

    /// The time to wait for a free connection, when there are no more than
    /// [`max_connections_per_host`](Self::max_connections_per_host). Default: none.
    pub fn pool_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.pool = Some(timeout);
        self
    }

    /// The time for resolving a host, connecting to one of its addresses, and TLS. Default: 10 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// The most idle connections kept per host. Default: no limit of its own.
    pub fn pool_max_idle_per_host(mut self, limit: usize) -> Self {
        self.pool.idle_per_host = limit;
        self
    }

    /// The most idle connections kept in all; the oldest is closed for the newest. Default: 1024.
    pub fn pool_max_idle(mut self, limit: usize) -> Self {
        self.pool.idle_total = limit;
        self
    }

    /// How long an idle connection is kept; `None` for ever. Default: 90 seconds.
    pub fn pool_idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.pool.idle_timeout = timeout.into();
        self
    }

    /// The most connections per host (that is, per host and port), in use or idle. A request that
    /// finds none free waits in a fair queue, and its timeout runs. A response occupies its
    /// connection until its body has been read or it is dropped. Default: no limit.
    pub fn max_connections_per_host(mut self, limit: usize) -> Self {
        self.pool.open_per_host = limit;
        self
    }

    /// The most connections of all hosts, in use or idle. A request that needs one more has the idle connection
    /// closed that is oldest, or waits in a fair queue as for a connection of its host. Default: no limit.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.pool.open_total = Some(limit);
        self
    }

    /// The most bytes of a body, both as it is received and as it is decoded; one more is an error, at the
    /// head already if that announces it.
    /// Default: no limit.
    pub fn max_response_size(mut self, limit: u64) -> Self {
        self.limits.body = limit;
        self
    }

    /// The most bytes of a response head. Default: 64 KiB.
    pub fn max_head_size(mut self, limit: usize) -> Self {
        self.limits.head = limit;
        self
    }

    /// The most header lines of a response. Default: 100.
    pub fn max_headers(mut self, limit: usize) -> Self {
        self.limits.headers = limit;
        self
    }

    /// Which redirects are followed. Default: ten.
    pub fn redirect(mut self, policy: Policy) -> Self {
        self.redirect = policy;
        self
    }

    /// Whether a redirected request says where it comes from (`Referer`): within an origin the whole URL,
    /// elsewhere the origin (reqwest: the whole URL), and from `https` to `http` nothing. Default: true.
    pub fn referer(mut self, enable: bool) -> Self {
        self.referer = enable;
        self
    }

    /// When requests that failed are sent again. Default: never.
    pub fn retry(mut self, policy: Retry) -> Self {
        self.retry = policy;
        self
    }

    /// Refuses to connect to addresses of this machine, of private networks and the like, whatever
    /// name or redirect leads there, also where they are the IPv4 address within one of IPv6 (mapped, NAT64, 6to4,
    /// ISATAP). For crawlers that fetch what strangers link to. Default: false.
    ///
    /// The address that is connected to is the one that was checked. It knows the registries of special addresses, and
    /// those of the metadata services of clouds, but not your network: what is at a public address, it takes for public.
    pub fn block_private_addresses(mut self, block: bool) -> Self {
        self.public_only = block;
        self
    }

    /// Adds a proxy, behind those that were added before. Default: those of the environment, which no longer count
    /// once one has been added.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxies.get_or_insert_default().push(proxy);
        self
    }

    /// Uses no proxy: forgets those that were added, and does not look at the environment.
    pub fn no_proxy(mut self) -> Self {
        self.proxies = Some(Vec::new());
        self
    }

    /// Whether the client keeps the cookies of responses, in a [`Jar`] of its own, and sends them with
    /// later requests. Default: false.
    #[cfg(feature = "cookies")]
    pub fn cookie_store(mut self, enable: bool) -> Self {
        self.cookies = enable.then(|| Provider(Arc::new(Jar::default())));
        self
    }

    /// Keeps cookies in a store that others may share, such as an `Arc<Jar>`.
    #[cfg(feature = "cookies")]
    pub fn cookie_provider<C: CookieStore + 'static>(mut self, cookies: Arc<C>) -> Self {
        self.cookies = Some(Provider(cookies));
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// When a setting is invalid; the error names it. With TLS, when a certificate or key is of no use.
    pub fn build(self) -> Result<Client, Error> {
        if let Some(error) = self.error {
            return Err(error.with_remedy("`user_agent` must be a valid header value"));
        }
        if self.pool.open_per_host == 0 {
            let text = "`max_connections_per_host` is 0, which lets no request through";
            return Err(Error::plain(Phase::Build, text));
        }
        if self.pool.open_total == Some(0) {
            let text = "`max_connections` is 0, which lets no request through";
            return Err(Error::plain(Phase::Build, text));
        }
        #[cfg(feature = "http2")]
        self.http2
            .check()
            .map_err(|text| Error::plain(Phase::Build, text))?;
        #[cfg(feature = "tls")]
        let tls = super::secure::build(self.tls)?;
        let mut agent = HeaderMap::new();
        agent.extend(
            self.default_headers
                .get(USER_AGENT)
                .map(|value| (USER_AGENT, value.clone())),
        );
        // A part of a coded body cannot be decoded, so for ranges the coding is not asked for.
        let range_headers = self.default_headers.clone();
        let mut default_headers = self.default_headers;
        if let Some(accept) = self.codings.accept() {
            default_headers.entry(ACCEPT_ENCODING).or_insert(accept);
        }
        let config = Config {
            default_headers,
            range_headers,
            codings: self.codings,
            decode_limits: DecodeLimits {
                size: self.limits.body,
                ratio: self.ratio,
            },
            connect: connect::Config {
                resolver: self.names.resolver()?,
                timeout: self.connect_timeout,
                public_only: self.public_only,
                #[cfg(all(feature = "tls", feature = "http2"))]
                tls_with_http2: super::secure::with_http2(&tls, self.http2.mode),
                #[cfg(feature = "tls")]
                tls,
                agent,
                limits: self.limits,
            },
            counters: Arc::default(),
            proxies: match self.proxies {
                Some(rules) => Proxies::new(rules),
                None => Proxies::from_env(),
            },
            #[cfg(feature = "cookies")]
            cookies: self.cookies,
            head_timeout: self.head_timeout,
            limits: self.limits,
            https_only: self.https_only,
            #[cfg(feature = "http2")]
            http2: self.http2,
        };
        let rules = Rules {
            timeouts: self.timeouts,
            redirect: self.redirect,
            referer: self.referer,
            retry: self.retry,
        };
        Ok(Client::new_with(config, rules, self.pool))
    }
}
