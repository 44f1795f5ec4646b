//! The HTTP client against servers that follow a script, most of them badly.
//!
//! The servers are plain threads over `std::net`, so that nothing of what is tested tests itself.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking, as it does"
)]

#[path = "common/refusing.rs"]
mod refusing;
#[path = "http_client/server.rs"]
mod server;
#[path = "http_client/comparison.rs"]
mod comparison;
#[path = "http_client/exchanges.rs"]
mod exchanges;
#[path = "http_client/bad_servers.rs"]
mod bad_servers;
#[path = "http_client/keep_alive.rs"]
mod keep_alive;
#[path = "http_client/limits.rs"]
mod limits;
#[path = "http_client/redirects.rs"]
mod redirects;
#[cfg(feature = "cookies")]
#[path = "http_client/cookies.rs"]
mod cookies;
#[path = "http_client/uploads.rs"]
mod uploads;
#[path = "http_client/bodies.rs"]
mod bodies;
#[path = "http_client/timeouts.rs"]
mod timeouts;
#[cfg(all(
    feature = "gzip",
    feature = "brotli",
    feature = "zstd",
    feature = "deflate"
))]
#[path = "http_client/codings.rs"]
mod codings;
#[path = "http_client/retries.rs"]
mod retries;
#[cfg(all(
    feature = "json",
    feature = "form",
    feature = "query",
    feature = "multipart"
))]
#[path = "http_client/payloads.rs"]
mod payloads;
#[cfg(feature = "tower")]
#[path = "http_client/layers.rs"]
mod layers;
#[cfg(feature = "tracing")]
#[path = "http_client/traces.rs"]
mod traces;
#[path = "http_client/large.rs"]
mod large;
#[path = "http_client/socks.rs"]
mod socks;
#[path = "http_client/proxies.rs"]
mod proxies;
#[path = "http_client/real_proxies.rs"]
mod real_proxies;
#[path = "http_client/pool.rs"]
mod pool;
