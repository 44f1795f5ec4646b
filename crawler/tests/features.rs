//! What a crawl can be told, each against a server that sees whether it does so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::{self, Write};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::log_server::{LogServer, kept, kept_page};
use common::{crawl, find, paths};
use heist::net::http::cookie::Jar;
use heist::net::http::{Client, Proxy};
use heist_crawler::{
    Crawler, CrawlerBuilder, End, Failure, FailureKind, Page, Politeness, Reach, Store,
    StoreFuture, WarcStore,
};

fn seed(server: &LogServer) -> CrawlerBuilder {
    Crawler::builder().no_proxy().seed(server.url("/")).unwrap()
}

fn links(hrefs: &[&str]) -> Vec<u8> {
    kept_page(
        &hrefs
            .iter()
            .map(|href| (*href).to_owned())
            .collect::<Vec<_>>(),
    )
}

#[test]
fn patterns_choose_among_links_and_spare_the_seeds() {
    let server = LogServer::start(|path, _| match path {
        "/" => links(&["/docs/a", "/docs/b?print=1", "/blog/c"]),
        _ => links(&["/docs/d", "/blog/e"]),
    });
    let builder = seed(&server)
        .include("/docs/")
        .unwrap()
        .exclude(r"[?&]print=")
        .unwrap();
    assert_eq!(paths(&crawl(builder).0), ["", "docs/a", "docs/d"]);
    assert!(Crawler::builder().include("(").is_err());
}

/// The negative control, tried: begin with `Client::builder()` whatever was given.
#[test]
fn a_client_that_was_given_is_what_pages_are_asked_for_with() {
    let server = LogServer::start(|_, _| kept("200 OK", "X-A: 1\r\nX-B: 2\r\n", ""));
    let own = |headers: usize| {
        let headers_of_all = [("x-client".parse().unwrap(), "1".parse().unwrap())];
        let client = Client::builder()
            .user_agent("not-this/1")
            .default_headers(headers_of_all.into_iter().collect())
            .max_headers(headers);
        crawl(
            seed(&server)
                .client(client)
                .user_agent("mine/1")
                .header("x-team".parse().unwrap(), "search".parse().unwrap()),
        )
    };
    assert_eq!(own(50).1.failed(), 0);
    let head = server.visits()[0].head.to_ascii_lowercase();
    for line in ["x-client: 1", "x-team: search", "user-agent: mine/1"] {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(own(1).1.failed(), 1);
}

#[test]
fn headers_cookies_and_credentials_are_sent() {
    let server = LogServer::start(|path, _| match path {
        "/" => {
            let body = "<a href=/a>x</a>";
            kept(
                "200 OK",
                "Content-Type: text/html\r\nSet-Cookie: session=7; Path=/\r\n",
                body,
            )
        }
        _ => links(&[]),
    });
    let jar = Jar::default();
    jar.add_cookie_str("own=1; Path=/", &server.url("/").parse().unwrap());
    let builder = seed(&server)
        .header("x-team".parse().unwrap(), "search".parse().unwrap())
        .authorization("Basic dTpw".parse().unwrap())
        .cookies(Arc::new(jar));
    crawl(builder);
    let heads: Vec<_> = server
        .visits()
        .iter()
        .map(|visit| visit.head.to_ascii_lowercase())
        .collect();
    assert_eq!(heads.len(), 2);
    for head in &heads {
        assert!(head.contains("x-team: search\r\n"), "{head}");
        assert!(
            head.contains("authorization: basic dtpw\r\n") && head.contains("own=1"),
            "{head}"
        );
    }
    assert!(!heads[0].contains("session=7") && heads[1].contains("session=7"));
}

#[test]
fn a_proxy_is_asked_for_everything() {
    let proxy = LogServer::start(|path, _| match path {
        "http://far.example/" => links(&["/a"]),
        "http://far.example/robots.txt" => kept("404 Not Found", "", ""),
        _ => links(&[]),
    });
    let builder = Crawler::builder().seed("http://far.example/").unwrap();
    let builder = builder.proxy(Proxy::all(&*proxy.url("/")).unwrap());
    let (records, summary) =
        crawl(builder.politeness(Politeness::new().delay(std::time::Duration::ZERO)));
    assert_eq!((records.len(), summary.failed()), (2, 0), "{records:?}");
    let asked: Vec<_> = proxy.visits().into_iter().map(|visit| visit.path).collect();
    let expected = ["robots.txt", "", "a"].map(|path| format!("http://far.example/{path}"));
    assert_eq!(asked, expected);
}

#[test]
fn private_addresses_are_out_of_bounds_if_wanted() {
    let server = LogServer::start(|_, _| links(&[]));
    let (records, _) = crawl(seed(&server).block_private_addresses(true));
    assert_eq!(
        records[0].error.as_ref().map(Failure::kind),
        Some(FailureKind::Connect)
    );
    assert_eq!(server.visits().len(), 0);
    // Neither the name nor robots.txt is a way around it.
    let builder = Crawler::builder()
        .no_proxy()
        .seed(format!("http://localhost:{}/", server.address.port()));
    let builder = builder
        .unwrap()
        .block_private_addresses(true)
        .politeness(Politeness::new().robots(true));
    crawl(builder);
    assert_eq!(server.visits().len(), 0);
}

#[test]
fn pages_may_forbid_to_follow_their_links() {
    let server = LogServer::start(|path, _| match path {
        "/" => links(&["/meta", "/header", "/other-crawler"]),
        "/meta" => {
            let body = "<meta name=robots content=nofollow><a href=/trap>x</a>";
            kept("200 OK", "Content-Type: text/html\r\n", body)
        }
        "/header" => kept(
            "200 OK",
            "Content-Type: text/html\r\nX-Robots-Tag: noindex, nofollow\r\n",
            "<a href=/trap>x</a>",
        ),
        "/other-crawler" => kept(
            "200 OK",
            "Content-Type: text/html\r\nX-Robots-Tag: otherbot: nofollow\r\n",
            "<a href=/fine>x</a>",
        ),
        _ => links(&[]),
    });
    let noindex = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&noindex);
    let builder = seed(&server).on_page(move |page| {
        if page.noindex {
            seen.lock().unwrap().push(page.url.path().to_owned());
        }
    });
    assert_eq!(
        paths(&crawl(builder).0),
        ["", "fine", "header", "meta", "other-crawler"]
    );
    assert_eq!(*noindex.lock().unwrap(), ["/header"]);
}

#[test]
fn equal_pages_can_be_told_apart_from_new_ones() {
    // A trap: every page is the same, and leads one folder deeper.
    let server = LogServer::start(|path, _| match path {
        "/" => links(&["/a/", "/unique"]),
        "/unique" => links(&[]),
        _ => links(&["deeper/"]),
    });
    let (records, summary) = crawl(seed(&server).unique_content(true).max_pages(50));
    assert_eq!(paths(&records), ["", "a/", "a/deeper/", "unique"]);
    assert_eq!((summary.duplicates(), summary.end()), (1, End::Finished));
    let (records, _) = crawl(seed(&server).max_pages(50));
    assert_eq!(records.len(), 50, "without that, the trap is followed");
}

#[test]
fn sitemaps_name_pages_that_nobody_links_to() {
    let map = "<urlset><url><loc>http://HOST/zipped</loc></url></urlset>";
    let address = Arc::new(Mutex::new(String::new()));
    let host = Arc::clone(&address);
    let server = LogServer::start(move |path, _| {
        let host = host.lock().unwrap().clone();
        let fill = |text: &str| text.replace("HOST", &host);
        match path {
            "/robots.txt" => kept(
                "200 OK",
                "",
                &fill("Sitemap: http://HOST/maps/index\nSitemap: nonsense\n"),
            ),
            "/maps/index" => {
                let body = "<sitemapindex><sitemap><loc>http://HOST/maps/1.xml.gz</loc></sitemap>\
                            <sitemap><loc>http://elsewhere.example/s.xml</loc></sitemap></sitemapindex>";
                kept("200 OK", "Content-Type: application/xml\r\n", &fill(body))
            }
            "/maps/1.xml.gz" => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                gzip.write_all(fill(map).as_bytes()).unwrap();
                let body = gzip.finish().unwrap();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                [head.into_bytes(), body].concat()
            }
            "/sitemap.xml" => kept("404 Not Found", "", ""),
            "/zipped" => links(&["/from-there"]),
            _ => links(&[]),
        }
    });
    *address.lock().unwrap() = server.address.to_string();
    let (records, _) = crawl(
        seed(&server)
            .sitemaps(true)
            .politeness(Politeness::new().robots(true)),
    );
    let expected = [
        "",
        "from-there",
        "maps/1.xml.gz",
        "maps/index",
        "sitemap.xml",
        "zipped",
    ];
    assert_eq!(paths(&records), expected);
    assert_eq!(
        (
            find(&records, "/zipped").depth,
            find(&records, "/from-there").depth
        ),
        (0, 1)
    );
    let (records, _) = crawl(seed(&server).politeness(Politeness::new().robots(true)));
    assert_eq!(paths(&records), [""], "only if wanted");
}

#[test]
fn several_hosts_of_a_domain() {
    let other = LogServer::start_at("127.0.0.1:0", |_, _| links(&[]));
    let far = LogServer::start_at("127.0.0.66:0", |_, _| links(&[]));
    let (near_url, far_url) = (other.url("/near"), far.url("/far"));
    let server = LogServer::start(move |_, _| links(&[&near_url, &far_url]));
    for (reach, expected) in [(Reach::Host, 1), (Reach::Domain, 2), (Reach::Any, 3)] {
        let (records, _) = crawl(seed(&server).reach(reach));
        assert_eq!(records.len(), expected, "{reach:?}");
    }
}

#[test]
fn handlers_see_every_page_and_every_link_and_may_refuse() {
    let server = LogServer::start(|path, _| match path {
        "/" => links(&["/a", "/b", "http://elsewhere.example/"]),
        "/a" => kept("404 Not Found", "", ""),
        _ => links(&[]),
    });
    let (pages, seen) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(Mutex::new(Vec::new())),
    );
    let (page_log, link_log) = (Arc::clone(&pages), Arc::clone(&seen));
    let builder = seed(&server)
        .on_page(move |page| {
            page_log
                .lock()
                .unwrap()
                .push((page.url.path().to_owned(), page.text().len()))
        })
        .on_link(move |link| {
            link_log
                .lock()
                .unwrap()
                .push((link.to.to_string(), link.in_scope));
            link.to.path() != "/b"
        });
    let (records, _) = crawl(builder);
    assert_eq!(paths(&records), ["", "a"]);
    let pages = pages.lock().unwrap();
    assert!(
        pages.len() == 2 && pages[0].1 > 20 && pages[1] == ("/a".to_owned(), 0),
        "{pages:?}"
    );
    let expected = [
        (server.url("/a"), true),
        (server.url("/b"), true),
        ("http://elsewhere.example/".into(), false),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// A store that breaks after some pages.
#[derive(Debug)]
struct Fragile {
    room: AtomicUsize,
    finished: AtomicUsize,
}

impl Store for Fragile {
    fn store<'a>(&'a self, page: &'a Page) -> StoreFuture<'a> {
        Box::pin(async move {
            assert!(!page.body.is_empty());
            let left = self
                .room
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |room| {
                    room.checked_sub(1)
                });
            left.map(|_| ())
                .map_err(|_| io::Error::new(io::ErrorKind::StorageFull, "the store is full"))
        })
    }

    fn finish(&self) -> StoreFuture<'_> {
        self.finished.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn a_store_that_fails_ends_the_crawl_with_its_reason() {
    let server = LogServer::start(|path, _| links(&[&format!("{path}x"), &format!("{path}y")]));
    for (room, fails) in [(20, true), (1000, false)] {
        let store = Arc::new(Fragile {
            room: AtomicUsize::new(room),
            finished: AtomicUsize::new(0),
        });
        let builder = seed(&server)
            .store(Arc::clone(&store) as Arc<dyn Store>)
            .max_pages(100);
        heist::block_on(async {
            let outcome = builder.build().unwrap().run().await;
            assert_eq!(
                outcome.as_ref().err().map(io::Error::kind),
                fails.then_some(io::ErrorKind::StorageFull)
            );
        });
        assert_eq!(store.finished.load(Ordering::SeqCst), 1);
    }
}

/// What `python3 -c` says, or `None` without Python and that module.
fn python(script: &str, argument: &std::path::Path) -> Option<String> {
    let check = Command::new("python3")
        .args(["-c", "import warcio"])
        .output();
    if !check.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: needs python3 with the package `warcio`");
        return None;
    }
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(argument)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", common::text(&output.stderr));
    Some(common::text(&output.stdout).to_owned())
}

#[test]
fn archives_are_read_by_warcio() {
    let server = LogServer::start(|path, _| match path {
        "/" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            gzip.write_all(b"<a href=/missing>x</a><a href=/moved>y</a>")
                .unwrap();
            let body = gzip.finish().unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            [head.into_bytes(), body].concat()
        }
        "/moved" => kept(
            "301 Moved Permanently",
            "Location: /missing\r\n",
            "gone there",
        ),
        _ => kept(
            "404 Not Found",
            "Content-Type: text/plain\r\n",
            "nothing here",
        ),
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.warc.gz");
    let store = Arc::new(WarcStore::open(&path).unwrap());
    crawl(seed(&server).store(store));
    // Each record begins a gzip member of its own.
    let bytes = fs::read(&path).unwrap();
    assert_eq!(
        bytes
            .windows(3)
            .filter(|window| window == b"\x1f\x8b\x08")
            .count(),
        4
    );
    let script = "import sys\n\
        from warcio.archiveiterator import ArchiveIterator\n\
        for r in ArchiveIterator(open(sys.argv[1], 'rb'), check_digests='raise'):\n\
        \x20   h = r.http_headers\n\
        \x20   body = r.content_stream().read()\n\
        \x20   print(r.rec_type, h and h.get_statuscode(), len(body), h and h.get_header('content-encoding'))\n";
    let Some(mut seen) =
        python(script, &path).map(|out| out.lines().map(str::to_owned).collect::<Vec<_>>())
    else {
        return;
    };
    assert!(seen.remove(0).starts_with("warcinfo None "));
    seen.sort();
    assert_eq!(
        seen,
        [
            "response 200 42 None",
            "response 301 10 None",
            "response 404 12 None"
        ]
    );
}
