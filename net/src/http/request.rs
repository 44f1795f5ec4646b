//! A request, as a value.

use std::time::Duration;

use ::url::Url;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Extensions, Method, Version};

use super::body::Body;
use super::error::{Error, Phase};
use super::url::{IntoUrl, check_scheme, take_credentials};

/// A request, to be sent by [`Client::execute`](super::Client::execute). Most are made by a
/// [`RequestBuilder`](super::RequestBuilder).
#[derive(Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Body>,
    /// The body was a stream and has been read, so `body` is empty although there was one.
    pub(super) spent: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) version: Option<Version>,
    /// The caller says that it may be sent twice.
    pub(super) idempotent: bool,
    pub(super) extensions: Extensions,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            spent: false,
            timeout: None,
            version: None,
            idempotent: false,
            extensions: Extensions::new(),
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The method, to be changed.
    pub fn method_mut(&mut self) -> &mut Method {
        &mut self.method
    }

    /// The URL. Userinfo in it becomes an `Authorization` header when the request is sent.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL, to be changed.
    pub fn url_mut(&mut self) -> &mut Url {
        &mut self.url
    }

    /// The headers, without the client's default headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The body, if there is one.
    #[must_use]
    pub fn body(&self) -> Option<&Body> {
        self.body.as_ref()
    }

    /// The body, to be changed.
    pub fn body_mut(&mut self) -> &mut Option<Body> {
        &mut self.body
    }

    /// The time for everything, if the client's is not to be used.
    #[must_use]
    pub fn timeout(&self) -> Option<&Duration> {
        self.timeout.as_ref()
    }

    /// The time for everything, to be changed.
    pub fn timeout_mut(&mut self) -> &mut Option<Duration> {
        &mut self.timeout
    }

    /// The version of HTTP: 1.1 unless another was asked for.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version.unwrap_or(Version::HTTP_11)
    }

    /// The version, to be changed. 1.0 is for servers that know nothing better: the connection then serves
    /// one request, and a body must know its length.
    pub fn version_mut(&mut self) -> &mut Version {
        self.version.get_or_insert(Version::HTTP_11)
    }

    /// Values that travel with the request and are not sent.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Values that travel with the request, to be changed.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// The same request again; `None` if its body is a stream.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        let body = match &self.body {
            Some(body) => Some(body.try_clone()?),
            None => None,
        };
        Some(Self {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body,
            spent: self.spent,
            timeout: self.timeout,
            version: self.version,
            idempotent: self.idempotent,
            extensions: self.extensions.clone(),
        })
    }

    /// Checks whether it can be sent, and takes credentials out of its URL.
    pub(super) fn prepare(&mut self) -> Result<(), Error> {
        check_scheme(&self.url, Phase::Build)?;
        if self.method == Method::CONNECT {
            let text = "CONNECT makes a tunnel, which this client has no use for";
            return Err(Error::plain(Phase::Build, text).with_url(&self.url));
        }
        if let Some(credentials) = take_credentials(&mut self.url) {
            self.headers.entry(AUTHORIZATION).or_insert(credentials);
        }
        Ok(())
    }

    /// The body, to be sent: bytes are shared, a stream is taken.
    pub(super) fn lend_body(&mut self) -> Option<Body> {
        let body = self.body.as_ref()?;
        if let Some(copy) = body.try_clone() {
            return Some(copy);
        }
        self.spent = true;
        self.body.take()
    }

    /// Takes a stream back that was not sent.
    pub(super) fn give_back_body(&mut self, body: Option<Body>) {
        if body.is_some() {
            self.body = body;
            self.spent = false;
        }
    }

    /// Whether sending it twice does no more than sending it once.
    pub(super) fn is_idempotent(&self) -> bool {
        self.idempotent || self.method.is_idempotent()
    }

    /// Whether the request cannot be sent again, as its body was read.
    pub(super) fn is_body_spent(&self) -> bool {
        self.spent
    }
}

impl<T: Into<Body>> TryFrom<http::Request<T>> for Request {
    type Error = Error;

    /// # Errors
    ///
    /// When the URI is no absolute URL.
    fn try_from(request: http::Request<T>) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let mut request = Self::new(parts.method, parts.uri.to_string().into_url()?);
        let body = body.into();
        request.headers = parts.headers;
        // The body of such a request is never absent; the empty one says that there is none.
        request.body = (body.content_length() != Some(0)).then_some(body);
        request.extensions = parts.extensions;
        request.version = (parts.version == Version::HTTP_10).then_some(parts.version);
        Ok(request)
    }
}
