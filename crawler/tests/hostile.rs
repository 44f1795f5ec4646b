//! Servers that do harm. Each page becomes one record with its error, and the crawl goes on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use common::{Scripted, closed_port, crawl, find, page, paths, response};
use heist_crawler::{Crawler, End, Failure, FailureKind, Record};

fn kind(record: &Record) -> Option<FailureKind> {
    record.error.as_ref().map(Failure::kind)
}

#[test]
fn every_fault_is_one_record_and_none_ends_the_crawl() {
    let server = Scripted::start_with(|path, stream| {
        let bytes = match path {
            "/" => page(&[
                "/missing",
                "/broken",
                "/garbage",
                "/nothing",
                "/short",
                "/chunks",
                "/slow",
                "/teapot",
                "/fine",
                "/binary",
                "/endless-head",
            ]),
            "/missing" => response(
                "404 Not Found",
                "Content-Type: text/html\r\n",
                "<a href=/trap>",
            ),
            "/broken" => response("500 Oh No", "", "sorry"),
            "/garbage" => b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
            "/nothing" => Vec::new(),
            "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this".to_vec(),
            "/chunks" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".to_vec(),
            "/slow" => {
                let _ = stream.read(&mut [0]);
                return;
            }
            "/teapot" => response("418 I'm a teapot", "", ""),
            "/fine" => page(&[]),
            "/binary" => response("200 OK", "Content-Type: image/png\r\n", "<a href=/trap>"),
            "/endless-head" => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
                // Until the client has had enough of it.
                while stream
                    .write_all(b"X-Filler: yes, more of it, and then some\r\n")
                    .is_ok()
                {}
                return;
            }
            other => panic!("{other} must not be asked for"),
        };
        let _ = stream.write_all(&bytes);
    });
    let builder = Crawler::builder()
        .seed(server.url("/"))
        .unwrap()
        .timeout(Duration::from_secs(2));
    let (records, summary) = crawl(builder);

    for (path, status, failure) in [
        ("/", Some(200), None),
        ("/missing", Some(404), Some(FailureKind::Status)),
        ("/broken", Some(500), Some(FailureKind::Status)),
        ("/garbage", None, Some(FailureKind::Protocol)),
        ("/nothing", None, Some(FailureKind::Protocol)),
        ("/short", Some(200), Some(FailureKind::Body)),
        ("/chunks", Some(200), Some(FailureKind::Body)),
        ("/slow", None, Some(FailureKind::Timeout)),
        ("/teapot", Some(418), Some(FailureKind::Status)),
        ("/fine", Some(200), None),
        ("/binary", Some(200), None),
        ("/endless-head", None, Some(FailureKind::Protocol)),
    ] {
        let record = find(&records, path);
        assert_eq!(
            (record.status, kind(record)),
            (status, failure),
            "{record:?}"
        );
    }
    assert_eq!(records.len(), 12);
    assert_eq!((summary.end(), summary.failed()), (End::Finished, 9));
    assert_eq!(
        find(&records, "/short").content_length,
        9,
        "what arrived is counted"
    );
    let missing = find(&records, "/missing").error.as_ref().unwrap();
    assert_eq!(missing.to_string(), "status: 404 Not Found");
}

#[test]
fn a_host_that_refuses_or_does_not_exist_is_a_record() {
    let refused = format!("http://{}/", closed_port());
    let builder = Crawler::builder()
        .seed(&refused)
        .unwrap()
        // The top-level domain `invalid` never exists (RFC 6761).
        .seed("http://no-such-host.invalid/")
        .unwrap();
    let (records, summary) = crawl(builder);
    assert_eq!((records.len(), summary.failed()), (2, 2));
    let of = |text: &str| {
        records
            .iter()
            .find(|record| record.url.contains(text))
            .unwrap()
    };
    assert_eq!(kind(of("127.0.0.1")), Some(FailureKind::Connect));
    assert_eq!(kind(of("no-such-host")), Some(FailureKind::Resolve));
    assert!(
        records
            .iter()
            .all(|record| record.status.is_none() && record.content_length == 0)
    );
}

#[test]
fn redirects_are_pages_of_their_own() {
    let elsewhere = Scripted::start(|_| page(&[]));
    let off_host = elsewhere.url("/");
    let server = Scripted::start(move |path| {
        let moved = |status: &str, to: &str| {
            response(
                status,
                &format!("Location: {to}\r\nContent-Type: text/html\r\n"),
                "<a href=/trap>",
            )
        };
        match path {
            "/" => page(&[
                "/old", "/self", "/ping", "/away", "/bad", "/nowhere", "/chain/0", "/304",
            ]),
            "/old" => moved("301 Moved Permanently", "new#part"),
            "/new" => page(&["/deeper"]),
            "/deeper" => page(&[]),
            "/self" => moved("302 Found", "/self"),
            "/ping" => moved("307 Temporary Redirect", "/pong"),
            "/pong" => moved("308 Permanent Redirect", "/ping"),
            "/away" => moved("303 See Other", &off_host),
            "/bad" => moved("302 Found", "mailto:me@example.org"),
            "/nowhere" => response("302 Found", "", ""),
            "/304" => response("304 Not Modified", "", ""),
            chain => {
                let hop: u32 = chain.strip_prefix("/chain/").unwrap().parse().unwrap();
                moved("302 Found", &format!("/chain/{}", hop + 1))
            }
        }
    });
    let (records, summary) = crawl(Crawler::builder().seed(server.url("/")).unwrap());

    let old = find(&records, "/old");
    assert_eq!((old.status, kind(old)), (Some(301), None));
    assert_eq!(old.redirect, Some(server.url("/new")));
    let new = find(&records, "/new");
    assert_eq!((new.depth, &new.referrer), (1, &Some(server.url("/old"))));
    assert_eq!(find(&records, "/deeper").depth, 2);
    for path in ["/self", "/ping", "/pong", "/away"] {
        assert_eq!(kind(find(&records, path)), None, "{path}");
    }
    assert_eq!(
        elsewhere.requests.load(Ordering::SeqCst),
        0,
        "the crawl stays on its host"
    );
    assert_eq!(kind(find(&records, "/bad")), Some(FailureKind::Redirect));
    assert_eq!(kind(find(&records, "/nowhere")), Some(FailureKind::Status));
    assert_eq!(kind(find(&records, "/304")), Some(FailureKind::Status));
    // Ten redirects are followed; the page that redirects for the eleventh time has failed.
    let chain = records
        .iter()
        .filter(|record| record.url.contains("/chain/"));
    let mut chain: Vec<_> = chain
        .map(|record| (record.url.clone(), kind(record)))
        .collect();
    chain.sort();
    assert_eq!(chain.len(), 11);
    let failed: Vec<_> = chain.iter().filter(|(_, kind)| kind.is_some()).collect();
    assert_eq!(
        failed,
        [&(server.url("/chain/10"), Some(FailureKind::Redirect))]
    );
    assert_eq!(records.len(), 22);
    assert_eq!(summary.end(), End::Finished);
}

#[test]
fn pages_are_fetched_once_however_they_are_spelled() {
    let server = Scripted::start(|path| match path {
        "/" => page(&[
            "/a",
            "a",
            "./a",
            "/x/../a",
            "/a#one",
            "/%61",
            "/a?",
            "http://me:pw@127.0.0.1/a",
            "/a/",
        ]),
        _ => page(&["/", "#top", "/a"]),
    });
    let (records, _) = crawl(Crawler::builder().seed(server.url("/")).unwrap());
    // Another port is another host.
    assert_eq!(paths(&records), ["", "a", "a/", "a?"]);
    assert_eq!(server.requests.load(Ordering::SeqCst), 4);
}

#[test]
fn an_endless_site_ends_at_the_limit() {
    let server = Scripted::start(|path| {
        let hrefs: Vec<String> = (0..50).map(|nth| format!("{path}{nth}/")).collect();
        page(&hrefs.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let seed = Crawler::builder().seed(server.url("/")).unwrap();
    let (records, summary) = crawl(seed.max_pages(123).concurrency(16));
    assert_eq!((records.len(), summary.failed()), (123, 0));
    assert_eq!(summary.end(), End::PageLimit);
    assert_eq!(server.requests.load(Ordering::SeqCst), 123);
}

#[test]
fn never_more_fetches_than_allowed() {
    let server = Scripted::start_with(|path, stream| {
        thread::sleep(Duration::from_millis(5));
        let hrefs: Vec<String> = (0..100).map(|nth| format!("/{nth}")).collect();
        let links: Vec<_> = hrefs.iter().map(String::as_str).collect();
        let _ = stream.write_all(&page(if path == "/" { &links } else { &[] }));
    });
    let (records, _) = crawl(
        Crawler::builder()
            .seed(server.url("/"))
            .unwrap()
            .concurrency(7),
    );
    assert_eq!(records.len(), 101);
    let most = server.most_open.load(Ordering::SeqCst);
    // The scripted server counts a connection down after its last byte, which the crawler may
    // act upon first: a few more than the limit can overlap, sixty-four cannot.
    assert!((2..=14).contains(&most), "{most} at a time");
}

#[test]
fn a_body_without_end_is_cut_off() {
    let server = Scripted::start_with(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let builder = Crawler::builder()
        .seed(server.url("/"))
        .unwrap()
        .max_body(100_000);
    let (records, _) = crawl(builder);
    assert_eq!(kind(&records[0]), Some(FailureKind::TooLarge));
    assert!(
        records[0].content_length > 100_000,
        "{}",
        records[0].content_length
    );
}

/// A compressed page.
fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(body).unwrap();
    let body = encoder.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[test]
fn compressed_pages_are_read_and_counted_as_sent() {
    let words = "<p>the same words again</p>".repeat(1000);
    let home = gzipped(format!("{words}<a href=/bomb>x</a>").as_bytes());
    let length = home.len() - home.windows(4).position(|it| it == b"\r\n\r\n").unwrap() - 4;
    let bomb = gzipped(&vec![b'x'; 64 << 20]);
    let server = Scripted::start(move |path| match path {
        "/" => home.clone(),
        _ => bomb.clone(),
    });
    let (records, _) = crawl(Crawler::builder().seed(server.url("/")).unwrap());
    let home = find(&records, "/");
    assert_eq!((kind(home), home.content_length), (None, length as u64));
    assert_eq!(kind(find(&records, "/bomb")), Some(FailureKind::TooLarge));
}

#[test]
fn a_body_that_ends_with_the_connection_is_whole() {
    let server = Scripted::start(|path| match path {
        "/" => b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<a href=/next>x</a>".to_vec(),
        _ => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                .to_vec()
        }
    });
    let (records, summary) = crawl(Crawler::builder().seed(server.url("/")).unwrap());
    assert_eq!(summary.failed(), 0, "{records:?}");
    assert_eq!(find(&records, "/next").content_length, 5);
}
