//! A million hosts, each with a page that waits, in less than a gibibyte.
//!
//! By default it is a twentieth of that, and a twentieth of the memory. The negative control, tried, is room for eleven
//! queues of each host, as the nodes of a tree have, which takes twice as much.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use heist_crawler::{Crawler, Frontier, Job, Offer, QueueFrontier, Reach};

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

#[test]
fn a_million_hosts_with_pages_fit_into_a_gibibyte() {
    let (hosts, most) = if std::env::var_os("HEIST_LONG").is_some() {
        (1_000_000u64, 1 << 30)
    } else {
        (50_000, (1 << 30) / 20)
    };
    let before = resident();
    // As by default: a tenth of the pages are in memory, the others in a file.
    let in_memory = usize::try_from(hosts / 10).unwrap();
    let mut frontier = QueueFrontier::new().in_memory(in_memory);
    let referrer: std::sync::Arc<str> = "http://www.example.org/a/list/of/hosts.html".into();
    for host in 0..hosts {
        let url = format!("http://www.host-{host}.example.org/index.html");
        let mut job = Job::seed(url.parse().unwrap());
        job.depth = 1;
        job.referrer = Some(std::sync::Arc::clone(&referrer));
        assert_eq!(frontier.offer(job).unwrap(), Offer::Queued);
    }
    let waiting = resident().saturating_sub(before);
    let builder = Crawler::builder().reach(Reach::Any);
    let crawl = builder.frontier(Box::new(frontier)).build().unwrap();
    assert_eq!(crawl.waiting() as u64, hosts);
    let taken = resident().saturating_sub(before);
    eprintln!(
        "{hosts} hosts take {} MiB, {} bytes each, of which their pages {}",
        taken >> 20,
        taken / hosts,
        waiting / hosts
    );
    assert!(taken < most, "{} MiB", taken >> 20);
}
