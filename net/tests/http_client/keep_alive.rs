//! Which connections are used again, and what happens when the server has closed one meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use heist_net::http::Client;
use heist_runtime::block_on;

use crate::server::*;

/// Fetches twice, with some time between for the server to misbehave in.
fn twice(client: &Client, server: &Server) -> usize {
    block_on(async {
        for _ in 0..2 {
            assert_eq!(get(client, &server.url("/")).await.unwrap(), "hello");
            sleep(millis(20)).await;
        }
    });
    server.connections()
}

#[test]
fn a_connection_is_used_again() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";
    for response in [&ok("hello"), chunked, old] {
        assert_eq!(
            twice(&client(), &Server::answering(response)),
            1,
            "{response}"
        );
    }
}

#[test]
fn doubtful_connections_are_not_used_again() {
    let head = "HTTP/1.1 200 OK\r\n";
    for response in [
        format!("{head}Connection: close\r\nContent-Length: 5\r\n\r\nhello"),
        format!(
            "{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ),
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        format!("{}excess", ok("hello")),
        format!(
            "{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            ok("hello")
        ),
    ] {
        assert_eq!(
            twice(&client(), &Server::answering(response.clone())),
            2,
            "{response}"
        );
    }
    let unpooled = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    assert_eq!(twice(&unpooled, &Server::answering(ok("hello"))), 2);
    let server = Server::answering(ok("hello"));
    block_on(async {
        let client = client();
        for _ in 0..2 {
            client
                .get(server.url("/"))
                .header("connection", "close")
                .send()
                .await
                .unwrap();
        }
    });
    assert_eq!(server.connections(), 2);
}

#[test]
fn an_idle_connection_that_was_closed_is_noticed() {
    let server = Server::closing_after(ok("hello"));
    assert_eq!(twice(&client(), &server), 2);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_response_nobody_asked_for_answers_no_request() {
    // The server times the idle connection out, says so, and closes. The next request must not take
    // that for its answer.
    let server = Server::new(|peer| {
        peer.request();
        peer.send(&ok("hello"));
        std::thread::sleep(millis(5));
        peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
        assert!(peer.is_closed_by_client());
    });
    assert_eq!(twice(&client(), &server), 2);
}

/// A server whose first connection answers once, and meets the next request with `then`.
fn stale_server(then: fn(&mut Peer)) -> Server {
    Server::new(move |peer| {
        peer.request();
        peer.send(&ok("hello"));
        if peer.request().is_some() {
            match peer.number {
                0 => then(peer),
                _ => peer.send(&ok("hello")),
            }
        }
    })
}

#[test]
fn a_stale_connection_is_replaced() {
    for then in [Peer::end, Peer::reset] {
        let server = stale_server(then);
        assert_eq!(twice(&client(), &server), 2);
        assert_eq!(
            server.requests().len(),
            3,
            "the second request was not sent twice"
        );
    }
    // It works within a limit of one connection, too: the stale one makes room.
    let server = stale_server(Peer::end);
    let limited = Client::builder()
        .max_connections_per_host(1)
        .timeout(millis(5000));
    assert_eq!(twice(&limited.build().unwrap(), &server), 2);
}

#[test]
fn nothing_is_repeated_that_should_not_be() {
    let run = |server: &Server, post: bool| {
        block_on(async {
            let client = client();
            get(&client, &server.url("/")).await.unwrap();
            let url = server.url("/second");
            let request = if post {
                client.post(&url).body("x")
            } else {
                client.get(&url)
            };
            let error = request.send().await.unwrap_err();
            assert!(error.is_request(), "{error}");
            assert_eq!(server.requests().len(), 2, "the request was repeated");
            error.to_string()
        })
    };
    let message = run(&stale_server(Peer::end), true);
    assert!(message.contains("repeat it only if"), "{message}");
    // A byte of the response has arrived, so the server has seen the request.
    run(&stale_server(|peer| peer.send("H")), false);
}

#[test]
fn a_dropped_half_read_response_closes_its_connection() {
    let (told, closed) = mpsc::channel();
    let server = Server::new(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc");
        let _ = told.send(peer.is_closed_by_client());
    });
    let client = Client::builder()
        .max_connections_per_host(1)
        .timeout(millis(5000));
    let client = client.build().unwrap();
    block_on(async {
        for _ in 0..3 {
            let mut response = client.get(server.url("/")).send().await.unwrap();
            assert_eq!(response.chunk().await.unwrap().unwrap(), "abc");
            drop(response);
        }
        // The runtime may close in the background; give it the chance while it runs.
        sleep(millis(50)).await;
    });
    for _ in 0..3 {
        assert!(closed.recv_timeout(millis(5000)).unwrap());
    }
}

#[test]
fn a_read_body_frees_its_connection_although_the_response_lives() {
    let server = Server::answering(ok("hello"));
    let client = Client::builder()
        .max_connections_per_host(1)
        .timeout(millis(5000));
    let client = client.build().unwrap();
    block_on(async {
        let first = client.get(server.url("/1")).send().await.unwrap();
        let second = client.get(server.url("/2")).send().await.unwrap();
        assert_eq!(second.text().await.unwrap(), "hello");
        assert_eq!(first.text().await.unwrap(), "hello");
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn idle_connections_are_closed_in_time() {
    let closed = Arc::new(AtomicBool::new(false));
    let seen = closed.clone();
    let server = Server::new(move |peer| {
        peer.request();
        peer.send(&ok("hello"));
        seen.store(peer.is_closed_by_client(), Ordering::SeqCst);
    });
    let client = Client::builder()
        .pool_idle_timeout(millis(100))
        .build()
        .unwrap();
    block_on(async {
        get(&client, &server.url("/")).await.unwrap();
        sleep(millis(40)).await;
        assert!(!closed.load(Ordering::SeqCst), "closed too early");
        // No further request touches the pool.
        for _ in 0..100 {
            sleep(millis(20)).await;
            if closed.load(Ordering::SeqCst) {
                return;
            }
        }
        panic!("the idle connection was kept");
    });
}
