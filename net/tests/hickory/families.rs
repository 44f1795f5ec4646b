//! Two families, and which is known first.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use heist_net::dns::{HickoryResolver, LookupIpStrategy, Resolve};
use heist_net::{TcpListener, TcpStream};
use heist_runtime::block_on;
use heist_runtime::time::Instant;
use heist_sync::stream::StreamExt;

use crate::dns_server::{A, AAAA, Answer, Server};
use crate::{asking, millis, texts};

/// Answers each family after so many milliseconds.
fn slow(v4: u64, v6: u64) -> Server {
    Server::new(move |query| {
        let after = if query.kind == A { v4 } else { v6 };
        let answer =
            Answer::new()
                .address(&query.name, 60, "127.0.0.1")
                .address(&query.name, 60, "::1");
        vec![(millis(after), answer.bytes(query))]
    })
}

async fn parts(resolver: &HickoryResolver) -> Vec<(Duration, Vec<SocketAddr>)> {
    let began = Instant::now();
    let mut parts = resolver.resolve_parts("a.example".parse().unwrap());
    let mut all = Vec::new();
    while let Some(part) = parts.next().await {
        all.push((began.elapsed(), part.unwrap().collect()));
    }
    all
}

fn is_v6(part: &(Duration, Vec<SocketAddr>)) -> bool {
    part.1.iter().all(SocketAddr::is_ipv6)
}

/// RFC 8305, section 3. Negative control: without the delay IPv4 comes first in the first case; without parts the first
/// addresses are as late as the last in the second.
#[test]
fn the_better_family_is_waited_for_but_not_for_long() {
    block_on(async {
        let server = slow(0, 100);
        let resolver = asking([&server])
            .resolution_delay(millis(2000))
            .build()
            .unwrap();
        let known = parts(&resolver).await;
        assert!(is_v6(&known[0]) && !is_v6(&known[1]));
        assert!(known[1].0 < millis(1500));

        let server = slow(0, 600);
        let resolver = asking([&server]).build().unwrap();
        let known = parts(&resolver).await;
        assert!(!is_v6(&known[0]) && is_v6(&known[1]));
        assert!(
            (millis(50)..millis(400)).contains(&known[0].0),
            "{:?}",
            known[0].0
        );
        // Remembered, it is one part in the order of preference.
        let known = parts(&resolver).await;
        assert_eq!(known.len(), 1);
        assert!(known[0].1[0].is_ipv6() && known[0].1.len() == 2);

        let server = slow(600, 0);
        let resolver = asking([&server]).build().unwrap();
        let known = parts(&resolver).await;
        assert!(is_v6(&known[0]) && known[0].0 < millis(400));
        // All of them come in the order of preference.
        let server = slow(0, 200);
        let resolver = asking([&server]).build().unwrap();
        assert_eq!(
            texts(resolver.lookup_ip("a.example").await),
            ["::1", "127.0.0.1"]
        );
    });
}

#[test]
fn connecting_does_not_wait_for_a_family_that_is_late() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = slow(0, 3000);
        let resolver = asking([&server]).build().unwrap();
        let began = Instant::now();
        let stream = TcpStream::connect_with(&resolver, "a.example", port).await;
        assert!(stream.unwrap().peer_addr().unwrap().is_ipv4());
        assert!(began.elapsed() < millis(1500));
    });
}

#[test]
fn an_error_of_one_family_does_not_matter() {
    block_on(async {
        for other in [Answer::servfail(), Answer::nxdomain(), Answer::new()] {
            let server = Server::answering(move |query| match query.kind {
                AAAA => other.clone(),
                _ => Answer::new().address(&query.name, 60, "192.0.2.1"),
            });
            let resolver = asking([&server]).build().unwrap();
            assert_eq!(texts(resolver.lookup_ip("a.example").await), ["192.0.2.1"]);
            assert_eq!(parts(&resolver).await.len(), 1);
        }
    });
}

#[test]
fn families_are_a_matter_of_choice() {
    block_on(async {
        let server = Arc::new(slow(0, 0));
        for (strategy, expected) in [
            (LookupIpStrategy::Ipv4Only, vec!["127.0.0.1"]),
            (LookupIpStrategy::Ipv6Only, vec!["::1"]),
            (LookupIpStrategy::Ipv4AndIpv6, vec!["127.0.0.1", "::1"]),
            (LookupIpStrategy::Ipv6AndIpv4, vec!["::1", "127.0.0.1"]),
        ] {
            let resolver = asking([&*server]).ip_strategy(strategy).build().unwrap();
            for name in ["a.example", "localhost"] {
                for _ in 0..2 {
                    assert_eq!(
                        texts(resolver.lookup_ip(name).await),
                        expected,
                        "{strategy:?}"
                    );
                }
            }
        }
        let only = |kind| {
            server
                .asked()
                .iter()
                .filter(|(_, asked)| *asked == kind)
                .count()
        };
        assert_eq!((only(A), only(AAAA)), (3, 3));
    });
}
