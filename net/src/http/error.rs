//! One opaque error: where it happened, to which URL, why, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use ::url::Url;
use http::StatusCode;

use super::coding::Limit;
use super::deadline::TimedOut;
use super::h1;
use super::proxy::{Server, SocksError};
use crate::dns;

/// Why a request failed.
///
/// The message names the phase, the URL (without its userinfo), the cause and a remedy. Programs
/// ask the `is_*` predicates; [`source`](StdError::source) gives the underlying error.
pub struct Error {
    // One pointer, so that a `Result` of it stays small on the path without errors.
    inner: Box<Inner>,
}

struct Inner {
    phase: Phase,
    cause: Cause,
    url: Option<Url>,
    /// The proxy that it happened at, without user and password.
    proxy: Option<Box<str>>,
    remedy: Option<&'static str>,
    /// The connection broke before the first byte of an answer.
    unanswered: bool,
}

/// What the client was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Build,
    Wait,
    Resolve,
    Connect,
    Tunnel,
    #[cfg(feature = "tls")]
    Tls,
    Send,
    Upload,
    Head,
    Body,
    Decode,
    Redirect,
    Status,
    Upgrade,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Cause {
    /// A deadline passed; how long it was.
    TimedOut(Duration),
    /// The codec refused a request or a response.
    Codec(h1::Error),
    /// Anything with an error of its own.
    Source(Box<dyn StdError + Send + Sync>),
    /// The scheme has no transport in this build.
    Scheme,
    /// The server's answer can be read but not understood.
    Undecodable(&'static str),
    /// What came out of a decoder exceeded a limit.
    Limit(Limit),
    /// A status that the caller does not want.
    Status(StatusCode),
    /// A proxy's answer other than success.
    Proxy(StatusCode),
    /// Anything else.
    Plain(&'static str),
}

/// The message for `https`, here because requests and redirects both need it.
pub(super) const NO_TLS: &str = "TLS is not compiled in: this build speaks http:// only";

/// Whether an error is an I/O error that is one of TLS at heart.
fn is_tls(error: &(dyn StdError + Send + Sync + 'static)) -> bool {
    #[cfg(feature = "tls")]
    return (error.downcast_ref()).is_some_and(|error| crate::tls::Error::of(error).is_some());
    #[cfg(not(feature = "tls"))]
    {
        let _ = error;
        false
    }
}

impl Error {
    pub(super) fn new(phase: Phase, cause: Cause) -> Self {
        let inner = Inner {
            phase,
            cause,
            url: None,
            proxy: None,
            remedy: None,
            unanswered: false,
        };
        Self {
            inner: Box::new(inner),
        }
    }

    pub(super) fn plain(phase: Phase, text: &'static str) -> Self {
        Self::new(phase, Cause::Plain(text))
    }

    pub(super) fn source(phase: Phase, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(phase, Cause::Source(error.into()))
    }

    /// Names the URL, stripped of what should not end up in a log.
    pub(super) fn with_url(mut self, url: &Url) -> Self {
        let mut url = url.clone();
        // Both only fail for URLs without a host, which have no userinfo either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        self.inner.url = Some(url);
        self
    }

    /// Names the proxy that it happened at.
    pub(super) fn with_proxy(mut self, proxy: &Server) -> Self {
        self.inner.proxy = Some(proxy.to_string().into());
        self
    }

    pub(super) fn with_remedy(mut self, remedy: &'static str) -> Self {
        self.inner.remedy = Some(remedy);
        self
    }

    pub(super) fn with_unanswered(mut self, unanswered: bool) -> Self {
        self.inner.unanswered = unanswered;
        self
    }

    /// Whether the connection broke before the first byte of an answer.
    pub(super) fn is_unanswered(&self) -> bool {
        self.inner.unanswered
    }

    /// Whether there was no connection for a reason that may pass.
    pub(super) fn is_transient_connect(&self) -> bool {
        self.is_connect()
            && match &self.inner.cause {
                Cause::TimedOut(_) => true,
                // A certificate does not change by being looked at again.
                Cause::Source(error) => !is_tls(&**error),
                _ => false,
            }
    }

    /// A word for what it is, of which there are few.
    #[cfg(feature = "tracing")]
    pub(super) fn class(&self) -> &'static str {
        if self.is_timeout() {
            return "timeout";
        }
        match self.inner.phase {
            Phase::Build => "builder",
            Phase::Wait => "pool",
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Tunnel => "proxy",
            #[cfg(feature = "tls")]
            Phase::Tls => "tls",
            Phase::Send | Phase::Head => "request",
            Phase::Upload | Phase::Body => "body",
            Phase::Decode => "decode",
            Phase::Redirect => "redirect",
            Phase::Status => "status",
            Phase::Upgrade => "upgrade",
        }
    }

    /// Whether a deadline passed: the request's, or that for connecting.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let by_kernel = |error: &std::io::Error| error.kind() == std::io::ErrorKind::TimedOut;
        match &self.inner.cause {
            Cause::TimedOut(_) => true,
            Cause::Source(error) => {
                error.downcast_ref().is_some_and(by_kernel)
                    || error.downcast_ref().is_some_and(dns::Error::is_timeout)
            }
            _ => false,
        }
    }

    /// Whether no connection could be made. Includes [`is_resolve`](Self::is_resolve),
    /// [`is_tls`](Self::is_tls), and what a proxy refused.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(
            self.inner.phase,
            Phase::Connect | Phase::Resolve | Phase::Tunnel
        ) || self.is_tls()
    }

    /// Whether the connection could not be secured: above all that the server's certificate is not acceptable. The
    /// [`source`](StdError::source) is an [`io::Error`](std::io::Error), inside which `tls::Error::of` finds out more.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.inner.phase == Phase::Tls;
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether the host's name could not be resolved. The [`source`](StdError::source) is the resolver's error, with
    /// those of this crate a [`dns::Error`] that tells causes apart.
    #[must_use]
    pub fn is_resolve(&self) -> bool {
        self.inner.phase == Phase::Resolve
    }

    /// Whether the request got no response head: it could not be connected or sent, or its answer
    /// did not come or was not HTTP.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(
            self.inner.phase,
            Phase::Wait
                | Phase::Resolve
                | Phase::Connect
                | Phase::Tunnel
                | Phase::Send
                | Phase::Upload
                | Phase::Head
        ) || self.is_tls()
    }

    /// Whether a body failed: the response's after its head had arrived, or the request's, which is then
    /// the [`source`](StdError::source) ([`is_request`](Self::is_request) holds too).
    #[must_use]
    pub fn is_body(&self) -> bool {
        matches!(self.inner.phase, Phase::Body | Phase::Upload)
    }

    /// Whether the connection could not be taken over
    /// ([`upgrade`](super::Response::upgrade)).
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.inner.phase == Phase::Upgrade
    }

    /// Whether the server's bytes break the rules, of HTTP or of what its body is said to be (a content
    /// coding, JSON), as opposed to missing or late bytes.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        if self.inner.phase == Phase::Decode {
            return !self.is_limit();
        }
        match &self.inner.cause {
            Cause::Codec(error) => {
                !error.is_request() && !error.is_early_close() && !error.is_limit()
            }
            Cause::Undecodable(_) => true,
            _ => false,
        }
    }

    /// Whether a limit on the response was exceeded: its head, `max_response_size`, or what may come out of a
    /// content coding.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        match &self.inner.cause {
            Cause::Codec(error) => error.is_limit(),
            Cause::Limit(_) => true,
            _ => false,
        }
    }

    /// Whether the client or the request was set up wrongly: nothing was sent.
    #[must_use]
    pub fn is_builder(&self) -> bool {
        self.inner.phase == Phase::Build
    }

    /// Whether a redirect could not be followed: too many, or a `Location` that is no use.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        self.inner.phase == Phase::Redirect
    }

    /// Whether this is the error of [`error_for_status`](super::Response::error_for_status).
    #[must_use]
    pub fn is_status(&self) -> bool {
        self.inner.phase == Phase::Status
    }

    /// Whether the URL's scheme (of the request or of a redirect) has no transport in this build.
    /// `https` is such a scheme without the feature `tls`.
    #[must_use]
    pub fn is_unsupported_scheme(&self) -> bool {
        matches!(self.inner.cause, Cause::Scheme)
    }

    /// The status, if [`is_status`](Self::is_status).
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.inner.cause {
            Cause::Status(status) => Some(status),
            _ => None,
        }
    }

    /// The same error without its URL, for a log that must not hold it.
    #[must_use]
    pub fn without_url(mut self) -> Self {
        self.inner.url = None;
        self
    }

    /// Whether a proxy could not be reached, or did not connect to the server. What a proxy answers to a request
    /// for an `http` URL is a response as any other.
    #[must_use]
    pub fn is_proxy(&self) -> bool {
        self.inner.proxy.is_some()
    }

    /// The proxy, if [`is_proxy`](Self::is_proxy), without user and password.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.inner.proxy.as_deref()
    }

    /// Whether the proxy could not connect to this address of the server, and may to another.
    pub(super) fn is_of_address(&self) -> bool {
        let of_address = |error: &SocksError| error.is_of_address();
        matches!(&self.inner.cause, Cause::Source(error) if error.downcast_ref().is_some_and(of_address))
    }

    /// What an HTTP proxy answered to `CONNECT`, if not success: 407 when it wants a user and password.
    #[must_use]
    pub fn proxy_status(&self) -> Option<StatusCode> {
        match self.inner.cause {
            Cause::Proxy(status) => Some(status),
            _ => None,
        }
    }

    /// The URL that was being fetched, without its userinfo. After a redirect it is the last one.
    #[must_use]
    pub fn url(&self) -> Option<&Url> {
        self.inner.url.as_ref()
    }

    fn remedy(&self) -> Option<&'static str> {
        if self.inner.remedy.is_some() {
            return self.inner.remedy;
        }
        match (self.inner.phase, &self.inner.cause) {
            (Phase::Wait, Cause::TimedOut(_)) => Some(
                "read or drop earlier responses of this host sooner, or raise \
                 `max_connections_per_host` or `timeout`",
            ),
            (_, Cause::TimedOut(_)) => Some("raise `timeout`, or try again later"),
            (_, Cause::Scheme) => Some("use an http:// URL, or compile with the feature `tls`"),
            // Its message ends with its own.
            (_, Cause::Source(error)) if is_tls(&**error) => None,
            #[cfg(feature = "tls")]
            (Phase::Tls, Cause::Source(_)) if self.is_proxy() => Some(
                "check that the proxy speaks TLS there; most are `http://` proxies, for `https` URLs too",
            ),
            #[cfg(feature = "tls")]
            (Phase::Tls, Cause::Source(_)) => Some("check that the server speaks TLS there"),
            (_, Cause::Codec(h1::Error::BodyTooLarge { .. })) => {
                Some("raise `max_response_size` if this much is expected")
            }
            (_, Cause::Limit(limit)) => Some(limit.remedy()),
            (_, Cause::Codec(error)) if error.is_early_close() => Some("try again later"),
            // Its message ends with its own.
            (Phase::Resolve, Cause::Source(error)) if error.is::<dns::Error>() => None,
            (_, Cause::Proxy(status)) => Some(match status.as_u16() {
                407 => "give the proxy's user and password (`Proxy::basic_auth`, or in its URL)",
                401 | 403 | 405 => "the proxy's rules do not allow this; some allow port 443 only",
                429 | 500..=599 => "check the host of the URL, or try again later",
                _ => "check that this is a proxy, and that it allows `CONNECT`",
            }),
            (Phase::Resolve | Phase::Connect, Cause::Source(_)) if self.is_proxy() => {
                Some("check the proxy's address, and that it runs")
            }
            (Phase::Tunnel, Cause::Codec(_)) => {
                Some("check that the proxy speaks the protocol of its URL's scheme")
            }
            (Phase::Resolve, _) => Some("check the host's name and the resolver's configuration"),
            (Phase::Connect, Cause::Source(_)) => Some("check that a server listens there"),
            (Phase::Send | Phase::Head | Phase::Body, Cause::Source(_)) => Some("try again later"),
            _ => None,
        }
    }
}

impl TimedOut {
    pub(super) fn at(self, phase: Phase) -> Error {
        Error::new(phase, Cause::TimedOut(self.0))
    }
}

impl Phase {
    fn doing(self) -> &'static str {
        match self {
            Self::Build => "building the request",
            Self::Wait => "waiting for a free connection",
            Self::Resolve => "resolving the host",
            Self::Connect => "connecting",
            Self::Tunnel => "asking the proxy to connect",
            #[cfg(feature = "tls")]
            Self::Tls => "securing the connection",
            Self::Send => "sending the request",
            Self::Upload => "reading the request's body",
            Self::Head => "receiving the response head",
            Self::Body => "receiving the response body",
            Self::Decode => "decoding the response body",
            Self::Redirect => "following a redirect",
            Self::Status => "checking the status",
            Self::Upgrade => "taking over the connection",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.inner.phase.doing())?;
        if let Some(url) = &self.inner.url {
            write!(f, " for {url}")?;
        }
        if let Some(proxy) = &self.inner.proxy {
            write!(f, " through {proxy}")?;
        }
        match &self.inner.cause {
            Cause::TimedOut(after) => write!(f, " timed out after {after:?}")?,
            Cause::Codec(error) => write!(f, " failed: {error}")?,
            Cause::Source(error) => write!(f, " failed: {error}")?,
            Cause::Limit(limit) => write!(f, " failed: {limit}")?,
            Cause::Scheme => write!(f, " failed: {NO_TLS}")?,
            Cause::Undecodable(text) | Cause::Plain(text) => write!(f, " failed: {text}")?,
            Cause::Proxy(status) => write!(f, " failed: the proxy answered {status}")?,
            Cause::Status(status) => write!(f, " failed: the server answered {status}")?,
        }
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("phase", &self.inner.phase)
            .field("url", &self.inner.url.as_ref().map(Url::as_str))
            .field("proxy", &self.inner.proxy)
            .field("cause", &self.inner.cause)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.inner.cause {
            Cause::Codec(error) => Some(error),
            Cause::Source(error) => Some(&**error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_phase_url_cause_and_remedy() {
        let url = Url::parse("http://user:secret@host/path").unwrap();
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = Error::source(Phase::Connect, refused).with_url(&url);
        assert_eq!(
            error.to_string(),
            "connecting for http://host/path failed: connection refused; check that a server \
             listens there"
        );
        assert!(error.is_connect() && error.is_request() && !error.is_resolve());
        assert!(StdError::source(&error).is_some());
        assert!(!format!("{error:?}").contains("secret"));
    }

    #[test]
    fn broken_rules_missing_bytes_and_limits_are_told_apart() {
        let of = |error| Error::new(Phase::Body, Cause::Codec(error));
        let broken = of(h1::Error::InvalidChunkSize);
        assert!(broken.is_decode() && broken.is_body() && !broken.is_limit());
        let early = of(h1::Error::ClosedInChunked);
        assert!(!early.is_decode() && early.is_body());
        let large = of(h1::Error::BodyTooLarge { limit: 5 });
        assert!(!large.is_decode() && large.is_limit());
        assert!(large.to_string().contains("max_response_size"));
    }

    #[test]
    fn the_kernels_timeout_is_a_timeout() {
        let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert!(Error::source(Phase::Connect, error).is_timeout());
    }
}
