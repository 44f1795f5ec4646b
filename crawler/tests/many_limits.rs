//! What many crawlers may do together, with a real Redis between them: limits, and hosts that are given up.
//!
//! The negative controls, each tried: take the limit of pages, of pages per host, or of bytes one higher in
//! `exchange.lua`; let `deepest_level` look at no level (the crawl does not end); let `-` count what `robots.txt` forbids.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::thread;
use std::time::Duration;

use common::log_server::{LogServer, kept_page, tree, visits};
use common::redis::Redis;
use heist_crawler::{Crawler, End, FailureKind, Politeness, Record, RedisFrontier};

/// Runs crawls on one frontier, each on a thread and a runtime of its own.
fn together(
    redis: &Redis,
    name: &str,
    servers: &[LogServer],
    crawlers: usize,
    configure: impl Fn(heist_crawler::CrawlerBuilder) -> heist_crawler::CrawlerBuilder + Sync,
) -> Vec<(Vec<Record>, End)> {
    thread::scope(|scope| {
        let crawl = || {
            let runtime = heist::Builder::new().worker_threads(1).build().unwrap();
            runtime.block_on(async {
                let frontier = RedisFrontier::new(&redis.url()).unwrap();
                let frontier = frontier.name(name).unwrap().lease(Duration::from_secs(5));
                frontier.check().await.unwrap();
                let mut builder = Crawler::builder().no_proxy();
                for server in servers {
                    builder = builder.seed(server.url("/")).unwrap();
                }
                let mut crawl = configure(builder).shared(frontier).build().unwrap();
                let mut records = Vec::new();
                while let Some(record) = crawl.next().await {
                    records.push(record);
                }
                assert!(crawl.fault().is_none(), "{:?}", crawl.fault());
                (records, crawl.summary().end())
            })
        };
        let threads: Vec<_> = (0..crawlers).map(|_| scope.spawn(crawl)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn limits_hold_for_all_together() {
    let Some(redis) = Redis::start() else {
        return;
    };
    const PAGES: usize = 40;
    let total = |outcome: &[(Vec<Record>, End)]| {
        outcome
            .iter()
            .map(|(records, _)| records.len())
            .sum::<usize>()
    };
    for (round, limit) in [1u64, 7, 50, 119, 120, 121, 500].into_iter().enumerate() {
        let servers: Vec<_> = (0..3).map(|_| tree(PAGES, Duration::ZERO)).collect();
        let name = format!("pages-{round}");
        let outcome = together(&redis, &name, &servers, 3, |builder| {
            builder.max_pages(limit)
        });
        let most = (limit as usize).min(3 * PAGES);
        assert_eq!(total(&outcome), most);
        let asked: usize = servers.iter().map(|server| server.visits().len()).sum();
        assert_eq!(asked, most);
        let end = if limit < 120 {
            End::PageLimit
        } else {
            End::Finished
        };
        assert!(
            outcome.iter().all(|(_, it)| *it == end),
            "{limit}: {outcome:?}"
        );
        // With more allowed it goes on.
        if limit == 50 {
            let more = together(&redis, &name, &servers, 2, |builder| builder.max_pages(60));
            assert_eq!(total(&more), 10);
        }
    }
    for limit in [1u64, 13, 40] {
        let servers: Vec<_> = (0..3).map(|_| tree(PAGES, Duration::ZERO)).collect();
        let name = format!("host-{limit}");
        let outcome = together(&redis, &name, &servers, 3, |builder| {
            builder.max_pages_per_host(limit)
        });
        assert_eq!(total(&outcome), 3 * limit as usize);
        assert!(
            servers
                .iter()
                .all(|server| server.visits().len() == limit as usize)
        );
    }
    for depth in [0u32, 1, 2] {
        let servers: Vec<_> = (0..2)
            .map(|_| tree(PAGES, Duration::from_millis(1)))
            .collect();
        let name = format!("depth-{depth}");
        let outcome = together(&redis, &name, &servers, 2, |builder| {
            builder.max_depth(depth)
        });
        assert_eq!(total(&outcome), 2 * [1, 5, 21][depth as usize]);
    }
}

#[test]
fn bytes_are_exact_for_all_together() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let body = |page: &Record| page.content_length;
    for limit in [1u64, 999, 5000, 20_011] {
        let servers: Vec<_> = (0..4)
            .map(|_| tree(200, Duration::from_millis(1)))
            .collect();
        let name = format!("bytes-{limit}");
        let outcome = together(&redis, &name, &servers, 3, |builder| {
            builder.max_bytes(limit).concurrency(4)
        });
        let sum: u64 = outcome
            .iter()
            .flat_map(|(records, _)| records)
            .map(body)
            .sum();
        assert_eq!(sum, limit);
        assert!(
            outcome.iter().all(|(_, end)| *end == End::ByteLimit),
            "{outcome:?}"
        );
        for (records, _) in &outcome {
            let kinds = records.iter().filter_map(|record| record.error.as_ref());
            assert!(
                kinds
                    .into_iter()
                    .all(|failure| failure.kind() == FailureKind::Limit)
            );
        }
    }
}

#[test]
fn hosts_that_fail_are_given_up_by_all_and_robots_do_not_count() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let bad = LogServer::start(|path, _| match path {
        "/" => kept_page(&(0..100).map(|nth| format!("/{nth}")).collect::<Vec<_>>()),
        "/robots.txt" => common::log_server::kept("404 None", "", ""),
        _ => common::log_server::kept("500 Oh No", "", ""),
    });
    let ruled = LogServer::start(|path, _| match path {
        "/" => kept_page(&(0..50).map(|nth| format!("/{nth}")).collect::<Vec<_>>()),
        "/robots.txt" => common::log_server::kept("200 OK", "", "User-agent: *\nDisallow: /1\n"),
        _ => kept_page(&[]),
    });
    let servers = [bad, ruled];
    let outcome = together(&redis, "bad", &servers, 2, |builder| {
        let politeness = Politeness::new()
            .error_budget(5)
            .robots(true)
            .delay(Duration::from_millis(1));
        builder.politeness(politeness).max_pages_per_host(30)
    });
    assert!(
        outcome.iter().all(|(_, end)| *end == End::Finished),
        "{outcome:?}"
    );
    // The home page, five failures, and robots.txt for each crawler that had the host. (Control, tried: a robots.txt that
    // comes and clears the failures, as the second crawler's did.)
    let asked = visits(&servers[0]);
    assert_eq!(asked.values().sum::<usize>() - asked["/robots.txt"], 6);
    let asked = visits(&servers[1]);
    assert_eq!(asked.values().sum::<usize>() - asked["/robots.txt"], 30);
}
