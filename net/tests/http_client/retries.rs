//! Requests that are sent again, and those that are not.

use std::time::Instant;

use heist_net::http::{Body, Client, Retry};
use heist_runtime::block_on;

use crate::server::*;

fn client(retry: Retry) -> Client {
    let retry = retry.backoff(millis(20), millis(40));
    Client::builder()
        .retry(retry)
        .timeout(millis(5000))
        .build()
        .unwrap()
}

/// Runs `bad` for the first requests (each on a connection of its own), then answers.
fn recovering(failures: usize, bad: fn(&mut Peer)) -> Server {
    Server::new(move |peer| {
        let head = peer.request().unwrap();
        if head.contains("content-length: 4") {
            peer.read(4).unwrap();
        }
        match peer.number < failures {
            true => bad(peer),
            false => peer.send(&ok("hello")),
        }
    })
}

fn busy(peer: &mut Peer) {
    peer.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

#[test]
fn what_passes_is_waited_for() {
    for bad in [busy, Peer::reset, Peer::end] {
        let server = recovering(2, bad);
        let started = Instant::now();
        let client = client(Retry::times(2));
        let text = block_on(get(&client, &server.url("/"))).unwrap();
        assert_eq!((text.as_str(), server.requests().len()), ("hello", 3));
        assert_eq!(client.metrics().retries, 2);
        // 20 and 40 ms, each without up to a half.
        assert!((millis(30)..millis(2000)).contains(&started.elapsed()));
    }
}

#[test]
fn by_default_nothing_is_repeated() {
    let server = recovering(1, Peer::reset);
    assert!(
        block_on(get(&Client::new(), &server.url("/")))
            .unwrap_err()
            .is_request()
    );
    let server = recovering(1, busy);
    block_on(async {
        let response = Client::new().get(server.url("/")).send().await.unwrap();
        assert_eq!(response.status(), 503);
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_last_failure_is_told() {
    let server = recovering(9, busy);
    block_on(async {
        let response = client(Retry::times(2))
            .get(server.url("/"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 503);
    });
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn what_is_not_idempotent_is_not_repeated() {
    block_on(async {
        for bad in [busy, Peer::reset] {
            let server = recovering(1, bad);
            let client = client(Retry::times(1));
            drop(client.post(server.url("/")).body("body").send().await);
            assert_eq!(server.requests().len(), 1);
            let server = recovering(1, bad);
            let request = client.post(server.url("/")).body("body").idempotent();
            assert_eq!(request.send().await.unwrap().status(), 200);
            let server = recovering(1, bad);
            let any = self::client(Retry::times(1).any_method(true));
            let request = any.post(server.url("/")).body("body");
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
        // Nor is a stream that was read.
        let server = recovering(1, busy);
        let stream = futures_util::stream::iter([Ok::<_, std::io::Error>("body")]);
        let body = Body::wrap_stream(stream).with_length(4);
        let request = client(Retry::times(1)).put(server.url("/")).body(body);
        assert_eq!(request.send().await.unwrap().status(), 503);
    });
}

#[test]
fn a_server_says_when_to_come_back() {
    let later = |peer: &mut Peer| {
        peer.send("HTTP/1.1 429 Later\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let server = recovering(1, later);
    let started = Instant::now();
    assert!(block_on(get(&client(Retry::times(1)), &server.url("/"))).is_ok());
    assert!((millis(1000)..millis(2500)).contains(&started.elapsed()));
    // Too long for the policy, or for the deadline: the answer is the response, at once.
    let impatient = client(Retry::times(1).max_retry_after(millis(900)));
    let hurried = Client::builder()
        .retry(Retry::times(1))
        .timeout(millis(800))
        .build()
        .unwrap();
    for client in [impatient, hurried] {
        let server = recovering(1, later);
        let started = Instant::now();
        block_on(async {
            let response = client.get(server.url("/")).send().await.unwrap();
            assert_eq!(response.status(), 429);
        });
        assert!(started.elapsed() < millis(700));
    }
}

#[test]
fn a_connection_that_is_refused_is_tried_again() {
    // The port is nobody's for a while.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let retry = Retry::times(50)
        .backoff(millis(10), millis(20))
        .budget(None);
    let client = Client::builder()
        .retry(retry)
        .timeout(millis(5000))
        .build()
        .unwrap();
    let opener = std::thread::spawn(move || {
        std::thread::sleep(millis(100));
        let listener = std::net::TcpListener::bind(address).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, ok("here").as_bytes()).unwrap();
        std::io::Read::read(&mut stream, &mut [0; 1000]).unwrap();
    });
    let posted = block_on(async {
        let request = client.post(format!("http://{address}/")).body("x");
        request.send().await.unwrap().text().await.unwrap()
    });
    assert_eq!(posted, "here", "nothing had been sent, so a POST is safe");
    opener.join().unwrap();
}

#[test]
fn a_budget_bounds_all_of_them() {
    let server = recovering(usize::MAX, busy);
    let client = client(Retry::times(3).backoff(millis(1), millis(1)).budget(0.0));
    block_on(async {
        for _ in 0..8 {
            client.get(server.url("/")).send().await.unwrap();
        }
    });
    // Eight requests and the ten repetitions that are free, and not 32.
    assert_eq!(server.requests().len(), 18);
}
