//! The crawler and the embedded site, against each other and against what is known beforehand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::crawl;
use heist_crawler::{
    Crawler, DelayRange, End, Frontier, Job, Offer, PageUrl, QueueFrontier, Record, Site,
    SiteServer, Summary,
};

/// Crawls an embedded site of `pages` pages; `change` may set options.
fn crawl_site(
    site: &Site,
    delay: Option<DelayRange>,
    change: impl FnOnce(heist_crawler::CrawlerBuilder) -> heist_crawler::CrawlerBuilder,
) -> (Vec<Record>, Summary, u64) {
    heist::block_on(async {
        let server = SiteServer::start("127.0.0.1:0", site.clone(), delay)
            .await
            .unwrap();
        let builder = change(Crawler::builder().seed(server.url()).unwrap());
        let mut crawl = builder.build().unwrap();
        let mut records = Vec::new();
        while let Some(record) = crawl.next().await {
            records.push(record);
        }
        (records, crawl.summary().clone(), server.requests())
    })
}

#[test]
fn two_thousand_pages_arrive_whole_and_once() {
    let site = Site::new(2000, 2024);
    let (records, summary, requests) = crawl_site(&site, None, |crawl| crawl);
    assert_eq!(summary.end(), End::Finished);
    assert_eq!(
        (summary.pages(), summary.failed(), summary.status_class(2)),
        (2000, 0, 2000)
    );
    assert_eq!(requests, 2000, "every page was asked for once");

    let mut seen = HashSet::new();
    for record in &records {
        let path = record.url.splitn(4, '/').nth(3).unwrap();
        let page = site
            .find(&format!("/{path}"))
            .expect("the record of a page that exists");
        assert!(seen.insert(page), "page {page} twice");
        assert_eq!((record.status, &record.error), (Some(200), &None));
        assert_eq!(record.content_length, site.page_length(page), "page {page}");
        assert!(record.elapsed_ms > 0.0);
        assert_eq!(record.referrer.is_none(), page == 0);
        assert_eq!(record.depth == 0, page == 0);
    }
    let bytes: u64 = (0..2000).map(|page| site.page_length(page)).sum();
    assert_eq!(summary.bytes(), bytes);
}

#[test]
fn the_page_limit_is_exact() {
    let site = Site::new(200, 5);
    for (limit, pages, end) in [
        (0, 0, End::PageLimit),
        (1, 1, End::PageLimit),
        (2, 2, End::PageLimit),
        (63, 63, End::PageLimit),
        (64, 64, End::PageLimit),
        (65, 65, End::PageLimit),
        (199, 199, End::PageLimit),
        (200, 200, End::Finished),
        (201, 200, End::Finished),
    ] {
        let (records, summary, requests) = crawl_site(&site, None, |crawl| crawl.max_pages(limit));
        assert_eq!(records.len(), pages, "limit {limit}");
        assert_eq!(
            requests, pages as u64,
            "limit {limit}: no request beyond the records"
        );
        assert_eq!(summary.end(), end, "limit {limit}");
    }
}

#[test]
fn the_depth_limit_is_exact() {
    let site = Site::new(500, 5);
    let (all, ..) = crawl_site(&site, None, |crawl| crawl.concurrency(1));
    for depth in 0..=3 {
        let (records, summary, _) =
            crawl_site(&site, None, |crawl| crawl.concurrency(1).max_depth(depth));
        // One fetch at a time is breadth first, so depths are shortest distances.
        let expected = all.iter().filter(|record| record.depth <= depth).count();
        assert_eq!(records.len(), expected, "depth {depth}");
        assert!(records.iter().all(|record| record.depth <= depth));
        assert_eq!(summary.end(), End::Finished);
    }
}

#[test]
fn late_answers_overlap() {
    let site = Site::new(65, 9);
    let delay = DelayRange::new(100, 100).unwrap();
    let (_, summary, _) = crawl_site(&site, Some(delay), |crawl| crawl);
    assert_eq!((summary.pages(), summary.failed()), (65, 0));
    // The tree is three levels deep. One after the other would take 6.5 seconds.
    assert!(
        summary.elapsed() >= Duration::from_millis(300),
        "{:?}",
        summary.elapsed()
    );
    assert!(
        summary.elapsed() < Duration::from_secs(3),
        "{:?}",
        summary.elapsed()
    );
}

#[test]
fn concurrency_of_one_is_one_after_the_other() {
    let site = Site::new(10, 9);
    let delay = DelayRange::new(20, 20).unwrap();
    let (_, summary, _) = crawl_site(&site, Some(delay), |crawl| crawl.concurrency(1));
    assert_eq!(summary.pages(), 10);
    assert!(
        summary.elapsed() >= Duration::from_millis(200),
        "{:?}",
        summary.elapsed()
    );
}

#[test]
fn several_crawls_share_a_runtime() {
    heist::block_on(async {
        let site = Site::new(300, 3);
        let server = SiteServer::start("127.0.0.1:0", site, None).await.unwrap();
        let crawls: Vec<_> = (0..4)
            .map(|_| {
                let mut crawl = Crawler::builder()
                    .seed(server.url())
                    .unwrap()
                    .build()
                    .unwrap();
                heist::spawn(async move {
                    while crawl.next().await.is_some() {}
                    crawl.summary().clone()
                })
            })
            .collect();
        for crawl in crawls {
            let summary = crawl.await.unwrap();
            assert_eq!((summary.pages(), summary.failed()), (300, 0));
        }
    });
}

#[test]
fn a_stopped_crawl_ends_soon_and_accounts_for_every_page() {
    let site = Site::new(2000, 1);
    let delay = DelayRange::new(0, 20_000).unwrap();
    heist::block_on(async {
        let server = SiteServer::start("127.0.0.1:0", site, Some(delay))
            .await
            .unwrap();
        // A seed that answers at once would be luck; so many pages that some do.
        let mut builder = Crawler::builder().concurrency(32);
        for page in 1..200 {
            builder = builder
                .seed(format!("{}page/{page}.html", server.url()))
                .unwrap();
        }
        let mut crawl = builder.build().unwrap();
        let stop = crawl.stop_handle();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            stop.stop();
            stop.stop();
        });
        let started = Instant::now();
        let mut cancelled = 0;
        while let Some(record) = crawl.next().await {
            if let Some(failure) = &record.error {
                assert_eq!(failure.kind().as_str(), "cancelled");
                cancelled += 1;
            }
        }
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{:?}",
            started.elapsed()
        );
        assert_eq!(cancelled, 32, "what was in flight is recorded");
        assert_eq!(crawl.summary().end(), End::Stopped);
        assert_eq!(crawl.in_flight(), 0);
    });
}

#[test]
fn a_dropped_crawl_cancels_its_fetches() {
    let server = common::Scripted::start_with(|_, stream| {
        // Until the other side closes.
        let _ = stream.read(&mut [0]);
    });
    heist::block_on(async {
        let seed = server.url("/");
        let mut crawl = Crawler::builder().seed(&seed).unwrap().build().unwrap();
        let waited = heist::time::timeout(Duration::from_millis(300), crawl.next()).await;
        assert!(waited.is_err(), "the server never answers");
        assert_eq!(crawl.in_flight(), 1);
        drop(crawl);
        for _ in 0..500 {
            if server.open.load(std::sync::atomic::Ordering::SeqCst) == 0 {
                return;
            }
            heist::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the connection of a dropped crawl stayed open");
    });
}

/// Lets `client` talk to an embedded site from a plain thread.
fn with_server(client: impl FnOnce(SocketAddr) + Send + 'static) {
    heist::block_on(async {
        let server = SiteServer::start("127.0.0.1:0", Site::new(10, 1), None)
            .await
            .unwrap();
        let address = server.address();
        let (done, result) = mpsc::channel();
        let client = heist::spawn_blocking(move || {
            client(address);
            done.send(()).unwrap();
        });
        client.await.unwrap();
        result.try_recv().unwrap();
    });
}

/// Sends `request` and reads until the server closes.
fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn the_server_answers_pipelined_requests_in_order() {
    with_server(|address| {
        let site = Site::new(10, 1);
        let answer = exchange(
            address,
            b"GET /page/3.html HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n\
              GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n",
        );
        let (first, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(first.contains(&format!("Content-Length: {}\r\n", site.page_length(3))));
        assert!(first.contains("\r\nDate: ") && first.contains("Connection: keep-alive"));
        let (page, rest) = rest.split_at(site.page_length(3) as usize);
        assert_eq!(page.as_bytes(), site.page(3));
        // The response to HEAD tells the length and has no body.
        let (second, third) = rest.split_once("\r\n\r\n").unwrap();
        assert!(second.contains(&format!("Content-Length: {}\r\n", site.page_length(0))));
        assert!(third.starts_with("HTTP/1.1 404 Not Found\r\n"));
        assert!(third.contains("Connection: close") && third.ends_with("</p>\n"));
    });
}

#[test]
fn the_server_reads_heads_that_trickle_in() {
    with_server(|address| {
        let mut stream = TcpStream::connect(address).unwrap();
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" {
            stream.write_all(&[*byte]).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(&Site::new(10, 1).page(0)));
    });
}

#[test]
fn the_server_refuses_what_it_does_not_understand() {
    with_server(|address| {
        for (request, status) in [
            ("nonsense\r\n\r\n", "400 Bad Request"),
            ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
            (
                "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
                "505 HTTP Version Not Supported",
            ),
            (
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
                "405 Method Not Allowed",
            ),
            ("GET / HTTP/1.0\r\n\r\n", "200 OK"),
        ] {
            let answer = exchange(address, request.as_bytes());
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{request:?}: {answer}"
            );
        }
    });
}

#[test]
fn a_dropped_server_refuses_connections() {
    heist::block_on(async {
        let server = SiteServer::start("127.0.0.1:0", Site::new(1, 1), None)
            .await
            .unwrap();
        let url = server.url();
        drop(server);
        // The listener closes once its task has unwound.
        for _ in 0..500 {
            let mut crawl = Crawler::builder().seed(&url).unwrap().build().unwrap();
            let record = crawl.next().await.unwrap();
            if record
                .error
                .is_some_and(|failure| failure.kind().as_str() == "connect")
            {
                return;
            }
            heist::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the port of a dropped server still answers");
    });
}

#[test]
fn seeds_are_deduplicated() {
    let site = Site::new(1, 1);
    heist::block_on(async {
        let server = SiteServer::start("127.0.0.1:0", site, None).await.unwrap();
        let url = server.url();
        let builder = Crawler::builder()
            .seed(&url)
            .unwrap()
            .seed(format!("{url}#x"))
            .unwrap();
        let mut crawl = builder.build().unwrap();
        assert_eq!(crawl.waiting(), 1);
        assert!(crawl.next().await.is_some());
        assert!(crawl.next().await.is_none());
    });
    let (records, summary) = crawl(Crawler::builder());
    assert_eq!((records.len(), summary.end()), (0, End::Finished));
}

/// Hands out the newest page first, and refuses pages when five wait.
#[derive(Debug)]
struct Newest {
    seen: QueueFrontier,
    stack: Vec<Job>,
}

impl Frontier for Newest {
    fn offer(&mut self, job: Job) -> io::Result<Offer> {
        if self.stack.len() == 5 {
            return Ok(Offer::Full);
        }
        let origin = job.url.origin().to_owned();
        let offer = self.seen.offer(job);
        self.stack.extend(self.seen.pop(&origin, u32::MAX)?);
        offer
    }

    fn remember(&mut self, url: &PageUrl) -> io::Result<()> {
        self.seen.remember(url)
    }

    fn pop(&mut self, _: &str, _: u32) -> io::Result<Option<Job>> {
        Ok(self.stack.pop())
    }

    fn len(&self) -> usize {
        self.stack.len()
    }
}

#[test]
fn a_frontier_of_ones_own_decides_the_order() {
    let site = Site::new(2000, 5);
    let frontier = Newest {
        seen: QueueFrontier::new(),
        stack: Vec::new(),
    };
    let (records, summary, requests) = crawl_site(&site, None, |crawl| {
        crawl.concurrency(1).frontier(Box::new(frontier))
    });
    assert_eq!(requests, records.len() as u64);
    assert_eq!(summary.failed(), 0);
    // Depth first: the second page is a child of the first, the third of the second.
    assert_eq!(records[2].referrer.as_deref(), Some(&*records[1].url));
    assert!(
        records.len() < 2000,
        "five at a time cannot hold the whole site"
    );
    assert_eq!(
        summary.end(),
        End::PageLimit,
        "pages were refused, so this is not all"
    );
}
