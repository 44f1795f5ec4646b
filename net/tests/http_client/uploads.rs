//! Bodies of requests: from memory, from streams, in both directions at once.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use heist_net::TcpStream;
use heist_net::http::{Body, Client};
use heist_runtime::block_on;
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body::Frame;

use crate::server::*;

/// Reads a body in chunks; returns it and the lines of its trailer section.
fn read_chunks(peer: &mut Peer) -> (Vec<u8>, Vec<String>) {
    let line = |peer: &mut Peer| {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(peer.read(1).unwrap());
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    };
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&line(peer), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend(peer.read(size).unwrap());
        assert_eq!(peer.read(2).unwrap(), b"\r\n");
    }
    let mut trailers = Vec::new();
    loop {
        match line(peer) {
            text if text.is_empty() => return (body, trailers),
            text => trailers.push(text),
        }
    }
}

/// Answers every request with its body, which came in chunks.
fn chunk_server() -> Server {
    Server::new(|peer| {
        while peer.request().is_some() {
            let (body, trailers) = read_chunks(peer);
            peer.send(&ok(&format!(
                "{}{}",
                String::from_utf8(body).unwrap(),
                trailers.join("|")
            )));
        }
    })
}

fn pieces(pieces: &[&'static str]) -> Body {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, Infallible>(*piece))
        .collect();
    Body::wrap_stream(stream::iter(pieces))
}

#[test]
fn a_stream_goes_out_in_chunks() {
    let server = chunk_server();
    let large: &'static str = "y".repeat(100_000).leak();
    block_on(async {
        let client = client();
        for (body, expected) in [
            (pieces(&["a", "", "bc", "def"]), "abcdef".to_owned()),
            (pieces(&[]), String::new()),
            (
                pieces(&["a", large, "b", large]),
                format!("a{large}b{large}"),
            ),
        ] {
            assert_eq!(body.content_length(), None);
            let response = client
                .post(server.url("/"))
                .body(body)
                .send()
                .await
                .unwrap();
            assert!(response.text().await.unwrap() == expected);
        }
    });
    assert_eq!(server.connections(), 1, "the connection was not used again");
    for head in server.requests() {
        assert!(
            head.contains("\r\ntransfer-encoding: chunked\r\n") && !head.contains("content-length")
        );
    }
}

#[test]
fn a_stream_of_known_length_has_it() {
    let server = Server::new(|peer| {
        while let Some(head) = peer.request() {
            assert!(head.contains("\r\ncontent-length: 6\r\n") && !head.contains("chunked"));
            let Some(body) = peer.read(6) else { return };
            peer.send(&ok(&String::from_utf8(body).unwrap()));
        }
    });
    block_on(async {
        let client = client();
        let post = |body: Body| {
            client
                .post(server.url("/"))
                .body(body.with_length(6))
                .send()
        };
        let response = post(pieces(&["abc", "def"])).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "abcdef");
        for (bad, text) in [
            (pieces(&["abc", "defg"]), "longer"),
            (pieces(&["abc"]), "shorter"),
        ] {
            let error = post(bad).await.unwrap_err();
            assert!(error.is_body() && error.is_request(), "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
        // What was left half-sent is not gone on with.
        let response = post(pieces(&["ghijkl"])).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "ghijkl");
    });
}

#[test]
fn a_failing_stream_fails_the_request() {
    let server = chunk_server();
    let failing = stream::iter([Ok("abc"), Err(std::io::Error::other("the disk is gone"))]);
    let request = client()
        .post(server.url("/"))
        .body(Body::wrap_stream(failing));
    let error = block_on(request.send()).unwrap_err();
    assert!(error.is_body() && error.is_request() && !error.is_timeout());
    assert!(error.to_string().contains("the disk is gone"), "{error}");
}

#[test]
fn a_reader_is_sent_as_it_reads() {
    let source = Server::new(|peer| {
        for part in ["first ", "second ", "third"] {
            peer.send(part);
            std::thread::sleep(millis(10));
        }
    });
    let server = chunk_server();
    block_on(async {
        let reader = TcpStream::connect(source.address()).await.unwrap();
        let request = client()
            .put(server.url("/"))
            .body(Body::wrap_reader(reader));
        let text = request.send().await.unwrap().text().await.unwrap();
        assert_eq!(text, "first second third");
    });
}

#[test]
fn a_response_is_sent_on_as_it_comes() {
    let source = Server::answering(ok("passed on"));
    let sink = Server::new(|peer| {
        let head = peer.request().unwrap();
        assert!(
            head.contains("content-length: 9\r\n"),
            "its length is known: {head}"
        );
        let body = peer.read(9).unwrap();
        peer.send(&ok(&String::from_utf8(body).unwrap()));
    });
    block_on(async {
        let client = client();
        let response = client.get(source.url("/")).send().await.unwrap();
        let response = client
            .post(sink.url("/"))
            .body(response)
            .send()
            .await
            .unwrap();
        assert_eq!(response.text().await.unwrap(), "passed on");
    });
}

/// A body with a trailer.
struct Checked {
    frames: Vec<Frame<Bytes>>,
}

impl http_body::Body for Checked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.pop().map(Ok))
    }
}

#[test]
fn trailers_are_sent() {
    let body = |name: &'static str| {
        let mut trailers = HeaderMap::new();
        trailers.insert(name, HeaderValue::from_static("1"));
        let data = Frame::data(Bytes::from_static(b"data"));
        Body::wrap(Checked {
            frames: vec![Frame::trailers(trailers), data],
        })
    };
    let server = chunk_server();
    block_on(async {
        let client = client();
        let post = |body: Body| client.post(server.url("/")).body(body).send();
        let text = post(body("checksum")).await.unwrap().text().await.unwrap();
        assert_eq!(text, "datachecksum: 1");
        // What would tell the server something about the message is no trailer.
        assert!(post(body("content-length")).await.unwrap_err().is_body());
    });
}

#[test]
fn a_slow_server_slows_the_stream_down() {
    // Far more than the buffers of two sockets hold, of which the server reads nothing at first.
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let server = Server::new(move |peer| {
        peer.request();
        wait.lock().unwrap().recv().unwrap();
        let (body, _) = read_chunks(peer);
        peer.send(&ok(&body.len().to_string()));
    });
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let body = stream::repeat(piece).take(1000).map(move |piece| {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok::<_, Infallible>(piece)
    });
    block_on(async {
        let request = client().post(server.url("/")).body(Body::wrap_stream(body));
        let mut sending = std::pin::pin!(request.send());
        assert!(within(millis(200), &mut sending).await.is_none());
        let before = made.load(Ordering::SeqCst);
        assert!(
            (1..500).contains(&before),
            "{before} pieces were made for nobody"
        );
        go.send(()).unwrap();
        let text = sending.await.unwrap().text().await.unwrap();
        assert_eq!(text, (1000 * 64 * 1024).to_string());
    });
}

#[test]
fn both_directions_at_once() {
    // An echo that keeps nothing: it answers before it has read, and reads no further than it can write.
    // A client that sends everything first, or does not send while it reads, hangs here.
    let server = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        std::io::copy(&mut peer.stream.try_clone().unwrap(), &mut &peer.stream).ok();
    });
    let piece = Bytes::from((0..64 * 1024).map(|n| n as u8).collect::<Vec<_>>());
    let body = stream::repeat(piece.clone())
        .take(400)
        .map(Ok::<_, Infallible>);
    block_on(async {
        let request = client().post(server.url("/")).body(Body::wrap_stream(body));
        let mut response = request.send().await.unwrap();
        let mut at = 0;
        while let Some(chunk) = response.chunk().await.unwrap() {
            for byte in chunk {
                assert_eq!(byte, piece[at % piece.len()]);
                at += 1;
            }
        }
        assert_eq!(at, 400 * piece.len());
    });
}

#[test]
fn an_early_answer_ends_the_upload() {
    for status in [401, 413] {
        let server = Server::new(move |peer| {
            peer.request();
            peer.read(10).unwrap();
            peer.send(&format!(
                "HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno"
            ));
            // It reads what is on its way, so nothing is reset: the client itself must stop.
            let mut sunk = 0;
            while let Some(bytes) = peer.read(4096) {
                sunk += bytes.len();
                assert!(sunk < 100 << 20, "the upload went on");
            }
        });
        let piece = Bytes::from(vec![b'x'; 16 * 1024]);
        let endless = stream::repeat(piece).map(Ok::<_, Infallible>);
        block_on(async {
            let client = client();
            let request = client
                .post(server.url("/"))
                .body(Body::wrap_stream(endless));
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(response.text().await.unwrap(), "no");
            let request = client.post(server.url("/")).body(vec![0; 20]);
            request.send().await.unwrap();
        });
        assert_eq!(
            server.connections(),
            2,
            "a half-sent request's connection was used again"
        );
    }
}

#[test]
fn a_body_waits_to_be_asked_for() {
    let sent = Arc::new(AtomicUsize::new(0));
    let server = Server::new(|peer| {
        while let Some(head) = peer.request() {
            assert!(head.contains("\r\nexpect: 100-continue\r\n"));
            if head.starts_with("POST /no") {
                return peer.send("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno");
            }
            if head.starts_with("POST /hint") {
                peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
            }
            std::thread::sleep(millis(30));
            peer.stream.set_nonblocking(true).unwrap();
            let mut byte = [0];
            let peeked = peer.stream.peek(&mut byte);
            assert!(peeked.is_err(), "the body came without being asked for");
            peer.stream.set_nonblocking(false).unwrap();
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
            let (body, _) = read_chunks(peer);
            peer.send(&ok(&String::from_utf8(body).unwrap()));
        }
    });
    block_on(async {
        let client = client();
        let post = |path: &str| {
            let counter = sent.clone();
            let body = stream::once(async move {
                counter.fetch_add(1, Ordering::SeqCst);
                Ok::<_, Infallible>("body")
            });
            let request = client.post(server.url(path)).expect_continue();
            request.body(Body::wrap_stream(body)).send()
        };
        for path in ["/yes", "/hint"] {
            let response = post(path).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "body");
        }
        assert_eq!(sent.load(Ordering::SeqCst), 2);
        let response = post("/no").await.unwrap();
        assert_eq!(
            (response.status().as_u16(), sent.load(Ordering::SeqCst)),
            (401, 2)
        );
    });
}

#[test]
fn a_server_that_knows_no_expectations() {
    let silent = Server::new(|peer| {
        peer.request();
        let (body, _) = read_chunks(peer);
        peer.send(&ok(&String::from_utf8(body).unwrap()));
    });
    let refusing = Server::new(|peer| {
        while let Some(head) = peer.request() {
            if head.contains("expect") {
                return peer.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
            }
            let (body, _) = read_chunks(peer);
            peer.send(&ok(&String::from_utf8(body).unwrap()));
        }
    });
    for (server, least) in [(&silent, 1000), (&refusing, 0)] {
        let started = std::time::Instant::now();
        let client = client();
        let request = client.post(server.url("/")).expect_continue();
        let request = request.body(pieces(&["abc"]));
        let text = block_on(async { request.send().await?.text().await }).unwrap();
        assert_eq!(text, "abc");
        assert_eq!(client.metrics().retries, u64::from(least == 0));
        assert!((millis(least)..millis(least + 900)).contains(&started.elapsed()));
    }
}

#[test]
fn an_unread_stream_survives_a_stale_connection() {
    // The first connection answers once and meets the next head with the end of the stream.
    let server = Server::new(|peer| {
        peer.request();
        peer.send(&ok("hello"));
        if let Some(head) = peer.request()
            && peer.number > 0
        {
            assert!(head.contains("PUT"));
        }
    });
    let body_server = Server::new(|peer| {
        if peer.number == 0 {
            peer.request();
            peer.send(&ok("hello"));
            peer.request();
            return;
        }
        peer.request();
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let (body, _) = read_chunks(peer);
        peer.send(&ok(&String::from_utf8(body).unwrap()));
    });
    block_on(async {
        let client = client();
        // It waits to be asked for, so nothing is lost with the connection.
        get(&client, &body_server.url("/")).await.unwrap();
        let put = client.put(body_server.url("/")).expect_continue();
        let response = put.body(pieces(&["whole"])).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "whole");
        // It does not, and cannot be sent twice.
        get(&client, &server.url("/")).await.unwrap();
        let put = client.put(server.url("/")).body(pieces(&["lost"]));
        let error = put.send().await.unwrap_err();
        assert!(
            error.to_string().contains("cannot be sent twice"),
            "{error}"
        );
    });
}

#[test]
fn a_redirect_takes_a_body_along_if_it_can() {
    let server = Server::new(|peer| {
        while let Some(head) = peer.request() {
            if head.contains("chunked") {
                read_chunks(peer);
            } else if head.contains("content-length: 4") {
                assert_eq!(peer.read(4).unwrap(), b"body");
            }
            let status = if head.contains(" /303 ") { 303 } else { 307 };
            match head.contains(" /goal ") {
                true => peer.send(&ok(head.split(' ').next().unwrap())),
                false => peer.send(&format!(
                    "HTTP/1.1 {status} x\r\nLocation: /goal\r\nContent-Length: 0\r\n\r\n"
                )),
            }
        }
    });
    block_on(async {
        let client = client();
        let post = |path: &str, body: Body| client.post(server.url(path)).body(body).send();
        let text = post("/307", "body".into())
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_eq!(text, "POST");
        let text = post("/303", pieces(&["x"]))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_eq!(text, "GET");
        // A stream is gone, so the redirect is the answer.
        let response = post("/307", pieces(&["x"])).await.unwrap();
        assert_eq!(response.status(), 307);
    });
}

#[test]
fn old_servers_get_old_requests() {
    let server = Server::new(|peer| {
        let head = peer.request().unwrap();
        assert!(head.starts_with("POST / HTTP/1.0\r\n"));
        let body = peer.read(3).unwrap();
        peer.send("HTTP/1.0 200 OK\r\n\r\n");
        peer.stream.write_all(&body).unwrap();
    });
    block_on(async {
        let old = || client().post(server.url("/")).version(Version::HTTP_10);
        let response = old().body("abc").send().await.unwrap();
        assert_eq!(response.version(), Version::HTTP_10);
        assert_eq!(response.text().await.unwrap(), "abc");
        let error = old().body(pieces(&["abc"])).send().await.unwrap_err();
        assert!(
            error.is_builder() && error.to_string().contains("give its length"),
            "{error}"
        );
    });
}

#[test]
fn requests_are_values() {
    let server = Server::new(|peer| {
        while let Some(head) = peer.request() {
            if head.contains("content-length: 1") {
                peer.read(1);
            }
            peer.send(&ok("hello"));
        }
    });
    let client = Client::new();
    block_on(async {
        let request = client
            .patch(server.url("/a"))
            .header("x", "1")
            .body("b")
            .build()
            .unwrap();
        assert_eq!(request.method(), Method::PATCH);
        assert_eq!(request.body().unwrap().as_bytes(), Some(&b"b"[..]));
        let mut again = request.try_clone().unwrap();
        *again.method_mut() = Method::DELETE;
        again.url_mut().set_path("/c");
        *again.body_mut() = None;
        again.url_mut().set_username("me").unwrap();
        client.execute(request).await.unwrap();
        client.execute(again).await.unwrap();
        let streamed = client.post(server.url("/")).body(pieces(&["x"]));
        assert!(streamed.try_clone().is_none());
        let converted = http::Request::put(server.url("/d")).body("e").unwrap();
        client.execute(converted.try_into().unwrap()).await.unwrap();
    });
    let requests = server.requests();
    assert!(requests[0].starts_with("PATCH /a ") && requests[0].contains("\r\nx: 1\r\n"));
    assert!(requests[1].starts_with("DELETE /c ") && requests[1].contains("authorization: Basic"));
    assert!(!requests[1].contains("content-length"));
    assert!(requests[2].starts_with("PUT /d "));
}
