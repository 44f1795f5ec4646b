//! What works when both sides behave.

use std::sync::{Arc, Mutex, mpsc};

use heist_net::http::{Client, RequestBuilder};
use heist_runtime::block_on;
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::server::*;

#[test]
fn a_response_tells_about_itself() {
    let server = Server::answering(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX-One: a\r\nx-one: b\r\n\r\nhello",
    );
    block_on(async {
        let url = server.url("/a/b?c=d#e");
        let response = client().get(&url).send().await.unwrap();
        assert_eq!(response.status(), 404);
        assert_eq!(response.version(), Version::HTTP_11);
        assert_eq!(response.content_length(), Some(5));
        assert_eq!(response.remote_addr(), Some(server.address()));
        assert_eq!(response.url().as_str(), url);
        assert_eq!(response.headers().get_all("x-one").iter().count(), 2);
        assert_eq!(response.header("X-One"), Some(&b"a"[..]));
        assert_eq!(response.text().await.unwrap(), "hello");
    });
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /a/b?c=d HTTP/1.1\r\nhost: 127.0.0.1:"));
    assert!(requests[0].contains("\r\nuser-agent: heist/"));
    assert!(requests[0].contains("\r\naccept: */*\r\n"));
}

#[test]
fn a_status_becomes_an_error_on_request() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    block_on(async {
        let response = client().get(server.url("/")).send().await.unwrap();
        let error = response.error_for_status().unwrap_err();
        assert!(error.is_status() && error.status().unwrap() == 503);
        assert!(error.to_string().contains("503"));
    });
}

#[test]
fn bodies_of_every_framing() {
    let long = "x".repeat(300_000);
    let chunks: String = long
        .as_bytes()
        .chunks(7777)
        .fold(String::new(), |text, chunk| {
            format!(
                "{text}{:x}\r\n{}\r\n",
                chunk.len(),
                str::from_utf8(chunk).unwrap()
            )
        });
    let head = "HTTP/1.1 200 OK\r\n";
    for response in [
        ok(&long),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\nTrailer: x\r\n\r\n"),
        format!("{head}\r\n{long}"),
        format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n{}",
            ok(&long)
        ),
    ] {
        let server = Server::closing_after(response);
        assert!(get_once(&server.url("/")).unwrap() == long);
    }
    let empty = Server::answering(ok(""));
    assert_eq!(get_once(&empty.url("/")).unwrap(), "");
}

#[test]
fn a_body_streams_as_it_arrives() {
    // The server sends a piece only when the client has had the one before.
    let (next, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let server = Server::new(move |peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..5 {
            wait.lock().unwrap().recv().unwrap();
            peer.send("3\r\nabc\r\n");
        }
        peer.send("0\r\n\r\n");
    });
    block_on(async {
        let mut response = client().get(server.url("/")).send().await.unwrap();
        for _ in 0..5 {
            next.send(()).unwrap();
            assert_eq!(response.chunk().await.unwrap().unwrap(), "abc");
        }
        assert_eq!(response.chunk().await.unwrap(), None);
        assert_eq!(response.chunk().await.unwrap(), None);
    });
}

#[test]
fn a_cancelled_chunk_loses_no_byte() {
    let server = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for number in 0..60 {
            peer.send(&format!("4\r\n{number:04}\r\n"));
            std::thread::sleep(millis(2));
        }
        peer.send("0\r\n\r\n");
    });
    block_on(async {
        let mut response = client().get(server.url("/")).send().await.unwrap();
        let mut body = Vec::new();
        let mut cancelled = 0;
        loop {
            match within(millis(1), response.chunk()).await {
                None => cancelled += 1,
                Some(piece) => match piece.unwrap() {
                    Some(piece) => body.extend_from_slice(&piece),
                    None => break,
                },
            }
        }
        let expected: String = (0..60).map(|number| format!("{number:04}")).collect();
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        assert!(cancelled > 5, "the test did not cancel: {cancelled}");
    });
}

#[test]
fn head_has_no_body_and_keeps_the_connection() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    block_on(async {
        let client = client();
        for _ in 0..3 {
            let response = client.head(server.url("/")).send().await.unwrap();
            assert_eq!(response.content_length(), Some(1000));
            assert_eq!(response.text().await.unwrap(), "");
        }
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn bodies_are_sent() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let sink = received.clone();
    let server = Server::new(move |peer| {
        while let Some(head) = peer.request() {
            let length = head.split("content-length: ").nth(1).unwrap();
            let length = length.split("\r\n").next().unwrap().parse().unwrap();
            let body = peer.read(length).unwrap();
            sink.lock().unwrap().push(body);
            peer.send(&ok("thanks"));
        }
    });
    let large: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    block_on(async {
        let client = client();
        for body in [b"small".to_vec(), large.clone(), Vec::new()] {
            let response = client
                .post(server.url("/"))
                .body(body)
                .send()
                .await
                .unwrap();
            assert_eq!(response.text().await.unwrap(), "thanks");
        }
        client.put(server.url("/")).send().await.unwrap();
    });
    assert!(*received.lock().unwrap() == [b"small".to_vec(), large, Vec::new(), Vec::new()]);
    assert_eq!(server.connections(), 1);
}

#[test]
fn headers_and_credentials_are_sent() {
    let server = Server::answering(ok(""));
    let mut defaults = HeaderMap::new();
    defaults.insert("x-default", HeaderValue::from_static("1"));
    let client = Client::builder()
        .user_agent("tester")
        .default_headers(defaults)
        .build()
        .unwrap();
    let with_userinfo = server.url("/").replace("http://", "http://me:secret@");
    block_on(async {
        let request = client
            .get(&with_userinfo)
            .header("X-Own", "2")
            .header("accept", "a/b");
        let response = request.send().await.unwrap();
        assert!(!response.url().as_str().contains("secret"));
        client
            .get(server.url("/"))
            .bearer_auth("token")
            .send()
            .await
            .unwrap();
        client
            .request(Method::OPTIONS, server.url("/"))
            .send()
            .await
            .unwrap();
    });
    let requests = server.requests();
    for line in [
        "x-own: 2",
        "accept: a/b",
        "user-agent: tester",
        "x-default: 1",
        "authorization: Basic bWU6c2VjcmV0",
    ] {
        assert!(
            requests[0].contains(&format!("\r\n{line}\r\n")),
            "{line} in {}",
            requests[0]
        );
    }
    assert!(!requests[0].contains("secret@") && !requests[0].contains("*/*"));
    assert!(requests[1].contains("\r\nauthorization: Bearer token\r\n"));
    assert!(requests[2].starts_with("OPTIONS / "));
}

#[test]
fn text_is_lenient_about_utf_8() {
    let server = Server::closing_after(b"HTTP/1.0 200 OK\r\n\r\n\xef\xbb\xbfa\xffb".to_vec());
    assert_eq!(get_once(&server.url("/")).unwrap(), "a\u{fffd}b");
}

#[test]
fn what_cannot_be_sent_is_refused_before_it_is_sent() {
    let server = Server::answering(ok(""));
    let refused = |request: RequestBuilder| {
        let error = block_on(request.send()).unwrap_err();
        assert!(error.is_builder(), "{error}");
        error
    };
    let client = client();
    #[cfg(not(feature = "tls"))]
    {
        let tls = refused(client.get(server.url("/").replace("http:", "https:")));
        assert!(tls.is_unsupported_scheme() && tls.to_string().contains("TLS is not compiled in"));
    }
    refused(client.get("no scheme"));
    refused(client.get("ftp://host/"));
    refused(client.get(server.url("/")).header("x", "a\r\ny: b"));
    refused(client.get(server.url("/")).header("x y", "a"));
    refused(client.get(server.url("/")).header("content-length", "5"));
    refused(
        client
            .get(server.url("/"))
            .header("transfer-encoding", "chunked"),
    );
    refused(client.get(server.url("/")).bearer_auth("a\nb"));
    refused(client.request(Method::CONNECT, server.url("/")));
    assert!(server.requests().is_empty());
    assert!(
        Client::builder()
            .user_agent("a\nb")
            .build()
            .unwrap_err()
            .is_builder()
    );
    assert!(
        Client::builder()
            .max_connections_per_host(0)
            .build()
            .unwrap_err()
            .is_builder()
    );
}

#[test]
fn futures_can_move_between_threads() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let client = assert_send(client());
    drop(assert_send(client.get("http://h/").send()));
    drop(assert_send(get(&client, "http://h/")));
}
