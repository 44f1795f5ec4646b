//! Which redirects are followed, and the request that follows one.

use ::url::Url;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};

use super::error::{Error, Phase};
use super::request::Request;
use super::url::{check_scheme, same_origin, strip_credentials};

/// How many redirects a client follows. The default is ten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    limit: Option<usize>,
}

impl Policy {
    /// Follows up to `limit` redirects; one more is an error.
    #[must_use]
    pub fn limited(limit: usize) -> Self {
        Self { limit: Some(limit) }
    }

    /// Follows none: a redirect is an ordinary response.
    #[must_use]
    pub fn none() -> Self {
        Self { limit: None }
    }

    /// The URL to go to next, if the response is a redirect that is to be followed.
    /// `followed` counts those before it.
    pub(super) fn next_url(
        &self,
        followed: usize,
        from: &Url,
        status: StatusCode,
        location: Option<&[u8]>,
    ) -> Result<Option<Url>, Error> {
        let Some(limit) = self.limit else {
            return Ok(None);
        };
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = location else {
            return Ok(None);
        };
        let refuse = |text| Error::plain(Phase::Redirect, text).with_url(from);
        if followed >= limit {
            let error = refuse("there were too many redirects");
            return Err(error.with_remedy("raise the limit of the redirect policy"));
        }
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
        check_scheme(&next, Phase::Redirect)?;
        Ok(Some(next))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::limited(10)
    }
}

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
pub(super) fn follow(request: &mut Request, status: StatusCode, next: Url) {
    if becomes_get(request, status) {
        request.method = Method::GET;
        request.body = None;
        request.spent = false;
        remove_all(&mut request.headers, &BODY_HEADERS);
    }
    if !same_origin(&request.url, &next) {
        remove_all(&mut request.headers, &SENSITIVE);
    }
    request.url = next;
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
        Policy::default().next_url(0, &from, StatusCode::FOUND, location)
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
        assert!(next("https://a/").unwrap_err().is_unsupported_scheme());
        assert!(next("ftp://a/").unwrap_err().is_redirect());
        assert!(next("http://[").unwrap_err().is_redirect());
    }

    #[test]
    fn what_is_not_followed() {
        let from = Url::parse("http://a/").unwrap();
        let ask = |policy: Policy, followed, status: u16, location: Option<&[u8]>| {
            policy.next_url(
                followed,
                &from,
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
            follow(&mut request, StatusCode::from_u16(status).unwrap(), next);
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
            follow(&mut request, StatusCode::FOUND, Url::parse(other).unwrap());
            for name in ["authorization", "cookie", "host"] {
                assert!(
                    !request.headers.contains_key(name),
                    "{name} went to {other}"
                );
            }
            assert!(request.headers.contains_key("accept"));
        }
    }
}
