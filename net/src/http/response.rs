//! A response, whose body streams.

use std::net::SocketAddr;
use std::sync::OnceLock;

use ::url::Url;
use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode, Version};

#[cfg(feature = "cookies")]
use super::cookie::Cookie;
use super::deadline::Deadline;
use super::error::{Cause, Error, Phase};
use super::exchange::Carrier;
use super::h1::ResponseHead;
use super::link::Received;

/// The most that is reserved for a body because its `Content-Length` says so. What is really sent
/// may still be more; a server only cannot make the client reserve it by announcing it.
const TRUSTED_LENGTH: usize = 1 << 20;

/// The response to a request: its head, and a body to be read.
///
/// The body is read as it is asked for. When its end has been read the connection goes back to the
/// client's pool; when the response is dropped before, the connection is closed.
#[derive(Debug)]
pub struct Response {
    head: ResponseHead,
    headers: OnceLock<HeaderMap>,
    url: Url,
    remote: SocketAddr,
    body: Body,
}

#[derive(Debug)]
struct Body {
    /// What has been received but not handed out.
    pending: Vec<u8>,
    source: Source,
    deadline: Deadline,
}

#[derive(Debug)]
enum Source {
    Open(Box<Carrier>),
    Ended,
    Failed,
}

impl Response {
    pub(super) fn new(
        received: Received,
        url: Url,
        remote: SocketAddr,
        carrier: Option<Carrier>,
        deadline: Deadline,
    ) -> Self {
        let source = carrier.map_or(Source::Ended, |carrier| Source::Open(Box::new(carrier)));
        let body = Body {
            pending: received.body,
            source,
            deadline,
        };
        Self {
            head: received.head,
            headers: OnceLock::new(),
            url,
            remote,
            body,
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// The protocol version of the response.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head.version()
    }

    /// The headers. The map is built when it is first asked for; [`header`](Self::header) and
    /// [`head`](Self::head) do without.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.headers.get_or_init(|| self.head.header_map())
    }

    /// The first header of this name, as bytes.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head.get(name)
    }

    /// The cookies that this response sets; lines that make no cookie are left out. Those of
    /// redirects before it are in the client's store only.
    #[cfg(feature = "cookies")]
    pub fn cookies(&self) -> impl Iterator<Item = Cookie<'_>> {
        let lines = self.headers().get_all(http::header::SET_COOKIE);
        lines.into_iter().filter_map(Cookie::from_header)
    }

    /// The head as it was parsed.
    #[must_use]
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// The URL that was fetched: the last one if there were redirects. Without userinfo.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The length of the body that the head announces, in bytes; `None` if it does not say.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.head.content_length()
    }

    /// The address that the request was sent to.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        Some(self.remote)
    }

    /// Turns a status of 400 and above into an error.
    ///
    /// # Errors
    ///
    /// The status, for which [`Error::is_status`] holds.
    pub fn error_for_status(self) -> Result<Self, Error> {
        let status = self.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(Error::new(Phase::Status, Cause::Status(status)).with_url(&self.url));
        }
        Ok(self)
    }

    /// The next piece of the body as it arrives, never empty; `None` after its end.
    ///
    /// A piece is copied once, from the runtime's receive buffer, so keeping pieces keeps no
    /// receive buffer from other connections.
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
        while self.body.pending.is_empty() {
            if self
                .body
                .receive()
                .await
                .map_err(|error| error.with_url(&self.url))?
            {
                break;
            }
        }
        let piece = std::mem::take(&mut self.body.pending);
        Ok(if piece.is_empty() {
            None
        } else {
            Some(piece.into())
        })
    }

    /// The rest of the body in one block. A body that came along with the head is not copied.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk); what had arrived is then lost.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        if let (Source::Open(_), Some(length)) = (&self.body.source, self.content_length()) {
            let length = usize::try_from(length)
                .unwrap_or(TRUSTED_LENGTH)
                .min(TRUSTED_LENGTH);
            let pending = &mut self.body.pending;
            pending.reserve_exact(length.saturating_sub(pending.len()));
        }
        while !self
            .body
            .receive()
            .await
            .map_err(|error| error.with_url(&self.url))?
        {}
        Ok(self.body.pending.into())
    }

    /// The rest of the body as text. It is taken for UTF-8 whatever its charset is said to be;
    /// invalid sequences become U+FFFD, and a byte order mark is left out.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    pub async fn text(self) -> Result<String, Error> {
        let mut bytes = self.bytes().await?;
        if bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.advance(3);
        }
        let text = String::from_utf8(bytes.into());
        Ok(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

impl Body {
    /// Receives once and appends to `pending`. Returns whether the body has ended.
    async fn receive(&mut self) -> Result<bool, Error> {
        let carrier = match &mut self.source {
            Source::Open(carrier) => carrier,
            Source::Ended => return Ok(true),
            Source::Failed => {
                return Err(Error::plain(Phase::Body, "the body has already failed"));
            }
        };
        let ended = match carrier.receive(&mut self.pending, &mut self.deadline).await {
            Ok(false) => return Ok(false),
            Ok(true) => Source::Ended,
            Err(error) => {
                // Closes the connection at once instead of when the response is dropped.
                self.source = Source::Failed;
                return Err(error);
            }
        };
        if let Source::Open(carrier) = std::mem::replace(&mut self.source, ended) {
            carrier.finish();
        }
        Ok(true)
    }
}
