//! What the targets share: input cut into settings and pieces, and a response as its caller sees it.
//!
//! Each target checks more than that nothing panics: a response cut elsewhere must mean the same, a body must be what
//! a plain reading of the grammar says, and a redirect must not leak.

use heist_net::http::h1::{Connection, Error, Event, Limits, RequestBody, RequestHead};
use http::{HeaderMap, HeaderValue, Method, Version};

/// Takes settings off the front of the input.
#[derive(Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte; 0 when there is none.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    /// A seed for [`pieces`].
    pub fn seed(&mut self) -> u64 {
        u64::from(self.byte()) | u64::from(self.byte()) << 8
    }
}

/// Cuts bytes into pieces of 1 to 16 bytes, or, for some seeds, also much larger ones.
pub fn pieces(bytes: &[u8], seed: u64) -> impl Iterator<Item = &[u8]> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let most = if seed % 3 == 0 {
            1 << (state >> 60)
        } else {
            16
        };
        let length = (state >> 8) as usize % most + 1;
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        Some(piece)
    })
}

/// A request of a few kinds that change how its response is read.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    headers: HeaderMap,
}

impl Asked {
    /// The kind that this byte stands for.
    pub fn new(kind: u8) -> Self {
        let method = match kind & 7 {
            0 => Method::HEAD,
            1 => Method::CONNECT,
            2 => Method::POST,
            _ => Method::GET,
        };
        let mut headers = HeaderMap::new();
        if kind & 0x10 != 0 {
            headers.insert("connection", HeaderValue::from_static("close"));
        }
        if kind & 0x20 != 0 {
            headers.insert("upgrade", HeaderValue::from_static("x"));
        }
        Self { method, headers }
    }

    /// Sends it on a connection.
    pub fn send(&self, connection: &mut Connection) -> Result<(), Error> {
        let request = RequestHead {
            method: &self.method,
            target: "/",
            host: "h",
            port: None,
            headers: &self.headers,
            defaults: &HeaderMap::new(),
            version: Version::HTTP_11,
            body: RequestBody::None,
        };
        connection.encode_request(&request, &mut Vec::new())
    }
}

/// Everything that a caller can see of one response.
#[derive(Debug, PartialEq, Default)]
pub struct Seen {
    pub head: Option<(u16, HeaderMap)>,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    pub ended: bool,
    pub reusable: bool,
    pub error: Option<Error>,
}

impl Seen {
    /// The same response, although of two things that are wrong with it another one may be met first.
    pub fn agrees_with(&self, other: &Self) -> bool {
        match (self.error, other.error) {
            (None, None) => self == other,
            // What was delivered before the error is the same as far as both go.
            (Some(_), Some(_)) => {
                let common = self.body.len().min(other.body.len());
                self.body[..common] == other.body[..common]
            }
            _ => false,
        }
    }
}

/// Receives one response in these pieces, and then the end of the stream.
pub fn exchange<'i>(asked: &Asked, limits: Limits, pieces: impl Iterator<Item = &'i [u8]>) -> Seen {
    let mut connection = Connection::new(limits);
    asked.send(&mut connection).expect("the request is valid");
    let mut seen = Seen::default();
    if let Err(error) = receive(&mut connection, pieces, &mut seen) {
        assert!(!connection.can_reuse() && !connection.is_ended());
        assert!(matches!(connection.receive(b"x"), Err(Error::Failed)));
        assert!(!error.is_request(), "{error:?} of a response");
        seen.error = Some(error);
        return seen;
    }
    assert!(seen.ended);
    let again = asked.send(&mut connection);
    assert_eq!(again.is_ok(), seen.reusable, "what can be used again is");
    seen
}

fn receive<'i>(
    connection: &mut Connection,
    pieces: impl Iterator<Item = &'i [u8]>,
    seen: &mut Seen,
) -> Result<(), Error> {
    for mut input in pieces {
        loop {
            let (used, event) = connection.receive(input)?;
            let before = input;
            input = &input[used..];
            match event {
                Event::Head(head) => {
                    assert!(seen.head.is_none(), "two heads");
                    let map = head.header_map();
                    assert_eq!(map.len(), head.headers().len());
                    for (name, value) in head.headers() {
                        assert!(map.get_all(name).iter().any(|other| other == value));
                    }
                    seen.head = Some((head.status().as_u16(), map));
                }
                Event::Data(data) => {
                    assert!(seen.head.is_some() && !data.is_empty());
                    assert!(before[..used].ends_with(data), "a copy, or other bytes");
                    seen.body.extend_from_slice(data);
                }
                Event::Trailers(trailers) => {
                    assert!(seen.trailers.is_none() && !trailers.is_empty());
                    seen.trailers = Some(trailers);
                }
                Event::NeedMore => {
                    assert!(input.is_empty(), "input was left over");
                    break;
                }
                Event::End => {
                    assert!(connection.is_ended());
                    seen.ended = true;
                    // More may come, in this piece or in others.
                    seen.reusable = connection.can_reuse();
                    break;
                }
            }
        }
    }
    if seen.ended {
        return Ok(());
    }
    connection.eof()?;
    assert!(connection.is_ended() && !connection.can_reuse());
    seen.ended = true;
    Ok(())
}
