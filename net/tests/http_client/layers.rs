//! The layers of tower around a client.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use heist_net::http::{Client, Error, Request, Response};
use heist_runtime::block_on;
use heist_sync::time::{error::Elapsed, timeout};
use http::Method;
use tower::retry::Policy;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use crate::server::*;

fn request(url: &str) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

/// Asks again, so many times, while the server is unavailable.
#[derive(Clone)]
struct Again(usize);

impl Policy<Request, Response, Error> for Again {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request,
        result: &mut Result<Response, Error>,
    ) -> Option<Ready<()>> {
        let unavailable = (result.as_ref()).is_ok_and(|response| response.status() == 503);
        self.0 = self.0.checked_sub(1).filter(|_| unavailable)?;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        request.try_clone()
    }
}

/// A layer repeats what failed, and another lets no more than two at once through. Control: without the limit the
/// server sees more at once.
#[test]
fn layers_retry_and_limit() {
    let (now, most, count) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, AtomicUsize)>::default();
    let (open, peak) = (now.clone(), most.clone());
    let server = Server::new(move |peer| {
        while peer.request().is_some() {
            let at_once = open.fetch_add(1, SeqCst) + 1;
            peak.fetch_max(at_once, SeqCst);
            std::thread::sleep(millis(3));
            open.fetch_sub(1, SeqCst);
            match count.fetch_add(1, SeqCst) {
                0 | 1 => peer.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
                _ => peer.send(&ok("hello")),
            }
        }
    });
    let service = ServiceBuilder::new()
        .concurrency_limit(2)
        .retry(Again(3))
        .service(client());
    let url = server.url("/");
    block_on(async {
        let one = service.clone().oneshot(request(&url)).await.unwrap();
        assert_eq!(one.text().await.unwrap(), "hello");
        assert_eq!(server.requests().len(), 3);
        let all = join((0..8).map(|_| service.clone().oneshot(request(&url)))).await;
        assert!(all.into_iter().all(|it| it.unwrap().status() == 200));
    });
    assert_eq!(most.load(SeqCst), 2);
}

#[test]
fn a_timeout_needs_no_tokio() {
    let server = Server::new(|peer| {
        peer.request();
        peer.is_closed_by_client();
    });
    let mut service = ServiceBuilder::new()
        .map_future(
            |response| async move { Ok::<_, BoxError>(timeout(millis(30), response).await??) },
        )
        .service(client());
    block_on(async {
        let ready = service.ready().await.unwrap();
        let calling = ready.call(request(&server.url("/")));
        let error = calling.await.unwrap_err();
        assert!(error.is::<Elapsed>(), "{error}");
    });
}

#[test]
fn a_borrowed_client_is_a_service_too() {
    let server = Server::answering(ok("hello"));
    let client: Client = client();
    block_on(async {
        let response = (&client).oneshot(request(&server.url("/"))).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "hello");
        let error = (&client).oneshot(request("ftp://h/")).await.unwrap_err();
        assert!(error.is_builder(), "{error}");
    });
    assert_eq!(client.metrics().requests, 1);
}
