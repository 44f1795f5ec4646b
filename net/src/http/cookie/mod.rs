//! Cookies ([RFC 6265] as its revision [6265bis] has it): what servers ask a client to say again.
//!
//! - `date.rs`: dates as lenient as the RFC asks for
//! - `set_cookie.rs`: [`Cookie`], one `Set-Cookie` line
//! - `scope.rs`: which hosts and paths a cookie is for, and public suffixes
//! - `jar.rs`: [`Jar`], a store in memory with limits
//!
//! A client has no cookies unless it is built with
//! [`cookie_store`](super::ClientBuilder::cookie_store) or
//! [`cookie_provider`](super::ClientBuilder::cookie_provider). Then every response's cookies are stored,
//! those of redirects included, and every request gets those that are meant for its URL, unless
//! it brings a `Cookie` header of its own.
//!
//! `SameSite` is parsed, and told by [`Cookie`], but restricts nothing: it protects the pages of one
//! site from requests made by another, and a program has no pages.
//!
//! [RFC 6265]: https://www.rfc-editor.org/rfc/rfc6265
//! [6265bis]: https://datatracker.ietf.org/doc/draft-ietf-httpbis-rfc6265bis/

mod date;
mod set_cookie;
mod scope;
mod jar;

use std::fmt;
use std::sync::Arc;

use ::url::Url;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};

use super::h1::ResponseHead;
use super::request::Request;

pub use jar::Jar;
pub use set_cookie::{Cookie, SameSite};

/// Where a client keeps cookies. The names are reqwest's.
///
/// It is called with every response and request of the client, so it should not wait for anything.
pub trait CookieStore: Send + Sync {
    /// Takes the `Set-Cookie` headers of a response to a request for `url`.
    fn set_cookies(&self, cookie_headers: &mut dyn Iterator<Item = &HeaderValue>, url: &Url);

    /// The value of the `Cookie` header of a request for `url`, if any cookie is for it.
    fn cookies(&self, url: &Url) -> Option<HeaderValue>;
}

/// The store of a client, and how its requests and responses meet it.
#[derive(Clone)]
pub(super) struct Provider(pub(super) Arc<dyn CookieStore>);

impl Provider {
    /// Adds the cookies for a request, for one hop of it. Returns whether it did, for
    /// [`take_back`](Self::take_back).
    pub(super) fn lend(&self, request: &mut Request) -> bool {
        if request.headers.contains_key(COOKIE) {
            return false;
        }
        let Some(mut cookies) = self.0.cookies(&request.url) else {
            return false;
        };
        cookies.set_sensitive(true);
        request.headers.insert(COOKIE, cookies);
        true
    }

    /// Takes away again what was lent, since the next hop gets its own.
    pub(super) fn take_back(request: &mut Request) {
        request.headers.remove(COOKIE);
    }

    /// Stores what a response to a request for `url` sets.
    pub(super) fn store(&self, head: &ResponseHead, url: &Url) {
        let lines = head.get_all(SET_COOKIE.as_str());
        let values: Vec<_> = lines
            .filter_map(|value| HeaderValue::from_bytes(value).ok())
            .collect();
        if !values.is_empty() {
            self.0.set_cookies(&mut values.iter(), url);
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider(..)")
    }
}
