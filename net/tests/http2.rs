//! HTTP/2 in the client, against hyper's server and h2's over this crate's own listener.
//!
//! | file | idea |
//! |---|---|
//! | `http2/server.rs` | a server in the test's own runtime |
//! | `http2/sharing.rs` | one connection for all, and when there is another |
//! | `http2/bodies.rs` | bodies both ways, lengths, trailers, limits |
//! | `http2/failures.rs` | resets, refusals, silence, and requests that are dropped |

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking, as it does"
)]

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/refusing.rs"]
mod refusing;
#[path = "http2/server.rs"]
mod server;
#[path = "http2/sharing.rs"]
mod sharing;
#[path = "http2/bodies.rs"]
mod bodies;
#[path = "http2/failures.rs"]
mod failures;
