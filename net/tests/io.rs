//! Reading and writing through the traits of `heist_net::io`, over real sockets and scripted readers, with futures
//! dropped at any poll. The controls that are named were tried once each.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "io/support.rs"]
mod support;
#[path = "io/methods.rs"]
mod methods;
#[path = "io/buffered.rs"]
mod buffered;
#[path = "io/copying.rs"]
mod copying;
#[path = "io/splicing.rs"]
mod splicing;
#[path = "io/codecs.rs"]
mod codecs;
