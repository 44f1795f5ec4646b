//! Content codings on the way from a server, with those that are compiled in.

use std::io::Write;

use heist_net::http::{Client, ClientBuilder};
use heist_runtime::block_on;

use crate::server::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Answers with these header lines and this body, which is sent in pieces.
fn answering(lines: &'static str, body: Vec<u8>) -> Server {
    Server::new(move |peer| {
        while peer.request().is_some() {
            let length = body.len();
            peer.send(&format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{lines}\r\n"
            ));
            for piece in body.chunks(length / 3 + 1) {
                let _ = peer.stream.write_all(piece);
                std::thread::sleep(millis(1));
            }
        }
    })
}

fn build(builder: ClientBuilder) -> Client {
    builder.timeout(millis(10_000)).build().unwrap()
}

#[test]
fn a_coding_is_asked_for_and_removed() {
    let plain = "the same words again; ".repeat(20_000);
    let coded = gzip(plain.as_bytes());
    let length = coded.len() as u64;
    let server = answering("Content-Encoding: gzip\r\nX: y\r\n", coded);
    block_on(async {
        let client = client();
        for _ in 0..2 {
            let mut response = client.get(server.url("/")).send().await.unwrap();
            assert_eq!(response.content_length(), None);
            assert!(
                response.header("content-encoding").is_none() && response.header("x").is_some()
            );
            assert_eq!(response.headers().len(), 1);
            assert_eq!(response.head().get("content-encoding"), Some(&b"gzip"[..]));
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.unwrap() {
                assert!(
                    piece.len() <= 32 * 1024,
                    "memory for a whole bomb: {}",
                    piece.len()
                );
                body.extend_from_slice(&piece);
            }
            assert!(body == plain.as_bytes());
            assert_eq!(response.received_bytes(), length);
        }
        assert!(get(&client, &server.url("/")).await.unwrap() == plain);
    });
    assert_eq!(
        server.connections(),
        1,
        "a decoded body's connection is as good as another's"
    );
    assert!(server.requests()[0].contains("\r\naccept-encoding: gzip, br, zstd, deflate\r\n"));
}

#[test]
fn nothing_is_asked_for_where_it_would_harm() {
    let server = answering("Content-Encoding: gzip\r\n", gzip(b"text"));
    block_on(async {
        let raw = build(
            Client::builder()
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate(),
        );
        let response = raw.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.header("content-encoding"), Some(&b"gzip"[..]));
        assert!(response.content_length().is_some());
        assert_eq!(response.bytes().await.unwrap(), gzip(b"text"));
        let client = client();
        let ranged = client.get(server.url("/")).header("range", "bytes=0-9");
        ranged.send().await.unwrap();
        let own = client.get(server.url("/")).header("accept-encoding", "br");
        assert_eq!(own.send().await.unwrap().text().await.unwrap(), "text");
    });
    let requests = server.requests();
    assert!(!requests[0].contains("accept-encoding"));
    assert!(!requests[1].contains("accept-encoding"));
    assert!(requests[2].contains("\r\naccept-encoding: br\r\n"));
}

#[test]
fn bodies_that_are_not_there_need_no_decoding() {
    let server = Server::new(|peer| {
        while let Some(head) = peer.request() {
            let coded = "Content-Encoding: gzip\r\n";
            peer.send(&match head.split(' ').nth(1).unwrap() {
                "/204" => format!("HTTP/1.1 204 No\r\n{coded}\r\n"),
                "/304" => format!("HTTP/1.1 304 Same\r\n{coded}\r\n"),
                "/head" => format!("HTTP/1.1 200 OK\r\n{coded}Content-Length: 99\r\n\r\n"),
                "/empty" => format!("HTTP/1.1 200 OK\r\n{coded}Content-Length: 0\r\n\r\n"),
                _ => {
                    format!("HTTP/1.1 200 OK\r\n{coded}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
                }
            });
        }
    });
    block_on(async {
        let client = client();
        for path in ["/204", "/304", "/empty", "/chunked"] {
            assert_eq!(get(&client, &server.url(path)).await.unwrap(), "", "{path}");
        }
        let response = client.head(server.url("/head")).send().await.unwrap();
        assert_eq!(response.content_length(), Some(99));
        assert_eq!(response.header("content-encoding"), Some(&b"gzip"[..]));
        assert_eq!(response.text().await.unwrap(), "");
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn what_cannot_be_decoded_is_an_error() {
    let whole = gzip(b"a text that is long enough to be cut");
    let cut = whole[..whole.len() - 3].to_vec();
    let mut longer = whole.clone();
    longer.extend_from_slice(b"more");
    for (body, text) in [
        (cut, "cut off"),
        (b"plain".to_vec(), "not gzip"),
        (longer, "not gzip"),
    ] {
        let server = answering("Content-Encoding: gzip\r\n", body);
        block_on(async {
            let client = client();
            let mut response = client.get(server.url("/")).send().await.unwrap();
            let error = loop {
                match response.chunk().await {
                    Ok(piece) => assert!(piece.is_some(), "it looked complete"),
                    Err(error) => break error,
                }
            };
            assert!(error.is_decode() && !error.is_limit(), "{error}");
            assert!(
                error.to_string().contains(text) && error.url().is_some(),
                "{error}"
            );
            assert!(
                response.chunk().await.is_err(),
                "a failed body must not look complete"
            );
        });
    }
}

#[test]
fn limits_hold_for_what_comes_out() {
    let zeros = answering("Content-Encoding: gzip\r\n", gzip(&vec![0; 4 << 20]));
    let fails = |builder: ClientBuilder, server: &Server, setting: &str| {
        let error = block_on(get(&build(builder), &server.url("/"))).unwrap_err();
        assert!(error.is_limit() && !error.is_decode(), "{error}");
        assert!(error.to_string().contains(setting), "{error}");
    };
    fails(Client::builder(), &zeros, "max_decompression_ratio");
    fails(
        Client::builder().max_response_size(1 << 20),
        &zeros,
        "max_response_size",
    );
    let unlimited = build(Client::builder().max_decompression_ratio(None));
    assert_eq!(
        block_on(get(&unlimited, &zeros.url("/"))).unwrap().len(),
        4 << 20
    );
    let many = answering(
        "Content-Encoding: gzip, gzip, gzip, gzip, gzip, gzip\r\n",
        vec![0; 9],
    );
    fails(Client::builder(), &many, "5 content codings");
}

#[test]
fn a_coded_body_streams() {
    // Half of the text is flushed, and the rest is sent only when the client has had it.
    let (seen, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::new(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n");
        let mut encoder =
            flate2::write::GzEncoder::new(&mut peer.stream, flate2::Compression::new(6));
        encoder.write_all(b"first half, ").unwrap();
        encoder.flush().unwrap();
        wait.lock().unwrap().recv().unwrap();
        encoder.write_all(b"second half").unwrap();
        encoder.finish().unwrap();
    });
    block_on(async {
        let mut response = client().get(server.url("/")).send().await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "first half, ");
        seen.send(()).unwrap();
        assert_eq!(response.text().await.unwrap(), "second half");
    });
}
