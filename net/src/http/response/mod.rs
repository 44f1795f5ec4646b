//! A response, whose body streams.
//!
//! | file | idea |
//! |---|---|
//! | `mod.rs` | [`Response`]: the head, and the body in pieces or as a whole |
//! | `incoming.rs` | the body as it comes: received, decoded, counted |
//! | `text.rs` | the charset of a text |
//! | `convert.rs` | the body as a stream, a reader, a [`Body`](super::Body) |
//! | `upgrade.rs` | [`Upgraded`]: the connection itself, for another protocol |

mod incoming;
mod text;
mod convert;
mod upgrade;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::OnceLock;

use ::url::Url;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName};
use http::{Extensions, HeaderMap, StatusCode, Version};

pub use convert::ResponseReader;
pub use upgrade::Upgraded;

use super::coding::Decoder;
#[cfg(feature = "cookies")]
use super::cookie::Cookie;
use super::deadline::Clocks;
use super::error::{Cause, Error, Phase};
use super::exchange::Config;
use super::flow::Flow;
use super::h1::ResponseHead;
use super::link::Received;
use incoming::Incoming;

/// The response to a request: its head, and a body to be read.
///
/// The body is read as it is asked for. When its end has been read the connection goes back to the
/// client's pool; when the response is dropped before, the connection is closed.
#[derive(Debug)]
pub struct Response {
    url: Url,
    answer: Box<Answer>,
}

/// What came of a request: the head of its response, and all that the rest of it needs.
///
/// In a box, as it goes through several hands, and then lies in every future that holds a response: as part of each it
/// would be copied half a dozen times.
#[derive(Debug)]
pub(super) struct Answer {
    head: ResponseHead,
    headers: OnceLock<HeaderMap>,
    /// The body is handed out without the codings that the head speaks of.
    decoded: bool,
    remote: SocketAddr,
    body: Incoming,
    extensions: Extensions,
}

impl Answer {
    /// Without a `flow` the body came along with the head.
    pub(super) fn new(
        received: Received,
        remote: SocketAddr,
        flow: Option<Flow>,
        clocks: Clocks,
    ) -> Box<Self> {
        let Received {
            head,
            body,
            tunnel,
            trailers,
            ..
        } = received;
        Box::new(Self {
            head,
            headers: OnceLock::new(),
            decoded: false,
            remote,
            body: Incoming::new(body, flow, tunnel, trailers, clocks),
            extensions: Extensions::new(),
        })
    }
}

impl Response {
    pub(super) fn new(mut answer: Box<Answer>, url: Url, config: &Config) -> Result<Self, Error> {
        let Answer {
            head,
            body,
            decoded,
            ..
        } = &mut *answer;
        // A response without a body may speak of codings all the same, as one to HEAD does.
        if body.has_bytes() {
            let decoder = Decoder::for_response(head, config.codings, config.decode_limits);
            if let Some(decoder) = decoder.map_err(|error| error.with_url(&url))? {
                *decoded = true;
                body.decode_with(decoder);
            }
        }
        Ok(Self { url, answer })
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.answer.head.status()
    }

    /// The protocol version of the response.
    #[must_use]
    pub fn version(&self) -> Version {
        self.answer.head.version()
    }

    /// The headers, without `Content-Length` and `Content-Encoding` when they do not describe the body that is
    /// handed out, since a content coding is removed from it. The map is built when it is first asked for;
    /// [`header`](Self::header) and [`head`](Self::head) do without.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.answer.headers.get_or_init(|| self.header_map())
    }

    /// The headers, to be changed. [`header`](Self::header) and [`head`](Self::head) go on showing what the
    /// server sent.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        if self.answer.headers.get().is_none() {
            self.answer.headers = OnceLock::from(self.header_map());
        }
        self.answer
            .headers
            .get_mut()
            .unwrap_or_else(|| unreachable!("the map was just built"))
    }

    fn header_map(&self) -> HeaderMap {
        let mut map = self.answer.head.header_map();
        if self.answer.decoded {
            map.remove(CONTENT_LENGTH);
            map.remove(CONTENT_ENCODING);
        }
        map
    }

    /// The first header of this name, as bytes; of those in [`headers`](Self::headers), before they were changed.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let hidden = |it: &HeaderName| name.eq_ignore_ascii_case(it.as_str());
        if self.answer.decoded && [CONTENT_LENGTH, CONTENT_ENCODING].iter().any(hidden) {
            return None;
        }
        self.answer.head.get(name)
    }

    /// The cookies that this response sets; lines that make no cookie are left out. Those of
    /// redirects before it are in the client's store only.
    #[cfg(feature = "cookies")]
    pub fn cookies(&self) -> impl Iterator<Item = Cookie<'_>> {
        let lines = self.headers().get_all(http::header::SET_COOKIE);
        lines.into_iter().filter_map(Cookie::from_header)
    }

    /// The head as it was parsed, with everything that the server sent.
    #[must_use]
    pub fn head(&self) -> &ResponseHead {
        &self.answer.head
    }

    /// The URL that was fetched: the last one if there were redirects. Without userinfo.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The length of the body that the head announces, in bytes; `None` if it does not say, or if a content
    /// coding is removed, which nobody has told the length without.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.answer
            .head
            .content_length()
            .filter(|_| !self.answer.decoded)
    }

    /// How many bytes of the body have been received so far, as the server sent them: without the transfer
    /// coding, and before any content coding was removed.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.answer.body.received()
    }

    /// The trailers that came behind the body, once its end has been read; `None` if there were none.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.answer.body.trailers()
    }

    /// The address that the request was sent to.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        Some(self.answer.remote)
    }

    /// Values that travel with the response.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.answer.extensions
    }

    /// Values that travel with the response, to be changed.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.answer.extensions
    }

    /// Turns a status of 400 and above into an error.
    ///
    /// # Errors
    ///
    /// The status, for which [`Error::is_status`] holds.
    pub fn error_for_status(self) -> Result<Self, Error> {
        self.error_for_status_ref()?;
        Ok(self)
    }

    /// As [`error_for_status`](Self::error_for_status), for a response that is still needed.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn error_for_status_ref(&self) -> Result<&Self, Error> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(Error::new(Phase::Status, Cause::Status(status)).with_url(&self.url));
        }
        Ok(self)
    }

    /// The next piece of the body as it arrives, never empty; `None` after its end.
    ///
    /// A piece of 4 KiB or more is lent: it lies in the receive buffer that it arrived in, which the runtime gets back
    /// when the piece is dropped. To keep pieces for long, copy them ([`Bytes::copy_from_slice`]). Holding many makes
    /// the runtime use more buffers, up to a limit, and then ordinary memory; nothing waits for them.
    ///
    /// # Errors
    ///
    /// When the body is truncated, malformed, larger than allowed or late. It is not an error for
    /// which reading on would help: every further call fails too.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses no byte, and the next call goes on where it was.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = poll_fn(|cx| self.answer.body.poll_piece(cx)).await;
        Ok(self.located(piece)?.map(Bytes::from))
    }

    /// The rest of the body in one block, which is memory of its own.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk); what had arrived is then lost.
    // An async function would keep the response twice: as it came, and as its variable.
    #[expect(clippy::manual_async_fn, reason = "the future is half the size")]
    pub fn bytes(mut self) -> impl Future<Output = Result<Bytes, Error>> + Send {
        async move { self.whole().await }
    }

    async fn whole(&mut self) -> Result<Bytes, Error> {
        self.answer.body.expect(self.content_length());
        let whole = poll_fn(|cx| self.answer.body.poll_whole(cx)).await;
        self.located(whole).map(Bytes::from)
    }

    /// The rest of the body as text. With the feature `charset` it is decoded from the charset that its
    /// `Content-Type` names, without it or a name it is taken for UTF-8. Invalid sequences become U+FFFD, and a
    /// byte order mark is left out.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    #[expect(clippy::manual_async_fn, reason = "as for `bytes`")]
    pub fn text(mut self) -> impl Future<Output = Result<String, Error>> + Send {
        async move {
            #[cfg(feature = "charset")]
            return self.whole_text("utf-8").await;
            #[cfg(not(feature = "charset"))]
            self.whole().await.map(text::utf_8)
        }
    }

    /// As [`text`](Self::text), with another charset than UTF-8 for when none is named; its name is one of the
    /// [Encoding Standard](https://encoding.spec.whatwg.org/#names-and-labels).
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    #[cfg(feature = "charset")]
    #[expect(clippy::manual_async_fn, reason = "as for `bytes`")]
    pub fn text_with_charset(
        mut self,
        default: &str,
    ) -> impl Future<Output = Result<String, Error>> + Send {
        async move { self.whole_text(default).await }
    }

    #[cfg(feature = "charset")]
    async fn whole_text(&mut self, default: &str) -> Result<String, Error> {
        let bytes = self.whole().await?;
        let named = self.header("content-type").and_then(text::charset);
        Ok(text::decode(bytes, named, default))
    }

    /// The rest of the body as JSON. Its `Content-Type` is not looked at.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk), and when it is no JSON or not that of a `T`: [`Error::is_decode`] holds.
    #[cfg(feature = "json")]
    #[expect(clippy::manual_async_fn, reason = "as for `bytes`")]
    pub fn json<T: serde::de::DeserializeOwned>(
        mut self,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        async move {
            let bytes = self.whole().await?;
            serde_json::from_slice(&bytes)
                .map_err(|error| Error::source(Phase::Decode, error).with_url(&self.url))
        }
    }

    /// The connection itself, after a response that switched protocols (101): for a WebSocket, for
    /// instance. The request must have had an `Upgrade` header; whether the server chose what was
    /// offered is for the caller to look at.
    ///
    /// The connection no longer counts as one of the client's, and no timeout of the request runs on it.
    ///
    /// # Errors
    ///
    /// When the status is another: [`Error::is_upgrade`] holds.
    ///
    /// # Cancel safety
    ///
    /// It never waits.
    #[expect(clippy::unused_async, reason = "reqwest's shape")]
    pub async fn upgrade(self) -> Result<Upgraded, Error> {
        let text = "the server did not switch protocols";
        let refused = || Error::plain(Phase::Upgrade, text).with_url(&self.url);
        self.answer
            .body
            .into_tunnel()
            .map(|(transport, bytes)| Upgraded::new(transport, bytes))
            .ok_or_else(refused)
    }

    /// Names the URL in an error of the body.
    fn located<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.with_url(&self.url))
    }
}
