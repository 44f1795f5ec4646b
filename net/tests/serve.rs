//! The HTTP server of `heist_net::hyper`, against clients of this crate, raw sockets, and programs of others.
//!
//! | file | idea |
//! |---|---|
//! | `serve/support.rs` | a server in the test's own runtime, and a client by hand |
//! | `serve/http1.rs` | keep-alive, pipelining, upgrades, panics |
//! | `serve/http2.rs` | HTTP/2 without being asked, streams, panics |
//! | `serve/tunnels.rs` | streams of HTTP/2 that leave HTTP |
//! | `serve/limits.rs` | of connections, time and heads |
//! | `serve/shutdown.rs` | draining, the grace, cancelling and dropping the server |
//! | `serve/tls.rs` | TLS and ALPN, failed and slow handshakes |
//! | `serve/programs.rs` | curl, h2load and wrk |

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking, as it does"
)]

#[path = "common/certificates.rs"]
mod certificates;
#[path = "serve/support.rs"]
mod support;
#[path = "serve/http1.rs"]
mod http1;
#[path = "serve/http2.rs"]
mod http2;
#[path = "serve/tunnels.rs"]
mod tunnels;
#[path = "serve/limits.rs"]
mod limits;
#[path = "serve/shutdown.rs"]
mod shutdown;
#[path = "serve/tls.rs"]
mod tls;
#[path = "serve/programs.rs"]
mod programs;
