//! The HTTP client against servers that others wrote and many run: nginx, Apache httpd, HAProxy, Python's, httpbin.
//!
//! Each test starts its server on a free port with a configuration in a folder of its own, and ends it. A server that
//! is not installed is skipped, which a line on stderr says.
//!
//! | file | idea |
//! |---|---|
//! | `program.rs` | [`Program`](program::Program): a server as a child process, and the site that it serves |
//! | `checks.rs` | what is asked of every one |
//! | `nginx.rs`, `apache.rs`, `haproxy.rs`, `python.rs`, `httpbin.rs` | one server each: its configuration, and what only it does |

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail by panicking, as it does"
)]

#[path = "real_servers/program.rs"]
mod program;
#[path = "real_servers/checks.rs"]
mod checks;
#[path = "real_servers/nginx.rs"]
mod nginx;
#[path = "real_servers/apache.rs"]
mod apache;
#[path = "real_servers/haproxy.rs"]
mod haproxy;
#[path = "real_servers/python.rs"]
mod python;
#[cfg(all(
    feature = "brotli",
    feature = "cookies",
    feature = "deflate",
    feature = "form",
    feature = "gzip",
    feature = "json",
    feature = "multipart",
    feature = "query"
))]
#[path = "real_servers/httpbin.rs"]
mod httpbin;
