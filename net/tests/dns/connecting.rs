//! What a resolver says is what is connected to, as soon as it says it.

use std::future::ready;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heist_net::dns::{Addrs, BoxError, Name, Overrides, Resolve, Resolving, ResolvingParts};
use heist_net::http::Client;
use heist_net::{TcpListener, TcpStream};
use heist_runtime::time::Instant;
use heist_runtime::{block_on, spawn};
use heist_sync::stream::generate;
use heist_sync::time::sleep;

use crate::refusing::refusing;

/// Yields the next part after so many milliseconds, and notes what it was asked for.
struct Script {
    parts: Vec<(u64, Result<Vec<SocketAddr>, &'static str>)>,
    asked: Mutex<Vec<String>>,
    /// How many parts were asked for in vain.
    taken: Arc<AtomicUsize>,
}

impl Script {
    fn new(parts: Vec<(u64, Result<Vec<SocketAddr>, &'static str>)>) -> Self {
        Self {
            parts,
            asked: Mutex::default(),
            taken: Arc::default(),
        }
    }
}

impl Resolve for Script {
    fn resolve(&self, _: Name) -> Resolving {
        unreachable!("who connects asks for parts")
    }

    fn resolve_parts(&self, name: Name) -> ResolvingParts {
        self.asked.lock().unwrap().push(name.as_str().to_owned());
        let (parts, taken) = (self.parts.clone(), self.taken.clone());
        Box::pin(generate(async move |y| {
            for (millis, part) in parts {
                sleep(Duration::from_millis(millis)).await;
                taken.fetch_add(1, SeqCst);
                let part = part.map(|list| Box::new(list.into_iter()) as Addrs);
                y.emit(part.map_err(BoxError::from)).await;
            }
        }))
    }
}

/// A resolver that knows no parts.
struct Plain(SocketAddr);

impl Resolve for Plain {
    fn resolve(&self, _: Name) -> Resolving {
        let address = self.0;
        Box::pin(ready(Ok(Box::new(std::iter::once(address)) as Addrs)))
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_port_of_zero_is_the_one_asked_for() {
    block_on(async {
        let (_listener, address) = listener().await;
        let without_port = SocketAddr::new(address.ip(), 0);
        let resolver = Plain(without_port);
        let stream = TcpStream::connect_with(&resolver, "a.example", address.port()).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), address);
        let stream = TcpStream::connect_with(&Plain(address), "a.example", 1).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), address);
    });
}

#[test]
fn text_that_is_an_address_is_not_looked_up() {
    block_on(async {
        let (_listener, address) = listener().await;
        let resolver = Script::new(Vec::new());
        let stream = TcpStream::connect_with(&resolver, "127.0.0.1", address.port()).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), address);
        let error = TcpStream::connect_with(&resolver, "two words", 80).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(resolver.asked.lock().unwrap().is_empty());
    });
}

/// Negative control: a race that waits for the last part takes 10 seconds.
#[test]
fn connecting_begins_with_the_first_part() {
    block_on(async {
        let (_listener, address) = listener().await;
        let resolver = Script::new(vec![(0, Ok(vec![address])), (10_000, Ok(vec![refusing()]))]);
        let began = Instant::now();
        let stream = TcpStream::connect_with(&resolver, "a.example", 1)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(began.elapsed() < Duration::from_secs(2));
    });
}

/// Negative control: a race that is lost when nothing is being tried, although more is to come.
#[test]
fn a_later_part_is_tried_when_the_first_has_failed() {
    block_on(async {
        let (_listener, address) = listener().await;
        let resolver = Script::new(vec![
            (0, Ok(vec![refusing()])),
            (30, Err("one family failed")),
            (30, Ok(vec![address])),
        ]);
        let stream = TcpStream::connect_with(&resolver, "a.example", 1)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    });
}

#[test]
fn errors_of_the_resolver_matter_when_there_is_no_address() {
    block_on(async {
        let resolver = Script::new(vec![(0, Err("first")), (0, Err("second"))]);
        let error = TcpStream::connect_with(&resolver, "a.example", 1).await;
        assert_eq!(error.unwrap_err().to_string(), "second");
        let resolver = Script::new(vec![(0, Ok(vec![refusing()])), (0, Err("late"))]);
        let error = TcpStream::connect_with(&resolver, "a.example", 1).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let resolver = Script::new(Vec::new());
        let error = TcpStream::connect_with(&resolver, "a.example", 1).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

/// Answers one request on each connection, and says which listener it is.
fn serve(listener: TcpListener) {
    drop(spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.recv().await.unwrap();
            let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            stream.write_all(response).await.unwrap();
        }
    }));
}

#[test]
fn a_client_asks_its_resolver() {
    block_on(async {
        let (listener, address) = listener().await;
        serve(listener);
        let resolver = Arc::new(Script::new(vec![(0, Ok(vec![address]))]));
        let client = Client::builder().dns_resolver(resolver.clone());
        let client = client.build().unwrap();
        let response = client.get("http://A.Example:99/").send().await.unwrap();
        assert_eq!(response.remote_addr(), Some(address));
        assert_eq!(*resolver.asked.lock().unwrap(), ["a.example"]);
    });
}

#[test]
fn overrides_come_first() {
    block_on(async {
        let (listener, address) = listener().await;
        serve(listener);
        let resolver = Arc::new(Script::new(vec![(0, Err("nobody knows"))]));
        let client = Client::builder()
            .resolve("A.example", address)
            .resolve_to_addrs("localhost", &[refusing(), SocketAddr::new(address.ip(), 0)])
            .dns_resolver(resolver.clone())
            .build()
            .unwrap();
        for url in ["http://a.example/", "http://a.example./"] {
            let response = client.get(url).send().await.unwrap();
            assert_eq!(response.remote_addr(), Some(address), "{url}");
        }
        let url = format!("http://localhost:{}/", address.port());
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.remote_addr(), Some(address));
        let error = client.get("http://b.example/").send().await.unwrap_err();
        assert!(
            error.is_resolve() && error.to_string().contains("nobody knows"),
            "{error}"
        );
        assert_eq!(*resolver.asked.lock().unwrap(), ["b.example"]);
        let resolver = Overrides::new(resolver).resolve("c.example", address);
        let stream = TcpStream::connect_with(&resolver, "c.EXAMPLE", 1)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    });
}

/// Every part is looked at, the first and the late ones. Negative control: a filter of the first part only.
#[test]
fn private_addresses_are_blocked_whenever_they_come() {
    block_on(async {
        let (listener, address) = listener().await;
        let script = vec![(0, Ok(vec![address])), (10, Ok(vec![address, address]))];
        let resolver = Arc::new(Script::new(script));
        let client = Client::builder()
            .block_private_addresses(true)
            .dns_resolver(resolver.clone())
            .build()
            .unwrap();
        let error = client.get("http://a.example/").send().await.unwrap_err();
        assert!(error.is_connect() && !error.is_resolve(), "{error}");
        assert!(
            error.to_string().contains("block_private_addresses"),
            "{error}"
        );
        assert_eq!(resolver.taken.load(SeqCst), 2);
        drop(listener);
    });
}

#[test]
fn a_resolver_that_never_answers_is_left_in_time() {
    block_on(async {
        let resolver = Arc::new(Script::new(vec![(60_000, Err("too late"))]));
        let client = Client::builder()
            .connect_timeout(Duration::from_millis(50))
            .dns_resolver(resolver)
            .build()
            .unwrap();
        let error = client.get("http://a.example/").send().await.unwrap_err();
        assert!(error.is_resolve() && error.is_timeout(), "{error}");
        assert!(error.to_string().contains("connect_timeout"), "{error}");
    });
}
