//! A server that writes down when it was asked for what, and answers from a function.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// One request, as the server has seen it.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) path: String,
    /// The head of the request.
    pub(crate) head: String,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
}

/// Keeps connections, as servers do, on a thread for each.
pub(crate) struct LogServer {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<Visit>>>,
    /// Connections open now, and the most there were.
    connections: Arc<Mutex<(usize, usize)>>,
}

impl LogServer {
    /// `answer` is given the path and how many requests came before.
    pub(crate) fn start(answer: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", answer)
    }

    pub(crate) fn start_at(
        address: &str,
        answer: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(Mutex::new((0, 0)));
        let answer = Arc::new(answer);
        let (all, open) = (Arc::clone(&log), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, all, open) =
                    (Arc::clone(&answer), Arc::clone(&all), Arc::clone(&open));
                thread::spawn(move || {
                    let mut count = open.lock().unwrap();
                    count.0 += 1;
                    count.1 = count.1.max(count.0);
                    drop(count);
                    serve(stream.unwrap(), &*answer, &all);
                    open.lock().unwrap().0 -= 1;
                });
            }
        });
        Self {
            address,
            log,
            connections,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn visits(&self) -> Vec<Visit> {
        let mut visits = self.log.lock().unwrap().clone();
        visits.sort_by_key(|visit| visit.begun);
        visits
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.visits()
            .iter()
            .filter(|visit| visit.path == path)
            .count()
    }

    pub(crate) fn most_connections(&self) -> usize {
        self.connections.lock().unwrap().1
    }

    /// The shortest time from the end of an answer to the beginning of the next request.
    pub(crate) fn shortest_pause(&self) -> Duration {
        let visits = self.visits();
        let pairs = visits.windows(2);
        pairs
            .map(|pair| pair[1].begun.saturating_duration_since(pair[0].ended))
            .min()
            .unwrap()
    }

    /// The most requests that were under way at a time.
    pub(crate) fn most_at_a_time(&self) -> usize {
        let visits = self.visits();
        let at = |time: Instant| {
            visits
                .iter()
                .filter(|visit| visit.begun <= time && time < visit.ended)
                .count()
        };
        visits
            .iter()
            .map(|visit| at(visit.begun))
            .max()
            .unwrap_or(0)
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str, usize) -> Vec<u8>, log: &Mutex<Vec<Visit>>) {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.set_nodelay(true).unwrap();
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let begun = Instant::now();
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let number = log.lock().unwrap().len();
        let bytes = answer(&path, number);
        // Noted before the answer is out: the client may act on it before this thread goes on.
        let visit = Visit {
            path,
            head,
            begun,
            ended: Instant::now(),
        };
        log.lock().unwrap().push(visit);
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// An answer after which the connection stays open.
pub(crate) fn kept(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

/// A page of HTML with these links.
pub(crate) fn kept_page(links: &[String]) -> Vec<u8> {
    let body: String = links
        .iter()
        .map(|href| format!("<a href=\"{href}\">x</a>\n"))
        .collect();
    kept("200 OK", "Content-Type: text/html\r\n", &body)
}

/// A host of a tree of pages, four links on each.
pub(crate) fn tree(pages: usize, answer: Duration) -> LogServer {
    LogServer::start(move |path, _| {
        thread::sleep(answer);
        let page: usize = path.trim_start_matches('/').parse().unwrap_or(0);
        let links = (page * 4 + 1..=page * 4 + 4).filter(|&link| link < pages);
        let mut links: Vec<_> = links.map(|link| format!("/{link}")).collect();
        // What everybody knows already.
        links.push("/".to_owned());
        kept_page(&links)
    })
}

/// How often each page of a server was asked for.
pub(crate) fn visits(server: &LogServer) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for visit in server.visits() {
        *counts.entry(visit.path).or_default() += 1;
    }
    counts
}
