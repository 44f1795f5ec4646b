//! What a client's builder has to say about HTTP/2.

use std::time::Duration;

use crate::http::builder::ClientBuilder;
use crate::hyper::{HeistExecutor, HeistTimer};

/// When HTTP/2 is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Mode {
    /// Over TLS, if the server agrees.
    Agreed,
    /// Never.
    Never,
    /// Always, without asking.
    Always,
}

/// The settings of connections; `None`: hyper's.
#[derive(Debug, Clone)]
pub(in crate::http) struct Settings {
    pub(in crate::http) mode: Mode,
    stream_window: Option<u32>,
    connection_window: Option<u32>,
    adaptive_window: bool,
    frame: Option<u32>,
    header_list: Option<u32>,
    keep_alive: Option<Duration>,
    keep_alive_timeout: Option<Duration>,
    keep_alive_while_idle: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Agreed,
            stream_window: None,
            connection_window: None,
            adaptive_window: false,
            frame: None,
            header_list: None,
            keep_alive: None,
            keep_alive_timeout: None,
            keep_alive_while_idle: false,
        }
    }
}

impl Settings {
    /// hyper's builder with these settings; `head`: the limit of a response's head.
    pub(super) fn builder(
        &self,
        executor: HeistExecutor,
        head: usize,
    ) -> hyper::client::conn::http2::Builder<HeistExecutor> {
        let mut builder = hyper::client::conn::http2::Builder::new(executor);
        let head = u32::try_from(head).unwrap_or(u32::MAX);
        builder
            .timer(HeistTimer::new())
            .max_header_list_size(self.header_list.map_or(head, |size| size.min(head)));
        if self.adaptive_window {
            builder.adaptive_window(true);
        } else {
            // Given `None` hyper would take the protocol's, which are smaller than its own.
            if self.stream_window.is_some() {
                builder.initial_stream_window_size(self.stream_window);
            }
            if self.connection_window.is_some() {
                builder.initial_connection_window_size(self.connection_window);
            }
        }
        if self.frame.is_some() {
            builder.max_frame_size(self.frame);
        }
        if let Some(timeout) = self.keep_alive_timeout {
            builder.keep_alive_timeout(timeout);
        }
        builder
            .keep_alive_interval(self.keep_alive)
            .keep_alive_while_idle(self.keep_alive_while_idle);
        builder
    }
}

/// # HTTP/2 (feature `http2`)
///
/// Over TLS it is spoken with servers that agree to it. All requests to an origin then share one connection, as many
/// at once as the server allows; `max_connections_per_host` does not count it, `max_connections` does.
impl ClientBuilder {
    /// Speaks HTTP/1.1 only: HTTP/2 is not offered.
    pub fn http1_only(mut self) -> Self {
        self.http2.mode = Mode::Never;
        self
    }

    /// Speaks HTTP/2 only, without asking the server, over TCP as well; except through a proxy that passes requests on.
    /// A server that knows only HTTP/1.1 is then an error.
    pub fn http2_prior_knowledge(mut self) -> Self {
        self.http2.mode = Mode::Always;
        self
    }

    /// How many bytes of a response may come before they are read. Default: 2 MiB (hyper's).
    pub fn http2_initial_stream_window_size(mut self, bytes: impl Into<Option<u32>>) -> Self {
        self.http2.stream_window = bytes.into();
        self
    }

    /// How many bytes of all responses of a connection may come before they are read. Default: 5 MiB (hyper's).
    pub fn http2_initial_connection_window_size(mut self, bytes: impl Into<Option<u32>>) -> Self {
        self.http2.connection_window = bytes.into();
        self
    }

    /// Whether these windows follow what the connection is capable of; what was set for them does not count then.
    /// Default: false.
    pub fn http2_adaptive_window(mut self, adapt: bool) -> Self {
        self.http2.adaptive_window = adapt;
        self
    }

    /// The largest frame to receive, in bytes, from 16,384 to 16,777,215; other values are an error of
    /// [`build`](Self::build). Default: 16,384.
    pub fn http2_max_frame_size(mut self, bytes: impl Into<Option<u32>>) -> Self {
        self.http2.frame = bytes.into();
        self
    }

    /// The largest list of headers to receive, in bytes as HTTP/2 counts them, if that is less than
    /// [`max_head_size`](Self::max_head_size). Default: that.
    pub fn http2_max_header_list_size(mut self, bytes: u32) -> Self {
        self.http2.header_list = Some(bytes);
        self
    }

    /// How often the server is asked for a sign of life while there are requests. Default: never.
    pub fn http2_keep_alive_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.http2.keep_alive = interval.into();
        self
    }

    /// How long it may take to give one, before the connection is given up. Default: 20 seconds (hyper's).
    pub fn http2_keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.http2.keep_alive_timeout = Some(timeout);
        self
    }

    /// Whether it is asked while there are no requests, too. Default: false.
    pub fn http2_keep_alive_while_idle(mut self, ask: bool) -> Self {
        self.http2.keep_alive_while_idle = ask;
        self
    }
}

impl Settings {
    /// What is wrong with them.
    pub(in crate::http) fn check(&self) -> Result<(), &'static str> {
        const MOST_WINDOW: u32 = (1 << 31) - 1;
        if (self.frame).is_some_and(|frame| !(1 << 14..1 << 24).contains(&frame)) {
            return Err("`http2_max_frame_size` is not from 16384 to 16777215");
        }
        let windows = [self.stream_window, self.connection_window];
        if windows.iter().flatten().any(|&it| it > MOST_WINDOW) {
            return Err("a window of HTTP/2 is larger than 2147483647 bytes");
        }
        Ok(())
    }
}
