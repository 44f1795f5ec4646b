//! One crawl by many processes, with a real Redis between them.
//!
//! What is proven comes from the logs of the servers that are crawled, and from the outputs of all crawlers together.
//! The negative controls, each tried once: let `give_back` in `exchange.lua` do nothing (the crawl does not end when a
//! crawler is killed); let `Agent::run` count on after trouble (`self.number += 1`), so that what was given out with a lost
//! answer is lost, and the crawl of the server that hangs does not end. Others: let `free` set `next` to zero, or
//! `acquire` leave `owner` alone.

#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::log_server::{LogServer, tree, visits};
use common::redis::Redis;
use common::{program, records, text};
use heist_crawler::Record;

/// The pages of such a host, as paths.
fn pages(count: usize) -> HashSet<String> {
    (0..count)
        .map(|page| match page {
            0 => "/".to_owned(),
            page => format!("/{page}"),
        })
        .collect()
}

/// Crawlers of the same sites.
struct Fleet<'r> {
    redis: &'r Redis,
    urls: Vec<String>,
    flags: Vec<String>,
    folder: tempfile::TempDir,
    crawlers: Vec<Child>,
}

impl<'r> Fleet<'r> {
    fn new<'s>(
        redis: &'r Redis,
        servers: impl IntoIterator<Item = &'s LogServer>,
        flags: &[&str],
    ) -> Self {
        Self {
            redis,
            urls: servers.into_iter().map(|server| server.url("/")).collect(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            folder: tempfile::tempdir().unwrap(),
            crawlers: Vec::new(),
        }
    }

    fn file(&self, kind: &str, number: usize) -> PathBuf {
        self.folder.path().join(format!("{kind}-{number}"))
    }

    fn launch(&mut self) -> usize {
        let number = self.crawlers.len();
        let child = program()
            .args(&self.urls)
            .args(["--frontier", &self.redis.url(), "--frontier-lease", "1.5"])
            .args(["--workers", "1"])
            .args(&self.flags)
            .arg("--output")
            .arg(self.file("pages", number))
            .arg("--summary-json")
            .arg(self.file("summary", number))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.crawlers.push(child);
        number
    }

    fn kill(&mut self, number: usize) {
        self.crawlers[number].kill().unwrap();
        self.crawlers[number].wait().unwrap();
    }

    /// Waits for all of them. Those that were not killed must have ended well. Returns what they said.
    fn finish(&mut self) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        let crawlers = std::mem::take(&mut self.crawlers);
        let said = crawlers.into_iter().map(|child| {
            let output = end_of(child, until, self.redis);
            let said = text(&output.stderr).to_owned();
            assert!(
                matches!(output.status.code(), Some(0) | None),
                "{:?} {said}",
                output.status
            );
            said
        });
        said.collect()
    }

    /// All that all of them have written.
    fn records(&self, count: usize) -> Vec<Record> {
        let read = |number| {
            let mut lines = fs::read(self.file("pages", number)).unwrap_or_default();
            // A crawler that was killed may leave the half of a line, whose page is done by another one.
            let whole = lines
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |at| at + 1);
            lines.truncate(whole);
            records(&lines)
        };
        (0..count).flat_map(read).collect()
    }

    fn summary(&self, number: usize) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.file("summary", number)).unwrap()).unwrap()
    }
}

/// How long a crawl may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a crawler, which has little to say.
fn end_of(mut child: Child, until: Instant, redis: &Redis) -> Output {
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            let keys = redis.cli(&["HGETALL", "heist:{crawl}:crawl"]);
            child.kill().unwrap();
            panic!("the crawl does not end: {keys}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < Duration::from_secs(40), "no {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn four_crawlers_of_which_two_are_killed_fetch_every_page_and_stay_polite() {
    let Some(redis) = Redis::start() else {
        return;
    };
    const PAGES: usize = 60;
    let servers: Vec<_> = (0..10)
        .map(|_| tree(PAGES, Duration::from_millis(2)))
        .collect();
    let pause = Duration::from_millis(20);
    let mut fleet = Fleet::new(&redis, &servers, &["--delay", "0.02", "--concurrency", "8"]);
    for _ in 0..4 {
        fleet.launch();
    }
    wait_for("progress", || redis.figure("crawl", "done") >= 150);
    fleet.kill(1);
    wait_for("progress", || redis.figure("crawl", "done") >= 220);
    fleet.kill(2);
    // One that comes late has its part.
    let late = fleet.launch();
    fleet.finish();

    let mut twice = 0;
    for server in &servers {
        let visits = visits(server);
        assert_eq!(visits.keys().cloned().collect::<HashSet<_>>(), pages(PAGES));
        twice += visits.values().sum::<usize>() - PAGES;
        assert!(
            server.shortest_pause() >= pause,
            "{:?}",
            server.shortest_pause()
        );
        assert_eq!(server.most_at_a_time(), 1);
    }
    assert!(twice <= 2 * 8, "{twice} pages were fetched twice");
    let records = fleet.records(late + 1);
    let unique: HashSet<_> = records.iter().map(|record| &record.url).collect();
    assert_eq!(
        unique.len(),
        10 * PAGES,
        "the outputs together have every page"
    );
    assert!(records.len() <= 10 * PAGES + 2 * 8);
    assert!(records.iter().all(|record| record.error.is_none()));
    let mine = fleet.summary(late);
    assert!(mine["pages"].as_u64().unwrap() > 0, "{mine}");
    assert_eq!(mine["end"], "finished");
    for (figure, value) in [
        ("done", 600),
        ("taken", 0),
        ("waiting", 0),
        ("leased", 0),
        ("granted", 600),
    ] {
        assert_eq!(redis.figure("crawl", figure), value, "{figure}");
    }
}

#[test]
fn a_server_that_crashes_and_comes_back_loses_nothing() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    const PAGES: usize = 300;
    let servers: Vec<_> = (0..3)
        .map(|_| tree(PAGES, Duration::from_millis(3)))
        .collect();
    let url = redis.url();
    let folder = tempfile::tempdir().unwrap();
    let launch = |number: usize| {
        program()
            .args(servers.iter().map(|server| server.url("/")))
            .args([
                "--frontier",
                &url,
                "--frontier-lease",
                "5",
                "--concurrency",
                "4",
                "--workers",
                "1",
            ])
            .arg("--output")
            .arg(folder.path().join(number.to_string()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let crawlers: Vec<_> = (0..2).map(launch).collect();
    for pages in [100, 300, 500] {
        wait_for("progress", || redis.figure("crawl", "done") >= pages);
        redis.kill();
        thread::sleep(Duration::from_millis(300));
        redis.run(&[]);
    }
    // It hangs for longer than anybody waits for an answer, and then acts on what nobody waits for any more.
    wait_for("progress", || redis.figure("crawl", "done") >= 600);
    redis.signal("-STOP");
    thread::sleep(Duration::from_millis(1600));
    redis.signal("-CONT");
    let until = Instant::now() + PATIENCE;
    for child in crawlers {
        let output = end_of(child, until, &redis);
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("goes on when it can") && said.contains("can be used again"),
            "{said}"
        );
    }
    // The leases have outlived the outage, so nothing was fetched twice.
    for server in &servers {
        let visits = visits(server);
        assert_eq!(visits.keys().cloned().collect::<HashSet<_>>(), pages(PAGES));
        assert_eq!(visits.values().sum::<usize>(), PAGES);
    }
}

#[test]
fn a_crawler_that_cannot_reach_the_server_gives_up_what_others_may_have() {
    let Some(redis) = Redis::start() else {
        return;
    };
    const PAGES: usize = 150;
    let servers: Vec<_> = (0..4)
        .map(|_| tree(PAGES, Duration::from_millis(1)))
        .collect();
    let mut fleet = Fleet::new(&redis, &servers, &["--delay", "0.01", "--concurrency", "4"]);
    for _ in 0..2 {
        fleet.launch();
    }
    wait_for("progress", || redis.figure("crawl", "done") > 100);
    // It hangs: connections stay, nothing is answered, for longer than the leases.
    redis.signal("-STOP");
    thread::sleep(Duration::from_millis(1600));
    let fetched = || {
        servers
            .iter()
            .map(|server| server.visits().len())
            .sum::<usize>()
    };
    let before = fetched();
    thread::sleep(Duration::from_millis(400));
    assert_eq!(fetched(), before, "pages are fetched without a lease");
    redis.signal("-CONT");
    let said = fleet.finish();
    assert!(
        said.iter().any(|said| said.contains("goes on when it can")),
        "{said:?}"
    );
    let mut twice = 0;
    for server in &servers {
        let visits = visits(server);
        assert_eq!(visits.keys().cloned().collect::<HashSet<_>>(), pages(PAGES));
        twice += visits.values().sum::<usize>() - PAGES;
        assert!(server.shortest_pause() >= Duration::from_millis(10));
        assert_eq!(server.most_at_a_time(), 1);
    }
    // What was fetched and not heard of before the leases ran out: at most what each had in flight.
    assert!(twice <= 2 * 4, "{twice}");
}

#[test]
fn hosts_are_shared_with_one_that_comes_late_and_wait_their_pause() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let servers: Vec<_> = (0..8).map(|_| tree(60, Duration::ZERO)).collect();
    let mut fleet = Fleet::new(&redis, &servers, &["--delay", "0.03", "--concurrency", "8"]);
    fleet.launch();
    wait_for("progress", || redis.figure("crawl", "done") > 60);
    let late = fleet.launch();
    fleet.finish();
    let pages = fleet.summary(late)["pages"].as_u64().unwrap();
    assert!(
        (100..380).contains(&pages),
        "{pages} of 480 pages for the second of two"
    );
    for server in &servers {
        assert_eq!(server.visits().len(), 60);
        assert!(server.shortest_pause() >= Duration::from_millis(30));
    }
}

#[test]
fn an_interrupted_crawler_gives_back_what_it_has_at_once() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let servers: Vec<_> = (0..2)
        .map(|_| tree(100, Duration::from_millis(5)))
        .collect();
    let mut fleet = Fleet::new(
        &redis,
        &servers,
        &["--concurrency", "4", "--frontier-lease", "600"],
    );
    fleet.launch();
    wait_for("progress", || redis.figure("crawl", "done") > 40);
    let id = fleet.crawlers[0].id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(fleet.crawlers[0].wait().unwrap().code(), Some(130));
    fleet.crawlers.clear();
    for figure in ["taken", "leased"] {
        assert_eq!(redis.figure("crawl", figure), 0, "{figure}");
    }
    // The next one goes on, in the same file.
    fleet.launch();
    fleet.finish();
    let done: Vec<_> = fleet
        .records(1)
        .into_iter()
        .filter(|record| record.error.is_none())
        .collect();
    assert_eq!(done.len(), 200);
    let asked: usize = servers.iter().map(|server| server.visits().len()).sum();
    assert!((200..=204).contains(&asked), "{asked}");
}

/// What the program says on standard error, and its exit status.
fn refusal(arguments: &[&str]) -> (String, Option<i32>) {
    let output = program()
        .args(["http://127.0.0.1:9/", "--quiet"])
        .args(arguments)
        .output()
        .unwrap();
    (text(&output.stderr).to_owned(), output.status.code())
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let (said, status) = refusal(&["--frontier", "http://localhost/"]);
    assert!(
        said.contains("redis://host:port") && status == Some(2),
        "{said}"
    );
    let (said, status) = refusal(&["--frontier", "redis://127.0.0.1/", "--journal", "x"]);
    assert!(said.contains("--journal") && status == Some(2), "{said}");
    let nobody = common::closed_port();
    let (said, status) = refusal(&["--frontier", &format!("redis://me:secret@{nobody}/")]);
    assert!(
        said.contains(&nobody.to_string()) && !said.contains("secret"),
        "{said}"
    );
    assert_eq!(status, Some(1));
    let Some(mut redis) = Redis::start() else {
        return;
    };
    redis.cli(&["SET", "heist:{taken}:crawl", "mine"]);
    let (said, status) = refusal(&["--frontier", &redis.url(), "--frontier-name", "taken"]);
    assert!(
        said.contains("something else") && status == Some(1),
        "{said}"
    );
    redis.kill();
    redis.run(&["--requirepass", "sesame"]);
    let (said, status) = refusal(&["--frontier", &redis.url()]);
    assert!(said.contains("password") && status == Some(1), "{said}");
    let (said, status) = refusal(&["--frontier", &format!("{}?pass=open", redis.url())]);
    assert!(said.contains("password") && status == Some(1), "{said}");
    let url = format!("{}?pass=sesame", redis.url());
    let (said, status) = refusal(&["--frontier", &url]);
    // The page cannot be fetched, and that is all.
    assert!(
        said.starts_with("heist-crawl: nothing could be fetched: http://")
            && said.lines().count() == 1
            && status == Some(1),
        "{said}"
    );
}

#[test]
fn crawlers_with_other_limits_are_refused() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let server = tree(400, Duration::from_millis(5));
    let mut fleet = Fleet::new(
        &redis,
        [&server],
        &["--concurrency", "1", "--max-pages", "200"],
    );
    fleet.launch();
    wait_for("progress", || redis.figure("crawl", "done") > 3);
    let (said, status) = refusal(&["--frontier", &redis.url(), "--max-pages", "300"]);
    assert!(said.contains("max-pages") && said.contains("200"), "{said}");
    assert_eq!(status, Some(1));
    fleet.kill(0);
}
