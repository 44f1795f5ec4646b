//! Bodies both ways, lengths, trailers, limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use futures_util::stream;
use heist_net::http::Body;
use heist_runtime::block_on;

use crate::certificates::Authority;
use crate::server::*;

#[test]
fn large_bodies_go_both_ways() {
    let authority = Authority::new();
    block_on(async {
        let server = Server::secure(&authority, HTTP2).await;
        let client = trusting(&authority).build().unwrap();
        let sent: Vec<u8> = (0..3 << 20).map(|at: u32| (at % 251) as u8).collect();
        let request = client.post(server.url("/echo")).body(sent.clone());
        let mut response = request.send().await.unwrap();
        let mut received = Vec::new();
        while let Some(piece) = response.chunk().await.unwrap() {
            received.extend_from_slice(&piece);
        }
        assert!(received == sent);
        assert_eq!(response.trailers().unwrap()["x-trailer"], "at the end");
        assert_eq!(server.connections(), 1);
    });
}

/// A stream is asked for no more than the server has room for.
///
/// Control: a body that is read before there is room for it.
#[test]
fn a_stream_waits_for_the_server() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().build().unwrap();
        let given = Arc::new(AtomicUsize::new(0));
        let counted = given.clone();
        let pieces = stream::iter((0..1000).map(move |_| {
            counted.fetch_add(1, SeqCst);
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 16 << 10]))
        }));
        let request = client
            .post(server.url("/hang"))
            .body(Body::wrap_stream(pieces));
        let error = request.timeout(millis(200)).send().await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        let given = given.load(SeqCst);
        assert!((1..400).contains(&given), "{given} pieces");
    });
}

/// The server sends no more than fits the window of a response that nobody reads.
#[test]
fn a_response_waits_for_its_reader() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing()
            .http2_initial_stream_window_size(64 << 10)
            .build()
            .unwrap();
        let response = client.get(server.url("/large")).send().await.unwrap();
        // Others are not held up by it.
        for _ in 0..3 {
            let other = client.get(server.url("/")).send().await.unwrap();
            assert_eq!(other.text().await.unwrap(), "hello");
        }
        let before = client.metrics().bytes_received;
        assert!(before < 200 << 10, "{before} bytes");
        assert_eq!(response.bytes().await.unwrap().len(), 4 << 20);
    });
}

#[test]
fn a_body_has_its_announced_length() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().build().unwrap();
        for (length, good) in [(4, true), (3, false), (5, false)] {
            let pieces = stream::iter([Ok::<_, std::io::Error>("text")]);
            let body = Body::wrap_stream(pieces).with_length(length);
            let sent = client.post(server.url("/echo")).body(body).send().await;
            let text = match sent {
                Ok(response) => response.text().await,
                Err(error) => Err(error),
            };
            match text {
                Ok(text) => assert!(good && text == "text", "{length}"),
                Err(error) => assert!(!good && error.is_body(), "{error}"),
            }
        }
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn limits_hold() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().max_response_size(1000).build().unwrap();
        let error = client.get(server.url("/large")).send().await;
        let error = match error {
            Ok(response) => response.bytes().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.is_limit(), "{error}");
        let client = knowing().max_headers(20).build().unwrap();
        let error = client.get(server.url("/head")).send().await.unwrap_err();
        assert!(error.is_limit(), "{error}");
        let client = knowing().max_head_size(2000).build().unwrap();
        let error = client.get(server.url("/head")).send().await.unwrap_err();
        assert!(error.is_request(), "{error}");
        let response = client.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "hello");
    });
}

#[test]
fn heads_are_those_of_http_2() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().build().unwrap();
        let request = client.get(server.url("/what"));
        let request = request
            .header("connection", "x-hop, keep-alive")
            .header("x-hop", "1")
            .header("x-kept", "2")
            .header("te", "gzip");
        let text = request.send().await.unwrap().text().await.unwrap();
        let host = format!("localhost:{}", server.address.port());
        assert!(
            text.starts_with(&format!("HTTP/2.0 Some(\"{host}\")")),
            "{text}"
        );
        assert!(
            text.contains("x-kept") && text.contains("user-agent"),
            "{text}"
        );
        for gone in ["connection", "x-hop", "\"te\"", "\"host\""] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        let response = client.get(server.url("/moved")).send().await.unwrap();
        assert_eq!(response.url().path(), "/");
        let framed = client.get(server.url("/")).header("content-length", "3");
        assert!(framed.send().await.unwrap_err().is_builder());
        let head = client.head(server.url("/large")).send().await.unwrap();
        assert_eq!(head.bytes().await.unwrap().len(), 0);
    });
}
