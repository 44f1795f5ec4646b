//! A server in the test's own runtime, and a client by hand.

use std::convert::Infallible;
use std::future::{Future, IntoFuture, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use heist_net::hyper::{
    HeistExecutor, HeistTimer, Incoming, Serve, ServerMetrics, ServerSnapshot, serve, upgrade,
};
use heist_net::io::{AsyncReadExt, AsyncWriteExt, Compat};
use heist_net::{TcpListener, TcpStream};
use heist_runtime::{JoinHandle, block_on, spawn};
use heist_sync::oneshot;
use heist_sync::resource::{AsyncClose, How, using};
use heist_sync::time::{sleep, timeout};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2;

/// No test takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// The service of the tests, and what it has seen.
#[derive(Clone, Default)]
pub(crate) struct App {
    pub(crate) seen: Arc<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) running: AtomicUsize,
    pub(crate) finished: AtomicUsize,
    /// Requests that were cancelled, or whose client went away.
    pub(crate) dropped: AtomicUsize,
    /// Cleanups that have come to their end.
    pub(crate) cleaned: AtomicUsize,
}

/// What takes its time to be put away.
struct Slow(Arc<Seen>, Duration);

impl AsyncClose for Slow {
    async fn close(self, _how: How) {
        sleep(self.1).await;
        self.0.cleaned.fetch_add(1, SeqCst);
    }
}

struct Running(Arc<Seen>, bool);

impl Running {
    fn finish(&mut self) {
        self.1 = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
        let ended = if self.1 {
            &self.0.finished
        } else {
            &self.0.dropped
        };
        ended.fetch_add(1, SeqCst);
    }
}

impl hyper::service::Service<Request<Incoming>> for App {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.seen.running.fetch_add(1, SeqCst);
        let mut running = Running(self.seen.clone(), false);
        Box::pin(async move {
            let response = match request.uri().path().strip_prefix("/cleanup/") {
                Some(millis) => {
                    let millis = Duration::from_millis(millis.parse().unwrap());
                    using(Slow(running.0.clone(), millis), async |_| {
                        pending::<()>().await
                    })
                    .await;
                    Response::default()
                }
                None => answer(request).await,
            };
            running.finish();
            Ok(response)
        })
    }
}

/// `/cleanup/MILLIS`: for ever, with a cleanup that takes that long; `/sleep/MILLIS`, `/panic`, `/echo`, `/late/MILLIS`: the same after a while, `/upgrade`: echoes what comes then, `/big/BYTES`;
/// and otherwise the path itself. A `CONNECT` is an `/upgrade`, except to a host that is called `refused`.
async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() == Method::CONNECT {
        return switch(request);
    }
    let path = request.uri().path().to_owned();
    let number = |text: &str| text.parse().unwrap_or(0);
    let body = match path.split('/').collect::<Vec<_>>()[1..] {
        ["sleep", millis] => {
            sleep(Duration::from_millis(number(millis))).await;
            Bytes::from(path)
        }
        ["panic"] => panic!("the service panics, as the test asks"),
        ["upgrade"] => return switch(request),
        ["echo"] => return echo(request).await,
        ["late", millis] => {
            sleep(Duration::from_millis(number(millis))).await;
            return echo(request).await;
        }
        ["big", bytes] => vec![b'x'; usize::try_from(number(bytes)).unwrap()].into(),
        _ => Bytes::from(path),
    };
    Response::new(Full::new(body))
}

/// The body, or 408 if it stops, and 400 for other errors of it.
async fn echo(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    match request.into_body().collect().await {
        Ok(body) => *response.body_mut() = body.to_bytes().into(),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

/// Changes to a protocol that echoes, to the end. A host that is called `theirs` has hyper's own function wait for it.
fn switch(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let connects = request.method() == Method::CONNECT;
    let host = request.uri().host().unwrap_or_default().to_owned();
    let is_refused = host == "refused";
    drop(spawn(async move {
        let connection = match &*host {
            "theirs" => hyper::upgrade::on(request)
                .await
                .map(upgrade::Upgraded::from)
                .map_err(std::io::Error::other),
            _ => upgrade::on(request).await,
        };
        let mut connection = connection?;
        while let Some(bytes) = connection.recv().await? {
            connection.write_all(&bytes).await?;
            connection.flush().await?;
        }
        connection.shutdown().await
    }));
    let mut response = Response::default();
    if connects {
        let refused = is_refused.then_some(StatusCode::FORBIDDEN);
        *response.status_mut() = refused.unwrap_or(StatusCode::OK);
        return response;
    }
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, "upgrade".parse().unwrap());
    headers.insert(header::UPGRADE, "echo".parse().unwrap());
    response
}

/// A server that runs.
pub(crate) struct Started {
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    pub(crate) metrics: ServerMetrics,
    stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

pub(crate) type Server = Serve<TcpListener, App>;

/// Starts a server, set up by `set`.
pub(crate) async fn start(set: impl FnOnce(Server) -> Server) -> Started {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = App::default();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = set(serve(listener, app.clone())).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let metrics = server.metrics();
    let task = spawn(server.into_future());
    Started {
        address,
        app,
        metrics,
        stop: Some(stop),
        task,
    }
}

impl Started {
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    pub(crate) async fn streams(&self) -> Streams {
        streams(self.address).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn now(&self) -> ServerSnapshot {
        self.metrics.snapshot()
    }

    /// Waits until the numbers are as `want` says.
    pub(crate) async fn until(&self, want: impl Fn(&ServerSnapshot) -> bool) {
        for _ in 0..1000 {
            if want(&self.now()) {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("it does not come to that: {:?}", self.now());
    }

    pub(crate) fn tell_to_stop(&mut self) {
        self.stop = None;
    }

    /// Has it end, which must not take long.
    pub(crate) async fn stop(mut self) -> ServerSnapshot {
        self.tell_to_stop();
        let ended = timeout(Duration::from_secs(10), &mut self.task).await;
        ended.expect("it ends").unwrap().unwrap();
        let last = self.now();
        assert_eq!((last.open, last.in_flight), (0, 0), "{last:?}");
        last
    }
}

/// A client of HTTP/2: hyper's, for what ours does not do.
pub(crate) type Streams = http2::SendRequest<Empty<Bytes>>;

/// A connection whose streams have windows of 64 KiB each, and together much more.
pub(crate) async fn streams(address: SocketAddr) -> Streams {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = http2::Builder::new(HeistExecutor::new());
    builder
        .timer(HeistTimer::new())
        .initial_stream_window_size(65_535)
        .initial_connection_window_size(10_000_000);
    let (sender, connection) = builder.handshake(Compat::new(stream)).await.unwrap();
    drop(spawn(connection));
    sender
}

/// A request without a body.
pub(crate) fn request(method: Method, uri: &str) -> Request<Empty<Bytes>> {
    let request = Request::builder().method(method).uri(uri);
    request.body(Empty::new()).unwrap()
}

/// A client of HTTP/1 by hand.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await;
        self.response().await.expect("a response")
    }

    /// The next response, head and body, by its `content-length`; `None` when the connection is closed.
    pub(crate) async fn response(&mut self) -> Option<String> {
        loop {
            let text = String::from_utf8_lossy(&self.buffer).to_string();
            if let Some(end) = text.find("\r\n\r\n") {
                let length = text[..end]
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().unwrap());
                if text.len() >= end + 4 + length {
                    self.buffer.drain(..end + 4 + length);
                    return Some(text[..end + 4 + length].to_owned());
                }
            }
            match self.stream.recv().await {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// As many bytes as the text has, which must be those.
    pub(crate) async fn expect(&mut self, text: &str) {
        while self.buffer.len() < text.len() {
            let bytes = self.stream.recv().await.unwrap();
            self.buffer.extend_from_slice(&bytes.expect("more"));
        }
        let got: Vec<u8> = self.buffer.drain(..text.len()).collect();
        assert_eq!(got, text.as_bytes());
    }

    /// Whether the server closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.response().await.is_none() && self.buffer.is_empty()
    }
}

/// Runs a test, which must come to an end.
pub(crate) fn run(test: impl Future<Output = ()>) {
    block_on(async { timeout(LIMIT, test).await.expect("the test hangs") });
}

pub(crate) async fn millis(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}
