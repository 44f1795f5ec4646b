//! Finds and parses a response head, and keeps its headers as byte spans.

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use httparse::{Header, ParserConfig, Response, Status};

use super::framing::FramingHeaders;
use super::{Error, Limits};

/// A response head: version, status, reason and headers.
///
/// The headers are spans of one block of bytes. Looking one up walks the spans, which is cheaper
/// than building a [`HeaderMap`] for a head that is asked two or three questions;
/// [`header_map`](Self::header_map) builds one for who wants it.
#[derive(Clone)]
pub struct ResponseHead {
    bytes: Bytes,
    spans: Vec<Span>,
    /// The names that there are.
    names: Names,
    reason: Range<u32>,
    version: Version,
    status: StatusCode,
    framing: FramingHeaders,
}

/// A filter of header names: one that it does not know of is not there. A client asks every head for `Set-Cookie` and
/// `Content-Encoding`, which most have not, and so need not be walked.
#[derive(Clone, Copy, Default)]
struct Names(u64);

/// Where one header line's name and value lie. 32 bits suffice: the head's limit is checked first.
#[derive(Clone, Copy)]
struct Span {
    name: u32,
    name_end: u32,
    value: u32,
    value_end: u32,
}

impl ResponseHead {
    /// [`Version::HTTP_11`] or [`Version::HTTP_10`]; the client's also [`Version::HTTP_2`].
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase, which has no meaning and may be empty. May hold bytes that are not UTF-8.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.slice(self.reason.start, self.reason.end)
    }

    /// The value of the first header with this name, which is compared without regard to case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The values of all headers with this name, in the order they arrived.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let spans: &[Span] = match self.names.may_have(name.as_bytes()) {
            true => &self.spans,
            false => &[],
        };
        // Most headers already differ in length, so that their bytes need not be looked at.
        let found = spans.iter().filter(move |span| {
            (span.name_end - span.name) as usize == name.len()
                && self
                    .slice(span.name, span.name_end)
                    .eq_ignore_ascii_case(name.as_bytes())
        });
        found.map(|span| self.slice(span.value, span.value_end))
    }

    /// All headers in the order they arrived, names as the server spelt them.
    #[must_use]
    pub fn headers(&self) -> HeaderSpans<'_> {
        HeaderSpans {
            head: self,
            next: 0,
        }
    }

    /// The announced length of the body: the `Content-Length`, unless a `Transfer-Encoding`
    /// overrides it. For HEAD it is the length that GET would give.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.framing.content_length()
    }

    /// Whether the body has a transfer coding other than `chunked`. The codec does not remove
    /// those: the body's bytes are then encoded in a way that no request of this codec offered.
    #[must_use]
    pub fn has_unknown_transfer_coding(&self) -> bool {
        self.framing.has_other_coding()
    }

    /// Builds a [`HeaderMap`]. Values share the head's one block of bytes, nothing is copied but
    /// the names that are not well known.
    #[must_use]
    pub fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.spans.len());
        for span in &self.spans {
            let name = HeaderName::from_bytes(self.slice(span.name, span.name_end));
            let value = self
                .bytes
                .slice(span.value as usize..span.value_end as usize);
            // Parsing has accepted the same alphabet, so these are never wrong, except for a name
            // over 64 KiB under a raised limit, which no map can hold.
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_maybe_shared(value)) {
                map.append(name, value);
            }
        }
        map
    }

    /// The head of a response that came as another version than 1.
    #[cfg(feature = "http2")]
    pub(crate) fn from_map(version: Version, status: StatusCode, map: &HeaderMap) -> Self {
        let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        let mut bytes = Vec::with_capacity(map.iter().map(size).sum());
        let mut framing = FramingHeaders::default();
        let mut names = Names::default();
        let mut put = |text: &[u8]| {
            let from = bytes.len() as u32;
            bytes.extend_from_slice(text);
            (from, bytes.len() as u32)
        };
        let mut spans = Vec::with_capacity(map.len());
        for (name, value) in map {
            framing.note(name.as_str().as_bytes(), value.as_bytes());
            names.add(name.as_str().as_bytes());
            let (name, name_end) = put(name.as_str().as_bytes());
            let (value, value_end) = put(value.as_bytes());
            spans.push(Span {
                name,
                name_end,
                value,
                value_end,
            });
        }
        Self {
            bytes: bytes.into(),
            spans,
            names,
            reason: 0..0,
            version,
            status,
            framing,
        }
    }

    pub(super) fn framing(&self) -> &FramingHeaders {
        &self.framing
    }

    fn slice(&self, from: u32, to: u32) -> &[u8] {
        &self.bytes[from as usize..to as usize]
    }
}

impl Names {
    /// By its length and its first letter, without regard to case.
    fn bit(name: &[u8]) -> u64 {
        let first = name.first().map_or(0, |byte| byte | 0x20);
        1 << ((name.len() + 7 * usize::from(first)) % 64)
    }

    fn add(&mut self, name: &[u8]) {
        self.0 |= Self::bit(name);
    }

    fn may_have(self, name: &[u8]) -> bool {
        self.0 & Self::bit(name) != 0
    }
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Lines<'a>(&'a ResponseHead);
        impl fmt::Debug for Lines<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let lossy = |(name, value)| (name, String::from_utf8_lossy(value));
                f.debug_map().entries(self.0.headers().map(lossy)).finish()
            }
        }
        f.debug_struct("ResponseHead")
            .field("version", &self.version)
            .field("status", &self.status)
            .field("headers", &Lines(self))
            .finish_non_exhaustive()
    }
}

/// The headers of a [`ResponseHead`] in the order they arrived: names as text, values as bytes.
#[derive(Debug, Clone)]
pub struct HeaderSpans<'a> {
    head: &'a ResponseHead,
    next: usize,
}

impl<'a> Iterator for HeaderSpans<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let span = *self.head.spans.get(self.next)?;
        self.next += 1;
        let name = std::str::from_utf8(self.head.slice(span.name, span.name_end));
        let name = name.expect("a header name is a token, which is ASCII");
        Some((name, self.head.slice(span.value, span.value_end)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.head.spans.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for HeaderSpans<'_> {}

/// Collects a head over as many slices as it takes.
///
/// A head that lies within one slice, the common case, is parsed where it is. Otherwise the bytes
/// are collected, each is looked at once in search of the empty line, and the head is parsed once
/// when that is found: the work is linear in the head even if it arrives byte by byte.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    buffer: Vec<u8>,
    line: Line,
}

/// What the current line holds so far, in the search for an empty one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Something.
    #[default]
    Text,
    /// Nothing yet.
    Empty,
    /// A carriage return and nothing else.
    Cr,
}

/// What a response head must begin with; the minor version may be 0 or 1.
const PREFIX: &[u8] = b"HTTP/1.";

impl HeadReader {
    /// Reads on. Returns how many bytes of `input` belong to the head, and the head if it is
    /// complete. The reader is then ready for the next one.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<(usize, Option<ResponseHead>), Error> {
        if self.buffer.is_empty() {
            check_prefix(input)?;
            let visible = &input[..input.len().min(limits.head)];
            if let Some((used, head)) = parse(visible, limits)? {
                return Ok((used, Some(head)));
            }
        }
        let room = limits.head.saturating_sub(self.buffer.len());
        let end = self.find_end(input);
        let used = end.unwrap_or(input.len());
        // A head that has used up its room without an end is too large as well.
        if used > room || (end.is_none() && used == room) {
            return Err(Error::HeadTooLarge { limit: limits.head });
        }
        let checked = self.buffer.len();
        self.buffer.extend_from_slice(&input[..used]);
        if checked < PREFIX.len() {
            check_prefix(&self.buffer)?;
        }
        if end.is_none() {
            return Ok((used, None));
        }
        self.line = Line::Text;
        let buffer = std::mem::take(&mut self.buffer);
        match parse(&buffer, limits)? {
            Some((_, head)) => Ok((used, Some(head))),
            // The search and the parser agree about where a well-formed head ends.
            None => Err(Error::InvalidLineEnd),
        }
    }

    /// The index behind the empty line's end, if it is in this input.
    fn find_end(&mut self, input: &[u8]) -> Option<usize> {
        for (at, &byte) in input.iter().enumerate() {
            self.line = match (byte, self.line) {
                (b'\n', Line::Empty | Line::Cr) => return Some(at + 1),
                (b'\n', Line::Text) => Line::Empty,
                (b'\r', Line::Empty) => Line::Cr,
                _ => Line::Text,
            };
        }
        None
    }
}

/// Fails as early as possible for what is not HTTP/1 at all: TLS alerts, banners of other
/// protocols, HTTP/0.9 documents.
fn check_prefix(bytes: &[u8]) -> Result<(), Error> {
    let seen = bytes.len().min(PREFIX.len());
    if bytes[..seen] == PREFIX[..seen] {
        Ok(())
    } else {
        Err(Error::NotHttp)
    }
}

/// The number of header lines for which the parser's table lives on the stack.
const STACK_HEADERS: usize = 100;

/// Parses a head; `None` if it is incomplete.
fn parse(bytes: &[u8], limits: &Limits) -> Result<Option<(usize, ResponseHead)>, Error> {
    let lines = limits.header_lines();
    if lines <= STACK_HEADERS {
        let mut table = [const { MaybeUninit::uninit() }; STACK_HEADERS];
        parse_with(bytes, &mut table[..lines], limits)
    } else {
        let mut table = vec![MaybeUninit::uninit(); lines];
        parse_with(bytes, &mut table, limits)
    }
}

fn parse_with<'b>(
    bytes: &'b [u8],
    table: &mut [MaybeUninit<Header<'b>>],
    limits: &Limits,
) -> Result<Option<(usize, ResponseHead)>, Error> {
    let mut response = Response::new(&mut []);
    // The default configuration is the strict one: no folded lines, no space before the colon.
    // It tolerates a bare LF as the end of a line, and refuses a bare CR and NUL.
    let parsed = ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, table)
        .map_err(|error| match error {
            httparse::Error::HeaderName => Error::InvalidHeaderName,
            httparse::Error::HeaderValue => Error::InvalidResponseValue,
            httparse::Error::NewLine => Error::InvalidLineEnd,
            httparse::Error::TooManyHeaders => Error::TooManyHeaders {
                limit: limits.header_lines(),
            },
            _ => Error::InvalidStatusLine,
        })?;
    let Status::Complete(used) = parsed else {
        return Ok(None);
    };
    let status = response
        .code
        .and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Error::InvalidStatusLine)?;
    let version = match response.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let mut framing = FramingHeaders::default();
    let mut names = Names::default();
    let base = bytes.as_ptr().addr();
    // The parser returns sub-slices of `bytes`; a span is their distance from its start. An empty
    // slice may point elsewhere, but then its length is 0 and its place does not matter.
    let locate = |slice: &[u8]| {
        let from = if slice.is_empty() {
            0
        } else {
            slice.as_ptr().addr() - base
        };
        (from as u32, (from + slice.len()) as u32)
    };
    let spans = response.headers.iter().map(|header| {
        framing.note(header.name.as_bytes(), header.value);
        names.add(header.name.as_bytes());
        let (name, name_end) = locate(header.name.as_bytes());
        let (value, value_end) = locate(header.value);
        Span {
            name,
            name_end,
            value,
            value_end,
        }
    });
    let spans = spans.collect();
    let (reason, reason_end) = locate(response.reason.unwrap_or_default().as_bytes());
    let bytes = Bytes::copy_from_slice(&bytes[..used]);
    let reason = reason..reason_end;
    Ok(Some((
        used,
        ResponseHead {
            bytes,
            spans,
            names,
            reason,
            version,
            status,
            framing,
        },
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 404 Not Found\r\nServer: x\r\nX-Empty:\r\nset-cookie: a=1\r\n\
        Set-Cookie:  b=2 \r\nContent-Length: 12\r\n\r\n";

    fn read(input: &[u8]) -> Result<ResponseHead, Error> {
        let (used, head) = HeadReader::default().read(input, &Limits::default())?;
        assert_eq!(used, input.len());
        Ok(head.expect("the head is complete"))
    }

    #[test]
    fn spans_and_map_agree() {
        let head = read(HEAD).unwrap();
        assert_eq!(
            (head.status(), head.version()),
            (StatusCode::NOT_FOUND, Version::HTTP_11)
        );
        assert_eq!(head.reason(), b"Not Found");
        assert_eq!(head.get("SERVER"), Some(&b"x"[..]));
        assert_eq!(head.get("x-empty"), Some(&b""[..]));
        assert_eq!(head.get("Set-Cookie"), Some(&b"a=1"[..]));
        assert_eq!(head.get("absent"), None);
        assert_eq!(head.content_length(), Some(12));
        assert_eq!(head.headers().len(), 5);
        let map = head.header_map();
        assert_eq!(map.len(), 5);
        let cookies: Vec<_> = map.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert!(format!("{head:?}").contains("Set-Cookie"));
    }

    /// Control, tried: a filter that tells an upper-case letter from a lower-case one.
    #[test]
    fn every_name_is_found_however_it_is_spelt() {
        let names = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
        for (at, first) in names.char_indices() {
            let name = format!("{first}{}", &names[..at]);
            for sent in [name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
                let head = read(format!("HTTP/1.1 200 OK\r\n{sent}: v\r\n\r\n").as_bytes());
                let head = head.unwrap();
                assert_eq!(head.get(&name), Some(&b"v"[..]), "{sent}");
                assert_eq!(
                    head.get(&name.to_ascii_uppercase()),
                    Some(&b"v"[..]),
                    "{sent}"
                );
            }
        }
    }

    #[test]
    fn a_byte_at_a_time_gives_the_same_head() {
        let mut reader = HeadReader::default();
        let (last, front) = HEAD.split_last().unwrap();
        for byte in front {
            let (used, head) = reader.read(&[*byte], &Limits::default()).unwrap();
            assert!(used == 1 && head.is_none() && !reader.buffer.is_empty());
        }
        let (_, head) = reader.read(&[*last], &Limits::default()).unwrap();
        assert_eq!(head.unwrap().header_map(), read(HEAD).unwrap().header_map());
        assert!(reader.buffer.is_empty());
    }

    #[test]
    fn the_search_does_not_start_over() {
        // 60 KiB of head in single bytes: a quadratic search would take 2 billion steps here, and
        // this test the better part of a minute.
        let mut reader = HeadReader::default();
        let limits = Limits::default();
        reader.read(b"HTTP/1.1 200 OK\r\nx: ", &limits).unwrap();
        for _ in 0..60_000 {
            reader.read(b"y", &limits).unwrap();
        }
        let (used, head) = reader.read(b"\r\n\r\nbody", &limits).unwrap();
        assert_eq!(used, 4);
        assert_eq!(head.unwrap().get("x").unwrap().len(), 60_000);
    }

    #[test]
    fn what_is_not_http_fails_at_its_first_byte() {
        for input in [
            &b"<html>"[..],
            b"\x15\x03\x03",
            b"HTTP/2",
            b"SSH-2.0",
            b"\r\nHTTP/1.1",
            b"h",
        ] {
            assert_eq!(read(input).unwrap_err(), Error::NotHttp);
        }
        let mut reader = HeadReader::default();
        reader.read(b"HT", &Limits::default()).unwrap();
        assert_eq!(
            reader.read(b"P", &Limits::default()).unwrap_err(),
            Error::NotHttp
        );
    }
}
