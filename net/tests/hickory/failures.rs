//! Servers that are down, slow or of no help: a typed error, in time.

use std::net::UdpSocket;

use heist_net::http::Client;
use heist_runtime::block_on;
use heist_runtime::time::Instant;
use std::sync::Arc;

use crate::common::{on_all, pause};
use crate::dns_server::{Answer, Query, Server};
use crate::{asking, millis, texts};

fn good(query: &Query) -> Answer {
    Answer::new().address(&query.name, 60, "192.0.2.1")
}

/// Negative control: hickory with one attempt and no retransmission takes the whole timeout of 5 seconds.
#[test]
fn a_lost_datagram_is_sent_again() {
    block_on(async {
        let server = Server::new(|query| match query.number {
            0..2 => Vec::new(),
            _ => vec![(millis(0), good(query).bytes(query))],
        });
        let resolver = asking([&server]).build().unwrap();
        let began = Instant::now();
        assert_eq!(texts(resolver.lookup_ip("a.example").await), ["192.0.2.1"]);
        assert!(began.elapsed() < millis(2000), "{:?}", began.elapsed());
    });
}

#[test]
fn silence_ends_in_time() {
    on_all(|runtime| {
        runtime.block_on(async {
            let servers = [Server::silent(), Server::silent()];
            let resolver = asking(&servers)
                .timeout(millis(60))
                .attempts(2)
                .build()
                .unwrap();
            let began = Instant::now();
            let error = resolver.lookup_ip("a.example").await.unwrap_err();
            assert!(error.is_timeout() && !error.is_not_found(), "{error}");
            assert!(error.to_string().contains("120ms"), "{error}");
            let took = began.elapsed();
            assert!((millis(120)..millis(1500)).contains(&took), "{took:?}");
            for server in &servers {
                assert_eq!(server.names().len(), 2);
            }
        });
    });
}

/// Negative control: always beginning with the first server costs a head start for each name.
#[test]
fn a_dead_server_is_passed_over_and_then_asked_last() {
    block_on(async {
        let unused = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let dead = Server::silent();
        let alive = Server::answering(good);
        let resolver = asking([])
            .name_servers([dead.address(), unused, alive.address()])
            .timeout(millis(400))
            .build()
            .unwrap();
        let began = Instant::now();
        assert_eq!(texts(resolver.lookup_ip("a.example").await), ["192.0.2.1"]);
        assert!((millis(350)..millis(1500)).contains(&began.elapsed()));
        let asked = dead.asked().len();
        let began = Instant::now();
        for number in 0..50 {
            resolver
                .lookup_ip(&format!("a{number}.example"))
                .await
                .unwrap();
        }
        assert!(began.elapsed() < millis(1000));
        assert_eq!(dead.asked().len(), asked);
    });
}

#[test]
fn a_server_that_is_of_no_help_is_followed_by_the_next() {
    block_on(async {
        for useless in [Answer::servfail(), Answer::refused(), Answer::code(4)] {
            let bad = Server::answering(move |_| useless.clone());
            let alive = Server::answering(good);
            let resolver = asking([&bad, &alive]).build().unwrap();
            let began = Instant::now();
            assert_eq!(texts(resolver.lookup_ip("a.example").await), ["192.0.2.1"]);
            assert!(began.elapsed() < millis(400));
        }
    });
}

#[test]
fn causes_are_told_apart() {
    block_on(async {
        let server = Server::answering(|query| match &*query.name {
            "servfail.example" => Answer::servfail(),
            "refused.example" => Answer::refused(),
            "notimp.example" => Answer::code(4),
            "nxdomain.example" => Answer::nxdomain(),
            _ => Answer::new(),
        });
        let resolver = asking([&server]).build().unwrap();
        let client = Client::builder().dns_resolver(Arc::new(resolver.clone()));
        let client = client.build().unwrap();
        for (name, says) in [
            ("servfail.example", "SERVFAIL"),
            ("refused.example", "REFUSED"),
            ("notimp.example", "makes no sense"),
            ("nxdomain.example", "NXDOMAIN"),
            ("empty.example", "has no address"),
        ] {
            let error = resolver.lookup_ip(name).await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(error.is_server_failure(), says == "SERVFAIL");
            assert_eq!(error.is_refused(), says == "REFUSED");
            assert_eq!(error.is_no_such_name(), says == "NXDOMAIN");
            assert!(!error.is_timeout());
            let error = client
                .get(format!("http://{name}/"))
                .send()
                .await
                .unwrap_err();
            assert!(
                error.is_resolve() && error.to_string().contains(says),
                "{error}"
            );
        }
        // Nobody who said so was asked twice for one lookup.
        let asked = server.names();
        assert_eq!(
            asked
                .iter()
                .filter(|name| *name == "servfail.example")
                .count(),
            2
        );
    });
}

#[test]
fn a_silent_server_is_a_timeout_of_the_client() {
    block_on(async {
        let server = Server::silent();
        let resolver = asking([&server])
            .timeout(millis(50))
            .attempts(1)
            .build()
            .unwrap();
        let client = Client::builder().dns_resolver(Arc::new(resolver));
        let client = client.build().unwrap();
        let error = client.get("http://a.example/").send().await.unwrap_err();
        assert!(error.is_resolve() && error.is_timeout(), "{error}");
    });
}

#[test]
fn failures_are_remembered_for_a_moment() {
    block_on(async {
        let server = Server::answering(|_| Answer::servfail());
        let resolver = asking([&server]).failure_ttl(millis(200)).build().unwrap();
        for _ in 0..10 {
            assert!(
                resolver
                    .lookup_ip("a.example")
                    .await
                    .unwrap_err()
                    .is_server_failure()
            );
        }
        assert_eq!(server.names().len(), 1);
        pause(250_000).await;
        resolver.lookup_ip("a.example").await.unwrap_err();
        assert_eq!(server.names().len(), 2);
    });
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let server = Server::silent();
    for (builder, says) in [
        (asking([]), "name_servers"),
        (asking([&server]).attempts(0), "attempts"),
        (
            asking([&server]).max_concurrent_queries(0),
            "max_concurrent_queries",
        ),
        (asking([&server]).search(["two words"]), "search"),
        (
            asking([&server]).hosts_file(std::path::PathBuf::from("/")),
            "cannot be read",
        ),
    ] {
        let error = builder.build().unwrap_err();
        assert!(
            error.is_config() && error.to_string().contains(says),
            "{error}"
        );
    }
}
