//! The pool as a whole: idle connections that end, the limit of all connections, prewarming, and numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heist_net::http::{Client, Metrics};
use heist_runtime::{block_on, spawn};

use crate::refusing::refusing;
use crate::server::*;

/// Waits until `holds` for the client's numbers.
async fn until(client: &Client, holds: impl Fn(&Metrics) -> bool) {
    for _ in 0..500 {
        if holds(&client.metrics()) {
            return;
        }
        sleep(millis(10)).await;
    }
    panic!("{:?}", client.metrics());
}

#[test]
fn an_idle_connection_that_the_server_ends_is_closed_at_once() {
    // With `Link::watch` answering `true` without polling, both are kept until the idle timeout.
    for last_words in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let gone = Arc::new(AtomicUsize::new(0));
        let seen = gone.clone();
        let server = Server::new(move |peer| {
            peer.request();
            peer.send(&ok("hello"));
            std::thread::sleep(millis(30));
            match last_words {
                "" => peer.end(),
                words => peer.send(words),
            }
            seen.fetch_add(usize::from(peer.is_closed_by_client()), Ordering::SeqCst);
        });
        let client = client();
        block_on(async {
            get(&client, &server.url("/")).await.unwrap();
            assert_eq!(client.metrics().connections_closed, 0);
            until(&client, |metrics| metrics.closed_by_server == 1).await;
            for _ in 0..500 {
                if gone.load(Ordering::SeqCst) == 1 {
                    return;
                }
                sleep(millis(10)).await;
            }
            panic!("the server was not told");
        });
        assert_eq!(client.metrics().connections_closed, 1);
    }
}

#[test]
fn watched_connections_are_used_again_and_again() {
    let server = Server::answering(ok("hello"));
    let client = client();
    for _ in 0..3 {
        // Another runtime each time, so that what was armed has to be armed anew.
        block_on(async {
            for pause in [0, 0, 15, 0, 15] {
                assert_eq!(get(&client, &server.url("/")).await.unwrap(), "hello");
                sleep(millis(pause)).await;
            }
        });
    }
    let metrics = client.metrics();
    let used = metrics.connections_opened + metrics.connections_reused;
    assert_eq!((metrics.requests, used, metrics.retries), (15, 15, 0));
    assert_eq!(server.connections() as u64, metrics.connections_opened);
    // Connections outlive the runtime that they were opened in.
    assert_eq!(metrics.connections_opened, 1, "{metrics:?}");
}

#[test]
fn all_hosts_together_have_a_limit() {
    let check = |metrics: &Metrics| {
        let alive = metrics.connections_opened - metrics.connections_closed;
        assert!(alive <= 3, "{metrics:?}");
    };
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let servers: Vec<_> = (0..4)
        .map(|_| {
            let (open, most) = (open.clone(), most.clone());
            Server::new(move |peer| {
                let now = open.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                while peer.request().is_some() {
                    std::thread::sleep(millis(1));
                    if peer.number == usize::MAX {
                        break;
                    }
                    peer.send(&ok("hello"));
                }
                open.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    let client = Client::builder()
        .max_connections(3)
        .timeout(millis(20_000))
        .build()
        .unwrap();
    block_on(async {
        // One after the other: the fourth closes the first, which has been idle for longest.
        for server in &servers {
            get(&client, &server.url("/")).await.unwrap();
        }
        let metrics = client.metrics();
        assert_eq!(
            (metrics.connections_opened, metrics.closed_for_limit),
            (4, 1)
        );
        get(&client, &servers[1].url("/")).await.unwrap();
        assert_eq!(client.metrics().connections_reused, 1);
        // All at once.
        let texts = join((0..60).map(|number| {
            let url = servers[number % 4].url("/");
            let client = &client;
            async move {
                let text = get(client, &url).await.unwrap();
                check(&client.metrics());
                text
            }
        }));
        assert!(texts.await.iter().all(|text| text == "hello"));
    });
    let metrics = client.metrics();
    check(&metrics);
    assert!(metrics.pool_waits > 0 && metrics.pool_wait_time > millis(0));
    // The servers' threads may not have seen the end of a connection yet when the next one begins, on a busy machine those of
    // several. Without the limit there are sixty.
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 15, "{most} connections at once");
}

#[test]
fn a_busy_host_does_not_keep_others_out() {
    let busy = Server::answering(ok("busy"));
    let quiet = Server::answering(ok("quiet"));
    let client = Client::builder().max_connections(1).timeout(millis(10_000));
    let client = client.build().unwrap();
    block_on(async {
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (client, url) = (client.clone(), busy.url("/"));
                spawn(async move {
                    for _ in 0..200 {
                        assert_eq!(get(&client, &url).await.unwrap(), "busy");
                    }
                })
            })
            .collect();
        sleep(millis(5)).await;
        for _ in 0..3 {
            assert_eq!(get(&client, &quiet.url("/")).await.unwrap(), "quiet");
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(client.metrics().requests, 803);
}

#[test]
fn waiting_for_the_limit_of_all_times_out() {
    let server = Server::new(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx");
        assert!(peer.is_closed_by_client());
    });
    let other = Server::answering(ok("other"));
    let client = Client::builder().max_connections(1).build().unwrap();
    block_on(async {
        let held = client.get(server.url("/")).send().await.unwrap();
        let waiting = client.get(other.url("/")).timeout(millis(30)).send();
        let error = waiting.await.unwrap_err();
        assert!(error.is_timeout() && !error.is_connect(), "{error}");
        drop(held);
        assert_eq!(get(&client, &other.url("/")).await.unwrap(), "other");
    });
    let error = Client::builder().max_connections(0).build().unwrap_err();
    assert!(error.is_builder() && error.to_string().contains("max_connections"));
}

#[test]
fn connections_are_there_before_they_are_needed() {
    let server = Server::answering(ok("hello"));
    let url = server.url("/");
    let client = client();
    block_on(async {
        assert_eq!(client.prewarm(&url, 3).await.unwrap(), 3);
        assert_eq!(client.prewarm(&url, 2).await.unwrap(), 2);
        assert_eq!(client.metrics().connections_opened, 3);
        let texts = join((0..3).map(|_| get(&client, &url)));
        assert!(texts.await.into_iter().all(|text| text.unwrap() == "hello"));
        let metrics = client.metrics();
        assert_eq!(
            (metrics.connections_opened, metrics.connections_reused),
            (3, 3)
        );
        let limited = Client::builder()
            .max_connections_per_host(2)
            .build()
            .unwrap();
        assert_eq!(limited.prewarm(&url, 5).await.unwrap(), 2);
        let nobody = format!("http://{}/", refusing());
        assert!(client.prewarm(&nobody, 2).await.unwrap_err().is_connect());
    });
}

#[test]
fn numbers_are_exact() {
    let server = Server::new(|peer| {
        while let Some(head) = peer.request() {
            if head.starts_with("GET /close") {
                return peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbye");
            } else if head.starts_with("GET /away") {
                peer.send("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
            } else if head.starts_with("GET /half") {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
            } else {
                peer.send(&ok("hello"));
            }
        }
    });
    let client = client();
    let fetch = |path: &str| block_on(get(&client, &server.url(path)));
    fetch("/").unwrap();
    fetch("/away").unwrap();
    fetch("/close").unwrap();
    block_on(async {
        let half = client.get(server.url("/half")).send().await.unwrap();
        drop(half);
    });
    let metrics = client.metrics();
    assert_eq!(
        (metrics.requests, metrics.redirects, metrics.retries),
        (4, 1, 0)
    );
    assert_eq!(
        (metrics.connections_opened, metrics.connections_reused),
        (2, 3)
    );
    assert_eq!(
        (metrics.connections_closed, metrics.closed_finished),
        (2, 1)
    );
    assert_eq!(
        (metrics.closed_unfinished, metrics.closed_by_server),
        (1, 0)
    );
    let whole: usize = server.requests()[..4].iter().map(String::len).sum();
    // What was half-way is added when the exchange ends; that of the dropped one has not.
    assert_eq!(metrics.bytes_sent, whole as u64);
    let answers = 2 * ok("hello").len()
        + "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".len()
        + "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbye".len();
    assert_eq!(metrics.bytes_received, answers as u64);
    assert_eq!(metrics.pool_waits, 0);
}
