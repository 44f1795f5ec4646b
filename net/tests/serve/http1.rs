//! HTTP/1: keep-alive, pipelining, upgrades, panics.

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use heist_net::hyper::{Listener, serve};
use heist_net::io::BufStream;
use heist_net::{TcpListener, TcpStream};
use heist_runtime::spawn;

use crate::support::{App, Client, millis, run, start};

#[test]
fn a_connection_is_kept() {
    run(async {
        let server = start(|server| server).await;
        let mut client = server.connect().await;
        for n in 0..10 {
            let response = client.get(&format!("/{n}")).await;
            assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
            assert!(response.ends_with(&format!("\r\n\r\n/{n}")), "{response}");
        }
        let now = server.now();
        assert_eq!((now.total, now.open, now.requests), (1, 1, 10));
        assert!(now.bytes_received > 300 && now.bytes_sent > 500, "{now:?}");
        let one = &server.metrics.connections()[0];
        assert_eq!((one.id, one.requests, one.in_flight), (0, 10, 0));
        assert!(one.peer.starts_with("127.0.0.1:"), "{}", one.peer);
        client
            .send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            .await;
        assert!(client.response().await.is_some());
        assert!(client.is_closed().await);
        let last = server.stop().await;
        assert_eq!((last.requests, last.refused, last.timed_out), (11, 0, 0));
    });
}

/// In order, although the first takes longest. That is hyper's to keep, so no control was
/// tried.
#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let server = start(|server| server).await;
        let mut client = server.connect().await;
        let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
        let all: String = ["/sleep/50", "/a", "/sleep/10", "/b"].map(request).concat();
        client.send(&all).await;
        for path in ["/sleep/50", "/a", "/sleep/10", "/b"] {
            assert!(client.response().await.unwrap().ends_with(path));
        }
        server.stop().await;
    });
}

/// Byte by byte, also through the part that HTTP/2's preface has in common with it.
#[test]
fn a_request_in_pieces() {
    run(async {
        let server = start(|server| server).await;
        let mut client = server.connect().await;
        for piece in "PRI /x HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nab".split("") {
            client.send(piece).await;
        }
        assert!(client.response().await.unwrap().ends_with("/x"));
        server.stop().await;
    });
}

#[test]
fn a_panic_ends_its_connection_only() {
    run(async {
        let server = start(|server| server).await;
        let mut bystander = server.connect().await;
        bystander.get("/").await;
        let mut client = server.connect().await;
        client.send("GET /panic HTTP/1.1\r\nHost: t\r\n\r\n").await;
        assert!(client.is_closed().await);
        assert!(bystander.get("/still").await.ends_with("/still"));
        server
            .until(|now| now.open == 1 && now.in_flight == 0)
            .await;
        let last = server.stop().await;
        assert_eq!((last.cancelled, last.refused), (0, 0), "{last:?}");
    });
}

/// The request of a client that goes away is dropped.
#[test]
fn a_client_that_leaves() {
    run(async {
        let server = start(|server| server).await;
        let mut client = server.connect().await;
        client
            .send("GET /sleep/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        server.until(|now| now.in_flight == 1).await;
        drop(client);
        server
            .until(|now| now.in_flight == 0 && now.open == 0)
            .await;
        assert_eq!(server.app.seen.dropped.load(SeqCst), 1);
        server.stop().await;
    });
}

/// What is no HTTP is answered by 400, and counted; a client that says nothing is no error.
#[test]
fn what_is_not_http() {
    run(async {
        let server = start(|server| server).await;
        let mut client = server.connect().await;
        client
            .send("\x16\x03\x01\x02 this is not HTTP\r\n\r\n")
            .await;
        let answer = client.response().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(client.is_closed().await);
        server.until(|now| now.refused == 1).await;
        drop(server.connect().await);
        server.until(|now| now.total == 2 && now.open == 0).await;
        millis(5).await;
        assert_eq!(server.stop().await.refused, 1);
    });
}

/// Bytes that came along with the request are read first; the connection is open until its new owner drops it, and the
/// server's end does not wait for that. Control, tried: forget hyper's buffer.
#[test]
fn an_upgrade() {
    run(async {
        let server = start(|server| server.idle_timeout(Duration::from_millis(50))).await;
        let mut client = server.connect().await;
        echo_after_upgrade(&mut client).await;
        server
            .until(|now| (now.open, now.in_flight) == (1, 0))
            .await;
        // No limit of the server's concerns it.
        millis(200).await;
        client.send("still").await;
        client.expect("still").await;
        let metrics = server.metrics.clone();
        let mut server = server;
        server.tell_to_stop();
        (&mut server.task).await.unwrap().unwrap();
        client.send("on").await;
        client.expect("on").await;
        assert_eq!(metrics.snapshot().open, 1);
        drop(client);
        server.until(|now| now.open == 0).await;
    });
}

/// The same where the server does not know what the connection is.
#[test]
fn an_upgrade_of_a_connection_of_others() {
    struct Buffered(TcpListener);

    impl Listener for Buffered {
        type Io = BufStream<TcpStream>;
        type Addr = SocketAddr;

        async fn accept(&mut self) -> io::Result<(Self::Io, SocketAddr)> {
            let (stream, peer) = self.0.accept().await?;
            Ok((BufStream::new(stream), peer))
        }
    }

    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(serve(Buffered(listener), App::default()).into_future());
        let mut client = Client::connect(address).await;
        echo_after_upgrade(&mut client).await;
        let long = "x".repeat(100_000);
        let stream = &mut client.stream;
        let (mut from, mut into) = (vec![0; long.len()], long.as_bytes());
        // More than fits anywhere at once.
        while !into.is_empty() {
            let part = into.len().min(10_000);
            stream.write_all(&into[..part]).await.unwrap();
            stream.read_exact(&mut from[..part]).await.unwrap();
            assert_eq!(from[..part], into[..part]);
            into = &into[part..];
        }
        let _ = server.cancel_and_join().await;
    });
}

async fn echo_after_upgrade(client: &mut Client) {
    client
        .send(
            "GET /upgrade HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly",
        )
        .await;
    let response = client.response().await.unwrap();
    assert!(response.starts_with("HTTP/1.1 101"), "{response}");
    client.expect("early").await;
    client.send("late").await;
    client.expect("late").await;
}
