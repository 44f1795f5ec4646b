//! What fuzz targets need of the private parts; not there in an ordinary build.

use ::url::Url;
use http::StatusCode;

use super::error::Error;
use super::redirect::Policy;

/// Where a redirect leads.
///
/// # Errors
///
/// When it leads nowhere.
pub fn next_url(from: &Url, status: u16, location: &[u8]) -> Result<Option<Url>, Error> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    let none = http::HeaderMap::new();
    Policy::default().next_url(&mut Vec::new(), from, &none, status, Some(location))
}

/// What goes into the request line.
#[must_use]
pub fn target(url: &Url) -> &str {
    super::url::target(url)
}

/// Whether credentials for one may be sent to the other.
#[must_use]
pub fn same_origin(a: &Url, b: &Url) -> bool {
    super::url::same_origin(a, b)
}

/// A body without its content codings, as a response with this `Content-Encoding` has it. `size` and `ratio` are the
/// limits; after `size` bytes there is at most one buffer more.
///
/// # Errors
///
/// When the coded body is wrong, cut off, or too much.
///
/// # Panics
///
/// Unless `codings` is a header's value.
#[cfg(feature = "gzip")]
pub fn decode<'i>(
    codings: &str,
    mut pieces: impl Iterator<Item = &'i [u8]>,
    size: u64,
    ratio: u32,
) -> Result<Vec<u8>, Error> {
    use super::coding::{Codings, DecodeLimits, Decoded, Decoder};
    use super::h1::{Connection, Event, Limits, RequestHead};

    let none = http::HeaderMap::new();
    let mut connection = Connection::new(Limits::default());
    let request = RequestHead {
        method: &http::Method::GET,
        target: "/",
        host: "h",
        port: None,
        headers: &none,
        defaults: &none,
        version: http::Version::HTTP_11,
        body: super::h1::RequestBody::None,
    };
    let encoded = connection.encode_request(&request, &mut Vec::new());
    encoded.expect("the request is valid");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {codings}\r\n\r\n");
    let Ok((_, Event::Head(head))) = connection.receive(head.as_bytes()) else {
        panic!("the head is valid");
    };
    let limits = DecodeLimits {
        size,
        ratio: Some(ratio),
    };
    let mut out = Vec::new();
    let Some(mut decoder) = Decoder::for_response(&head, Codings::COMPILED, limits)? else {
        return Ok(pieces.flatten().copied().collect());
    };
    loop {
        match decoder.decode(&mut out)? {
            Decoded::Some => {}
            Decoded::End => return Ok(out),
            Decoded::NeedsInput => match pieces.next() {
                Some(piece) => {
                    decoder.input().extend_from_slice(piece);
                    decoder.received(piece.len());
                }
                None => decoder.end(),
            },
        }
    }
}
