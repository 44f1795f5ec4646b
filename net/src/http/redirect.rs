//! Which redirects are followed, and the request that follows one.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use ::url::Url;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::body::BoxError;
use super::error::{Error, Phase};
use super::request::Request;
use super::url::{check_scheme, same_origin, strip_credentials};

/// Which redirects a client follows. By default up to ten in a row.
#[derive(Clone)]
pub struct Policy(Kind);

#[derive(Clone)]
enum Kind {
    Limited(usize),
    None,
    Custom(Arc<dyn Fn(Attempt<'_>) -> Action + Send + Sync>),
}

/// A redirect that a [`Policy::custom`] decides about.
#[derive(Debug)]
pub struct Attempt<'a> {
    status: StatusCode,
    next: &'a Url,
    previous: &'a [Url],
}

/// What is done about an [`Attempt`].
#[derive(Debug)]
pub struct Action(Decision);

#[derive(Debug)]
enum Decision {
    Follow,
    Stop,
    TooMany,
    Refuse(BoxError),
}

impl<'a> Attempt<'a> {
    /// The status of the redirect.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Where it leads.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.next
    }

    /// The URLs that were fetched so far, the first one first.
    #[must_use]
    pub fn previous(&self) -> &'a [Url] {
        self.previous
    }

    /// It is followed.
    #[must_use]
    pub fn follow(self) -> Action {
        Action(Decision::Follow)
    }

    /// It is not followed: the redirect is the response.
    #[must_use]
    pub fn stop(self) -> Action {
        Action(Decision::Stop)
    }

    /// The request fails with this error.
    pub fn error(self, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Action {
        Action(Decision::Refuse(error.into()))
    }
}

impl Policy {
    /// Follows up to `limit` redirects in a row; one more is an error. So is one from `https` to `http` of a
    /// request that carries credentials.
    #[must_use]
    pub fn limited(limit: usize) -> Self {
        Self(Kind::Limited(limit))
    }

    /// Follows none: a redirect is an ordinary response.
    #[must_use]
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// Follows what the closure says. A closure that always follows is followed for ever, so look at the number
    /// of [`Attempt::previous`]; [`Policy::redirect`] is of use for that. Credentials do not go along to
    /// another origin, whatever it says.
    ///
    /// ```
    /// use heist_net::http::Policy;
    ///
    /// let policy = Policy::custom(|attempt| {
    ///     if attempt.url().host_str() == Some("example.com") {
    ///         attempt.stop()
    ///     } else {
    ///         Policy::limited(5).redirect(attempt)
    ///     }
    /// });
    /// ```
    pub fn custom(decide: impl Fn(Attempt<'_>) -> Action + Send + Sync + 'static) -> Self {
        Self(Kind::Custom(Arc::new(decide)))
    }

    /// What this policy does about a redirect; for a custom one that leaves some to it.
    #[must_use]
    pub fn redirect(&self, attempt: Attempt<'_>) -> Action {
        match &self.0 {
            Kind::None => attempt.stop(),
            Kind::Limited(limit) if attempt.previous.len() > *limit => Action(Decision::TooMany),
            Kind::Limited(_) => attempt.follow(),
            Kind::Custom(decide) => decide(attempt),
        }
    }

    /// The URL to go to next, if the response is a redirect that is to be followed. `visited` are the URLs
    /// before that of the request; it is added to them.
    pub(super) fn next_url(
        &self,
        visited: &mut Vec<Url>,
        from: &Url,
        headers: &HeaderMap,
        status: StatusCode,
        location: Option<&[u8]>,
    ) -> Result<Option<Url>, Error> {
        if matches!(self.0, Kind::None) || !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = location else {
            return Ok(None);
        };
        let refuse = |text| Error::plain(Phase::Redirect, text).with_url(from);
        let location = std::str::from_utf8(location);
        let location = location.map_err(|_| refuse("the Location header is not UTF-8"))?;
        let next = from.join(location);
        let mut next =
            next.map_err(|error| Error::source(Phase::Redirect, error).with_url(from))?;
        // Credentials that a server puts into a link are not the user's.
        strip_credentials(&mut next);
        if next.fragment().is_none() {
            next.set_fragment(from.fragment());
        }
        visited.push(from.clone());
        let attempt = Attempt {
            status,
            next: &next,
            previous: visited,
        };
        match self.redirect(attempt).0 {
            Decision::Follow => {}
            Decision::Stop => return Ok(None),
            Decision::TooMany => {
                let error = refuse("there were too many redirects");
                return Err(error.with_remedy("raise the limit of the redirect policy"));
            }
            Decision::Refuse(error) => {
                return Err(Error::source(Phase::Redirect, error).with_url(from));
            }
        }
        // They would not be sent there, but who relies on them has been led out of the encryption.
        let is_downgrade = from.scheme() == "https" && next.scheme() == "http";
        if is_downgrade
            && matches!(self.0, Kind::Limited(_))
            && CREDENTIALS.iter().any(|name| headers.contains_key(name))
        {
            let error = refuse("a request with credentials was redirected from https to http");
            return Err(error.with_remedy("allow it with `Policy::custom`, or leave them out"));
        }
        check_scheme(&next, Phase::Redirect)?;
        Ok(Some(next))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Limited(limit) => f.debug_tuple("Limited").field(limit).finish(),
            Kind::None => f.write_str("None"),
            Kind::Custom(_) => f.write_str("Custom"),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::limited(10)
    }
}

/// What a user has to keep to itself.
const CREDENTIALS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
];

/// What must not reach another origin than the one it was meant for.
const SENSITIVE: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    // An overridden `Host` names the old origin, and would send the request to it by name.
    header::HOST,
];

/// What describes a body, and goes with it.
const BODY_HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
];

/// Turns a request into the one that follows its redirect ([RFC 9110, section 15.4]).
///
/// [RFC 9110, section 15.4]: https://www.rfc-editor.org/rfc/rfc9110#section-15.4
pub(super) fn follow(request: &mut Request, status: StatusCode, next: Url, referer: bool) {
    if becomes_get(request, status) {
        request.method = Method::GET;
        request.body = None;
        request.spent = false;
        remove_all(&mut request.headers, &BODY_HEADERS);
    }
    if !same_origin(&request.url, &next) {
        remove_all(&mut request.headers, &SENSITIVE);
    }
    if referer {
        match referer_for(&request.url, &next) {
            Some(value) => request.headers.insert(header::REFERER, value),
            None => request.headers.remove(header::REFERER),
        };
    }
    request.url = next;
}

/// What the next server is told about where the request comes from: everything within an origin, the origin
/// elsewhere, and nothing where it would leave the encryption
/// ([Referrer Policy](https://www.w3.org/TR/referrer-policy/), `strict-origin-when-cross-origin`).
fn referer_for(from: &Url, next: &Url) -> Option<HeaderValue> {
    if from.scheme() == "https" && next.scheme() != "https" {
        return None;
    }
    let mut from = from.clone();
    strip_credentials(&mut from);
    from.set_fragment(None);
    if !same_origin(&from, next) {
        from.set_path("/");
        from.set_query(None);
    }
    HeaderValue::try_from(from.as_str()).ok()
}

/// Whether the redirect leads to something to be fetched, whatever the request was.
pub(super) fn becomes_get(request: &Request, status: StatusCode) -> bool {
    match status.as_u16() {
        303 => request.method != Method::HEAD,
        301 | 302 => request.method == Method::POST,
        _ => false,
    }
}

fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    fn next(location: &str) -> Result<Option<Url>, Error> {
        let from = Url::parse("http://a/b/c?d#frag").unwrap();
        let location = Some(location.as_bytes());
        let none = HeaderMap::new();
        Policy::default().next_url(&mut Vec::new(), &from, &none, StatusCode::FOUND, location)
    }

    fn request(method: Method) -> Request {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "host", "accept", "content-type"] {
            headers.insert(name, "x".parse().unwrap());
        }
        let mut request = Request::new(method, Url::parse("http://a/").unwrap());
        request.headers = headers;
        request.body = Some(Body::from("body"));
        request
    }

    #[test]
    fn locations() {
        let url = |location| next(location).unwrap().unwrap().to_string();
        assert_eq!(url("x"), "http://a/b/x#frag");
        assert_eq!(url("/x#new"), "http://a/x#new");
        assert_eq!(url("//other:81"), "http://other:81/#frag");
        assert_eq!(url("http://user:pw@a/"), "http://a/#frag");
        match next("https://a/") {
            Ok(next) => assert!(cfg!(feature = "tls") && next.is_some()),
            Err(error) => assert!(!cfg!(feature = "tls") && error.is_unsupported_scheme()),
        }
        assert!(next("ftp://a/").unwrap_err().is_redirect());
        assert!(next("http://[").unwrap_err().is_redirect());
    }

    #[test]
    fn what_is_not_followed() {
        let from = Url::parse("http://a/").unwrap();
        let none = HeaderMap::new();
        let ask = |policy: Policy, followed, status: u16, location: Option<&[u8]>| {
            policy.next_url(
                &mut vec![from.clone(); followed],
                &from,
                &none,
                StatusCode::from_u16(status).unwrap(),
                location,
            )
        };
        let to = Some(&b"/x"[..]);
        assert_eq!(ask(Policy::none(), 0, 302, to).unwrap(), None);
        assert_eq!(ask(Policy::default(), 0, 302, None).unwrap(), None);
        for status in [200, 300, 304, 404] {
            assert_eq!(ask(Policy::default(), 0, status, to).unwrap(), None);
        }
        assert!(ask(Policy::limited(2), 1, 308, to).unwrap().is_some());
        assert!(
            ask(Policy::limited(2), 2, 308, to)
                .unwrap_err()
                .is_redirect()
        );
        assert!(
            ask(Policy::default(), 0, 302, Some(b"\xff"))
                .unwrap_err()
                .is_redirect()
        );
    }

    #[test]
    fn methods_and_bodies() {
        let run = |method: Method, status: u16| {
            let mut request = request(method);
            let next = Url::parse("http://a/x").unwrap();
            follow(
                &mut request,
                StatusCode::from_u16(status).unwrap(),
                next,
                false,
            );
            assert_eq!(
                request.headers.contains_key("content-type"),
                request.body.is_some()
            );
            assert!(
                request.headers.contains_key("authorization"),
                "it is the same origin"
            );
            (request.method, request.body.is_some())
        };
        assert_eq!(run(Method::POST, 301), (Method::GET, false));
        assert_eq!(run(Method::POST, 302), (Method::GET, false));
        assert_eq!(run(Method::PUT, 302), (Method::PUT, true));
        assert_eq!(run(Method::PUT, 303), (Method::GET, false));
        assert_eq!(run(Method::HEAD, 303), (Method::HEAD, true));
        assert_eq!(run(Method::POST, 307), (Method::POST, true));
        assert_eq!(run(Method::POST, 308), (Method::POST, true));
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        for other in ["http://b/", "http://a:8080/"] {
            let mut request = request(Method::GET);
            follow(
                &mut request,
                StatusCode::FOUND,
                Url::parse(other).unwrap(),
                false,
            );
            for name in ["authorization", "cookie", "host"] {
                assert!(
                    !request.headers.contains_key(name),
                    "{name} went to {other}"
                );
            }
            assert!(request.headers.contains_key("accept"));
        }
    }

    #[test]
    fn a_downgrade_of_credentials_is_refused() {
        let from = Url::parse("https://a/").unwrap();
        let mut headers = HeaderMap::new();
        let ask = |policy: &Policy, headers: &HeaderMap| {
            let location = Some(&b"http://a/x"[..]);
            policy.next_url(&mut Vec::new(), &from, headers, StatusCode::FOUND, location)
        };
        assert!(ask(&Policy::default(), &headers).unwrap().is_some());
        headers.insert("authorization", "x".parse().unwrap());
        let error = ask(&Policy::default(), &headers).unwrap_err();
        assert!(
            error.is_redirect() && error.to_string().contains("https to http"),
            "{error}"
        );
        assert!(
            ask(&Policy::custom(|attempt| attempt.follow()), &headers)
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn what_the_next_server_is_told() {
        let told = |from: &str, next: &str| {
            let (from, next) = (Url::parse(from).unwrap(), Url::parse(next).unwrap());
            referer_for(&from, &next).map(|value| value.to_str().unwrap().to_owned())
        };
        let from = "http://me:pw@a/b?c#d";
        assert_eq!(told(from, "http://a/x").unwrap(), "http://a/b?c");
        assert_eq!(told(from, "http://b/x").unwrap(), "http://a/");
        assert_eq!(told("https://a/b", "https://b/x").unwrap(), "https://a/");
        assert_eq!(told("https://a/b", "http://a/x"), None);
    }
}
