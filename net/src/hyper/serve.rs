//! The server: its settings, and its life.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, IntoFuture, pending};
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::hyper::body::{Body, Incoming as Inner};
use ::hyper::server::conn::{http1, http2};
use ::hyper::service::Service;
use ::hyper::{Request, Response};
use heist_runtime::time::Instant;
use heist_sync::Semaphore;
use heist_sync::cancel::cancel_scope;
use heist_sync::group::{OnError, TaskGroup, task_group_with};

use super::accept::{self, Accepted, Signal, Source};
use super::body::Incoming;
use super::connection::{Ending, Server};
use super::executor::HeistExecutor;
use super::listener::Listener;
use super::metrics::ServerMetrics;
use super::service::TowerToHyperService;
use super::settings::{Settings, Versions};
#[cfg(feature = "tls")]
use crate::tls::TlsAcceptor;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Serves HTTP/1 and HTTP/2 to whoever connects to `listener`, each connection with a clone of `service` (axum: `serve`).
/// What it returns is awaited, or set up further first; see [`Serve`].
///
/// For a service of tower's, such as axum's `Router`, there is [`serve_tower`].
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
///
/// use heist_net::hyper::{Incoming, serve};
/// use heist_net::{TcpListener, http::Client};
/// use hyper::service::service_fn;
/// use hyper::{Request, Response};
///
/// async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new(format!("hello from {}", request.uri().path())))
/// }
///
/// # heist_runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let (stop, stopped) = heist_sync::oneshot::channel::<()>();
/// let server = serve(listener, service_fn(hello)).with_graceful_shutdown(async {
///     let _ = stopped.await;
/// });
/// let server = heist_runtime::spawn(server.into_future());
///
/// let client = Client::new();
/// let text = client.get(format!("http://{address}/here")).send().await?.text().await?;
/// assert_eq!(text, "hello from /here");
/// drop(stop);
/// server.await.expect("it does not panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub fn serve<L, S>(listener: L, service: S) -> Serve<L, S> {
    Serve {
        listener,
        service,
        signal: None,
        settings: Settings::default(),
        metrics: ServerMetrics::default(),
        body: PhantomData,
    }
}

/// As [`serve`], for a service of tower's: an axum `Router`, tonic's `Routes`, or any with layers around it. Each request
/// is given to a clone of it.
pub fn serve_tower<L, S>(listener: L, service: S) -> Serve<L, TowerToHyperService<S>> {
    serve(listener, TowerToHyperService::new(service))
}

/// A server that is about to start, from [`serve`]: it starts when it is awaited, or its
/// [`into_future`](IntoFuture::into_future) is spawned.
///
/// - Each connection is a task, and each stream of HTTP/2 one. They belong to the server: none goes on when its future has
///   ended. A panic in the service ends its connection, or with HTTP/2 its stream, and nothing else.
/// - HTTP/2 is spoken with clients that agree on it by ALPN, and with those that begin with its preface.
/// - An error of the service closes the connection, or resets the stream. Answer with a status instead.
/// - A head may have 64 KiB and 100 fields with HTTP/1, 16 KiB with HTTP/2. Bodies are as long as the service lets them be,
///   but do not [stop in the middle](Self::body_read_timeout); how long a response may take is the service's affair.
/// - A service may [take the connection over](super::upgrade), for WebSockets for instance.
/// - Running out of descriptors, and other errors of accepting, are no end: it pauses, for 10 ms to 320 ms, and goes on.
///
/// # Errors
///
/// The future ends when it is told to, with `Ok`; or when the listener is none (`EBADF`, `EINVAL`, `ENOTSOCK`), with that
/// error, after the connections that there are.
///
/// # Panics
///
/// The future does, when it is polled outside a runtime.
///
/// # Cancel safety
///
/// Cancelled, it waits until the requests that are in flight have unwound; one of HTTP/2 may be dropped instead, as its
/// connection unwinds besides, and then skips [`finally`](heist_sync::finally), but not [`using`](heist_sync::using).
/// Dropped, it cancels them, and the scope around waits.
#[must_use = "a server does nothing unless it is awaited"]
pub struct Serve<L, S, R = Incoming> {
    listener: L,
    service: S,
    signal: Option<Boxed<()>>,
    settings: Settings,
    metrics: ServerMetrics,
    body: PhantomData<fn() -> R>,
}

/// # Its end
impl<L, S, R> Serve<L, S, R> {
    /// Ends the server when `signal` is ready: it accepts nothing more, and drains. Connections that had come are
    /// accepted, requests that are in flight are answered to the end, their connections are closed after that and idle
    /// ones at once (HTTP/2: GOAWAY). What is not over after the [grace](Self::shutdown_grace) is cancelled, and unwinds.
    pub fn with_graceful_shutdown<F>(mut self, signal: F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.signal = Some(Box::pin(signal));
        self
    }

    /// How long the connections may take to end. Default: 30 seconds. `Duration::MAX`: as long as they like.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }
}

/// # Limits
///
/// Of time, `None` is no limit.
impl<L, S, R> Serve<L, S, R> {
    /// How many connections may be open; at that many nothing is accepted, and others wait in the queue of the kernel.
    /// Default: no limit but that of descriptors.
    ///
    /// # Panics
    ///
    /// With 0.
    pub fn max_connections(mut self, most: impl Into<Option<usize>>) -> Self {
        let most = most.into();
        assert!(
            most != Some(0),
            "a server without connections serves nobody"
        );
        self.settings.max_connections = most;
        self
    }

    /// How long the head of a request of HTTP/1 may take from its first byte to its last, and at the beginning of a
    /// connection from there: who is slower is closed. It is also how long the first bytes of HTTP/2 may take, from the
    /// beginning of the connection, as the time that it may be [idle](Self::idle_timeout) is counted until its first request.
    /// Default: 30 seconds.
    pub fn header_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.patience.head = timeout.into();
        self
    }

    /// How long a client may send nothing in the middle of the body of a request, while the service waits for it: then the
    /// body fails with `TimedOut`, and with HTTP/1 the connection is closed after the response. Each part that comes starts
    /// the time anew; how long a whole body may take is the service's affair. Default: 60 seconds.
    pub fn body_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.patience.body = timeout.into();
        self
    }

    /// How long a connection may be open without a request in flight. What comes of a head of HTTP/2 counts for nothing
    /// until it is whole. Default: 75 seconds.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.patience.idle = timeout.into();
        self
    }

    /// How long a client may take nothing while there is something to send to it: then its connection is closed. Default:
    /// 60 seconds.
    ///
    /// With HTTP/2 it is also how long a client may take less than 16 KiB of one response, while its connection is not
    /// what is slow: then that stream is reset, its body dropped, and the others go on. A tunnel is left alone.
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.patience.write = timeout.into();
        self
    }
}

/// # Protocols
impl<L, S, R> Serve<L, S, R> {
    /// Speaks HTTP/1 only.
    pub fn http1_only(mut self) -> Self {
        self.settings.versions = Versions::Http1;
        self
    }

    /// Speaks HTTP/2 only, without asking.
    pub fn http2_only(mut self) -> Self {
        self.settings.versions = Versions::Http2;
        self
    }

    /// Sets what hyper has for connections of HTTP/1: keep-alive, half-closed connections, sizes. A
    /// `header_read_timeout` that is set there counts besides the one [here](Self::header_read_timeout).
    pub fn http1<F>(mut self, set: F) -> Self
    where
        F: FnOnce(&mut http1::Builder) + Send + 'static,
    {
        self.settings.http1 = Some(Box::new(set));
        self
    }

    /// Sets what hyper has for connections of HTTP/2: streams at once, windows, keep-alive.
    pub fn http2<F>(mut self, set: F) -> Self
    where
        F: FnOnce(&mut http2::Builder<HeistExecutor>) + Send + 'static,
    {
        self.settings.http2 = Some(Box::new(set));
        self
    }

    /// Speaks TLS. If the acceptor has no protocols for ALPN it gets those that are spoken.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, acceptor: TlsAcceptor) -> Self {
        self.settings.tls = Some(acceptor);
        self
    }

    /// How long the handshake of TLS may take. One that fails or is slow disturbs nobody else. Default: 10 seconds.
    #[cfg(feature = "tls")]
    pub fn tls_handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.patience.handshake = timeout.into();
        self
    }
}

/// # Requests
impl<L, S, R> Serve<L, S, R> {
    /// For services that take requests with bodies of another type than [`Incoming`], such as hyper's own `Incoming`. Such
    /// bodies know no [`body_read_timeout`](Self::body_read_timeout).
    pub fn request_body<Q: From<Inner>>(self) -> Serve<L, S, Q> {
        let Self {
            listener,
            service,
            signal,
            settings,
            metrics,
            body: _,
        } = self;
        Serve {
            listener,
            service,
            signal,
            settings,
            metrics,
            body: PhantomData,
        }
    }
}

/// # What there is to know
impl<L, S, R> Serve<L, S, R> {
    /// Its counters.
    pub fn metrics(&self) -> ServerMetrics {
        self.metrics.clone()
    }

    /// Counts with `metrics`, which the service may know, or several servers share.
    pub fn with_metrics(mut self, metrics: ServerMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Whether each request has a [`ConnectionInfo`](super::ConnectionInfo) among its extensions. Default: false, since
    /// it costs two allocations a request.
    pub fn connection_info(mut self, tell: bool) -> Self {
        self.settings.connection_info = tell;
        self
    }
}

impl<L, S, R, B> Serve<L, S, R>
where
    L: Listener,
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    R: From<Inner> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    async fn run(self) -> io::Result<()> {
        let grace = self.settings.grace;
        let mut result = Ok(());
        let ended = cancel_scope(async |scope| {
            let whole = task_group_with(OnError::Collect, async |group| {
                let (server, accepted) = self.accept_all(group).await;
                result = accepted;
                server.ending.begin();
                if let Some(deadline) = Instant::now().checked_add(grace) {
                    scope.set_deadline(deadline);
                }
                Ok::<(), Infallible>(())
            });
            whole.await
        });
        // Both say what is known: the group has no errors and no panics, and what was cut short is counted.
        let _ = ended.await;
        result
    }

    /// Accepts until it is told to end.
    async fn accept_all(self, group: &TaskGroup<Infallible>) -> (Arc<Server>, io::Result<()>) {
        let Self {
            listener,
            service,
            signal,
            mut settings,
            metrics,
            body: _,
        } = self;
        let server = Arc::new(server(&mut settings, &metrics, group));
        let permits = settings.max_connections;
        let permits =
            permits.map(|most| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
        let mut source = Source {
            listener,
            permits,
            metrics,
        };
        let all = server.clone();
        let mut start = move |(stream, remote, opened): Accepted<L>| {
            let serving = (all.clone()).serve(stream, remote, opened, service.clone());
            accept::spawn(group, &all.metrics, serving);
        };
        let mut signal = Signal::new(signal.unwrap_or_else(|| Box::pin(pending())));
        let result = source.accept_until(&mut signal, &mut start).await;
        if result.is_ok() {
            source.accept_rest(&mut start).await;
        }
        drop(source);
        (server, result)
    }
}

fn server(
    settings: &mut Settings,
    metrics: &ServerMetrics,
    group: &TaskGroup<Infallible>,
) -> Server {
    let (http1, http2) = settings.builders(HeistExecutor::grouped(
        group.clone(),
        settings.patience.write,
    ));
    #[cfg(feature = "tls")]
    let protocols: &[&str] = match settings.versions {
        Versions::Both => &["h2", "http/1.1"],
        Versions::Http1 => &["http/1.1"],
        Versions::Http2 => &["h2"],
    };
    Server {
        http1,
        http2,
        versions: settings.versions,
        patience: settings.patience,
        connection_info: settings.connection_info,
        #[cfg(feature = "tls")]
        tls: (settings.tls.take()).map(|acceptor| acceptor.offering(protocols)),
        metrics: metrics.clone(),
        ending: Ending::default(),
    }
}

impl<L, S, R, B> IntoFuture for Serve<L, S, R>
where
    L: Listener,
    S: Service<Request<R>, Response = Response<B>> + Clone + Send + 'static,
    R: From<Inner> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Output = io::Result<()>;
    type IntoFuture = Boxed<io::Result<()>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<L: fmt::Debug, S, R> fmt::Debug for Serve<L, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
