//! What a server is told before it starts.

use std::fmt;
use std::time::Duration;

use ::hyper::server::conn::{http1, http2};

use super::executor::HeistExecutor;
use super::timer::HeistTimer;
#[cfg(feature = "tls")]
use crate::tls::TlsAcceptor;

/// The most bytes of a head of HTTP/1.
const MAX_HEAD: usize = 64 * 1024;

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    Both,
    Http1,
    Http2,
}

/// How long what may take; `None`: as long as it likes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    #[cfg(feature = "tls")]
    pub(super) handshake: Option<Duration>,
    pub(super) head: Option<Duration>,
    pub(super) body: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) write: Option<Duration>,
}

type SetHttp1 = Box<dyn FnOnce(&mut http1::Builder) + Send>;
type SetHttp2 = Box<dyn FnOnce(&mut http2::Builder<HeistExecutor>) + Send>;

pub(super) struct Settings {
    pub(super) versions: Versions,
    pub(super) patience: Patience,
    pub(super) max_connections: Option<usize>,
    pub(super) grace: Duration,
    pub(super) connection_info: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) http1: Option<SetHttp1>,
    pub(super) http2: Option<SetHttp2>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            versions: Versions::Both,
            patience: Patience {
                #[cfg(feature = "tls")]
                handshake: Some(Duration::from_secs(10)),
                head: Some(Duration::from_secs(30)),
                body: Some(Duration::from_secs(60)),
                idle: Some(Duration::from_secs(75)),
                write: Some(Duration::from_secs(60)),
            },
            max_connections: None,
            grace: Duration::from_secs(30),
            connection_info: false,
            #[cfg(feature = "tls")]
            tls: None,
            http1: None,
            http2: None,
        }
    }
}

impl Settings {
    /// hyper's builders, whose clocks of heads are left out: the server has its own, which costs no timer a request.
    pub(super) fn builders(
        &mut self,
        executor: HeistExecutor,
    ) -> (http1::Builder, http2::Builder<HeistExecutor>) {
        let mut http1 = http1::Builder::new();
        http1
            .timer(HeistTimer::new())
            .header_read_timeout(None)
            .max_header_size(MAX_HEAD);
        if let Some(set) = self.http1.take() {
            set(&mut http1);
        }
        let mut http2 = http2::Builder::new(executor);
        http2.timer(HeistTimer::new());
        if let Some(set) = self.http2.take() {
            set(&mut http2);
        }
        (http1, http2)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("versions", &self.versions)
            .field("patience", &self.patience)
            .field("max_connections", &self.max_connections)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}
