//! Proxies: which one a request goes through, and how it is asked.
//!
//! - `server.rs`: one proxy, as its URL names it
//! - `bypass.rs`: [`NoProxy`], what is fetched without one
//! - `env.rs`: those of the environment
//! - `socks.rs`: SOCKS4, 4a and 5 as a state machine
//! - `tunnel.rs`: through a proxy to a server, by `CONNECT` or SOCKS
//! - this file: [`Proxy`], a rule, and the table of all rules

mod server;
mod bypass;
mod env;
mod socks;
mod tunnel;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use ::url::Url;
use http::header::{HeaderMap, HeaderValue};

use super::error::{Error, Phase};

pub use bypass::NoProxy;
use server::Credentials;
pub(super) use server::Server;
pub(super) use socks::{Destination, SocksError};
pub(super) use tunnel::open as open_tunnel;

/// A rule that sends requests through a proxy. The names are reqwest's.
///
/// - An HTTP proxy gets requests for `http` URLs as they are (in absolute form), and is asked for a tunnel
///   (`CONNECT`) for others. With `https://` in its URL (feature `tls`) it is spoken to over TLS, with the client's
///   roots and identity: it has to prove the name in its URL, and nobody between sees the hosts, or the password for
///   the proxy. TLS to an `https` server then goes through that.
/// - A SOCKS proxy (`socks5://`, `socks5h://`, `socks4://`, `socks4a://`) connects wherever it is told to. With
///   `socks5h` and `socks4a` it resolves names itself, otherwise the client does.
///
/// The URL of a proxy may have a user and password; neither is ever shown in an error. The first rule that
/// covers a URL counts. Connections through a proxy are pooled for each URL's host, as direct ones are, and
/// never given to requests that go another way or as another user.
///
/// Without any rule a client takes those of the environment: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and
/// `NO_PROXY`, or the same in lower case; [`ClientBuilder::no_proxy`](super::ClientBuilder::no_proxy) switches
/// that off.
///
/// # Private addresses
///
/// [`block_private_addresses`](super::ClientBuilder::block_private_addresses) is about where requests end up, so
/// it does not keep a client from its proxy, wherever that is. Where the client resolves names it checks
/// the addresses that it tells the proxy to connect to. Where the proxy does, it refuses
/// URLs that name a private address or `localhost`; what other names lead to, only the proxy can check.
///
/// # Examples
///
/// ```
/// use heist_net::http::{Client, Proxy};
///
/// let client = Client::builder()
///     .proxy(Proxy::https("http://user:password@proxy.example:3128")?)
///     .proxy(Proxy::http("socks5h://127.0.0.1:9050")?)
///     .build()?;
/// # Ok::<(), heist_net::http::Error>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    scope: Scope,
    via: Via,
    no_proxy: Option<NoProxy>,
    credentials: Option<Credentials>,
    authorization: Option<HeaderValue>,
    headers: HeaderMap,
}

/// Which URLs a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Http,
    Https,
    All,
}

#[derive(Clone)]
enum Via {
    Server(Arc<Server>),
    Custom(Arc<Choose>),
    /// A variable of the environment that holds no proxy: whoever would use it is told.
    Broken(&'static str),
}

type Choose = dyn Fn(&Url) -> Option<Result<Url, Error>> + Send + Sync;

/// Anything that names a proxy: a [`Url`], or text that is parsed as one. Without a scheme it is an HTTP proxy.
pub trait IntoProxy {
    /// Parses it.
    ///
    /// # Errors
    ///
    /// When it is no URL.
    fn into_proxy(self) -> Result<Url, Error>;
}

impl IntoProxy for Url {
    fn into_proxy(self) -> Result<Url, Error> {
        Ok(self)
    }
}

impl IntoProxy for &Url {
    fn into_proxy(self) -> Result<Url, Error> {
        Ok(self.clone())
    }
}

impl IntoProxy for &str {
    fn into_proxy(self) -> Result<Url, Error> {
        let parsed = if self.contains("://") {
            Url::parse(self)
        } else {
            Url::parse(&format!("http://{self}"))
        };
        let remedy = "give the proxy's URL, such as http://host:3128";
        parsed.map_err(|error| Error::source(Phase::Build, error).with_remedy(remedy))
    }
}

impl IntoProxy for String {
    fn into_proxy(self) -> Result<Url, Error> {
        self.as_str().into_proxy()
    }
}

impl IntoProxy for &String {
    fn into_proxy(self) -> Result<Url, Error> {
        self.as_str().into_proxy()
    }
}

impl Proxy {
    /// For `http` URLs.
    ///
    /// # Errors
    ///
    /// When it is no URL, or of no known scheme.
    pub fn http(proxy: impl IntoProxy) -> Result<Self, Error> {
        Self::fixed(Scope::Http, proxy)
    }

    /// For `https` URLs.
    ///
    /// # Errors
    ///
    /// As [`http`](Self::http).
    pub fn https(proxy: impl IntoProxy) -> Result<Self, Error> {
        Self::fixed(Scope::Https, proxy)
    }

    /// For all URLs.
    ///
    /// # Errors
    ///
    /// As [`http`](Self::http).
    pub fn all(proxy: impl IntoProxy) -> Result<Self, Error> {
        Self::fixed(Scope::All, proxy)
    }

    /// For the URLs for which `choose` names a proxy. It is called for every request and redirect; a proxy that
    /// is no URL fails the request.
    pub fn custom<F, U>(choose: F) -> Self
    where
        F: Fn(&Url) -> Option<U> + Send + Sync + 'static,
        U: IntoProxy,
    {
        let choose = move |url: &Url| choose(url).map(IntoProxy::into_proxy);
        Self::new(Scope::All, Via::Custom(Arc::new(choose)))
    }

    fn fixed(scope: Scope, proxy: impl IntoProxy) -> Result<Self, Error> {
        let server = Server::new(&proxy.into_proxy()?)?;
        Ok(Self::new(scope, Via::Server(Arc::new(server))))
    }

    fn new(scope: Scope, via: Via) -> Self {
        Self {
            scope,
            via,
            no_proxy: None,
            credentials: None,
            authorization: None,
            headers: HeaderMap::new(),
        }
    }

    /// The rule of a variable of the environment.
    fn from_env(scope: Scope, name: &'static str, value: &str) -> Self {
        Self::fixed(scope, value).unwrap_or_else(|_| Self::new(scope, Via::Broken(name)))
    }

    /// The user and password for the proxy: `Proxy-Authorization` of the scheme Basic, or those of SOCKS. Replaces
    /// those in its URL.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        let credentials = Credentials::new(user.into(), password.into());
        self.credentials = Some(credentials);
        self.settled()
    }

    /// The `Proxy-Authorization` for an HTTP proxy, of whatever scheme.
    #[must_use]
    pub fn custom_http_auth(mut self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.authorization = Some(value);
        self.settled()
    }

    /// More headers for an HTTP proxy. They are sent to it and not through it, as far as that can be told apart:
    /// an `http` request has but one head.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self.settled()
    }

    /// What is fetched directly although this rule would cover it.
    #[must_use]
    pub fn no_proxy(mut self, no_proxy: Option<NoProxy>) -> Self {
        self.no_proxy = no_proxy;
        self
    }

    /// Applies the settings to a proxy that is known already.
    fn settled(mut self) -> Self {
        if let Via::Server(server) = &self.via {
            let server = self.dress((**server).clone());
            self.via = Via::Server(Arc::new(server));
        }
        self
    }

    /// The proxy with the settings of this rule.
    fn dress(&self, mut server: Server) -> Server {
        if let Some(credentials) = &self.credentials {
            server.set_credentials(Some(credentials.clone()));
        }
        if let Some(value) = &self.authorization {
            server.set_authorization(value.clone());
        }
        if !self.headers.is_empty() {
            server.add_headers(&self.headers);
        }
        server
    }

    /// The proxy for a URL, if this rule has one for it.
    fn pick(&self, url: &Url) -> Option<Result<Arc<Server>, Error>> {
        let covers = match self.scope {
            Scope::Http => url.scheme() == "http",
            Scope::Https => url.scheme() == "https",
            Scope::All => true,
        };
        if !covers || self.no_proxy.as_ref().is_some_and(|list| list.matches(url)) {
            return None;
        }
        Some(match &self.via {
            Via::Server(server) => Ok(server.clone()),
            Via::Custom(choose) => {
                let server = choose(url)?.and_then(|url| Server::new(&url));
                server.map(|server| Arc::new(self.dress(server)))
            }
            Via::Broken(name) => Err(Error::plain(Phase::Build, broken(name))
                .with_url(url)
                .with_remedy("set it to a URL such as http://host:3128, or call `no_proxy()`")),
        })
    }
}

/// The message for a variable that holds no proxy.
fn broken(name: &str) -> &'static str {
    match name {
        "HTTP_PROXY" => "the environment variable HTTP_PROXY holds no URL of a proxy",
        "http_proxy" => "the environment variable http_proxy holds no URL of a proxy",
        "HTTPS_PROXY" => "the environment variable HTTPS_PROXY holds no URL of a proxy",
        "https_proxy" => "the environment variable https_proxy holds no URL of a proxy",
        "ALL_PROXY" => "the environment variable ALL_PROXY holds no URL of a proxy",
        _ => "the environment variable all_proxy holds no URL of a proxy",
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Proxy");
        shown.field("scope", &self.scope);
        match &self.via {
            Via::Server(server) => shown.field("server", server),
            Via::Custom(_) => shown.field("server", &format_args!("custom")),
            Via::Broken(name) => shown.field("broken", name),
        };
        shown
            .field("no_proxy", &self.no_proxy)
            .finish_non_exhaustive()
    }
}

/// The rules of a client.
#[derive(Debug, Default)]
pub(super) struct Proxies(Vec<Proxy>);

impl Proxies {
    /// These rules, in their order.
    pub(super) fn new(rules: Vec<Proxy>) -> Self {
        Self(rules)
    }

    /// Those of the environment.
    pub(super) fn from_env() -> Self {
        Self(env::proxies(&env::variable))
    }

    /// The proxy for a URL; `None` to connect directly.
    pub(super) fn pick(&self, url: &Url) -> Result<Option<Arc<Server>>, Error> {
        self.0.iter().find_map(|rule| rule.pick(url)).transpose()
    }
}
