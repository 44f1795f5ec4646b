//! HTTP/1.1 for a client, as a pure state machine ([RFC 9112]): bytes in, events out, no socket.
//!
//! Read the files in this order:
//!
//! | file | idea |
//! |---|---|
//! | `limits.rs` | [`Limits`]: how much of everything a server may send |
//! | `error.rs` | [`Error`]: everything that can be wrong with a request or a response |
//! | `encode.rs` | [`RequestHead`]: writes a request head, and refuses one that could be read in two ways |
//! | `head.rs` | [`ResponseHead`]: finds and parses a response head, keeps headers as byte spans |
//! | `framing.rs` | decides where the body ends and whether the connection survives it |
//! | `chunked.rs` | the chunked transfer coding, byte by byte, with trailers |
//! | `body.rs` | the one body decoder over all framings |
//! | `connection.rs` | [`Connection`]: ties them into one exchange after another |
//!
//! # How it is driven
//!
//! The caller owns the socket and the receive buffers. [`Connection::receive`] borrows a received
//! slice and returns how much of it was used and one [`Event`]; a piece of the body is a sub-slice
//! of that very input, so the codec itself never copies a body byte. Only a response head is
//! copied (once, a few hundred bytes), because it outlives the receive buffer.
//!
//! ```
//! use heist_net::http::h1::{Connection, Event, Limits, RequestBody, RequestHead};
//! use http::{HeaderMap, Method, Version};
//!
//! let none = HeaderMap::new();
//! let mut connection = Connection::new(Limits::default());
//! let mut request = Vec::new();
//! connection.encode_request(
//!     &RequestHead {
//!         method: &Method::GET,
//!         target: "/index.html",
//!         host: "example.com",
//!         port: None,
//!         headers: &none,
//!         defaults: &none,
//!         version: Version::HTTP_11,
//!         body: RequestBody::None,
//!     },
//!     &mut request,
//! )?;
//! assert_eq!(request, b"GET /index.html HTTP/1.1\r\nhost: example.com\r\n\r\n");
//!
//! let mut input: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
//! let mut body = Vec::new();
//! loop {
//!     let (used, event) = connection.receive(input)?;
//!     input = &input[used..];
//!     match event {
//!         Event::Head(head) => assert_eq!(head.status(), 200),
//!         Event::Data(data) => body.extend_from_slice(data),
//!         Event::Trailers(_) => {}
//!         Event::NeedMore => unreachable!("a program would receive from its socket here"),
//!         Event::End => break,
//!     }
//! }
//! assert_eq!(body, b"hello");
//! assert!(connection.can_reuse());
//! # Ok::<(), heist_net::http::h1::Error>(())
//! ```
//!
//! [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112

#![forbid(unsafe_code)]

mod limits;
mod error;
mod encode;
mod head;
mod framing;
mod chunked;
mod body;
mod connection;

#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod split_tests;

pub use connection::{Connection, Event};
pub use encode::{RequestBody, RequestHead};
pub use error::Error;
pub use head::{HeaderSpans, ResponseHead};
pub use limits::Limits;
