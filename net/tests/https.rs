//! The HTTP client over TLS.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking, as it does"
)]

#[path = "common/certificates.rs"]
mod certificates;
#[path = "https/server.rs"]
mod server;
#[path = "https/exchanges.rs"]
mod exchanges;
#[path = "https/refusals.rs"]
mod refusals;
#[path = "https/idle.rs"]
mod idle;
#[path = "https/redirects.rs"]
mod redirects;
#[path = "http_client/socks.rs"]
#[expect(dead_code, reason = "SOCKS4 is tested without TLS")]
mod socks;
#[path = "https/proxies.rs"]
mod proxies;
#[path = "real_servers/program.rs"]
mod program;
#[path = "https/secure_proxies.rs"]
mod secure_proxies;
