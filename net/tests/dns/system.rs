//! The system's resolver. What is asked of it here needs no network.

use std::sync::Arc;
use std::time::Duration;

use heist_net::dns::{Resolve, SystemResolver};
use heist_runtime::Builder;
use heist_runtime::time::Instant;
use heist_sync::join_all;
use heist_sync::time::timeout;

use crate::common::on_all;

#[test]
fn special_names_are_known() {
    on_all(|runtime| {
        runtime.block_on(async {
            let resolver = SystemResolver::new();
            for name in ["localhost", "a.localhost", "LOCALHOST."] {
                let addresses = resolver.lookup_ip(name).await.unwrap();
                assert!(
                    addresses.iter().all(|address| address.is_loopback()),
                    "{name}"
                );
                assert_eq!(addresses.len(), 2, "{name}");
            }
            let error = resolver.lookup_ip("a.invalid").await.unwrap_err();
            assert!(error.is_not_found() && error.is_no_such_name(), "{error}");
            assert!(
                resolver
                    .lookup_ip("a b")
                    .await
                    .unwrap_err()
                    .is_invalid_name()
            );
            let address = resolver.lookup_ip("192.0.2.7").await.unwrap();
            assert_eq!(address, ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]);
        });
    });
}

/// The function itself is called for what only it knows: `127.1` is an address in its eyes.
#[test]
fn the_system_is_asked() {
    on_all(|runtime| {
        runtime.block_on(async {
            let resolver = SystemResolver::with_concurrency(1);
            let names = (0..100).map(|_| resolver.lookup_ip("127.1"));
            for outcome in join_all(names).await {
                assert_eq!(
                    outcome.unwrap(),
                    ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]
                );
            }
            let mut found = resolver.resolve("127.2".parse().unwrap()).await.unwrap();
            assert_eq!(found.next(), Some("127.0.0.2:0".parse().unwrap()));
            assert!(format!("{resolver:?}").contains("running: 0"));
        });
    });
}

/// While the only thread of the pool is busy a lookup waits, and whoever waits for it may leave.
#[test]
fn a_lookup_behind_a_busy_pool_can_be_left() {
    let runtime = Builder::new().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let resolver = Arc::new(SystemResolver::with_concurrency(1));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = heist_runtime::spawn_blocking(move || wait.recv().is_ok());
        let began = Instant::now();
        for name in ["127.1", "127.2", "127.1"] {
            let late = timeout(Duration::from_millis(20), resolver.lookup_ip(name)).await;
            assert!(late.is_err(), "{name}");
        }
        assert!(began.elapsed() < Duration::from_secs(2));
        go.send(()).unwrap();
        assert!(busy.await.unwrap());
        for name in ["127.1", "127.2"] {
            assert!(resolver.lookup_ip(name).await.is_ok(), "{name}");
        }
    });
}
