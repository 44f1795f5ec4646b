//! Scripted servers, and small helpers for the client's side.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use heist_net::http::{Client, Error};
use heist_runtime::time::{Instant, Timer};

/// A server whose every connection runs the same script in a thread of its own.
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// Counts the connections of its server from 0.
    pub(crate) number: usize,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn new(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (server.connections.clone(), server.requests.clone());
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, requests) = (script.clone(), requests.clone());
                let stream = stream.unwrap();
                // A test that fails must not leave threads behind that wait for ever.
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                stream.set_nodelay(true).unwrap();
                let number = connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    script(&mut Peer {
                        stream,
                        number,
                        requests,
                    })
                });
            }
        });
        server
    }

    /// Answers every request on every connection with these bytes.
    pub(crate) fn answering(response: impl Into<String>) -> Self {
        let response = response.into();
        Self::new(move |peer| {
            while peer.request().is_some() {
                peer.send(&response);
            }
        })
    }

    /// Answers the first request of a connection with these bytes and closes it.
    pub(crate) fn closing_after(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::new(move |peer| {
            if peer.request().is_some() {
                let _ = peer.stream.write_all(&response);
            }
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Heads of the requests read so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Peer {
    /// Reads one request head; `None` when the client has closed the connection.
    pub(crate) fn request(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(1)?);
        }
        let head = String::from_utf8(head).unwrap();
        self.requests.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// Reads exactly this many bytes; `None` at the end of the stream or on an error.
    pub(crate) fn read(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Sends as much as the client takes.
    pub(crate) fn send(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// Waits until the client closes the connection. Returns whether it did.
    pub(crate) fn is_closed_by_client(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Closes with a reset instead of an orderly end.
    pub(crate) fn reset(&mut self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Sends the end of the stream, but keeps the connection.
    pub(crate) fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// A response with a `Content-Length`.
pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A client that gives up before the test harness would.
pub(crate) fn client() -> Client {
    Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// Fetches the whole text.
pub(crate) async fn get(client: &Client, url: &str) -> Result<String, Error> {
    client.get(url).send().await?.text().await
}

/// `block_on(get(client(), url))`.
pub(crate) fn get_once(url: &str) -> Result<String, Error> {
    heist_runtime::block_on(async { get(&client(), url).await })
}

/// Runs futures side by side in one task, started in their order.
pub(crate) async fn join<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    running
        .into_iter()
        .map(|(_, output)| output.unwrap())
        .collect()
}

pub(crate) async fn sleep(duration: Duration) {
    Timer::new(Instant::now() + duration).await;
}

/// Waits for a future for some time, then drops it.
pub(crate) async fn within<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut timer = Timer::new(Instant::now() + duration);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Pin::new(&mut timer).poll(cx).map(|()| None),
    })
    .await
}
