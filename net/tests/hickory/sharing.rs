//! Many lookups at once, and lookups that are left.

use heist_runtime::{Runtime, spawn};
use heist_sync::JoinSet;

use crate::common::{on_all, pause};
use crate::dns_server::{Answer, Query, Server};
use crate::{asking, millis, texts};

fn good(query: &Query) -> Answer {
    Answer::new()
        .address(&query.name, 60, "192.0.2.1")
        .address(&query.name, 60, "2001:db8::1")
}

fn slow(after: u64) -> Server {
    Server::new(move |query| vec![(millis(after), good(query).bytes(query))])
}

/// Negative controls: without shared lookups there are 2,000 queries; without places more than 16 are open.
#[test]
fn a_thousand_lookups_are_bounded_and_shared() {
    on_all(|runtime| {
        runtime.block_on(async {
            let server = slow(2);
            let resolver = asking([&server])
                .max_concurrent_queries(16)
                .build()
                .unwrap();
            let mut lookups = JoinSet::new();
            for number in 0..1000 {
                let resolver = resolver.clone();
                lookups.spawn(async move {
                    let name = format!("a{}.example", number % 50);
                    resolver.lookup_ip(&name).await.unwrap().len()
                });
            }
            while let Some(found) = lookups.join_next().await {
                assert_eq!(found.unwrap(), 2);
            }
            assert_eq!(server.asked().len(), 100);
            // One that was just answered may still be counted when the next arrives.
            assert!(server.most_open() <= 17, "{}", server.most_open());
            assert_eq!((resolver.cached(), resolver.pending()), (100, 0));
        });
    });
}

#[test]
fn whoever_leaves_takes_nothing_from_the_others() {
    on_all(|runtime| {
        runtime.block_on(async {
            let server = slow(100);
            let resolver = asking([&server]).build().unwrap();
            let first = spawn({
                let resolver = resolver.clone();
                async move { resolver.lookup_ip("a.example").await }
            });
            while server.asked().len() < 2 {
                pause(1000).await;
            }
            let second = spawn({
                let resolver = resolver.clone();
                async move { resolver.lookup_ip("a.example").await }
            });
            pause(5000).await;
            assert!(first.cancel_and_join().await.unwrap_err().is_cancelled());
            assert_eq!(second.await.unwrap().unwrap().len(), 2);
            assert_eq!(server.asked().len(), 2);
        });
    });
}

/// The tasks of a connection end with the runtime that they were spawned on.
#[test]
fn a_resolver_outlives_its_runtime() {
    let server = Server::answering(|query| match query.tcp {
        true => good(query),
        false => good(query).truncated(),
    });
    let resolver = asking([&server])
        .cache_size(0)
        .timeout(millis(1000))
        .build()
        .unwrap();
    for _ in 0..3 {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            for name in ["a.example", "b.example"] {
                let found = texts(resolver.lookup_ip(name).await);
                assert_eq!(found, ["2001:db8::1", "192.0.2.1"]);
            }
        });
        drop(runtime);
    }
}
