//! Layers of tower around the requests of a crawl.

#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::crawl;
use common::log_server::{LogServer, kept, kept_page};
use heist::net::http::Request;
use heist_crawler::{BoxError, Crawler, Failure, FailureKind, FetchService, Politeness};
use tower::limit::ConcurrencyLimitLayer;
use tower::util::{MapRequestLayer, ServiceExt};
use tower::{Service, layer};

fn star(leaves: usize) -> LogServer {
    LogServer::start(move |path, _| {
        std::thread::sleep(Duration::from_millis(2));
        match path {
            "/" => kept_page(&(0..leaves).map(|nth| format!("/{nth}")).collect::<Vec<_>>()),
            "/robots.txt" => kept("200 OK", "", ""),
            _ => kept_page(&[]),
        }
    })
}

#[test]
fn all_requests_go_through_them_from_the_outside_in() {
    let server = star(20);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mark = move |mut request: Request| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        request.headers_mut().insert("x-number", number.into());
        request
    };
    let check = |request: Request| {
        assert!(
            request.headers().contains_key("x-number"),
            "the first layer is the outermost"
        );
        request
    };
    let builder = Crawler::builder().no_proxy().seed(server.url("/")).unwrap();
    let (records, summary) = crawl(
        builder
            .politeness(Politeness::new().robots(true))
            .layer(MapRequestLayer::new(mark))
            .layer(MapRequestLayer::new(check))
            .layer(ConcurrencyLimitLayer::new(3)),
    );
    assert_eq!((records.len(), summary.failed()), (21, 0));
    // robots.txt as well.
    assert_eq!(count.load(Ordering::Relaxed), 22);
    assert!(
        server
            .visits()
            .iter()
            .all(|visit| visit.head.contains("x-number: "))
    );
    // What answered has given its place away before its body is read, so one more may be there.
    assert!(server.most_at_a_time() <= 4, "{}", server.most_at_a_time());
}

#[test]
fn what_a_layer_fails_with_is_the_failure_of_the_page() {
    let server = star(10);
    let odd = layer::layer_fn(|inner: FetchService| {
        tower::service_fn(move |request: Request| {
            let mut inner = inner.clone();
            async move {
                if request.url().path() == "/7" {
                    return Err(BoxError::from("seven is not for us"));
                }
                inner.ready().await?.call(request).await
            }
        })
    });
    let builder = Crawler::builder().no_proxy().seed(server.url("/")).unwrap();
    let (records, summary) = crawl(builder.layer(odd));
    assert_eq!((records.len(), summary.failed()), (11, 1));
    let expected = Failure::new(FailureKind::Request, "seven is not for us");
    assert_eq!(common::find(&records, "/7").error, Some(expected));
    assert_eq!(server.count("/7"), 0);
}
