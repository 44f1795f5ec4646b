//! One connection for all, and when there is another.

use std::sync::atomic::Ordering::SeqCst;

use heist_runtime::{block_on, spawn};
use http::Version;

use crate::certificates::Authority;
use crate::server::*;

/// Control: requests that do not wait for the one who makes the connection.
#[test]
fn a_hundred_requests_at_once_share_one_connection() {
    let authority = Authority::new();
    block_on(async {
        let server = Server::secure(&authority, HTTP2).await;
        let client = trusting(&authority).build().unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (client, url) = (client.clone(), server.url("/all"));
                spawn(async move {
                    let response = client.get(url).send().await.unwrap();
                    assert_eq!(response.version(), Version::HTTP_2);
                    assert_eq!(response.text().await.unwrap(), "all");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(server.connections(), 1);
        let metrics = client.metrics();
        assert_eq!(metrics.connections_opened, 1);
        assert_eq!(metrics.connections_reused, 99);
        assert!(metrics.bytes_sent > 0 && metrics.bytes_received > 0);
    });
}

#[test]
fn no_more_streams_than_the_server_allows() {
    block_on(async {
        let speaks = Speaks {
            streams: 3,
            ..HTTP2
        };
        let server = Server::plain(speaks).await;
        let client = knowing().build().unwrap();
        // The server's settings come before its first answer.
        client.get(server.url("/")).send().await.unwrap();
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let (client, url) = (client.clone(), server.url("/slow"));
                spawn(async move {
                    let response = client.get(url).send().await.unwrap();
                    assert_eq!(response.text().await.unwrap(), "slow");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(server.connections(), 1);
        assert_eq!(server.seen.most_running.load(SeqCst), 3);
    });
}

#[test]
fn a_server_that_knows_only_http_1_gets_that() {
    let authority = Authority::new();
    block_on(async {
        let speaks = Speaks {
            alpn: &["http/1.1"],
            ..HTTP2
        };
        let server = Server::secure(&authority, speaks).await;
        let client = trusting(&authority).build().unwrap();
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (client, url) = (client.clone(), server.url("/slow"));
                spawn(async move {
                    let response = client.get(url).send().await.unwrap();
                    assert_eq!(response.version(), Version::HTTP_11);
                    assert_eq!(response.text().await.unwrap(), "slow");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(server.connections() > 1);
    });
}

#[test]
fn who_wants_http_1_gets_that() {
    let authority = Authority::new();
    block_on(async {
        let server = Server::secure(&authority, HTTP2).await;
        let client = trusting(&authority).build().unwrap();
        let request = client.get(server.url("/")).version(Version::HTTP_11);
        let response = request.send().await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        let response = client.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11, "an idle one is there");
        let only = trusting(&authority).http1_only().build().unwrap();
        let response = only.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
    });
}

#[test]
fn a_server_that_goes_away_is_connected_to_again() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().build().unwrap();
        let slow = {
            let (client, url) = (client.clone(), server.url("/slow"));
            spawn(async move { client.get(url).send().await.unwrap().text().await.unwrap() })
        };
        until(|| server.seen.requests.load(SeqCst) == 1).await;
        let response = client.get(server.url("/goaway")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "bye");
        // What was under way goes on, and what follows is sent elsewhere; a POST, too.
        for _ in 0..5 {
            let request = client.post(server.url("/")).body("text");
            assert_eq!(request.send().await.unwrap().text().await.unwrap(), "hello");
        }
        assert_eq!(slow.await.unwrap(), "slow");
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn an_idle_connection_expires() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().pool_idle_timeout(millis(60)).build().unwrap();
        let held = client.get(server.url("/large")).send().await.unwrap();
        heist_runtime::time::Timer::new(heist_runtime::time::Instant::now() + millis(150)).await;
        // It is in use as long as there is a response.
        assert_eq!(client.metrics().connections_closed, 0);
        assert_eq!(held.bytes().await.unwrap().len(), 4 << 20);
        until(|| client.metrics().connections_closed == 1).await;
        assert_eq!(client.metrics().closed_expired, 1);
        client.get(server.url("/")).send().await.unwrap();
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn the_limit_of_all_connections_counts_it() {
    block_on(async {
        let (one, two) = (Server::plain(HTTP2).await, Server::plain(HTTP2).await);
        let client = knowing().max_connections(1).build().unwrap();
        for _ in 0..3 {
            for server in [&one, &two] {
                let response = client.get(server.url("/")).send().await.unwrap();
                assert_eq!(response.text().await.unwrap(), "hello");
            }
        }
        assert_eq!((one.connections(), two.connections()), (3, 3));
        assert_eq!(client.metrics().closed_for_limit, 5);
    });
}

#[test]
fn the_connection_ends_with_the_client() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().build().unwrap();
        let response = client.get(server.url("/large")).send().await.unwrap();
        drop(client);
        assert_eq!(response.bytes().await.unwrap().len(), 4 << 20);
    });
}

#[test]
fn connections_are_made_beforehand() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().build().unwrap();
        assert_eq!(client.prewarm(server.url("/"), 8).await.unwrap(), 8);
        client.get(server.url("/")).send().await.unwrap();
        assert_eq!(server.connections(), 1);
    });
}
