//! A crawl that is killed goes on: nothing is lost, and nothing is fetched twice but what was in flight.
//!
//! The negative controls: let `Crawler::settle` note the record before `offer_all` has run (pages are lost,
//! which a kill shows rarely, so the journal is also cut on purpose); let `Resumed::of` count no lines, or leave the half
//! line (the output is not each page once).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::log_server::{LogServer, kept_page};
use common::{program, records, text};
use heist_crawler::{Crawler, End, FailureKind, Site, SiteServer};

/// Numbers that are the same in every run.
fn random(state: &mut u64, limit: u64) -> u64 {
    *state = state
        .wrapping_mul(6364136223846793005)
        .wrapping_add(1442695040888963407);
    (*state >> 33) % limit
}

/// Serves a site while `test` runs, on a thread and a runtime of its own.
fn with_site(site: &Site, delay: &str, test: impl FnOnce(&str, &SiteServer)) {
    let (give, take) = std::sync::mpsc::channel();
    let (stop, stopped) = heist::sync::oneshot::channel::<()>();
    let (site, delay) = (site.clone(), delay.parse().unwrap());
    let serving = thread::spawn(move || {
        heist::block_on(async move {
            let server = Arc::new(
                SiteServer::start("127.0.0.1:0", site, Some(delay))
                    .await
                    .unwrap(),
            );
            give.send(Arc::clone(&server)).unwrap();
            // Until the test is over, one way or the other.
            let _ = stopped.await;
        });
    });
    let server = take.recv().unwrap();
    test(&server.url(), &server);
    drop((server, stop));
    serving.join().unwrap();
}

fn start(url: &str, folder: &Path, concurrency: usize) -> Child {
    program()
        .arg(url)
        .args(["--concurrency", &concurrency.to_string(), "--journal"])
        .arg(folder.join("journal"))
        .arg("--output")
        .arg(folder.join("pages.jsonl"))
        .arg("--warc")
        .arg(folder.join("site.warc.gz"))
        .arg("--summary-json")
        .arg(folder.join("summary.json"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The addresses in an archive.
fn archived(path: &Path) -> Vec<String> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&fs::read(path).unwrap()[..])
        .read_to_end(&mut plain)
        .unwrap();
    let lines = plain.split(|&byte| byte == b'\n');
    let urls = lines.filter_map(|line| line.strip_prefix(b"WARC-Target-URI: "));
    urls.map(|url| text(url).trim().to_owned()).collect()
}

#[test]
fn kill_9_at_random_moments_loses_nothing() {
    let (pages, kills) = if std::env::var_os("HEIST_LONG").is_some() {
        (8000, 100)
    } else {
        (1200, 12)
    };
    let site = Site::new(pages, 77);
    let folder = tempfile::tempdir().unwrap();
    let concurrency = 8;
    with_site(&site, "1..4", |url, server| {
        let (mut state, mut killed) = (2026, 0);
        loop {
            let mut child = start(url, folder.path(), concurrency);
            if killed < kills {
                // Anywhere from before its first line to the middle of the work.
                thread::sleep(Duration::from_millis(random(&mut state, 80)));
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            match output.status.code() {
                None => killed += 1,
                Some(code) => {
                    assert_eq!(code, 0, "{}", text(&output.stderr));
                    break;
                }
            }
        }
        assert!(killed > 3, "it was done after {killed} kills already");
        let records = records(&fs::read(folder.path().join("pages.jsonl")).unwrap());
        let unique: HashSet<_> = records.iter().map(|record| record.url.as_str()).collect();
        assert_eq!(
            (records.len(), unique.len()),
            (pages as usize, pages as usize),
            "after {killed} kills"
        );
        assert!(records.iter().all(|record| record.error.is_none()));
        let most = u64::from(pages) + killed * concurrency as u64;
        assert!(
            server.requests() <= most,
            "{} requests, {killed} kills",
            server.requests()
        );
        let archived = archived(&folder.path().join("site.warc.gz"));
        let in_archive: HashSet<_> = archived.iter().map(String::as_str).collect();
        assert_eq!(in_archive, unique, "the archive has every page");
        let summary: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("summary.json")).unwrap()).unwrap();
        assert_eq!(
            (&summary["pages"], &summary["end"]),
            (&pages.into(), &"finished".into())
        );
        assert_eq!(
            summary["bytes"],
            (0..pages).map(|page| site.page_length(page)).sum::<u64>()
        );
    });
}

/// Each page leads to one other, so what is not noted before its page is done is lost for good.
#[test]
fn wherever_the_journal_breaks_off_nothing_is_lost() {
    const PAGES: u64 = 12;
    let server = LogServer::start(|path, _| {
        let next = path[1..].parse().unwrap_or(0) + 1;
        kept_page(&Vec::from_iter((next < PAGES).then(|| format!("/{next}"))))
    });
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let url = server.url("/");
    assert_eq!(run(&url, &journal, u64::MAX).pages(), PAGES);
    let whole = fs::read(&journal).unwrap();
    let ends = (0..whole.len()).filter(|&at| whole[at] == b'\n');
    let mut cuts = 0;
    for end in ends {
        for length in [end - 3, end, end + 1] {
            fs::write(&journal, &whole[..length]).unwrap();
            let summary = run(&url, &journal, u64::MAX);
            let left = String::from_utf8_lossy(&whole[..length]);
            assert_eq!(
                (summary.pages(), summary.end()),
                (PAGES, End::Finished),
                "{left}"
            );
            cuts += 1;
        }
    }
    assert!(cuts > 3 * PAGES, "{cuts}");
}

#[test]
fn an_interrupted_crawl_goes_on() {
    let site = Site::new(300, 5);
    let folder = tempfile::tempdir().unwrap();
    with_site(&site, "2..8", |url, server| {
        let child = start(url, folder.path(), 4);
        thread::sleep(Duration::from_millis(150));
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
        let output = start(url, folder.path(), 4).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let records = records(&fs::read(folder.path().join("pages.jsonl")).unwrap());
        let (given_up, done): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| record.error.is_some());
        let unique: HashSet<_> = done.iter().map(|record| &record.url).collect();
        assert_eq!((done.len(), unique.len()), (300, 300));
        assert!(given_up.len() <= 4, "what was in flight: {given_up:?}");
        assert!(server.requests() <= 304);
    });
}

/// Runs a crawl of `url` with a journal.
fn run(url: &str, journal: &Path, pages: u64) -> heist_crawler::Summary {
    heist::block_on(async {
        let builder = Crawler::builder()
            .no_proxy()
            .seed(url)
            .unwrap()
            .journal(journal);
        builder
            .max_pages(pages)
            .build()
            .unwrap()
            .run()
            .await
            .unwrap()
    })
}

#[test]
fn limits_of_pages_count_over_all_runs() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    with_site(&Site::new(100, 5), "0", |url, server| {
        for (limit, pages, end) in [
            (30, 30, End::PageLimit),
            (30, 30, End::PageLimit),
            (45, 45, End::PageLimit),
            (1000, 100, End::Finished),
            (1000, 100, End::Finished),
        ] {
            let summary = run(url, &journal, limit);
            assert_eq!(
                (summary.pages(), summary.end()),
                (pages, end),
                "limit {limit}"
            );
            assert_eq!(server.requests(), pages);
        }
    });
}

#[test]
fn a_crawl_that_is_dropped_leaves_a_journal() {
    let server = LogServer::start(|path, _| match path {
        "/" => kept_page(&(0..50).map(|nth| format!("/{nth}")).collect::<Vec<_>>()),
        _ => {
            thread::sleep(Duration::from_millis(5));
            kept_page(&[])
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let build = || {
        let builder = Crawler::builder().no_proxy().seed(server.url("/")).unwrap();
        builder.concurrency(3).journal(&journal).build()
    };
    heist::block_on(async {
        let mut crawl = build().unwrap();
        for _ in 0..20 {
            let record = crawl.next().await.unwrap();
            assert_eq!(record.error, None);
        }
        let busy = build().unwrap_err().to_string();
        assert!(busy.contains("another crawl"), "{busy}");
        drop(crawl);
        let mut crawl = build().unwrap();
        assert!(crawl.summary().earlier() >= 20);
        while let Some(record) = crawl.next().await {
            assert_ne!(
                record.error.map(|failure| failure.kind()),
                Some(FailureKind::Cancelled)
            );
        }
        assert_eq!(
            (crawl.summary().pages(), crawl.summary().end()),
            (51, End::Finished)
        );
    });
    assert!(server.visits().len() <= 51 + 3, "{}", server.visits().len());
}
