//! Twenty million addresses, all of them waiting, in less than a gibibyte.
//!
//! By default it is a fiftieth of that, and a fiftieth of the memory. The negative control, tried, is a frontier that keeps
//! all waiting pages in memory (`in_memory(usize::MAX)`), which takes three times as much.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::fs;

use heist_crawler::{Frontier, Job, Offer, QueueFrontier};

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes << 10
}

/// The address of a page, of a thousand hosts in turn: in the file of waiting pages those of a host are far apart.
fn write_url(url: &mut String, page: u64) {
    let host = page % 1000;
    write!(
        url,
        "http://host-{host}.example.org/some/folder/of/the/site/page-{page}.html?id={page}"
    )
    .unwrap();
}

#[test]
fn twenty_million_waiting_pages_fit_into_a_gibibyte() {
    let long = std::env::var_os("HEIST_LONG").is_some();
    let (pages, most, in_memory) = if long {
        (20_000_000u64, 1 << 30, 100_000)
    } else {
        (400_000, (1 << 30) / 50, 2_000)
    };
    let before = resident();
    let mut frontier = QueueFrontier::new().in_memory(in_memory);
    let referrer: std::sync::Arc<str> =
        "http://www.example.org/a/page/that/links/to/many/others.html".into();
    let job = |page: u64| {
        let mut url = String::new();
        write_url(&mut url, page);
        let mut job = Job::seed(url.parse().unwrap());
        job.referrer = Some(std::sync::Arc::clone(&referrer));
        job
    };
    for page in 0..pages {
        assert_eq!(frontier.offer(job(page)).unwrap(), Offer::Queued);
    }
    let taken = resident().saturating_sub(before);
    eprintln!(
        "{pages} waiting pages take {} MiB, {} bytes each",
        taken >> 20,
        taken / pages
    );
    assert!(taken < most, "{} MiB", taken >> 20);
    // All of them are known, and come out once, in their order. In the long form that is all of them.
    for page in (0..pages).step_by(1009) {
        assert_eq!(frontier.offer(job(page)).unwrap(), Offer::Known);
    }
    let out = if long { pages } else { pages / 10 };
    let origin = |page: u64| format!("http://host-{}.example.org", page % 1000);
    // Of most only the address is compared, which is what takes no parser.
    let mut url = String::new();
    for page in 0..out {
        let popped = frontier.pop(&origin(page), 0).unwrap().unwrap();
        if page % 1009 == 0 {
            assert_eq!(popped, job(page));
        }
        url.clear();
        write_url(&mut url, page);
        assert_eq!(popped.url.as_str(), url);
    }
    assert_eq!(frontier.len() as u64, pages - out);
    let taken = resident().saturating_sub(before);
    assert!(taken < most, "{} MiB after that", taken >> 20);
    if long {
        for host in 0..1000 {
            assert_eq!(frontier.pop(&origin(host), u32::MAX).unwrap(), None);
        }
    }
}
