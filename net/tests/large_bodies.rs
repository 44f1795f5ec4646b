//! Bodies that are larger than the memory for them, both ways, over HTTP/1.1 and HTTP/2, plain and over TLS: 16 MiB each, or
//! a gibibyte with HEIST_LONG. A process of its own, since its memory is measured, that of the server included.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/certificates.rs"]
mod certificates;

use std::convert::Infallible;
use std::future::IntoFuture;
use std::hash::{DefaultHasher, Hasher};
use std::time::Instant;

use bytes::Bytes;
use certificates::Authority;
use futures_util::stream;
use heist_net::TcpListener;
use heist_net::http::{Body, Client};
use heist_net::hyper::{Incoming, serve};
use heist_net::tls::TlsAcceptor;
use heist_runtime::{block_on, spawn};
use http::{Method, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;

const PIECE: usize = 64 * 1024;
/// What the peak may exceed the memory before by: buffers of both ends, windows of HTTP/2, and what the allocator keeps.
/// A body that is kept is sixteen times as much.
const BOUND: usize = 64 << 20;

fn is_long() -> bool {
    std::env::var_os("HEIST_LONG").is_some()
}

fn total() -> usize {
    if is_long() { 1 << 30 } else { 16 << 20 }
}

/// The bytes of one piece: no two are alike.
fn piece(number: usize) -> Bytes {
    let mut state = number as u64 + 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(PIECE / 8).flatten().collect::<Vec<_>>().into()
}

fn pieces() -> impl Iterator<Item = Bytes> + Send + Sync {
    (0..total() / PIECE).map(piece)
}

/// A hash of a stream, however it is cut.
struct Hash {
    hasher: DefaultHasher,
    part: Vec<u8>,
    length: usize,
}

impl Hash {
    fn new() -> Self {
        Self {
            hasher: DefaultHasher::new(),
            part: Vec::with_capacity(PIECE),
            length: 0,
        }
    }

    fn write(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(PIECE - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = rest;
            if self.part.len() == PIECE {
                self.hasher.write(&self.part);
                self.part.clear();
            }
        }
    }

    fn finish(mut self) -> String {
        self.hasher.write(&self.part);
        format!("{} {:x}", self.length, self.hasher.finish())
    }
}

fn expected() -> String {
    let mut hash = Hash::new();
    pieces().for_each(|piece| hash.write(&piece));
    hash.finish()
}

/// Sends the body, or tells the hash of what it gets.
async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, <Incoming as hyper::body::Body>::Error> {
    if request.method() == Method::GET {
        let frames = pieces().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        return Ok(Response::new(StreamBody::new(stream::iter(frames)).boxed()));
    }
    let (mut body, mut hash) = (request.into_body(), Hash::new());
    while let Some(frame) = body.frame().await {
        if let Some(bytes) = frame?.data_ref() {
            hash.write(bytes);
        }
    }
    Ok(Response::new(Full::from(hash.finish()).boxed()))
}

fn status(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// Runs one transfer, and looks at the most memory that it has needed.
async fn measured(name: &str, transfer: impl Future<Output = ()>) {
    let before = status("VmRSS:");
    // The peak begins anew.
    let is_reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let started = Instant::now();
    transfer.await;
    let (elapsed, peak) = (started.elapsed(), status("VmHWM:"));
    let grown = peak.saturating_sub(before);
    let rate = total() as f64 / elapsed.as_secs_f64() / f64::from(1 << 20);
    println!(
        "{name}: {} MiB at {rate:.0} MiB/s, peak {} MiB, {} MiB more than before",
        total() >> 20,
        peak >> 20,
        grown >> 20,
    );
    if is_long() && is_reset {
        assert!(grown < BOUND, "{name}: {} MiB more", grown >> 20);
    }
}

async fn both_ways(name: &str, client: &Client, url: &str, version: Version, expected: &str) {
    measured(&format!("{name} download"), async {
        let mut response = client.get(url).send().await.unwrap();
        assert_eq!(response.version(), version, "{name}");
        let mut hash = Hash::new();
        while let Some(bytes) = response.chunk().await.unwrap() {
            hash.write(&bytes);
        }
        assert_eq!(hash.finish(), expected, "{name}");
    })
    .await;
    measured(&format!("{name} upload"), async {
        let pieces = pieces().map(Ok::<_, Infallible>);
        let body = Body::wrap_stream(stream::iter(pieces)).with_length(total() as u64);
        let response = client.put(url).body(body).send().await.unwrap();
        assert_eq!(response.version(), version, "{name}");
        assert_eq!(response.text().await.unwrap(), expected, "{name}");
    })
    .await;
}

/// Control: a server that collects the body (`http_body_util`'s `collect`) needs a gibibyte in the long run.
#[test]
fn bodies_stream_in_constant_memory() {
    block_on(async {
        let authority = Authority::new();
        let expected = expected();
        for secure in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut server = serve(listener, service_fn(answer));
            if secure {
                let identity = authority.issue(&["localhost"]).identity();
                server = server.tls(TlsAcceptor::new(identity).unwrap());
            }
            let server = spawn(server.into_future());
            let (scheme, mode) = match secure {
                true => ("https", "TLS"),
                false => ("http", "plain"),
            };
            let url = format!("{scheme}://localhost:{port}/");
            let builder = || Client::builder().add_root_certificate(authority.root());
            let client = builder().http1_only().build().unwrap();
            let name = format!("HTTP/1.1, {mode},");
            both_ways(&name, &client, &url, Version::HTTP_11, &expected).await;
            let client = builder().http2_prior_knowledge().build().unwrap();
            let name = format!("HTTP/2, {mode},");
            both_ways(&name, &client, &url, Version::HTTP_2, &expected).await;
            server.cancel();
        }
    });
}
