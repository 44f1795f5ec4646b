//! Everything that can be wrong with a request to send or a response received.

use std::fmt;

/// Why a request was refused or a response could not be read.
///
/// After an error from [`receive`](super::Connection::receive) or [`eof`](super::Connection::eof)
/// the connection can only be closed: where the next response would begin is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The request target is empty, or holds a space, a control character, `#` or a non-ASCII byte.
    InvalidTarget,
    /// The host is empty or holds a character that no host or port can hold.
    InvalidHost,
    /// A request header's value holds CR, LF or NUL, which could smuggle in a second header.
    InvalidHeaderValue,
    /// A request header says how the body is framed; only the codec may say that.
    FramingHeader,
    /// A body of unknown length for an HTTP/1.0 server, which knows no chunks.
    ChunkedInHttp10,
    /// A request was encoded while an exchange was under way, or after one that closes the
    /// connection.
    NotReady,
    /// The server sent bytes although no request was outstanding.
    Unsolicited,
    /// The response does not begin with `HTTP/1.`.
    NotHttp,
    /// The status line is malformed, or its status code is outside 100 to 999.
    InvalidStatusLine,
    /// A header's name is malformed: empty, with a space before the colon, or a folded line.
    InvalidHeaderName,
    /// A header's value holds a control character, a NUL or a bare CR.
    InvalidResponseValue,
    /// A line of the head does not end in CRLF or LF.
    InvalidLineEnd,
    /// The head is longer than [`Limits::head`](super::Limits::head).
    HeadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// There are more header lines than [`Limits::headers`](super::Limits::headers).
    TooManyHeaders {
        /// The limit in lines.
        limit: usize,
    },
    /// There were more 1xx responses than
    /// [`Limits::informational`](super::Limits::informational).
    TooManyInformational {
        /// The limit in responses.
        limit: u32,
    },
    /// 101 Switching Protocols, although the request had no `Upgrade` header.
    UnexpectedUpgrade,
    /// A `Content-Length` is not a decimal number that fits 64 bits.
    InvalidContentLength,
    /// Two `Content-Length` values disagree.
    ConflictingContentLength,
    /// A `Transfer-Encoding` is empty or holds something that is not a coding name.
    InvalidTransferEncoding,
    /// `chunked` was applied more than once.
    RepeatedChunked,
    /// A `Transfer-Encoding` in an HTTP/1.0 response, where the coding does not exist.
    TransferEncodingInHttp10,
    /// A chunk size is not 1 to 16 hexadecimal digits.
    InvalidChunkSize,
    /// A chunk extension holds a control character or a line feed.
    InvalidChunkExtension,
    /// A chunk's size line or its data is not followed by exactly CRLF.
    InvalidChunkEnd,
    /// The chunk extensions exceed
    /// [`Limits::chunk_extensions`](super::Limits::chunk_extensions).
    ChunkExtensionsTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The trailer section is malformed.
    InvalidTrailers,
    /// The trailer section exceeds [`Limits::trailers`](super::Limits::trailers).
    TrailersTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body exceeds [`Limits::body`](super::Limits::body).
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The server closed the connection before the first byte of the response.
    ClosedBeforeResponse,
    /// The server closed the connection within the response head.
    ClosedInHead,
    /// The server closed the connection before the announced end of the body.
    ClosedInBody {
        /// Bytes of the `Content-Length` that never came.
        missing: u64,
    },
    /// The server closed the connection within a chunked body.
    ClosedInChunked,
    /// The connection was used again after an error.
    Failed,
}

impl Error {
    /// Whether the request itself was refused: nothing was sent.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(
            self,
            Self::InvalidTarget
                | Self::InvalidHost
                | Self::InvalidHeaderValue
                | Self::FramingHeader
                | Self::ChunkedInHttp10
                | Self::NotReady
        )
    }

    /// Whether the server closed the connection too early.
    #[must_use]
    pub fn is_early_close(&self) -> bool {
        matches!(
            self,
            Self::ClosedBeforeResponse
                | Self::ClosedInHead
                | Self::ClosedInBody { .. }
                | Self::ClosedInChunked
        )
    }

    /// Whether one of the [`Limits`](super::Limits) was exceeded.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::HeadTooLarge { .. }
                | Self::TooManyHeaders { .. }
                | Self::TooManyInformational { .. }
                | Self::ChunkExtensionsTooLarge { .. }
                | Self::TrailersTooLarge { .. }
                | Self::BodyTooLarge { .. }
        )
    }

    /// The messages that hold no number.
    fn text(&self) -> &'static str {
        match self {
            Self::InvalidTarget => "the request target is empty or holds an invalid character",
            Self::InvalidHost => "the host is empty or holds an invalid character",
            Self::InvalidHeaderValue => "a request header's value holds CR, LF or NUL",
            Self::FramingHeader => {
                "a request header says how the body is framed (Content-Length or \
                 Transfer-Encoding); leave it out, it is derived from the body"
            }
            Self::ChunkedInHttp10 => {
                "the body's length is unknown, and HTTP/1.0 knows no chunks; give its length"
            }
            Self::NotReady => "the connection is not ready for another request",
            Self::Unsolicited => "the server sent bytes without being asked",
            Self::NotHttp => "the response does not begin with HTTP/1.",
            Self::InvalidStatusLine => "the status line is malformed",
            Self::InvalidHeaderName => {
                "a header name is malformed (a space before the colon or a folded line)"
            }
            Self::InvalidResponseValue => "a header value holds a control character",
            Self::InvalidLineEnd => "a line of the response head does not end in CRLF",
            Self::UnexpectedUpgrade => "the server switched protocols without being asked",
            Self::InvalidContentLength => "a Content-Length is not a decimal 64-bit number",
            Self::ConflictingContentLength => "two Content-Length values disagree",
            Self::InvalidTransferEncoding => "a Transfer-Encoding is malformed",
            Self::RepeatedChunked => "the chunked coding is applied more than once",
            Self::TransferEncodingInHttp10 => "an HTTP/1.0 response has a Transfer-Encoding",
            Self::InvalidChunkSize => "a chunk size is not 1 to 16 hexadecimal digits",
            Self::InvalidChunkExtension => "a chunk extension holds a control character",
            Self::InvalidChunkEnd => "a chunk is not followed by CRLF",
            Self::InvalidTrailers => "the trailer section is malformed",
            Self::ClosedBeforeResponse => "the server closed the connection without a response",
            Self::ClosedInHead => "the server closed the connection within the response head",
            Self::ClosedInChunked => "the server closed the connection within a chunked body",
            _ => "the connection has already failed",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::HeadTooLarge { limit } => {
                write!(f, "the response head exceeds the limit of {limit} bytes")
            }
            Self::TooManyHeaders { limit } => {
                write!(f, "the response exceeds the limit of {limit} header lines")
            }
            Self::TooManyInformational { limit } => {
                write!(
                    f,
                    "the server exceeds the limit of {limit} informational responses"
                )
            }
            Self::ChunkExtensionsTooLarge { limit } => {
                write!(f, "the chunk extensions exceed the limit of {limit} bytes")
            }
            Self::TrailersTooLarge { limit } => {
                write!(f, "the trailer section exceeds the limit of {limit} bytes")
            }
            Self::BodyTooLarge { limit } => {
                write!(f, "the response body exceeds the limit of {limit} bytes")
            }
            Self::ClosedInBody { missing } => write!(
                f,
                "the server closed the connection with {missing} bytes of the announced \
                 Content-Length missing"
            ),
            _ => f.write_str(self.text()),
        }
    }
}

impl std::error::Error for Error {}
