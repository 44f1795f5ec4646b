//! The server of the embedded site: HTTP/1.1 over Heist's TCP, one task per connection.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use heist::net::{TcpListener, TcpStream, ToSocketAddrs};
use heist::task::JoinHandle;
use heist::time::{sleep, timeout};

use super::request::{Method, Request, Verdict, parse};
use super::{DelayRange, Site};

/// Time that a client may take to send a head, and that a kept connection may be silent.
const IDLE: Duration = Duration::from_secs(60);

/// Pause after a failed accept: out of descriptors does not pass by trying again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Bytes read at a time.
const READ: usize = 4096;

/// Serves a [`Site`] until it is dropped.
///
/// It speaks HTTP/1.1 with kept and pipelined connections, GET and HEAD, and answers what it
/// does not understand with the status that says so.
///
/// ```
/// use heist_crawler::{Site, SiteServer};
///
/// heist::block_on(async {
///     let server = SiteServer::start("127.0.0.1:0", Site::new(10, 1), None).await?;
///     assert_eq!(server.url(), format!("http://{}/", server.address()));
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct SiteServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    site: Site,
    delay: Option<DelayRange>,
    requests: AtomicU64,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl SiteServer {
    /// Binds `address` (port 0 for any free one) and starts to serve.
    ///
    /// # Errors
    ///
    /// Those of binding.
    ///
    /// # Panics
    ///
    /// When called outside a Heist runtime.
    pub async fn start(
        address: impl ToSocketAddrs,
        site: Site,
        delay: Option<DelayRange>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            site,
            delay,
            requests: AtomicU64::new(0),
            connections: Mutex::new(Vec::new()),
        });
        let accepting = heist::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its first page.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Requests answered or refused so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for SiteServer {
    fn drop(&mut self) {
        self.accepting.cancel();
        for connection in self.shared.lock_connections().drain(..) {
            connection.cancel();
        }
    }
}

impl Shared {
    fn lock_connections(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut sweep_at = 64;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = heist::spawn(serve(stream, Arc::clone(&shared)));
        let mut connections = shared.lock_connections();
        connections.push(connection);
        // Closed connections are forgotten when the list has doubled: constant work for each.
        if connections.len() >= sweep_at {
            connections.retain(|connection| !connection.is_finished());
            sweep_at = 64.max(2 * connections.len());
        }
    }
}

/// Serves one connection. Its errors are the client's business.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut received = Vec::new();
    let mut response = Vec::new();
    loop {
        let verdict = match parse(&received) {
            Verdict::Partial => {
                match timeout(IDLE, read_more(&mut stream, &mut received)).await {
                    Ok(Ok(1..)) => continue,
                    // Closed, broken, or silent for too long.
                    Ok(_) | Err(_) => return,
                }
            }
            verdict => verdict,
        };
        shared.requests.fetch_add(1, Ordering::Relaxed);
        response.clear();
        let keep_alive = match verdict {
            Verdict::Request(request) => {
                received.drain(..request.length);
                answer(&request, &shared, &mut response).await;
                request.keep_alive
            }
            Verdict::Refused(status) => {
                write_refusal(status, false, true, &mut response);
                false
            }
            Verdict::Partial => continue,
        };
        if stream.write_all(&response).await.is_err() || !keep_alive {
            return;
        }
    }
}

async fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<usize> {
    let mut some = [0; READ];
    let count = stream.read(&mut some).await?;
    received.extend_from_slice(&some[..count]);
    Ok(count)
}

async fn answer(request: &Request, shared: &Shared, out: &mut Vec<u8>) {
    let with_body = request.method != Method::Head;
    if request.method == Method::Other {
        return write_refusal(405, request.keep_alive, with_body, out);
    }
    let Some(page) = shared.site.find(&request.path) else {
        return write_refusal(404, request.keep_alive, with_body, out);
    };
    if let Some(delay) = shared.delay {
        sleep(delay.of_page(page, shared.site.seed())).await;
    }
    let length = shared.site.page_length(page);
    write_head(200, length, request.keep_alive, out);
    if with_body {
        shared.site.write_page(page, out);
    }
}

/// Appends a response that says no, with a short page about it.
fn write_refusal(status: u16, keep_alive: bool, with_body: bool, out: &mut Vec<u8>) {
    let body = format!(
        "<!DOCTYPE html>\n<title>{0}</title>\n<p>{0} {1}</p>\n",
        status,
        reason(status)
    );
    write_head(status, body.len() as u64, keep_alive, out);
    if with_body {
        out.extend_from_slice(body.as_bytes());
    }
}

fn write_head(status: u16, length: u64, keep_alive: bool, out: &mut Vec<u8>) {
    let reason = reason(status);
    let date = httpdate::HttpDate::from(SystemTime::now());
    let allow = if status == 405 {
        "Allow: GET, HEAD\r\n"
    } else {
        ""
    };
    // Said in any case: an HTTP/1.0 client that asked to keep the connection waits for the word.
    let connection = if keep_alive { "keep-alive" } else { "close" };
    write!(
        out,
        "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {length}\r\n{allow}Connection: {connection}\r\n\r\n"
    )
    .expect("a Vec takes what is written to it");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Bad Request",
    }
}
