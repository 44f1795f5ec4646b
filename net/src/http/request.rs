//! A request in the making.

use std::time::Duration;

use ::url::Url;
use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::client::Client;
use super::error::{Error, Phase};
use super::response::Response;
use super::url::{basic, check_scheme, take_credentials};

/// A request that is ready to be sent, and sent again after a redirect.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) timeout: Option<Duration>,
}

/// Builds a request of a [`Client`]; [`send`](Self::send) runs it.
///
/// A mistake on the way (a URL or header that does not parse) is kept and returned by `send`.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    request: Result<Request, Error>,
}

impl RequestBuilder {
    pub(super) fn new(client: Client, method: Method, url: Result<Url, Error>) -> Self {
        let request = url.and_then(|mut url| {
            check_scheme(&url, Phase::Build)?;
            if method == Method::CONNECT {
                let text = "CONNECT makes a tunnel, which this client has no use for";
                return Err(Error::plain(Phase::Build, text).with_url(&url));
            }
            let mut headers = HeaderMap::new();
            if let Some(credentials) = take_credentials(&mut url) {
                headers.insert(AUTHORIZATION, credentials);
            }
            Ok(Request {
                method,
                url,
                headers,
                body: None,
                timeout: None,
            })
        });
        Self { client, request }
    }

    /// Adds a header; one of the same name that was added before stays. It replaces a default
    /// header of the client. `Content-Length` and `Transfer-Encoding` are refused: the client
    /// derives them from the body.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let pair = (name.try_into().map_err(Into::into))
            .and_then(|name| Ok((name, value.try_into().map_err(Into::into)?)));
        self.change(|request| {
            let remedy = "header names are tokens, and values hold no control characters";
            let (name, value) = pair.map_err(|error: http::Error| {
                Error::source(Phase::Build, error)
                    .with_url(&request.url)
                    .with_remedy(remedy)
            })?;
            request.headers.append(name, value);
            Ok(())
        })
    }

    /// Sets headers; those of the same names that were added before are replaced.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.change(|request| {
            // The names come with their first value only, so that one loop replaces and appends.
            let mut current = None;
            for (name, value) in headers {
                match (name, &current) {
                    (Some(name), _) => {
                        request.headers.insert(&name, value);
                        current = Some(name);
                    }
                    (None, Some(name)) => {
                        request.headers.append(name, value);
                    }
                    (None, None) => {}
                }
            }
            Ok(())
        })
    }

    /// Credentials of the scheme Basic. They are sent in clear, as is everything over `http://`.
    pub fn basic_auth(self, user: &str, password: Option<&str>) -> Self {
        let value = basic(user.as_bytes(), password.unwrap_or_default().as_bytes());
        self.change(|request| {
            request.headers.insert(AUTHORIZATION, value);
            Ok(())
        })
    }

    /// A token of the scheme Bearer.
    pub fn bearer_auth(self, token: &str) -> Self {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        self.change(|request| {
            let mut value = value.map_err(|error| {
                let remedy = "a token holds no control characters";
                Error::source(Phase::Build, error)
                    .with_url(&request.url)
                    .with_remedy(remedy)
            })?;
            value.set_sensitive(true);
            request.headers.insert(AUTHORIZATION, value);
            Ok(())
        })
    }

    /// The body, kept whole in memory. It is sent with its `Content-Length`, and again if a
    /// redirect or a stale connection asks for it.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        self.change(|request| {
            request.body = Some(body.into());
            Ok(())
        })
    }

    /// The time for everything from now on, redirects and the whole body included. Replaces the
    /// client's [`timeout`](super::ClientBuilder::timeout).
    pub fn timeout(self, timeout: Duration) -> Self {
        self.change(|request| {
            request.timeout = Some(timeout);
            Ok(())
        })
    }

    /// Sends the request, follows redirects, and waits for the response's head.
    ///
    /// # Errors
    ///
    /// When the request cannot be built, sent or answered; a status such as 404 is no error here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection of an unfinished exchange and loses nothing else.
    /// A server may have acted on the request all the same.
    pub async fn send(self) -> Result<Response, Error> {
        self.client.execute(self.request?).await
    }

    fn change(mut self, change: impl FnOnce(&mut Request) -> Result<(), Error>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = change(request)
        {
            self.request = Err(error);
        }
        self
    }
}
