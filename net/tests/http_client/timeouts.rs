//! Clocks for single phases; the one for everything is tested with the bad servers.

use std::io::Write;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use heist_net::http::{Body, Client, ClientBuilder};
use heist_runtime::block_on;

use crate::server::*;

/// Fetches, and fails in time for this reason.
fn fails(builder: ClientBuilder, server: &Server, setting: &str) -> heist_net::http::Error {
    let client = builder.build().unwrap();
    let started = Instant::now();
    let error = block_on(get(&client, &server.url("/"))).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(
        error.to_string().contains(&format!("`{setting}`")),
        "{error}"
    );
    assert!(
        (millis(100)..millis(1500)).contains(&started.elapsed()),
        "{:?}",
        started.elapsed()
    );
    error
}

/// Sends the head, then a byte of the body every 30 ms, then nothing.
fn dripping(count: usize) -> Server {
    Server::new(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for _ in 0..count {
            std::thread::sleep(millis(30));
            let _ = peer.stream.write_all(b"x");
        }
        peer.is_closed_by_client();
    })
}

#[test]
fn silence_is_timed() {
    let builder = || Client::builder().read_timeout(millis(100));
    let silent = Server::new(|peer| {
        peer.request();
        peer.is_closed_by_client();
    });
    assert!(fails(builder(), &silent, "read_timeout").is_request());
    assert!(fails(builder(), &dripping(5), "read_timeout").is_body());
    // Slow is not silent.
    let client = builder().build().unwrap();
    let text = block_on(get(&client, &dripping(10).url("/"))).unwrap();
    assert_eq!(text, "xxxxxxxxxx");
    // Nor is a caller who takes its time.
    let server = Server::answering(ok(&"x".repeat(1_000_000)));
    block_on(async {
        let mut response = client.get(server.url("/")).send().await.unwrap();
        while response.chunk().await.unwrap().is_some() {
            if response.received_bytes() < 200_000 {
                sleep(millis(150)).await;
            }
        }
    });
}

#[test]
fn a_slow_body_of_the_request_is_not_the_servers_silence() {
    let server = Server::new(|peer| {
        peer.request();
        peer.read(10).unwrap();
        peer.send(&ok("thanks"));
    });
    let client = Client::builder().read_timeout(millis(100)).build().unwrap();
    block_on(async {
        let slow = stream::iter([0; 2]).then(|_| async {
            sleep(millis(180)).await;
            Ok::<_, std::convert::Infallible>("12345")
        });
        let body = Body::wrap_stream(slow).with_length(10);
        let response = client
            .post(server.url("/"))
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.text().await.unwrap(), "thanks");
    });
}

#[test]
fn a_server_that_does_not_read_is_silent() {
    let server = Server::new(|peer| {
        peer.request();
        std::thread::sleep(Duration::from_secs(2));
    });
    let client = Client::builder().read_timeout(millis(100)).build().unwrap();
    let request = client.post(server.url("/")).body(vec![0; 64 << 20]);
    let error = block_on(request.send()).unwrap_err();
    assert!(
        error.is_timeout() && error.to_string().contains("sending"),
        "{error}"
    );
}

#[test]
fn the_head_is_timed() {
    let builder = || Client::builder().head_timeout(millis(100));
    let endless = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nx: ");
        while peer.stream.write_all(b"x").is_ok() {
            std::thread::sleep(millis(10));
        }
    });
    assert!(fails(builder(), &endless, "head_timeout").is_request());
    // The body has all the time that it wants.
    let client = builder().build().unwrap();
    assert!(block_on(get(&client, &dripping(10).url("/"))).is_ok());
}

#[test]
fn the_wait_for_a_connection_is_timed() {
    let server = dripping(0);
    let builder = Client::builder()
        .max_connections_per_host(1)
        .pool_timeout(millis(100));
    let client = builder.build().unwrap();
    block_on(async {
        let held = client.get(server.url("/")).send().await.unwrap();
        let error = client.get(server.url("/")).send().await.unwrap_err();
        assert!(error.is_timeout() && error.is_request() && !error.is_connect());
        assert!(error.to_string().contains("`pool_timeout`"), "{error}");
        drop(held);
    });
}
