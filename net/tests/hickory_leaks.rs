//! What lookups that are left have taken: nothing. Descriptors are counted for the whole process, so these tests are in
//! one of their own, and run one after another.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/dns_server.rs"]
mod dns_server;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{on_all, open_descriptors, pause, polled};
use dns_server::{Answer, Query, Server};
use heist_net::dns::{HickoryBuilder, HickoryResolver};
use heist_runtime::block_on;
use heist_sync::cancel_scope;
use heist_sync::time::timeout;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn asking(server: &Server) -> HickoryBuilder {
    HickoryResolver::builder()
        .name_servers([server.address()])
        .hosts_file(None)
        .failure_ttl(Duration::ZERO)
}

fn good(query: &Query) -> Answer {
    Answer::new()
        .address(&query.name, 60, "192.0.2.1")
        .address(&query.name, 60, "2001:db8::1")
}

fn slow(after: u64) -> Server {
    Server::new(move |query| vec![(millis(after), good(query).bytes(query))])
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

async fn settle(is_settled: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_settled() {
            return;
        }
        pause(1000).await;
    }
    panic!("it has not settled");
}

/// Everything that a lookup has taken is back once it is dropped, wherever it was.
#[test]
fn a_lookup_may_be_dropped_at_every_poll() {
    let _alone = alone();
    on_all(|runtime| {
        runtime.block_on(async {
            let server = slow(1);
            let resolver = asking(&server)
                .cache_size(0)
                .max_concurrent_queries(2)
                .build()
                .unwrap();
            resolver.lookup_ip("warm.example").await.unwrap();
            let before = open_descriptors();
            for polls in 0..40 {
                let name = format!("a{}.example", polls % 3);
                if let Some(found) = polled(polls, resolver.lookup_ip(&name)).await {
                    assert_eq!(found.unwrap().len(), 2);
                }
                if polls % 3 == 0 {
                    pause(300 * polls).await;
                }
            }
            settle(|| resolver.pending() == 0 && open_descriptors() <= before).await;
            // The places are back too.
            assert_eq!(resolver.lookup_ip("last.example").await.unwrap().len(), 2);
        });
    });
}

/// Negative control: a flight that does not end with its last caller.
#[test]
fn a_cancelled_scope_unwinds_and_frees_its_places() {
    let _alone = alone();
    on_all(|runtime| {
        runtime.block_on(async {
            let server = Server::new(|query| match &*query.name {
                "good.example" => vec![(millis(0), good(query).bytes(query))],
                _ => Vec::new(),
            });
            let resolver = asking(&server).max_concurrent_queries(2).build().unwrap();
            let before = open_descriptors();
            let late = timeout(millis(30), resolver.lookup_ip("silent.example")).await;
            assert!(late.is_err());
            let cancelled = cancel_scope(async |scope| {
                let mut lookup = std::pin::pin!(resolver.lookup_ip("silent.example"));
                assert!(polled(2, lookup.as_mut()).await.is_none());
                scope.cancel();
                lookup.await.unwrap_err();
            });
            let _ = cancelled.await;
            let found = timeout(millis(2000), resolver.lookup_ip("good.example")).await;
            assert_eq!(found.unwrap().unwrap().len(), 2);
            settle(|| resolver.pending() == 0 && open_descriptors() <= before).await;
        });
    });
}

#[test]
fn what_a_resolver_has_opened_is_closed_with_it() {
    let _alone = alone();
    block_on(async {
        let server = Server::answering(|query| match query.tcp {
            true => good(query),
            false => good(query).truncated(),
        });
        let before = open_descriptors();
        let resolver = asking(&server).build().unwrap();
        resolver.lookup_ip("a.example").await.unwrap();
        drop(resolver);
        // The server's side of the connection is of this process too.
        settle(|| open_descriptors() <= before).await;
    });
}
