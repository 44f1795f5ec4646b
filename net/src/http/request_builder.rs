//! A request in the making.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use ::url::Url;
use http::header::{AUTHORIZATION, EXPECT, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};

use super::body::Body;
use super::client::Client;
use super::error::{Error, Phase};
use super::request::Request;
use super::response::Response;
use super::url::basic;

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
        let request = url.map(|url| Request::new(method, url));
        Self { client, request }
    }

    /// A builder that goes on with a request.
    pub fn from_parts(client: Client, request: Request) -> Self {
        let request = Ok(request);
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

    /// Credentials of the scheme Basic ([RFC 7617]). They are sent in clear, as is everything over
    /// `http://`.
    ///
    /// [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
    pub fn basic_auth<U, P>(self, user: U, password: Option<P>) -> Self
    where
        U: fmt::Display,
        P: fmt::Display,
    {
        let password = password.map(|password| password.to_string());
        let password = password.unwrap_or_default();
        let value = basic(user.to_string().as_bytes(), password.as_bytes());
        self.change(|request| {
            request.headers.insert(AUTHORIZATION, value);
            Ok(())
        })
    }

    /// A token of the scheme Bearer ([RFC 6750]).
    ///
    /// [RFC 6750]: https://www.rfc-editor.org/rfc/rfc6750
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
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

    /// The body: bytes, text, or a stream ([`Body`]). Bytes are sent with their `Content-Length`, and
    /// again if a redirect or a stale connection asks for it; a stream is sent in chunks, once.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.change(|request| {
            request.body = Some(body.into());
            Ok(())
        })
    }

    /// Holds the body back until the server asks for it, answers, or has said nothing for a second
    /// (`Expect: 100-continue`, [RFC 9110, section 10.1.1]). For a large body that may be refused, and for a
    /// stream, which is then still whole when a stale connection has to be replaced.
    ///
    /// [RFC 9110, section 10.1.1]: https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    pub fn expect_continue(self) -> Self {
        self.change(|request| {
            let value = HeaderValue::from_static("100-continue");
            request.headers.insert(EXPECT, value);
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

    /// The version of HTTP; see [`Request::version_mut`].
    pub fn version(self, version: Version) -> Self {
        self.change(|request| {
            request.version = Some(version);
            Ok(())
        })
    }

    /// Says that the request may be sent twice although its method is not idempotent: because it carries a key
    /// by which the server knows it, for instance. See [`Retry`](super::Retry); it also holds for a stale
    /// connection.
    pub fn idempotent(self) -> Self {
        self.change(|request| {
            request.idempotent = true;
            Ok(())
        })
    }

    /// The request as it is, for [`Client::execute`].
    ///
    /// # Errors
    ///
    /// The first mistake that was made on the way.
    pub fn build(self) -> Result<Request, Error> {
        self.request
    }

    /// The same builder again; `None` if the body is a stream, or after a mistake.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        let request = self.request.as_ref().ok()?.try_clone()?;
        Some(Self::from_parts(self.client.clone(), request))
    }

    /// Sends the request, follows redirects, and waits for the response's head.
    ///
    /// A server may answer before it has all of the body. An answer that refuses it (400 and above) ends
    /// the upload; with any other the rest is sent while the response is read. A connection whose request
    /// was not sent to its end is not used again.
    ///
    /// # Errors
    ///
    /// When the request cannot be built, sent or answered; a status such as 404 is no error here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection of an unfinished exchange and loses nothing else.
    /// A server may have acted on the request all the same.
    pub fn send(self) -> impl Future<Output = Result<Response, Error>> + Send {
        let Self {
            client,
            mut request,
        } = self;
        // What the block takes over it holds once, as long as all that waits only borrows it.
        async move {
            let answer = match request {
                Ok(ref mut request) => client.answer(request).await?,
                Err(error) => return Err(error),
            };
            client.response(answer, request?.url)
        }
    }

    pub(super) fn change(mut self, change: impl FnOnce(&mut Request) -> Result<(), Error>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = change(request)
        {
            self.request = Err(error);
        }
        self
    }
}
