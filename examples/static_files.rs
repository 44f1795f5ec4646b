//! A server of files: `cargo run --features hyper --example static_files -- 127.0.0.1:8082 DIRECTORY`.
//!
//! It serves what lies in the directory and nothing else: `..` is refused, and so are links that lead out of it. Parts of
//! files can be asked for (`Range`, [RFC 9110, 14](https://www.rfc-editor.org/rfc/rfc9110#section-14)).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use heist::net::TcpListener;
use heist::net::hyper::{Incoming, serve};
use heist::ops::{self, BufResult, SharedFd};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};

/// How much of a file is read at a time.
const PIECE: usize = 64 * 1024;

type Reading = Pin<Box<dyn Future<Output = BufResult<usize, Vec<u8>>> + Send>>;

/// Part of a file, read by the kernel while others are served.
#[derive(Default)]
struct FileBody {
    file: Option<SharedFd>,
    at: u64,
    end: u64,
    reading: Option<Reading>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let left = usize::try_from(this.end - this.at).unwrap_or(PIECE);
        let Some(file) = this.file.as_ref().filter(|_| left > 0) else {
            return Poll::Ready(None);
        };
        let reading = this.reading.get_or_insert_with(|| {
            let buffer = Vec::with_capacity(left.min(PIECE));
            Box::pin(ops::read_at(file, buffer, this.at))
        });
        let (read, mut buffer) = ready!(reading.as_mut().poll(cx));
        this.reading = None;
        let count = match read {
            // Somebody has cut it short meanwhile, and the length was promised.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        }?;
        buffer.truncate(count.min(left));
        this.at += buffer.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(buffer.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

/// What the client wants of a file.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From here to before there.
    Bytes(u64, u64),
    Nothing,
}

/// What a `Range` asks of a file of this length. One range is understood; of several, or other units, the whole is sent,
/// as it may be.
fn part(range: Option<&HeaderValue>, length: u64) -> Part {
    let text = range.and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
    let Some((from, to)) = text.and_then(|text| text.trim().split_once('-')) else {
        return Part::Whole;
    };
    let (from, to) = (from.parse::<u64>(), to.parse::<u64>());
    let part = match (from, to) {
        (Ok(from), Ok(to)) if from <= to => (from, to.saturating_add(1).min(length)),
        (Ok(from), Err(_)) if text.is_some_and(|text| text.trim().ends_with('-')) => (from, length),
        (Err(_), Ok(last)) if text.is_some_and(|text| text.trim().starts_with('-')) => {
            (length.saturating_sub(last), length)
        }
        _ => return Part::Whole,
    };
    match part {
        (from, to) if from < to => Part::Bytes(from, to),
        _ => Part::Nothing,
    }
}

/// The bytes that a path means: `%2e` is a dot. `None` if it is no path.
fn decoded(path: &str) -> Option<Vec<u8>> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}

/// Where the file of a path lies below `root`, if its parts are names.
fn below(root: &Path, path: &str) -> Option<PathBuf> {
    let path = String::from_utf8(decoded(path)?).ok()?;
    let mut file = root.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let is_name = part != "." && part != ".." && !part.contains(['\\', '\0']);
        if !is_name {
            return None;
        }
        file.push(part);
    }
    Some(file)
}

/// Opens a file below `root`, which is canonical. Off the workers: names may lie on slow disks.
fn open(root: &Path, mut file: PathBuf) -> io::Result<(std::fs::File, PathBuf, u64)> {
    if file.is_dir() {
        file.push("index.html");
    }
    // With all links followed it must still lie there.
    let file = file.canonicalize()?;
    if !file.starts_with(root) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let opened = std::fs::File::open(&file)?;
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((opened, file, metadata.len()))
}

fn kind(file: &Path) -> &'static str {
    match file.extension().and_then(|it| it.to_str()) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("txt" | "md" | "rs" | "toml") => "text/plain; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

fn status(status: StatusCode) -> Response<FileBody> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

async fn answer(request: Request<Incoming>, root: Arc<Path>) -> Response<FileBody> {
    let is_head = request.method() == Method::HEAD;
    if !is_head && request.method() != Method::GET {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(path) = below(&root, request.uri().path()) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let opened = heist::spawn_blocking(move || open(&root, path)).await;
    let (file, path, length) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            return status(StatusCode::FORBIDDEN);
        }
        Ok(Err(_)) => return status(StatusCode::NOT_FOUND),
        Err(_) => return status(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let (code, at, end) = match part(request.headers().get(RANGE), length) {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Bytes(at, end) => (StatusCode::PARTIAL_CONTENT, at, end),
        Part::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let mut response = status(code);
    let headers = response.headers_mut();
    let number = |text: String| HeaderValue::try_from(text).expect("numbers are text");
    match code {
        StatusCode::PARTIAL_CONTENT => {
            let range = format!("bytes {at}-{}/{length}", end - 1);
            headers.insert(CONTENT_RANGE, number(range));
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            headers.insert(CONTENT_RANGE, number(format!("bytes */{length}")));
        }
        _ => {}
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(&path)));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    *response.body_mut() = FileBody {
        file: (!is_head).then(|| SharedFd::new(OwnedFd::from(file))),
        at,
        end,
        reading: None,
    };
    response
}

#[heist::main]
async fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(root)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: static_files ADDRESS DIRECTORY, such as 127.0.0.1:8082 .");
        std::process::exit(2);
    };
    let root: Arc<Path> = PathBuf::from(root).canonicalize()?.into();
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let service = service_fn(move |request| {
        let root = root.clone();
        async move { Ok::<_, Infallible>(answer(request, root).await) }
    });
    serve(listener, service).await
}
