//! HTTP/2 without being asked: streams at once, panics, resets.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use heist_net::http::Client;
use heist_sync::join_all;

use crate::support::{Started, run, start};

fn client() -> Client {
    let builder = Client::builder().http2_prior_knowledge();
    builder.build().unwrap()
}

async fn get(client: &Client, server: &Started, path: &str) -> String {
    let response = client.get(server.url(path)).send().await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    response.text().await.unwrap()
}

#[test]
fn streams_share_a_connection() {
    run(async {
        let server = start(|server| server).await;
        let client = client();
        assert_eq!(get(&client, &server, "/first").await, "/first");
        let began = Instant::now();
        let all = (0..50).map(|_| get(&client, &server, "/sleep/100"));
        join_all(all).await;
        assert!(began.elapsed() < Duration::from_secs(3), "one by one");
        let now = server.now();
        assert_eq!((now.total, now.requests, now.in_flight), (1, 51, 0));
        let body = vec![b'y'; 300_000];
        let echo = client.post(server.url("/echo")).body(body.clone());
        let back = echo.send().await.unwrap().bytes().await.unwrap();
        assert!(back == body);
        server.stop().await;
    });
}

/// A stream that panics is reset; the others of its connection do not notice.
#[test]
fn a_panic_ends_its_stream_only() {
    run(async {
        let server = start(|server| server).await;
        let client = client();
        get(&client, &server, "/").await;
        let (failed, fine) = heist_sync::join!(
            client.get(server.url("/panic")).send(),
            get(&client, &server, "/sleep/50"),
        );
        assert!(failed.is_err());
        assert_eq!(fine, "/sleep/50");
        assert_eq!(get(&client, &server, "/after").await, "/after");
        assert_eq!(server.now().total, 1);
        server.until(|now| now.in_flight == 0).await;
        server.stop().await;
    });
}

/// A request that the client gives up is dropped here.
#[test]
fn a_reset_drops_the_request() {
    run(async {
        let server = start(|server| server).await;
        let client = client();
        get(&client, &server, "/").await;
        let slow = client.get(server.url("/sleep/60000"));
        let given_up = heist_sync::time::timeout(Duration::from_millis(50), slow.send()).await;
        assert!(given_up.is_err());
        server.until(|now| now.in_flight == 0).await;
        assert_eq!(server.app.seen.dropped.load(SeqCst), 1);
        assert_eq!(get(&client, &server, "/after").await, "/after");
        server.stop().await;
    });
}

#[test]
fn only_one_version_if_so_told() {
    run(async {
        let server = start(|server| server.http1_only()).await;
        assert!(client().get(server.url("/")).send().await.is_err());
        let plain = Client::new().get(server.url("/1")).send().await.unwrap();
        assert_eq!(plain.text().await.unwrap(), "/1");
        server.stop().await;

        let server = start(|server| server.http2_only()).await;
        assert!(Client::new().get(server.url("/")).send().await.is_err());
        assert_eq!(get(&client(), &server, "/2").await, "/2");
        server.stop().await;
    });
}

/// Each is told the server's limit of streams, which hyper's builder sets.
#[test]
fn settings_of_hyper_are_used() {
    run(async {
        let server = start(|server| {
            server.http2(|http2| {
                http2.max_concurrent_streams(2);
            })
        })
        .await;
        let client = client();
        get(&client, &server, "/").await;
        let began = Instant::now();
        join_all((0..6).map(|_| get(&client, &server, "/sleep/60"))).await;
        assert!(
            began.elapsed() >= Duration::from_millis(170),
            "more than two at once"
        );
        server.stop().await;
    });
}
