//! A server in the test's own runtime.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use heist_net::TcpListener;
use heist_net::http::{Body, Client, ClientBuilder};
use heist_net::io::{AsyncRead, AsyncWrite, Compat};
use heist_net::tls::TlsAcceptor;
use heist_runtime::spawn;
use heist_sync::Notify;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame};
use hyper::body::Incoming;
use hyper::rt::Executor;

use crate::certificates::Authority;

/// What a server has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    /// Requests that were given up by the client.
    pub(crate) dropped: AtomicUsize,
    running: AtomicUsize,
    pub(crate) most_running: AtomicUsize,
    goaway: Notify,
    all: Notify,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    scheme: &'static str,
}

#[derive(Clone)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        drop(spawn(future));
    }
}

/// What the server speaks.
#[derive(Clone, Copy)]
pub(crate) struct Speaks {
    pub(crate) streams: u32,
    pub(crate) alpn: &'static [&'static str],
}

pub(crate) const HTTP2: Speaks = Speaks {
    streams: 1000,
    alpn: &["h2", "http/1.1"],
};

impl Server {
    /// In clear.
    pub(crate) async fn plain(speaks: Speaks) -> Self {
        Self::start(speaks, None).await
    }

    /// With TLS.
    pub(crate) async fn secure(authority: &Authority, speaks: Speaks) -> Self {
        let identity = authority.issue(&["localhost"]).identity();
        let acceptor = TlsAcceptor::builder(identity).alpn_protocols(speaks.alpn.iter().copied());
        Self::start(speaks, Some(acceptor.build().unwrap())).await
    }

    async fn start(speaks: Speaks, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            scheme: if acceptor.is_some() { "https" } else { "http" },
        };
        let seen = server.seen.clone();
        drop(spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen.connections.fetch_add(1, SeqCst);
                let (seen, acceptor) = (seen.clone(), acceptor.clone());
                drop(spawn(async move {
                    match acceptor {
                        None => serve(stream, seen, speaks).await,
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else {
                                return;
                            };
                            match stream.alpn_protocol() {
                                Some(b"h2") => serve(stream, seen, speaks).await,
                                _ => serve_old(stream, seen).await,
                            }
                        }
                    }
                }));
            }
        }));
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }
}

async fn serve<S: AsyncRead + AsyncWrite + 'static>(stream: S, seen: Arc<Seen>, speaks: Speaks) {
    let for_requests = seen.clone();
    let service = hyper::service::service_fn(move |request| answer(request, for_requests.clone()));
    let connection = hyper::server::conn::http2::Builder::new(Tasks)
        .max_concurrent_streams(speaks.streams)
        .serve_connection(Compat::new(stream), service);
    let mut connection = pin!(connection);
    let mut goaway = pin!(seen.goaway.notified());
    let mut told = false;
    poll_fn(|cx| {
        if !told && goaway.as_mut().poll(cx).is_ready() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(drop)
    })
    .await;
}

async fn serve_old<S: AsyncRead + AsyncWrite + 'static>(stream: S, seen: Arc<Seen>) {
    let service = hyper::service::service_fn(move |request| answer(request, seen.clone()));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(Compat::new(stream), service);
    let _ = connection.await;
}

/// Counts a request as one that was given up, unless it was answered.
struct Running(Arc<Seen>, bool);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
        if !self.1 {
            self.0.dropped.fetch_add(1, SeqCst);
        }
    }
}

/// What a server sends: what a stream gives, and trailers.
pub(crate) struct Sent {
    body: Body,
    trailers: Option<HeaderMap>,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = heist_net::http::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) => {
                Poll::Ready(self.trailers.take().map(|it| Ok(Frame::trailers(it))))
            }
            other => other,
        }
    }
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Result<Response<Sent>, Infallible> {
    seen.requests.fetch_add(1, SeqCst);
    let now = seen.running.fetch_add(1, SeqCst) + 1;
    seen.most_running.fetch_max(now, SeqCst);
    let mut running = Running(seen.clone(), false);
    let (parts, body) = request.into_parts();
    let mut trailers = None;
    let mut response = Response::builder();
    let body = match parts.uri.path() {
        "/hang" => pending().await,
        "/slow" => {
            heist_runtime::time::Timer::new(heist_runtime::time::Instant::now() + millis(30)).await;
            Body::from("slow")
        }
        "/all" => {
            // Answers when a hundred are there at once.
            let mut all = pin!(seen.all.notified());
            all.as_mut().enable();
            match now {
                100 => seen.all.notify_waiters(),
                _ => all.await,
            }
            Body::from("all")
        }
        "/goaway" => {
            seen.goaway.notify_waiters();
            Body::from("bye")
        }
        "/echo" => {
            let mut map = HeaderMap::new();
            map.insert("x-trailer", "at the end".parse().unwrap());
            trailers = Some(map);
            Body::wrap(body)
        }
        "/large" if parts.method == http::Method::HEAD => Body::empty(),
        "/large" => Body::from(vec![b'x'; 4 << 20]),
        "/head" => {
            for at in 0..40 {
                response = response.header(format!("x-{at}"), "y".repeat(200));
            }
            Body::empty()
        }
        "/moved" => {
            response = response.status(302).header("location", "/");
            Body::empty()
        }
        "/what" => {
            let host = parts.uri.authority().map(ToString::to_string);
            let text = format!("{:?} {:?} {:?}", parts.version, host, parts.headers);
            Body::from(text)
        }
        _ => Body::from("hello"),
    };
    running.1 = true;
    Ok(response.body(Sent { body, trailers }).unwrap())
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A client that speaks HTTP/2 in clear, and gives up before the test harness would.
pub(crate) fn knowing() -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .timeout(Duration::from_secs(10))
}

/// A client that trusts nobody else.
pub(crate) fn trusting(authority: &Authority) -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .tls_built_in_root_certs(false)
        .add_root_certificate(authority.root())
        .timeout(Duration::from_secs(10))
}

/// Waits until something is so, for two seconds at most.
pub(crate) async fn until(what: impl Fn() -> bool) {
    for _ in 0..400 {
        if what() {
            return;
        }
        heist_runtime::time::Timer::new(heist_runtime::time::Instant::now() + millis(5)).await;
    }
    panic!("it did not happen");
}
