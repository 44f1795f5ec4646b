//! An HTTP client in the shape of reqwest's. HTTP/1.1 runs in the caller's own task; HTTP/2 is hyper's.
//!
//! Read the files in this order:
//!
//! | file | idea |
//! |---|---|
//! | `comparison.rs` | [`comparison`]: a table of this client and others, no code |
//! | `h1/` | [`h1`]: the protocol as a pure state machine, usable on its own |
//! | `error.rs` | [`Error`]: one opaque error with predicates |
//! | `url.rs` | [`IntoUrl`], and what a connection and a request need to know of a URL |
//! | `redirect.rs` | [`Policy`], and the request that follows a redirect |
//! | `trace.rs` | what the feature `tracing` tells of a request |
//! | `deadline.rs` | the clocks of an exchange: one for all of it, one for silence |
//! | `cookie/` | a jar of cookies (feature `cookies`) |
//! | `guard.rs` | which addresses a crawler has no business with |
//! | `proxy/` | [`Proxy`]: which way a request goes, and how a proxy is asked |
//! | `metrics.rs` | [`Metrics`]: what a client has done, in numbers |
//! | `total.rs` | the limit of all connections |
//! | `pool.rs` | idle connections, limits per host, and the fair queue for a free slot |
//! | `transport.rs` | what carries the bytes: a socket, or something around one |
//! | `connect.rs` | from a URL to a transport |
//! | `arrived.rs` | what has arrived of a body |
//! | `link.rs` | one connection: a transport and its codec |
//! | `keeper.rs` | the task that looks after idle connections |
//! | `h2/` | HTTP/2: many exchanges over one connection (feature `http2`) |
//! | `flow.rs` | a response under way, over a connection of its own or a shared one |
//! | `claim.rs` | where a request gets its connection from |
//! | `exchange.rs` | one request and its response, with the retry of stale connections |
//! | `coding/` | `gzip` and the like, removed from bodies (features of those names) |
//! | `body/` | [`Body`]: bytes or a stream, and how it is sent |
//! | `prewarm.rs` | connections that are opened before they are needed |
//! | `request.rs` | [`Request`]: a request as a value |
//! | `request_builder.rs` | [`RequestBuilder`] |
//! | `response/` | [`Response`], whose body streams; [`Upgraded`] |
//! | `payload.rs` | bodies made of values: JSON, forms; queries (features of those names) |
//! | `multipart.rs` | `multipart`: bodies of several parts |
//! | `retry.rs` | [`Retry`]: when a request is sent again |
//! | `random.rs` | numbers that cannot be guessed |
//! | `builder.rs`, `names.rs`, `secure.rs` | [`ClientBuilder`] |
//! | `client.rs` | [`Client`] |
//! | `service.rs` | a client as a `Service` of tower's (feature `tower`) |
//!
//! # How it works
//!
//! No task and no channel stands between a request and its socket: `send` takes an idle connection
//! from the pool (or opens one), writes the head, and reads until the response's head is
//! complete, all in the task that awaits it. A body of a request is sent by whoever waits for the response,
//! and both directions at once, so an answer may come while the upload is under way. The body is read only as it is asked for, so a slow
//! consumer slows the server down. As soon as the last byte of a body has been seen, its
//! connection goes back to the pool, even if the caller holds the [`Response`] for much longer.
//!
//! With the feature `tls` it speaks `https`; see the module `tls` for what is trusted. A body that ends with its
//! connection ends with TLS's `close_notify`, or it is an error: somebody on the way could have cut it short.
//!
//! # HTTP/2
//!
//! With the feature `http2` it is offered over TLS, and spoken if the server agrees, or always after
//! [`http2_prior_knowledge`](ClientBuilder#method.http2_prior_knowledge). All requests to an origin then share one
//! connection: the first makes it while the others wait, and what the server does not allow at once queues up.
//! `max_connections` counts that connection, `max_connections_per_host` does not. Requests with an `Upgrade` header or
//! an explicit version of 1.1 have an HTTP/1.1 connection as before.
//!
//! # Cancel safety
//!
//! Dropping a `send` that has not finished closes its connection, since a request may be half
//! written. [`Response::chunk`] is cancel safe: a dropped call loses no byte. Dropping a
//! half-read [`Response`] closes its connection. With HTTP/2 it is the stream that is reset, and the connection
//! that others use goes on.
//!
//! # Not yet
//!
//! `Expect: 100-continue` over HTTP/2, where a body is sent at once and the header left out; WebSockets over HTTP/2
//! (RFC 8441); more than one connection of HTTP/2 to an origin.

pub mod comparison;
pub mod h1;
mod error;
mod url;
mod redirect;
mod trace;
mod deadline;
#[cfg(feature = "cookies")]
pub mod cookie;
mod guard;
mod proxy;
mod metrics;
mod total;
mod pool;
mod transport;
mod connect;
mod arrived;
mod link;
mod keeper;
#[cfg(feature = "http2")]
mod h2;
mod flow;
mod claim;
mod exchange;
mod coding;
mod prewarm;
mod body;
mod request;
mod request_builder;
mod payload;
#[cfg(feature = "multipart")]
pub mod multipart;
mod random;
mod retry;
mod response;
mod builder;
mod names;
#[cfg(feature = "tls")]
mod secure;
mod client;
#[cfg(feature = "tower")]
mod service;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

pub use body::Body;
pub use builder::ClientBuilder;
pub use client::Client;
pub use error::Error;
pub use metrics::Metrics;
pub use proxy::{IntoProxy, NoProxy, Proxy};
pub use redirect::{Action, Attempt, Policy};
pub use request::Request;
pub use request_builder::RequestBuilder;
pub use response::{Response, ResponseReader, Upgraded};
pub use retry::Retry;
#[cfg(feature = "tower")]
pub use service::Executing;
pub use url::IntoUrl;
