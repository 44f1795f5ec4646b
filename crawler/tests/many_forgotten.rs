//! What becomes of a crawl in Redis in which nothing is left to do.
//!
//! The negative controls, each tried: let `mark` in `server.rs` look at the first part of the keys only; let `exchange.lua`
//! take in what is found although the crawl is fading; let `join.lua` begin although the marking was not finished.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::log_server::{LogServer, tree};
use common::redis::Redis;
use common::{program, text};

/// Crawls to the end, and returns the pages that this crawler has fetched, and what it said.
fn crawl(redis: &Redis, server: &LogServer, name: &str, flags: &[&str]) -> (u64, String) {
    let output = program()
        .args([&server.url("/"), "--workers", "1", "--summary-json", "-"])
        .args(["--frontier", &redis.url(), "--frontier-name", name])
        .args(flags)
        .output()
        .unwrap();
    let said = text(&output.stderr).to_owned();
    assert!(output.status.success(), "{said}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    (summary["pages"].as_u64().unwrap(), said)
}

fn keys(redis: &Redis, pattern: &str) -> Vec<String> {
    let all = redis.cli(&["--scan", "--pattern", pattern]);
    all.lines().map(str::to_owned).collect()
}

/// Milliseconds that a key has left; -1 for one that stays, -2 for one that is gone.
fn left(redis: &Redis, key: &str) -> i64 {
    redis.cli(&["PTTL", key]).trim().parse().unwrap()
}

#[test]
fn it_is_forgotten_as_a_whole_and_begins_anew() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let server = tree(30, Duration::ZERO);
    // Names that the pattern of this crawl would match if it were taken for one, and its own.
    for other in ["heist:{aXb}:crawl", "heist:{a*b}", "heist"] {
        redis.cli(&["SET", other, "mine"]);
    }
    // So many that the server cannot look through all keys at once.
    let fill = "for i = 1, 5000 do redis.call('SET', 'other:' .. i, 'mine') end";
    redis.cli(&["EVAL", fill, "0"]);
    let begun = Instant::now();
    assert_eq!(
        crawl(&redis, &server, "a*b", &["--frontier-keep", "4"]).0,
        30
    );
    let of_the_crawl = keys(&redis, r"heist:{a\*b}:*");
    assert!(of_the_crawl.len() > 30, "{of_the_crawl:?}");
    for key in &of_the_crawl {
        let left = left(&redis, key);
        assert!((-2..=4000).contains(&left) && left != -1, "{key}: {left}");
    }
    // One that comes late fetches nothing, whatever its seeds are, and leaves nothing behind.
    let new = tree(5, Duration::ZERO);
    let (pages, said) = crawl(&redis, &server, "a*b", &[&new.url("/")]);
    assert_eq!(pages, 0);
    assert!(said.contains("another name begins anew"), "{said}");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "too slow to say anything"
    );
    thread::sleep(Duration::from_secs(4).saturating_sub(begun.elapsed()));
    while !keys(&redis, r"heist:{a\*b}:*").is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(6),
            "{:?}",
            keys(&redis, "*")
        );
        thread::sleep(Duration::from_millis(20));
    }
    for other in ["heist:{aXb}:crawl", "heist:{a*b}", "heist"] {
        assert_eq!(left(&redis, other), -1, "{other}");
    }
    assert_eq!(
        crawl(&redis, &server, "a*b", &["--frontier-keep", "0"]).0,
        30
    );
    assert_eq!(keys(&redis, r"heist:{a\*b}:*"), Vec::<String>::new());
}

#[test]
fn what_has_something_left_to_do_stays() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let server = tree(30, Duration::ZERO);
    let flags = ["--frontier-keep", "0", "--max-pages"];
    let limited = |pages: &str| crawl(&redis, &server, "part", &[&flags[..], &[pages]].concat()).0;
    assert_eq!(limited("10"), 10);
    assert_eq!(left(&redis, "heist:{part}:crawl"), -1);
    // So it goes on when it may.
    assert_eq!(limited("30"), 20);
    assert_eq!(left(&redis, "heist:{part}:crawl"), -2);
    assert_eq!(
        crawl(&redis, &server, "whole", &["--frontier-keep", "forever"]).0,
        30
    );
    assert_eq!(left(&redis, "heist:{whole}:crawl"), -1);
    assert_eq!(
        crawl(&redis, &server, "whole", &["--frontier-keep", "forever"]).0,
        0
    );
}

/// Has the server forget a crawl: whether that went well, and what was said.
fn clear(redis: &Redis, name: &str) -> (bool, String) {
    let output = program()
        .args(["--frontier", &redis.url(), "--frontier-name", name])
        .arg("--frontier-clear")
        .output()
        .unwrap();
    (
        output.status.success(),
        text(&output.stderr).trim().to_owned(),
    )
}

#[test]
fn a_crawl_with_something_left_is_forgotten_when_somebody_asks_for_it() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let server = tree(30, Duration::ZERO);
    let limited = |name: &str| crawl(&redis, &server, name, &["--max-pages", "10"]).0;
    assert_eq!((limited("a*b"), limited("axb")), (10, 10));
    let of_another = keys(&redis, "heist:{axb}:*").len();
    // Not while somebody is at work.
    let session = ["ZADD", "heist:{a*b}:sessions", "9999999999999", "77"];
    redis.cli(&session);
    let before = keys(&redis, r"heist:{a\*b}:*").len();
    let (cleared, said) = clear(&redis, "a*b");
    assert!(!cleared && said.contains("at work"), "{said}");
    assert_eq!(keys(&redis, r"heist:{a\*b}:*").len(), before);
    redis.cli(&["ZREM", session[1], "77"]);
    let (cleared, said) = clear(&redis, "a*b");
    assert!(cleared && said.contains("is forgotten"), "{said}");
    // All of it, and nothing of others.
    assert_eq!(keys(&redis, r"heist:{a\*b}:*"), Vec::<String>::new());
    assert_eq!(keys(&redis, "heist:{axb}:*").len(), of_another);
    let (cleared, said) = clear(&redis, "a*b");
    assert!(cleared && said.contains("no crawl"), "{said}");
    // The same name begins anew, the other goes on.
    assert_eq!(limited("a*b"), 10);
    assert_eq!(crawl(&redis, &server, "axb", &["--max-pages", "30"]).0, 20);
    // So is one that is remembered because nothing is left to do.
    assert!(!keys(&redis, "heist:{axb}:*").is_empty());
    assert!(clear(&redis, "axb").0);
    assert_eq!(keys(&redis, "heist:{axb}:*"), Vec::<String>::new());
    redis.cli(&["SET", "heist:{other}:crawl", "mine"]);
    let (cleared, said) = clear(&redis, "other");
    assert!(!cleared && said.contains("something else"), "{said}");
}

#[test]
fn one_who_dies_while_he_clears_leaves_that_to_the_next() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let server = tree(30, Duration::ZERO);
    let begin = || crawl(&redis, &server, "crawl", &["--max-pages", "10"]).0;
    assert_eq!(begin(), 10);
    // He had come so far: the moment was set, and nothing had it yet.
    redis.cli(&["HSET", "heist:{crawl}:crawl", "fading", "1000000000000"]);
    assert_eq!(begin(), 10);
}

#[test]
fn a_crawler_that_dies_while_it_forgets_leaves_that_to_the_next() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let server = tree(30, Duration::ZERO);
    assert_eq!(
        crawl(&redis, &server, "crawl", &["--frontier-keep", "forever"]).0,
        30
    );
    // It had come so far: the moment was set, and some keys had it already.
    let moment = "heist:{crawl}:crawl";
    redis.cli(&["HSET", moment, "fading", "1000000000000"]);
    let marked: Vec<_> = keys(&redis, "heist:{crawl}:seen:*")
        .into_iter()
        .take(10)
        .collect();
    for key in &marked {
        redis.cli(&["DEL", key]);
    }
    // That moment has passed, so nothing is left of it.
    assert_eq!(crawl(&redis, &server, "crawl", &[]).0, 30);
    // And one that has not.
    redis.cli(&["PERSIST", moment]);
    assert_eq!(crawl(&redis, &server, "crawl", &[]).0, 0);
    for key in keys(&redis, "heist:{crawl}:*") {
        assert_ne!(left(&redis, &key), -1, "{key}");
    }
}
