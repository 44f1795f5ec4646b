//! Limits are exact: over a thousand crawls of random sites with random limits, none is off by one.
//!
//! The crawls are compared with a model that knows the site. The negative controls, each tried: let `Levels::deepest` say that
//! everything may be fetched (depth), count a page when its record comes rather than when its fetch starts (pages), let
//! `ByteBudget::take` look before it takes (bytes).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use heist_crawler::{
    Crawler, DelayRange, End, FailureKind, Politeness, Record, Site, SiteServer, Summary,
};

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % limit
    }

    /// A limit around `size`, or none.
    fn limit(&mut self, size: u64) -> Option<u64> {
        match self.below(4) {
            0 => None,
            1 => Some(size - size.min(1) + self.below(3)),
            _ => Some(self.below(size + 2)),
        }
    }
}

/// The depth of every page of a site.
fn depths(site: &Site) -> HashMap<u32, u32> {
    let mut depths = HashMap::from([(0, 0)]);
    let mut open = VecDeque::from([0]);
    while let Some(page) = open.pop_front() {
        let url = format!("http://site.example{}", site.path(page))
            .parse()
            .unwrap();
        let mut links = heist_crawler::LinkExtractor::for_page(&url, "text/html").unwrap();
        links.feed(&site.page(page));
        for link in links.finish().urls {
            let target = site.find(link.path()).unwrap();
            if !depths.contains_key(&target) {
                depths.insert(target, depths[&page] + 1);
                open.push_back(target);
            }
        }
    }
    depths
}

#[derive(Debug)]
struct Case {
    site: Site,
    hosts: usize,
    concurrency: usize,
    pages: Option<u64>,
    per_host: Option<u64>,
    depth: Option<u64>,
    bytes: Option<u64>,
    delay: Option<DelayRange>,
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let count = 1 + random.below(60);
        let site = Site::new(count as u32, random.below(u64::MAX));
        let hosts = 1 + random.below(2) as usize;
        let all = count * hosts as u64;
        let total: u64 = (0..site.pages()).map(|page| site.page_length(page)).sum();
        Self {
            hosts,
            concurrency: 1 + random.below(20) as usize,
            pages: random.limit(all),
            per_host: random.limit(count),
            depth: random.limit(3),
            // Rarely: a byte too few ends the crawl, and the other limits are not reached.
            bytes: if random.below(4) == 0 {
                random.limit(total * hosts as u64)
            } else {
                None
            },
            delay: (random.below(8) == 0).then(|| DelayRange::new(0, 3).unwrap()),
            site,
        }
    }

    async fn run(&self) -> (Vec<Record>, Summary, Vec<u64>) {
        let mut servers = Vec::new();
        let mut builder = Crawler::builder().no_proxy().concurrency(self.concurrency);
        for _ in 0..self.hosts {
            let server = SiteServer::start("127.0.0.1:0", self.site.clone(), self.delay)
                .await
                .unwrap();
            builder = builder.seed(server.url()).unwrap();
            servers.push(server);
        }
        builder = builder
            .max_pages(self.pages.unwrap_or(u64::MAX))
            .max_pages_per_host(self.per_host.unwrap_or(u64::MAX))
            .max_depth(self.depth.map_or(u32::MAX, |depth| depth as u32))
            .max_bytes(self.bytes.unwrap_or(u64::MAX));
        let mut crawl = builder.build().unwrap();
        let mut records = Vec::new();
        while let Some(record) = crawl.next().await {
            records.push(record);
        }
        assert!(crawl.fault().is_none());
        let requests = servers.iter().map(SiteServer::requests).collect();
        (records, crawl.summary().clone(), requests)
    }

    fn check(&self, records: &[Record], summary: &Summary, requests: &[u64]) {
        let depths = depths(&self.site);
        let limit = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        let within = depths
            .values()
            .filter(|&&depth| u64::from(depth) <= limit(self.depth))
            .count() as u64;
        let of_host = within.min(limit(self.per_host));
        let expected = (of_host * self.hosts as u64).min(limit(self.pages));
        let bytes: u64 = records.iter().map(|record| record.content_length).sum();
        assert!(bytes <= limit(self.bytes), "{self:?}: {bytes} bytes");
        assert_eq!(summary.bytes(), bytes);
        for (host, &count) in requests.iter().enumerate() {
            assert!(
                count <= of_host,
                "{self:?}: {count} requests to host {host}"
            );
        }
        for record in records {
            let path = record.url.splitn(4, '/').nth(3).unwrap();
            let page = self.site.find(&format!("/{path}")).unwrap();
            assert!(
                u64::from(record.depth) <= limit(self.depth),
                "{self:?}: {record:?}"
            );
            if self.depth.is_some() {
                assert_eq!(record.depth, depths[&page], "{self:?}: {record:?}");
            }
        }
        let started = records.len() as u64;
        if summary.end() == End::ByteLimit {
            assert_eq!(
                bytes,
                limit(self.bytes),
                "{self:?}: it ends at the very byte"
            );
            assert!(started <= expected, "{self:?}");
        } else {
            assert_eq!(started, expected, "{self:?}: {}", summary.end_text());
            assert_eq!(requests.iter().sum::<u64>(), expected, "{self:?}");
            assert!(
                records.iter().all(|record| record.error.is_none()),
                "{self:?}"
            );
        }
    }
}

trait EndText {
    fn end_text(&self) -> String;
}

impl EndText for Summary {
    fn end_text(&self) -> String {
        format!("{:?}", self.end())
    }
}

#[test]
fn no_limit_is_off_by_one_over_a_thousand_configurations() {
    let mut random = Random(2026);
    heist::block_on(async {
        for _ in 0..1000 {
            let case = Case::random(&mut random);
            let (records, summary, requests) = case.run().await;
            case.check(&records, &summary, &requests);
        }
    });
}

#[test]
fn time_is_a_limit_too() {
    let delay = DelayRange::new(20, 40).unwrap();
    heist::block_on(async {
        let server = SiteServer::start("127.0.0.1:0", Site::new(100_000, 1), Some(delay))
            .await
            .unwrap();
        let builder = Crawler::builder().no_proxy().seed(server.url()).unwrap();
        let mut crawl = builder
            .max_time(Duration::from_millis(300))
            .build()
            .unwrap();
        let started = Instant::now();
        let mut records = Vec::new();
        while let Some(record) = crawl.next().await {
            records.push(record);
        }
        let took = started.elapsed();
        assert_eq!(crawl.summary().end(), End::TimeLimit);
        assert!(
            took >= Duration::from_millis(300) && took < Duration::from_secs(2),
            "{took:?}"
        );
        assert!(records.len() > 10);
        let kinds = records.iter().filter_map(|record| record.error.as_ref());
        assert!(
            kinds.clone().count() > 0
                && kinds
                    .clone()
                    .all(|failure| failure.kind() == FailureKind::Cancelled)
        );
        assert_eq!(crawl.in_flight(), 0);
    });
}

#[test]
fn a_host_that_has_all_its_pages_holds_up_nobody() {
    heist::block_on(async {
        let small = SiteServer::start("127.0.0.1:0", Site::new(50, 1), None)
            .await
            .unwrap();
        let large = SiteServer::start("127.0.0.1:0", Site::new(500, 1), None)
            .await
            .unwrap();
        let mut builder = Crawler::builder().no_proxy();
        for server in [&small, &large] {
            builder = builder.seed(server.url()).unwrap();
        }
        let politeness = Politeness::new().per_host(4);
        let crawl = builder
            .max_pages_per_host(60)
            .politeness(politeness)
            .build()
            .unwrap();
        let summary = crawl.run().await.unwrap();
        assert_eq!((summary.pages(), summary.end()), (110, End::Finished));
        assert_eq!((small.requests(), large.requests()), (50, 60));
        assert!(summary.skipped() > 0);
    });
}
