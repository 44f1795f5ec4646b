//! What the feature `tracing` tells of a request: a span around all of it, and events for what happens inside.
//!
//! The target is `heist::http`, the level DEBUG. Names are those of OpenTelemetry's [semantic conventions for HTTP
//! clients](https://opentelemetry.io/docs/specs/semconv/http/http-spans/); what these do not know begins with `heist.`.
//! There is one span for a request with its redirects and retries, and not one for each time that it is sent.
//!
//! | field of the span `HTTP request` | what |
//! |---|---|
//! | `otel.name`, `http.request.method` | the method; one that is not of the standards is `HTTP` and `_OTHER` |
//! | `otel.kind` | `client` |
//! | `url.full` | the URL, without user, password, query and fragment: what is private stands there |
//! | `server.address`, `server.port` | the same URL's |
//! | `http.request.body.size` | bytes, if that is known beforehand |
//! | `http.request.resend_count` | how often it was sent again, for redirects and retries |
//! | `http.response.status_code`, `network.protocol.version` | of the response that the caller gets |
//! | `network.peer.address`, `network.peer.port` | where it came from: the proxy, if there is one |
//! | `heist.connection.reused` | whether its connection had served others before, or serves them too |
//! | `http.response.body.size` | bytes that came of its body, before content codings are removed |
//! | `error.type` | `timeout`, `resolve` and so on for an [`Error`], or the status from 400 on |
//! | `otel.status_code` | `ERROR`, along with `error.type` |
//!
//! | event | fields |
//! |---|---|
//! | waits for a connection | |
//! | waited for a connection | `heist.pool.wait`: seconds |
//! | redirect | `http.response.status_code`, `url.full`: where to, as above |
//! | retry | `heist.retry.reason`, `heist.retry.wait`: seconds until then |
//!
//! The span is closed when the body has been read, or is dropped. It holds no header, no body and no text of an error.
//! Without the feature all of this is nothing: [`Trace`] has no size, and its methods are empty.

#![cfg_attr(
    not(feature = "tracing"),
    expect(
        unused_variables,
        clippy::unused_self,
        reason = "what is told without the feature"
    )
)]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use ::url::Url;
use heist_runtime::time::Instant;
use http::StatusCode;

use super::error::Error;
use super::exchange::Outcome;
use super::h1::ResponseHead;
use super::request::Request;

/// The span of one request.
#[derive(Debug, Default)]
pub(super) struct Trace {
    #[cfg(feature = "tracing")]
    told: emit::Told,
}

/// Emits an event in the span of a request.
macro_rules! event {
    ($trace:expr, $($event:tt)*) => {{
        #[cfg(feature = "tracing")]
        tracing::event!(target: emit::TARGET, parent: &$trace.told.span, tracing::Level::DEBUG, $($event)*);
    }};
}

/// Says a field of a span.
macro_rules! record {
    ($trace:expr, $name:literal, $value:expr) => {{
        #[cfg(feature = "tracing")]
        $trace.told.span.record($name, $value);
    }};
}

impl Trace {
    /// A request begins.
    #[inline]
    pub(super) fn begin(request: &Request) -> Self {
        Self {
            #[cfg(feature = "tracing")]
            told: emit::Told::begin(request),
        }
    }

    /// The span itself, to run something in it.
    #[inline]
    pub(super) fn scope(&self) -> Scope {
        Scope {
            #[cfg(feature = "tracing")]
            span: self.told.span.clone(),
        }
    }

    #[inline]
    pub(super) fn waits(&self) {
        event!(self, "waits for a connection");
    }

    #[inline]
    pub(super) fn waited(&self, time: Duration) {
        event!(
            self,
            heist.pool.wait = time.as_secs_f64(),
            "waited for a connection"
        );
    }

    /// A connection was found or made.
    #[inline]
    pub(super) fn connected(&self, reused: bool) {
        record!(self, "heist.connection.reused", reused);
    }

    /// It is sent again at once.
    #[inline]
    pub(super) fn resends(&mut self, reason: &'static str) {
        event!(self, heist.retry.reason = reason, "retry");
        #[cfg(feature = "tracing")]
        self.told.resend();
    }

    /// It is sent again at this time, after it came to that.
    #[inline]
    pub(super) fn repeats(&mut self, outcome: &Outcome, again: Instant) {
        #[cfg(feature = "tracing")]
        {
            let status = outcome
                .as_ref()
                .map(|(received, ..)| received.head.status());
            let reason = match &status {
                Ok(status) => status.as_str(),
                Err(error) => error.class(),
            };
            let wait = again.saturating_duration_since(Instant::now());
            event!(
                self,
                heist.retry.reason = reason,
                heist.retry.wait = wait.as_secs_f64(),
                "retry"
            );
        }
        #[cfg(feature = "tracing")]
        self.told.resend();
    }

    /// A redirect is followed.
    #[inline]
    pub(super) fn redirects(&mut self, status: StatusCode, to: &Url) {
        event!(
            self,
            http.response.status_code = status.as_u16(),
            url.full = emit::public(to).as_str(),
            "redirect"
        );
        #[cfg(feature = "tracing")]
        self.told.resend();
    }

    /// This is the response.
    #[inline]
    pub(super) fn answered(&mut self, head: &ResponseHead, remote: SocketAddr) {
        #[cfg(feature = "tracing")]
        self.told.answered(head.status(), head.version(), remote);
    }

    /// So much has come of its body.
    #[inline]
    pub(super) fn received(&mut self, length: usize) {
        #[cfg(feature = "tracing")]
        self.told.received(length);
    }

    /// There is no response, or no more of it.
    #[inline]
    pub(super) fn failed(&self, error: &Error) {
        #[cfg(feature = "tracing")]
        self.told.failed(error.class());
    }
}

/// The span of a request, around what runs in it, so that what others tell meanwhile is inside.
#[derive(Debug)]
pub(super) struct Scope {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Scope {
    #[cfg(feature = "tracing")]
    pub(super) fn around<F: Future>(self, run: F) -> tracing::instrument::Instrumented<F> {
        tracing::Instrument::instrument(run, self.span)
    }

    #[cfg(not(feature = "tracing"))]
    #[inline]
    pub(super) fn around<F: Future>(self, run: F) -> F {
        run
    }
}

#[cfg(feature = "tracing")]
mod emit {
    use http::{Method, Version};
    use tracing::Span;
    use tracing::field::Empty;

    use super::*;

    pub(super) const TARGET: &str = "heist::http";

    /// What has been said, and what is said at the end.
    #[derive(Debug)]
    pub(super) struct Told {
        pub(super) span: Span,
        resent: u64,
        /// Bytes of the response's body, once its head has come.
        received: Option<u64>,
    }

    impl Default for Told {
        /// Nothing is told of what is no request.
        fn default() -> Self {
            Self::of(Span::none())
        }
    }

    impl Told {
        fn of(span: Span) -> Self {
            Self {
                span,
                resent: 0,
                received: None,
            }
        }

        pub(super) fn begin(request: &Request) -> Self {
            // A method of the standards; others could be as many as there are requests.
            let known = [
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
                Method::OPTIONS,
                Method::TRACE,
            ]
            .contains(&request.method);
            let method = known.then(|| request.method.as_str());
            let span = tracing::debug_span!(
                target: TARGET,
                "HTTP request",
                otel.name = method.unwrap_or("HTTP"),
                otel.kind = "client",
                otel.status_code = Empty,
                http.request.method = method.unwrap_or("_OTHER"),
                http.request.body.size = Empty,
                http.request.resend_count = Empty,
                http.response.status_code = Empty,
                http.response.body.size = Empty,
                url.full = Empty,
                server.address = request.url.host_str(),
                server.port = request.url.port_or_known_default(),
                network.peer.address = Empty,
                network.peer.port = Empty,
                network.protocol.version = Empty,
                heist.connection.reused = Empty,
                error.type = Empty,
            );
            if !span.is_disabled() {
                span.record("url.full", public(&request.url).as_str());
                let size = request
                    .body
                    .as_ref()
                    .and_then(super::super::Body::content_length);
                if let Some(size) = size {
                    span.record("http.request.body.size", size);
                }
            }
            Self::of(span)
        }

        pub(super) fn resend(&mut self) {
            self.resent += 1;
            self.span.record("http.request.resend_count", self.resent);
        }

        pub(super) fn answered(
            &mut self,
            status: StatusCode,
            version: Version,
            remote: SocketAddr,
        ) {
            self.received = Some(0);
            if self.span.is_disabled() {
                return;
            }
            let version = match version {
                Version::HTTP_2 => "2",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            };
            self.span
                .record("http.response.status_code", status.as_u16());
            self.span.record("network.protocol.version", version);
            let address = tracing::field::display(remote.ip());
            self.span.record("network.peer.address", address);
            self.span.record("network.peer.port", remote.port());
            if status.is_client_error() || status.is_server_error() {
                self.failed(status.as_str());
            }
        }

        pub(super) fn received(&mut self, length: usize) {
            *self.received.get_or_insert(0) += length as u64;
        }

        pub(super) fn failed(&self, class: &str) {
            self.span.record("error.type", class);
            self.span.record("otel.status_code", "ERROR");
        }
    }

    impl Drop for Told {
        fn drop(&mut self) {
            if let Some(received) = self.received {
                self.span.record("http.response.body.size", received);
            }
        }
    }

    /// A URL without what should not end up in a log.
    pub(super) fn public(url: &Url) -> Url {
        let mut url = url.clone();
        super::super::url::strip_credentials(&mut url);
        url.set_query(None);
        url.set_fragment(None);
        url
    }
}
