//! One proxy: where it is, what it speaks, and who we are to it.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, OnceLock};

use ::url::Url;
use http::header::{HeaderMap, HeaderValue, PROXY_AUTHORIZATION};

use super::super::error::{Cause, Error, Phase};
use super::super::url::{basic, percent_decode};

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Protocol {
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS4 and 4a.
    Socks4 {
        remote_names: bool,
    },
    /// SOCKS5, and 5h.
    Socks5 {
        remote_names: bool,
    },
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::http) struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// A proxy as it is connected to.
#[derive(Clone)]
pub(in crate::http) struct Server {
    pub(in crate::http) protocol: Protocol,
    /// Where it is: an `http` URL whatever it speaks, since of those hosts and ports are understood.
    pub(in crate::http) place: Url,
    pub(in crate::http) credentials: Option<Credentials>,
    /// What an HTTP proxy is told besides: `Proxy-Authorization` and whatever the user has set.
    pub(in crate::http) headers: HeaderMap,
    /// What tells its connections apart from those of others, without telling a secret.
    key: Arc<str>,
}

impl Credentials {
    pub(in crate::http) fn new(user: Vec<u8>, password: Vec<u8>) -> Self {
        Self { user, password }
    }

    pub(in crate::http) fn user(&self) -> &[u8] {
        &self.user
    }

    pub(in crate::http) fn password(&self) -> &[u8] {
        &self.password
    }
}

impl Server {
    /// The proxy of a URL.
    ///
    /// # Errors
    ///
    /// When its scheme is none of a proxy's in this build, or there is no host.
    pub(in crate::http) fn new(url: &Url) -> Result<Self, Error> {
        let (protocol, port) = match url.scheme() {
            "http" => (Protocol::Http, 80),
            "https" if cfg!(feature = "tls") => (Protocol::Https, 443),
            "https" => return Err(Error::new(Phase::Build, Cause::Scheme).with_url(url)),
            "socks4" => (
                Protocol::Socks4 {
                    remote_names: false,
                },
                1080,
            ),
            "socks4a" => (Protocol::Socks4 { remote_names: true }, 1080),
            "socks5" => (
                Protocol::Socks5 {
                    remote_names: false,
                },
                1080,
            ),
            "socks5h" => (Protocol::Socks5 { remote_names: true }, 1080),
            _ => {
                let text = "the scheme of the proxy's URL is not known";
                return Err(Error::plain(Phase::Build, text).with_url(url).with_remedy(
                    "use http://, https://, socks5://, socks5h://, socks4:// or socks4a:// for the proxy",
                ));
            }
        };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            let text = "the proxy's URL has no host";
            return Err(Error::plain(Phase::Build, text).with_url(url));
        };
        let port = url.port_or_known_default().unwrap_or(port);
        let place = Url::parse(&format!("http://{host}:{port}/"));
        let place = place.map_err(|error| Error::source(Phase::Build, error).with_url(url))?;
        let credentials = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let password = percent_decode(url.password().unwrap_or_default());
            Credentials::new(percent_decode(url.username()), password)
        });
        let mut server = Self {
            protocol,
            place,
            credentials: None,
            headers: HeaderMap::new(),
            key: Arc::default(),
        };
        server.set_credentials(credentials);
        Ok(server)
    }

    pub(super) fn set_credentials(&mut self, credentials: Option<Credentials>) {
        self.headers.remove(PROXY_AUTHORIZATION);
        if let Some(known) = &credentials
            && self.is_http()
        {
            let value = basic(known.user(), known.password());
            self.headers.insert(PROXY_AUTHORIZATION, value);
        }
        self.credentials = credentials;
        self.rekey();
    }

    pub(super) fn add_headers(&mut self, headers: &HeaderMap) {
        self.headers.extend(headers.clone());
        self.rekey();
    }

    pub(super) fn set_authorization(&mut self, value: HeaderValue) {
        self.headers.insert(PROXY_AUTHORIZATION, value);
        self.rekey();
    }

    /// The default headers of a request that it passes on, and those that are for it.
    pub(in crate::http) fn add_to(&self, defaults: &HeaderMap) -> HeaderMap {
        let mut all = defaults.clone();
        all.extend(self.headers.clone());
        all
    }

    /// What tells connections through this proxy, by this user, apart from others.
    pub(in crate::http) fn key(&self) -> &str {
        &self.key
    }

    /// Who we are is a part of the key (some proxies give each user an address of its own), but only as hashes
    /// whose keys nobody knows.
    fn rekey(&mut self) {
        static HASHERS: OnceLock<[RandomState; 2]> = OnceLock::new();
        let [first, second] = HASHERS.get_or_init(Default::default);
        let headers: Vec<_> = (self.headers.iter())
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let secret = (&self.credentials, headers);
        let of = |hasher: &RandomState| hasher.hash_one(&secret);
        self.key = format!("{self} {:016x}{:016x}", of(first), of(second)).into();
    }

    /// Whether it speaks HTTP, over TLS or not.
    fn is_http(&self) -> bool {
        matches!(self.protocol, Protocol::Http | Protocol::Https)
    }

    /// Whether it is spoken to over TLS.
    #[cfg(feature = "tls")]
    pub(in crate::http) fn is_secure(&self) -> bool {
        self.protocol == Protocol::Https
    }

    /// Whether it resolves names itself.
    pub(in crate::http) fn resolves_names(&self) -> bool {
        match self.protocol {
            Protocol::Http | Protocol::Https => true,
            Protocol::Socks4 { remote_names } | Protocol::Socks5 { remote_names } => remote_names,
        }
    }

    /// Whether requests for this URL are given to it as they are, instead of through a tunnel.
    pub(in crate::http) fn forwards(&self, url: &Url) -> bool {
        self.is_http() && url.scheme() == "http"
    }
}

impl Protocol {
    fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 {
                remote_names: false,
            } => "socks4",
            Self::Socks4 { remote_names: true } => "socks4a",
            Self::Socks5 {
                remote_names: false,
            } => "socks5",
            Self::Socks5 { remote_names: true } => "socks5h",
        }
    }
}

impl fmt::Display for Server {
    /// Without user and password: this goes into errors and logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.place.host_str().unwrap_or_default();
        let port = self.place.port_or_known_default().unwrap_or_default();
        write!(f, "{}://{host}:{port}", self.protocol.scheme())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Server {
        Server::new(&Url::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn urls_of_proxies() {
        for (url, expected) in [
            ("http://h", "http://h:80"),
            ("http://h:3128/ignored", "http://h:3128"),
            #[cfg(feature = "tls")]
            ("https://h", "https://h:443"),
            #[cfg(feature = "tls")]
            ("https://u:p@[::1]:3129", "https://[::1]:3129"),
            ("socks5://h", "socks5://h:1080"),
            ("socks5h://[::1]:9050", "socks5h://[::1]:9050"),
            ("socks4a://u@h", "socks4a://h:1080"),
        ] {
            assert_eq!(server(url).to_string(), expected);
        }
        for url in ["ftp://h", "data:x", "socks5://"] {
            assert!(
                Server::new(&Url::parse(url).unwrap())
                    .unwrap_err()
                    .is_builder(),
                "{url}"
            );
        }
    }

    /// Not as an HTTP proxy without TLS, which would get the password in clear.
    #[cfg(not(feature = "tls"))]
    #[test]
    fn proxies_over_tls_need_tls() {
        let error = Server::new(&Url::parse("https://u:p@h").unwrap()).unwrap_err();
        assert!(
            error.is_builder() && error.is_unsupported_scheme(),
            "{error}"
        );
    }

    #[test]
    fn users_have_connections_of_their_own_and_secrets_stay_secret() {
        let (one, same) = (server("http://u:secret@h"), server("http://u:secret@h"));
        let other = server("http://v:secret@h");
        assert_eq!(one.key(), same.key());
        assert_ne!(one.key(), other.key());
        assert_ne!(one.key(), server("http://h").key());
        assert_eq!(one.headers[PROXY_AUTHORIZATION], "Basic dTpzZWNyZXQ=");
        let shown = format!(
            "{one} {one:?} {:?} {} {:?}",
            one.credentials,
            one.key(),
            one.headers
        );
        assert!(
            !shown.contains("secret") && !shown.contains("dTpz"),
            "{shown}"
        );
        let socks = server("socks5://a%40b:%00@h");
        assert_eq!(
            socks.credentials,
            Some(Credentials::new(b"a@b".to_vec(), vec![0]))
        );
        assert!(socks.headers.is_empty());
    }
}
