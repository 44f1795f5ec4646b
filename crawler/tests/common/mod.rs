//! What the integration tests share: servers that misbehave, and the program under test.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use heist_crawler::{CrawlerBuilder, Record, Summary};

pub(crate) mod log_server;
pub(crate) mod redis;

/// A server on plain threads: it shares no code with what is tested.
///
/// It answers each connection once, with exactly the bytes that its script gives for the path,
/// and closes. It lives until the test process ends.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    /// Connections open now, and the most there were at a time.
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) most_open: Arc<AtomicUsize>,
    pub(crate) requests: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn start(script: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start_with(move |path, stream| {
            let _ = stream.write_all(&script(path));
        })
    }

    /// Like `start`, with the connection in the hands of the script.
    pub(crate) fn start_with(
        script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        let open = Arc::new(AtomicUsize::new(0));
        let most_open = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(AtomicUsize::new(0));
        let counters = (
            Arc::clone(&open),
            Arc::clone(&most_open),
            Arc::clone(&requests),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (open, most_open, requests) = counters.clone();
                let (script, mut stream) = (Arc::clone(&script), stream.unwrap());
                thread::spawn(move || {
                    let Some(path) = read_head(&mut stream) else {
                        return;
                    };
                    let now = open.fetch_add(1, Ordering::SeqCst) + 1;
                    most_open.fetch_max(now, Ordering::SeqCst);
                    requests.fetch_add(1, Ordering::SeqCst);
                    script(&path, &mut stream);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            open,
            most_open,
            requests,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Reads a request head and returns the path in it.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head)
        .ok()?
        .split(' ')
        .nth(1)
        .map(str::to_owned)
}

/// A complete response.
pub(crate) fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A page of HTML with these links.
pub(crate) fn page(links: &[&str]) -> Vec<u8> {
    let body: String = links
        .iter()
        .map(|href| format!("<a href=\"{href}\">x</a>\n"))
        .collect();
    response("200 OK", "Content-Type: text/html\r\n", &body)
}

/// A port that nobody listens on.
pub(crate) fn closed_port() -> SocketAddr {
    let socket = heist::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    // Somebody has it, and does not listen, or it may become that of the test that runs beside this one.
    std::mem::forget(socket);
    address
}

/// Runs a crawl to its end.
pub(crate) fn crawl(builder: CrawlerBuilder) -> (Vec<Record>, Summary) {
    heist::block_on(async {
        let mut crawl = builder.build().unwrap();
        let mut records = Vec::new();
        while let Some(record) = crawl.next().await {
            records.push(record);
        }
        assert!(crawl.next().await.is_none(), "an ended crawl stays ended");
        let summary = crawl.summary().clone();
        assert_eq!(summary.pages(), records.len() as u64);
        (records, summary)
    })
}

/// The record of a path.
pub(crate) fn find<'r>(records: &'r [Record], path: &str) -> &'r Record {
    let mut found = records.iter().filter(|record| record.url.ends_with(path));
    let record = found
        .next()
        .unwrap_or_else(|| panic!("no record of {path} in {records:#?}"));
    assert!(found.next().is_none(), "two records of {path}");
    record
}

/// The paths of the records, sorted.
pub(crate) fn paths(records: &[Record]) -> Vec<String> {
    let mut paths: Vec<_> = records
        .iter()
        .map(|record| record.url.splitn(4, '/').nth(3).unwrap().to_owned())
        .collect();
    paths.sort();
    paths
}

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_heist-crawl"))
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub(crate) fn records(lines: &[u8]) -> Vec<Record> {
    text(lines)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
