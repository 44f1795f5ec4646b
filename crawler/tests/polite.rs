//! Politeness, proven by what servers have written down.
//!
//! The negative control of each of these tests, tried, is to take the rule out: `Host::has_room`, the check of the gate in
//! `Hosts::next`, `Host::note`, or `Crawler::forbidden`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::log_server::{LogServer, kept, kept_page};
use common::{closed_port, crawl, find};
use heist_crawler::{Crawler, CrawlerBuilder, End, Failure, FailureKind, Politeness, Record};

fn kind(record: &Record) -> Option<FailureKind> {
    record.error.as_ref().map(Failure::kind)
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|nth| format!("/{nth}")).collect()
}

/// A site of a root and so many leaves, where every answer takes a moment.
fn star(leaves: usize) -> impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static {
    move |path, _| {
        thread::sleep(Duration::from_millis(3));
        match path {
            "/" => kept_page(&numbered(leaves)),
            "/robots.txt" => kept("200 OK", "", "User-agent: *\nDisallow:\n"),
            _ => kept_page(&[]),
        }
    }
}

fn seeds<'s>(servers: impl IntoIterator<Item = &'s LogServer>) -> CrawlerBuilder {
    servers
        .into_iter()
        .fold(Crawler::builder().no_proxy(), |builder, server| {
            builder.seed(server.url("/")).unwrap()
        })
}

#[test]
fn the_delay_counts_from_the_end_of_the_answer() {
    let servers: Vec<_> = (0..3).map(|_| LogServer::start(star(8))).collect();
    let delay = Duration::from_millis(40);
    let politeness = Politeness::new().delay(delay).robots(true);
    let started = Instant::now();
    let (records, summary) = crawl(seeds(&servers).politeness(politeness));
    assert_eq!((records.len(), summary.failed()), (27, 0));
    for server in &servers {
        // robots.txt is a request like others.
        assert_eq!(server.visits().len(), 10);
        assert!(
            server.shortest_pause() >= delay,
            "{:?}",
            server.shortest_pause()
        );
        assert_eq!(server.most_at_a_time(), 1);
        assert_eq!(server.most_connections(), 1);
    }
    // Hosts wait for themselves, not for each other.
    assert!(started.elapsed() < 3 * 9 * delay, "{:?}", started.elapsed());
}

#[test]
fn connections_per_host_are_limited() {
    for most in [1, 3] {
        let server = LogServer::start(star(40));
        let politeness = Politeness::new().per_host(most);
        let (records, _) = crawl(seeds([&server]).politeness(politeness));
        assert_eq!(records.len(), 41);
        assert_eq!(server.most_at_a_time(), most);
        assert!(
            server.most_connections() <= most,
            "{}",
            server.most_connections()
        );
    }
}

#[test]
fn connections_per_address_are_limited_whatever_the_hosts() {
    // Two hosts with an address of their own, and four that share one.
    let shared: Vec<_> = (0..4)
        .map(|_| LogServer::start_at("127.0.0.77:0", star(12)))
        .collect();
    let own = LogServer::start_at("127.0.0.78:0", star(12));
    let politeness = Politeness::new().per_address(2);
    let (records, summary) = crawl(seeds(shared.iter().chain([&own])).politeness(politeness));
    assert_eq!((records.len(), summary.failed()), (5 * 13, 0));
    let visits: Vec<_> = shared.iter().flat_map(LogServer::visits).collect();
    let at = |time| {
        visits
            .iter()
            .filter(|visit| visit.begun <= time && time < visit.ended)
            .count()
    };
    let most = visits.iter().map(|visit| at(visit.begun)).max().unwrap();
    assert_eq!(most, 2);
    assert!(own.most_at_a_time() <= 2);
}

#[test]
fn a_delay_per_address_holds_across_hosts() {
    let shared: Vec<_> = (0..3)
        .map(|_| LogServer::start_at("127.0.0.79:0", star(4)))
        .collect();
    let delay = Duration::from_millis(20);
    let (records, _) = crawl(seeds(&shared).politeness(Politeness::new().address_delay(delay)));
    assert_eq!(records.len(), 15);
    let mut visits: Vec<_> = shared.iter().flat_map(LogServer::visits).collect();
    visits.sort_by_key(|visit| visit.begun);
    for pair in visits.windows(2) {
        assert!(pair[1].begun.saturating_duration_since(pair[0].ended) >= delay);
    }
}

#[test]
fn a_busy_server_is_left_alone_and_asked_again() {
    let server = LogServer::start(|path, _| match path {
        "/" => kept_page(&numbered(3)),
        "/1" => kept("503 Service Unavailable", "Retry-After: 1\r\n", ""),
        _ => kept_page(&[]),
    });
    let (records, summary) = crawl(seeds([&server]).concurrency(1).retries(1));
    assert_eq!((records.len(), summary.retries()), (4, 1));
    assert_eq!(kind(find(&records, "/1")), Some(FailureKind::Status));
    assert_eq!(server.count("/1"), 2);
    let visits = server.visits();
    let busy = visits.iter().position(|visit| visit.path == "/1").unwrap();
    let pause = visits[busy + 1].begun - visits[busy].ended;
    assert!(pause >= Duration::from_secs(1), "{pause:?}");
}

#[test]
fn a_server_that_recovers_loses_no_page() {
    let server = LogServer::start(|path, before| match (path, before) {
        ("/", _) => kept_page(&numbered(5)),
        ("/3", ..6) => kept("429 Too Many Requests", "Retry-After: 0\r\n", ""),
        _ => kept_page(&[]),
    });
    let (records, summary) = crawl(seeds([&server]).concurrency(1).max_pages(6));
    assert_eq!((records.len(), summary.failed()), (6, 0), "{records:?}");
    // Of a page that was asked for twice there is one record, and it counts once.
    assert_eq!(summary.end(), End::Finished);
}

#[test]
fn robots_txt_is_followed_and_asked_for_once() {
    let rules = "User-agent: heist-crawl\nDisallow: /private\nAllow: /private/tour\nCrawl-delay: 0.02\n\
                 \nUser-agent: *\nDisallow: /\n";
    let server = LogServer::start(move |path, _| match path {
        "/robots.txt" => kept("200 OK", "Content-Type: text/plain\r\n", rules),
        "/" => kept_page(
            &[
                "/a",
                "/private/x",
                "/private/tour",
                "/%70rivate/y",
                "/b?private",
            ]
            .map(str::to_owned),
        ),
        _ => kept_page(&[]),
    });
    let (records, summary) = crawl(seeds([&server]).politeness(Politeness::new().robots(true)));
    assert_eq!(server.count("/robots.txt"), 1);
    assert_eq!(server.visits()[0].path, "/robots.txt");
    assert_eq!(server.visits().len(), 5, "{:?}", server.visits());
    for (path, expected) in [
        ("/a", None),
        ("/private/tour", None),
        ("/b?private", None),
        ("/private/x", Some(FailureKind::Robots)),
        ("/private/y", Some(FailureKind::Robots)),
    ] {
        assert_eq!(kind(find(&records, path)), expected, "{path}");
    }
    assert!(server.shortest_pause() >= Duration::from_millis(20));
    assert_eq!(summary.errors()[&FailureKind::Robots], 2);

    // The delay that a site asks for has a limit.
    let slow = LogServer::start(|path, _| match path {
        "/robots.txt" => kept("200 OK", "", "User-agent: *\nCrawl-delay: 86400\n"),
        "/" => kept_page(&numbered(2)),
        _ => kept_page(&[]),
    });
    let politeness = Politeness::new()
        .robots(true)
        .most_crawl_delay(Duration::from_millis(30));
    let (records, _) = crawl(seeds([&slow]).politeness(politeness));
    assert_eq!(records.len(), 3);
    assert!(slow.shortest_pause() >= Duration::from_millis(30));
}

/// What a crawl does with a site of one page whose `robots.txt` is answered like this.
fn with_robots(
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> (Option<FailureKind>, LogServer) {
    let server = LogServer::start(move |path, _| match path {
        "/" => kept_page(&[]),
        path => answer(path),
    });
    let (records, _) = crawl(seeds([&server]).politeness(Politeness::new().robots(true)));
    assert_eq!(records.len(), 1);
    (kind(&records[0]), server)
}

#[test]
fn what_stands_for_a_robots_txt_that_is_none() {
    for status in [
        "404 Not Found",
        "401 Unauthorized",
        "403 Forbidden",
        "410 Gone",
    ] {
        assert_eq!(
            with_robots(move |_| kept(status, "", "")).0,
            None,
            "{status}"
        );
    }
    for status in ["500 Oh No", "503 Service Unavailable"] {
        let (failure, server) = with_robots(move |_| kept(status, "", ""));
        assert_eq!(failure, Some(FailureKind::Robots), "{status}");
        assert_eq!(server.count("/"), 0);
    }
    // Nobody there: the pages say what the matter is.
    let seed = format!("http://{}/", closed_port());
    let builder = Crawler::builder().no_proxy().seed(&seed).unwrap();
    let (records, _) = crawl(builder.politeness(Politeness::new().robots(true)));
    assert_eq!(kind(&records[0]), Some(FailureKind::Connect));
}

#[test]
fn robots_txt_redirects_are_followed_five_times() {
    let chain = |hops: usize| {
        move |path: &str| {
            let hop: usize = path
                .strip_prefix("/hop/")
                .map_or(0, |hop| hop.parse().unwrap());
            if hop == hops {
                return kept("200 OK", "", "User-agent: *\nDisallow: /\n");
            }
            kept(
                "301 Moved Permanently",
                &format!("Location: /hop/{}\r\n", hop + 1),
                "",
            )
        }
    };
    assert_eq!(with_robots(chain(5)).0, Some(FailureKind::Robots));
    // One more is one too many, which counts as no file.
    assert_eq!(with_robots(chain(6)).0, None);
}

#[test]
fn a_robots_txt_without_end_is_read_up_to_the_limit() {
    let body = format!("User-agent: *\nDisallow: /\n{}", "# more\n".repeat(200_000));
    let (failure, _) = with_robots(move |_| kept("200 OK", "", &body));
    assert_eq!(failure, Some(FailureKind::Robots));
}

#[test]
fn a_host_that_fails_too_often_is_given_up() {
    let bad = LogServer::start(|path, _| match path {
        "/" => kept_page(&numbered(200)),
        _ => kept("500 Oh No", "", ""),
    });
    let good = LogServer::start(star(30));
    let politeness = Politeness::new().error_budget(7);
    let (records, summary) = crawl(seeds([&bad, &good]).concurrency(1).politeness(politeness));
    assert_eq!(bad.visits().len(), 8);
    assert_eq!(good.visits().len(), 31);
    assert_eq!(
        (summary.hosts_given_up(), summary.skipped(), records.len()),
        (1, 193, 39)
    );
    assert_eq!(summary.end(), End::Finished);
}

#[test]
fn failures_that_are_not_in_a_row_are_forgiven() {
    let server = LogServer::start(|path, _| match path {
        "/" => kept_page(&numbered(40)),
        path if path.ends_with(['1', '3', '5', '7', '9']) => kept("500 Oh No", "", ""),
        _ => kept_page(&[]),
    });
    let politeness = Politeness::new().error_budget(2);
    let (records, summary) = crawl(seeds([&server]).concurrency(1).politeness(politeness));
    assert_eq!(
        (records.len(), summary.failed(), summary.hosts_given_up()),
        (41, 20, 0)
    );
}

#[test]
fn it_says_who_it_is() {
    let server = LogServer::start(star(1));
    crawl(seeds([&server]).user_agent("my-bot/2.0 (+https://example.org/bot)"));
    for visit in server.visits() {
        let head = visit.head.to_ascii_lowercase();
        assert!(
            head.contains("user-agent: my-bot/2.0 (+https://example.org/bot)\r\n"),
            "{head}"
        );
    }
}
