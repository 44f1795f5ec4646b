//! How much of everything a server may send before the exchange fails.

/// Upper bounds on what one response may hold. Exceeding one is a typed [`Error`](super::Error).
///
/// The defaults suit a crawler that meets hostile servers: a head of 64 KiB with 100 headers, 16
/// informational responses, 16 KiB of chunk extensions, 16 KiB of trailers, and no bound on the
/// body (the client sets one with `max_response_size`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a response head, from the status line to the empty line, both included.
    pub head: usize,
    /// Header lines of a response, and trailer lines. Values above 4096 count as 4096.
    pub headers: usize,
    /// Informational (1xx) responses before the final one.
    pub informational: u32,
    /// Bytes of chunk extensions, added up over one body.
    pub chunk_extensions: usize,
    /// Bytes of the trailer section of a chunked body.
    pub trailers: usize,
    /// Bytes of the body after the transfer coding is removed. A `Content-Length` above it fails at
    /// the head, before a byte of the body is read.
    pub body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 64 * 1024,
            headers: 100,
            informational: 16,
            chunk_extensions: 16 * 1024,
            trailers: 16 * 1024,
            body: u64::MAX,
        }
    }
}

impl Limits {
    /// The most header lines [`headers`](Self::headers) can allow; `http::HeaderMap` has a hard
    /// bound of its own that must stay out of reach.
    pub(super) const MOST_HEADERS: usize = 4096;

    /// The effective bound on header lines.
    pub(crate) fn header_lines(&self) -> usize {
        self.headers.min(Self::MOST_HEADERS)
    }
}
