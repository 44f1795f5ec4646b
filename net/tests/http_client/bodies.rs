//! Bodies of responses, in every shape that a program may want them in.

use std::io::{Read, Write};
use std::pin::Pin;

use futures_util::stream::StreamExt;
use heist_net::http::{Body, Client};
use heist_net::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use heist_runtime::block_on;
use http_body::Body as _;

use crate::server::*;

const WITH_TRAILERS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n\
    3\r\nabc\r\n3\r\ndef\r\n0\r\nChecksum: 1\r\n\r\n";

#[test]
fn trailers_come_at_the_end() {
    // Once along with the head, and once by themselves.
    let slow = Server::new(|peer| {
        while peer.request().is_some() {
            for line in WITH_TRAILERS.split_inclusive("\r\n") {
                peer.send(line);
                std::thread::sleep(millis(2));
            }
        }
    });
    for server in [Server::answering(WITH_TRAILERS), slow] {
        block_on(async {
            let client = client();
            for _ in 0..2 {
                let mut response = client.get(server.url("/")).send().await.unwrap();
                while response.chunk().await.unwrap().is_some() {}
                assert_eq!(response.trailers().unwrap()["checksum"], "1");
                assert!(response.header("checksum").is_none());
                assert_eq!(response.received_bytes(), 6);
            }
        });
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn a_stream_of_pieces() {
    let server = Server::answering(ok(&"x".repeat(200_000)));
    block_on(async {
        let response = client().get(server.url("/")).send().await.unwrap();
        let mut stream = response.bytes_stream();
        let mut length = 0;
        while let Some(piece) = stream.next().await {
            length += piece.unwrap().len();
        }
        assert_eq!(length, 200_000);
        let cut = Server::closing_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        let response = client().get(cut.url("/")).send().await.unwrap();
        let mut stream = response.bytes_stream();
        assert_eq!(stream.next().await.unwrap().unwrap(), "abc");
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(error.is_body() && error.url().is_some());
    });
}

#[test]
fn a_reader_of_lines() {
    let server = Server::answering(ok("first\nsecond\nthird"));
    block_on(async {
        let response = client().get(server.url("/")).send().await.unwrap();
        let mut reader = response.into_reader();
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        assert_eq!(line, "first\n");
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"second\nthird");
        assert_eq!(reader.response().status(), 200);
        let cut = Server::closing_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        let response = client().get(cut.url("/")).send().await.unwrap();
        let error = response
            .into_reader()
            .read_to_end(&mut rest)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("6 bytes"), "{error}");
    });
}

#[test]
fn the_types_of_the_crate_http() {
    let server = Server::answering(WITH_TRAILERS);
    block_on(async {
        let mut response = client().get(server.url("/a")).send().await.unwrap();
        response.extensions_mut().insert(5_u8);
        response.headers_mut().insert("added", "1".parse().unwrap());
        assert!(response.error_for_status_ref().is_ok());
        let converted = http::Response::<Body>::from(response);
        assert_eq!(
            (converted.status().as_u16(), converted.headers().len()),
            (200, 3)
        );
        assert_eq!(converted.extensions().get::<u8>(), Some(&5));
        assert!(
            converted
                .extensions()
                .get::<url::Url>()
                .unwrap()
                .as_str()
                .ends_with("/a")
        );
        let mut body = converted.into_body();
        assert_eq!(body.content_length(), None);
        let (mut data, mut trailers) = (Vec::new(), None);
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            match frame.unwrap().into_data() {
                Ok(piece) => data.extend_from_slice(&piece),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        assert_eq!(data, b"abcdef");
        assert_eq!(trailers.unwrap()["checksum"], "1");
    });
}

#[test]
fn a_connection_is_taken_over() {
    let server = Server::new(|peer| {
        let head = peer.request().unwrap();
        if head.contains("upgrade: echo") {
            peer.send("HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhi!");
            let mut bytes = [0; 4];
            while peer.stream.read_exact(&mut bytes).is_ok() {
                peer.stream.write_all(&bytes).unwrap();
            }
        } else {
            peer.send(&ok("plain"));
        }
    });
    block_on(async {
        let client = Client::builder()
            .max_connections_per_host(1)
            .build()
            .unwrap();
        let request = client.get(server.url("/")).header("connection", "upgrade");
        let response = request.header("upgrade", "echo").send().await.unwrap();
        assert_eq!(response.status(), 101);
        let mut upgraded = response.upgrade().await.unwrap();
        let mut bytes = [0; 3];
        upgraded.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hi!");
        for text in [b"ping", b"pong"] {
            upgraded.write_all(text).await.unwrap();
            let mut bytes = [0; 4];
            upgraded.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, text);
        }
        // It occupies no place among the client's connections.
        let response = client.get(server.url("/")).send().await.unwrap();
        let error = response.upgrade().await.unwrap_err();
        assert!(error.is_upgrade() && !error.is_request(), "{error}");
    });
}
