//! What servers say, and how long it is remembered.

use std::time::Duration;

use heist_runtime::block_on;
use heist_runtime::time::Instant;

use crate::common::{on_all, pause};
use crate::dns_server::{A, AAAA, Answer, Server};
use crate::{asking, millis, texts};

fn both(name: &str, ttl: u32) -> Answer {
    Answer::new()
        .address(name, ttl, "192.0.2.1")
        .address(name, ttl, "192.0.2.2")
        .address(name, ttl, "2001:db8::1")
}

#[test]
fn both_families_are_found_and_remembered() {
    on_all(|runtime| {
        runtime.block_on(async {
            let server = Server::answering(|query| both(&query.name, 60));
            let resolver = asking([&server]).build().unwrap();
            for name in ["a.example", "A.EXAMPLE", "a.example."] {
                let found = texts(resolver.lookup_ip(name).await);
                assert_eq!(found, ["2001:db8::1", "192.0.2.1", "192.0.2.2"], "{name}");
            }
            let mut asked = server.asked();
            asked.sort();
            let name = || "a.example".to_owned();
            assert_eq!(asked, [(name(), A), (name(), AAAA)]);
            assert_eq!((resolver.cached(), resolver.pending()), (2, 0));
            resolver.clear_cache();
            assert_eq!(resolver.cached(), 0);
            assert!(resolver.lookup_ip("a.example").await.is_ok());
            assert_eq!(server.asked().len(), 4);
        });
    });
}

#[test]
fn an_answer_is_remembered_for_its_time() {
    block_on(async {
        let server = Server::answering(|query| match &*query.name {
            "none.example" => both(&query.name, 0),
            _ => both(&query.name, 1),
        });
        let resolver = asking([&server]).build().unwrap();
        for (name, queries) in [("none.example", 3), ("second.example", 1)] {
            for _ in 0..3 {
                resolver.lookup_ip(name).await.unwrap();
            }
            let names = server.names();
            let asked = names.iter().filter(|asked| *asked == name).count();
            assert_eq!(asked, queries, "{name}");
        }
        pause(1_050_000).await;
        resolver.lookup_ip("second.example").await.unwrap();
        assert_eq!(server.names().len(), 5);
    });
}

#[test]
fn aliases_are_followed_within_an_answer_and_beyond() {
    block_on(async {
        let server = Server::answering(|query| match &*query.name {
            "www.example" => Answer::new()
                .alias("www.example", 60, "cdn.example")
                .alias("cdn.example", 1, "edge.example")
                .address("edge.example", 60, "192.0.2.1")
                // Nobody has asked for this one.
                .address("evil.example", 60, "192.0.2.66"),
            "far.example" => Answer::new().alias("far.example", 60, "next.example"),
            "next.example" => Answer::new().alias("next.example", 60, "last.example"),
            "last.example" => Answer::new().address("last.example", 60, "192.0.2.2"),
            _ => Answer::nxdomain(),
        });
        let resolver = asking([&server]).build().unwrap();
        assert_eq!(
            texts(resolver.lookup_ip("www.example").await),
            ["192.0.2.1"]
        );
        assert_eq!(
            texts(resolver.lookup_ip("far.example").await),
            ["192.0.2.2"]
        );
        // The alias is good for a second only, and so is what it led to.
        let before = server.names().len();
        resolver.lookup_ip("www.example").await.unwrap();
        assert_eq!(server.names().len(), before);
        pause(1_050_000).await;
        resolver.lookup_ip("www.example").await.unwrap();
        assert_eq!(server.names().len(), before + 1);
    });
}

#[test]
fn aliases_in_a_circle_come_to_an_end() {
    block_on(async {
        let server = Server::answering(|query| match &*query.name {
            "a.example" => Answer::new().alias("a.example", 60, "b.example").alias(
                "b.example",
                60,
                "a.example",
            ),
            "self.example" => Answer::new().alias("self.example", 60, "self.example"),
            name => Answer::new().alias(name, 60, &format!("x{name}")),
        });
        let resolver = asking([&server]).build().unwrap();
        for name in ["a.example", "self.example", "endless.example"] {
            let error = resolver.lookup_ip(name).await.unwrap_err();
            assert!(error.is_not_found(), "{name}: {error}");
        }
        assert!(server.asked().len() < 100, "{}", server.asked().len());
    });
}

/// Negative control: without a bound from the SOA record (RFC 2308) the third name is asked for again.
#[test]
fn what_does_not_exist_is_remembered_as_the_zone_says() {
    block_on(async {
        let server = Server::answering(|query| match &*query.name {
            "short.example" => Answer::nxdomain().soa("example", 3600, 1),
            "unsaid.example" => Answer::nxdomain(),
            "long.example" => Answer::nxdomain().soa("example", 3600, 600),
            "empty.example" => Answer::new().soa("example", 600, 3600),
            _ => Answer::refused(),
        });
        let resolver = asking([&server]).build().unwrap();
        let names = [
            "short.example",
            "unsaid.example",
            "long.example",
            "empty.example",
        ];
        for _ in 0..2 {
            for name in names {
                let error = resolver.lookup_ip(name).await.unwrap_err();
                assert!(error.is_not_found(), "{name}: {error}");
                assert_eq!(error.is_no_such_name(), name != "empty.example", "{name}");
                assert_eq!(error.name(), name);
            }
        }
        pause(1_050_000).await;
        for name in names {
            resolver.lookup_ip(name).await.unwrap_err();
        }
        let asked = server.names();
        let count = |name| asked.iter().filter(|asked| *asked == name).count();
        assert_eq!(names.map(count), [2, 3, 1, 1]);
    });
}

#[test]
fn times_have_bounds_of_ones_own() {
    block_on(async {
        let server = Server::answering(|query| match query.kind {
            A => both(&query.name, 0),
            _ => Answer::nxdomain().soa("example", 3600, 3600),
        });
        let resolver = asking([&server])
            .positive_min_ttl(Duration::from_secs(60))
            .negative_max_ttl(millis(100))
            .build()
            .unwrap();
        for _ in 0..2 {
            resolver.lookup_ip("a.example").await.unwrap();
        }
        pause(150_000).await;
        resolver.lookup_ip("a.example").await.unwrap();
        let asked = server.asked();
        let count = |of| asked.iter().filter(|(_, kind)| *kind == of).count();
        assert_eq!((count(A), count(AAAA)), (1, 2));
    });
}

#[test]
fn the_cache_is_bounded() {
    block_on(async {
        let server = Server::answering(|query| both(&query.name, 60));
        let resolver = asking([&server]).cache_size(10).build().unwrap();
        for number in 0..30 {
            resolver
                .lookup_ip(&format!("a{number}.example"))
                .await
                .unwrap();
            assert!(resolver.cached() <= 10);
        }
    });
}

/// Negative control: a resolver without TCP yields the two addresses of the truncated answer.
#[test]
fn a_truncated_answer_is_asked_for_over_tcp() {
    on_all(|runtime| {
        runtime.block_on(async {
            let server = Server::answering(|query| {
                let some = both(&query.name, 60);
                if !query.tcp {
                    return some.truncated();
                }
                // Longer than a datagram may be here, but no longer than hickory's buffer over TCP.
                (3..200).fold(some, |all, last| {
                    all.address(&query.name, 60, &format!("192.0.2.{last}"))
                })
            });
            let resolver = asking([&server]).build().unwrap();
            for name in ["a.example", "b.example"] {
                assert_eq!(resolver.lookup_ip(name).await.unwrap().len(), 200);
            }
        });
    });
}

#[test]
fn spoofed_answers_are_ignored() {
    block_on(async {
        let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Server::new(move |query| {
            let wrong = Answer::new()
                .address(&query.name, 60, "192.0.2.66")
                .address(&query.name, 60, "2001:db8::66");
            let right = both(&query.name, 60);
            vec![
                (millis(0), wrong.bytes_with(query, query.id.wrapping_add(1))),
                (millis(0), wrong.bytes_with(query, !query.id)),
                (millis(0), wrong.bytes_for(query, "other.example")),
                (millis(0), vec![0]),
                (millis(0), Vec::new()),
                (millis(5), right.bytes(query)),
            ]
        });
        let _ = stranger;
        let resolver = asking([&server]).build().unwrap();
        let found = texts(resolver.lookup_ip("a.example").await);
        assert_eq!(found, ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    });
}

/// A hundred answers with bytes that were changed, left out or added: an outcome each time, in time.
#[test]
fn mutated_answers_do_no_harm() {
    use crate::common::Random;
    block_on(async {
        let random = std::sync::Mutex::new(Random(0x5eed));
        let server = Server::new(move |query| {
            let right = both(&query.name, 0)
                .alias(&query.name, 0, "b.example")
                .soa("example", 0, 0)
                .bytes(query);
            let mut random = random.lock().unwrap();
            let mut wrong = right.clone();
            for _ in 0..=random.below(4) {
                // The id stays, or nobody would look at the rest.
                let at = 2 + random.below(wrong.len() as u64 - 2) as usize;
                match random.below(4) {
                    0 => wrong.truncate(at.max(3)),
                    1 => wrong.insert(at, random.below(256) as u8),
                    2 => wrong[at] = 0xc0,
                    _ => wrong[at] = random.below(256) as u8,
                }
            }
            vec![(millis(0), wrong), (millis(2), right)]
        });
        let resolver = asking([&server]).timeout(millis(500)).build().unwrap();
        let began = Instant::now();
        for number in 0..250 {
            match resolver.lookup_ip(&format!("a{number}.example")).await {
                Ok(addresses) => assert!(!addresses.is_empty()),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        assert_eq!(resolver.pending(), 0);
        assert!(began.elapsed() < Duration::from_secs(60));
    });
}
