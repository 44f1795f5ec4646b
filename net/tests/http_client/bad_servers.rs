//! Servers that are down, slow, rude or hostile: the right body or a typed error, in time.

use std::io::Write;
use std::time::Instant;

use heist_net::http::Client;
use heist_runtime::block_on;

use crate::refusing::refusing;
use crate::server::*;

#[test]
fn nobody_listens() {
    let address = refusing();
    let error = get_once(&format!("http://{address}/x")).unwrap_err();
    assert!(error.is_connect() && error.is_request() && !error.is_timeout() && !error.is_resolve());
    assert!(error.to_string().contains(&format!("http://{address}/x")));
}

#[test]
fn no_such_host() {
    let error = get_once("http://no-such-host.invalid/").unwrap_err();
    assert!(error.is_resolve() && error.is_connect(), "{error}");
}

#[test]
fn a_host_that_swallows_packets() {
    // A listener that accepts nothing, whose queue is full, lets SYNs fall on the floor.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut filling = Vec::new();
    for _ in 0..8 {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address.into());
        filling.push(socket);
    }
    std::thread::sleep(millis(50));
    let client = Client::builder()
        .connect_timeout(millis(200))
        .build()
        .unwrap();
    let started = Instant::now();
    let error = block_on(get(&client, &format!("http://{address}/"))).unwrap_err();
    assert!(error.is_timeout() && error.is_connect(), "{error}");
    assert!(error.to_string().contains("connect_timeout"), "{error}");
    assert!((millis(200)..millis(2000)).contains(&started.elapsed()));
}

#[test]
fn a_slow_head_and_a_slow_body_time_out() {
    let silent = Server::new(|peer| {
        peer.request();
        assert!(peer.is_closed_by_client(), "the connection was kept");
    });
    let stalling = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
        assert!(peer.is_closed_by_client(), "the connection was kept");
    });
    // Always something new, so a timeout per read would never fire.
    let dripping = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        while peer.stream.write_all(b"x").is_ok() {
            std::thread::sleep(millis(10));
        }
    });
    let endless_head = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nx: ");
        while peer.stream.write_all(b"x").is_ok() {
            std::thread::sleep(millis(10));
        }
    });
    for (server, in_body) in [
        (&silent, false),
        (&stalling, true),
        (&dripping, true),
        (&endless_head, false),
    ] {
        let client = Client::builder().timeout(millis(200)).build().unwrap();
        let started = Instant::now();
        let error = block_on(get(&client, &server.url("/"))).unwrap_err();
        assert!(error.is_timeout() && error.is_body() == in_body, "{error}");
        assert!((millis(200)..millis(2000)).contains(&started.elapsed()));
        // The request's own timeout replaces the client's.
        let started = Instant::now();
        let request = client.get(server.url("/")).timeout(millis(50));
        let error = block_on(async { request.send().await?.text().await }).unwrap_err();
        assert!(error.is_timeout() && started.elapsed() < millis(190));
    }
}

#[test]
fn truncated_bodies_are_errors() {
    for (response, text) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "7 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            "chunked",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "chunked",
        ),
    ] {
        let server = Server::closing_after(response);
        let error = get_once(&server.url("/")).unwrap_err();
        assert!(
            error.is_body() && !error.is_decode() && !error.is_timeout(),
            "{error}"
        );
        assert!(error.to_string().contains(text), "{error}");
        block_on(async {
            let mut response = client().get(server.url("/")).send().await.unwrap();
            assert_eq!(response.chunk().await.unwrap().unwrap(), "abc");
            assert!(response.chunk().await.is_err());
            assert!(
                response.chunk().await.is_err(),
                "a failed body must not look complete"
            );
        });
    }
}

#[test]
fn no_response_at_all() {
    let server = Server::closing_after("");
    let error = get_once(&server.url("/")).unwrap_err();
    assert!(
        error.is_request() && !error.is_body() && !error.is_decode(),
        "{error}"
    );
    assert_eq!(
        server.requests().len(),
        1,
        "a new connection is not stale: no retry"
    );
}

#[test]
fn resets() {
    let before = Server::new(|peer| {
        peer.request();
        peer.reset();
    });
    assert!(get_once(&before.url("/")).unwrap_err().is_request());
    let within_body = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        std::thread::sleep(millis(50));
        peer.reset();
    });
    assert!(get_once(&within_body.url("/")).unwrap_err().is_body());
    // Even where the end of the connection is the end of the body, a reset is not that end.
    let until_close = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nabc");
        std::thread::sleep(millis(50));
        peer.reset();
    });
    assert!(get_once(&until_close.url("/")).unwrap_err().is_body());
}

#[test]
fn what_is_not_http() {
    for response in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "<html></html>",
        "\x15\x03\x01\x00\x02\x02\x46",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad : name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nfolded: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        let server = Server::closing_after(response);
        let error = get_once(&server.url("/")).unwrap_err();
        assert!(
            error.is_decode() && !error.is_timeout(),
            "{response:?} gave {error}"
        );
    }
}

#[test]
fn the_connection_is_cut_at_every_byte() {
    let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n";
    for cut in 0..=response.len() {
        let server = Server::closing_after(&response[..cut]);
        match get_once(&server.url("/")) {
            Ok(text) => assert!(
                text == "abcde" && cut == response.len(),
                "cut at {cut}: {text}"
            ),
            Err(error) => assert!(
                error.is_request() || error.is_body(),
                "cut at {cut}: {error}"
            ),
        }
    }
}

#[test]
fn every_byte_comes_alone() {
    let server = Server::new(|peer| {
        peer.request();
        let response = "HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\
            Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\n\r\n";
        for byte in response.bytes() {
            peer.stream.write_all(&[byte]).unwrap();
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    });
    assert_eq!(get_once(&server.url("/")).unwrap(), "abc0123456789");
}

#[test]
fn a_refused_upload_still_shows_the_answer() {
    // The server answers without reading the body and closes, so sending fails half-way.
    let server = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
        std::thread::sleep(millis(50));
    });
    block_on(async {
        let client = client();
        for _ in 0..2 {
            let body = vec![0; 16 << 20];
            let response = client
                .post(server.url("/"))
                .body(body)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 413);
            assert_eq!(response.text().await.unwrap(), "big");
        }
    });
    assert_eq!(server.connections(), 2);
}
