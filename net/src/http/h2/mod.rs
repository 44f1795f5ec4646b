//! HTTP/2: many exchanges at once over one connection of an origin ([RFC 9113]), by hyper.
//!
//! | file | idea |
//! |---|---|
//! | `settings.rs` | what a [`ClientBuilder`](super::ClientBuilder) has to say about it |
//! | `metered.rs` | the transport, counted; it holds the right to be open |
//! | `connection.rs` | one connection: its sender, its driver, and how long nobody has used it |
//! | `origins.rs` | which origins have one, and who makes it while the others wait |
//! | `upload.rs` | the body of a request, shared with the one who waits for the answer |
//! | `exchange.rs` | one request, up to its response's head |
//! | `stream.rs` | the body of a response |
//!
//! A connection has tasks of its own, since it belongs to nobody's request: its driver, and those that hyper starts
//! for it. They end when the client and all responses are gone.
//!
//! [RFC 9113]: https://www.rfc-editor.org/rfc/rfc9113

mod settings;
mod metered;
mod connection;
mod origins;
mod upload;
mod exchange;
mod stream;

pub(super) use connection::{Connection, Lease, establish};
pub(super) use exchange::exchange;
pub(super) use metered::Metered as Io;
pub(super) use origins::{Lead, Origins, Place};
pub(super) use settings::{Mode, Settings};
pub(super) use stream::Stream;
