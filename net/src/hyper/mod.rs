//! hyper on Heist: what its connections need, and an HTTP server ([RFC 9110], [RFC 9112], [RFC 9113]). With the feature
//! `hyper`.
//!
//! | file | idea |
//! |---|---|
//! | `executor.rs` | [`HeistExecutor`]: tasks, as hyper asks for them |
//! | `timer.rs` | [`HeistTimer`]: time likewise |
//! | `serve.rs` | [`serve`] and [`Serve`]: a server, its settings and its life |
//! | `settings.rs` | the settings as the parts below see them |
//! | `listener.rs` | [`Listener`]: where connections come from |
//! | `accept.rs` | the loop that accepts, until it is told to end |
//! | `connection.rs` | one connection, from its handshake to its end |
//! | `preface.rs` | which HTTP a client speaks, by its first bytes |
//! | `clock.rs` | how long a connection may wait for what |
//! | `stream.rs` | the transport of a connection, counted |
//! | `service.rs` | services of tower, and how a request is counted |
//! | `silence.rs` | how long nothing has come, or gone |
//! | `window.rs` | how long a stream of HTTP/2 may wait for its client, and how long a tunnel is one |
//! | `body.rs` | [`Incoming`]: the body of a request, which may not stop in the middle |
//! | `upgrade.rs` | [`upgrade`]: connections that leave HTTP |
//! | `info.rs` | [`ConnectionInfo`]: what a request is told about its connection |
//! | `metrics.rs` | [`ServerMetrics`]: what a server does, in numbers |
//!
//! hyper's own connections run on Heist with `HeistExecutor`, `HeistTimer` and [`Compat`](crate::io::Compat), which puts
//! hyper's `Read` and `Write` on any reader and writer of [`io`](crate::io): futures are `Send`, and no buffer is filled
//! with zeros. Of tokio come traits and locks, no runtime.
//!
//! [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110
//! [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112
//! [RFC 9113]: https://www.rfc-editor.org/rfc/rfc9113

mod executor;
mod timer;
mod serve;
mod settings;
mod listener;
mod accept;
mod connection;
mod preface;
mod clock;
mod stream;
mod service;
mod silence;
mod window;
mod body;
pub mod upgrade;
mod info;
mod metrics;

pub use body::Incoming;
pub use executor::HeistExecutor;
pub use info::ConnectionInfo;
pub use listener::Listener;
pub use metrics::{ConnectionMetrics, ServerMetrics, ServerSnapshot};
pub use serve::{Serve, serve, serve_tower};
pub use service::{Oneshot, TowerToHyperService};
pub use timer::HeistTimer;
