//! Resets, refusals, silence, and requests that are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::stream;
use h2::Reason;
use heist_net::TcpListener;
use heist_net::http::Body;
use heist_net::io::Compat;
use heist_runtime::{block_on, spawn};

use crate::refusing::refusing;
use crate::server::*;

#[test]
fn a_silent_server_is_waited_for_no_longer_than_allowed() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().build().unwrap();
        let request = client.get(server.url("/hang")).timeout(millis(50));
        let error = request.send().await.unwrap_err();
        assert!(error.is_timeout() && error.is_request(), "{error}");
        until(|| server.seen.dropped.load(SeqCst) == 1).await;
        for builder in [
            knowing().read_timeout(millis(50)),
            knowing().head_timeout(millis(50)),
        ] {
            let client = builder.build().unwrap();
            let error = client.get(server.url("/hang")).send().await.unwrap_err();
            assert!(error.is_timeout(), "{error}");
        }
        // The connection was left as it was.
        client.get(server.url("/")).send().await.unwrap();
        assert_eq!(server.connections(), 3);
    });
}

/// Control: a connection that is closed with the request.
#[test]
fn one_of_many_is_cancelled() {
    block_on(async {
        let server = Server::plain(HTTP2).await;
        let client = knowing().build().unwrap();
        let slow: Vec<_> = (0..5)
            .map(|_| {
                let (client, url) = (client.clone(), server.url("/slow"));
                spawn(async move { client.get(url).send().await.unwrap().text().await.unwrap() })
            })
            .collect();
        let hanging = client.get(server.url("/hang")).send();
        assert!(
            heist_sync::time::timeout(millis(10), hanging)
                .await
                .is_err()
        );
        // One whose body is never complete, and one whose answer is not read.
        let never = stream::pending::<Result<&str, std::io::Error>>();
        let request = client
            .post(server.url("/hang"))
            .body(Body::wrap_stream(never));
        assert!(
            heist_sync::time::timeout(millis(10), request.send())
                .await
                .is_err()
        );
        drop(client.get(server.url("/large")).send().await.unwrap());
        for task in slow {
            assert_eq!(task.await.unwrap(), "slow");
        }
        until(|| server.seen.dropped.load(SeqCst) == 2).await;
        assert_eq!(server.connections(), 1);
        assert_eq!(client.metrics().connections_closed, 0);
    });
}

/// A server that resets streams: those of `/refuse` as not looked at as often as is left, others in the middle.
async fn resetting(refusals: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, left) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(refusals)),
    );
    let counted = seen.clone();
    drop(spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (counted, left) = (counted.clone(), left.clone());
            drop(spawn(async move {
                let mut connection = h2::server::handshake(Compat::new(stream)).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    counted.fetch_add(1, SeqCst);
                    let one_less = |left: usize| left.checked_sub(1);
                    let refuse = left.fetch_update(SeqCst, SeqCst, one_less).is_ok();
                    match request.uri().path() {
                        "/refuse" if refuse => respond.send_reset(Reason::REFUSED_STREAM),
                        "/internal" => respond.send_reset(Reason::INTERNAL_ERROR),
                        "/cut" => {
                            let mut body = respond
                                .send_response(http::Response::new(()), false)
                                .unwrap();
                            body.send_data("half".into(), false).unwrap();
                            body.send_reset(Reason::CANCEL);
                        }
                        _ => {
                            let mut body = respond
                                .send_response(http::Response::new(()), false)
                                .unwrap();
                            body.send_data("well".into(), true).unwrap();
                        }
                    }
                }
            }));
        }
    }));
    (format!("http://{address}"), seen)
}

#[test]
fn a_refused_stream_is_sent_again() {
    block_on(async {
        let (url, seen) = resetting(2).await;
        let client = knowing().build().unwrap();
        // It was not looked at, so it may be any method.
        let request = client.post(format!("{url}/refuse")).body("x");
        let text = request.send().await.unwrap().text().await.unwrap();
        assert_eq!((text.as_str(), seen.load(SeqCst)), ("well", 3));
        assert_eq!(client.metrics().retries, 2);
        let (url, seen) = resetting(usize::MAX).await;
        let error = client
            .get(format!("{url}/refuse"))
            .send()
            .await
            .unwrap_err();
        assert!(error.is_request(), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
        assert_eq!(seen.load(SeqCst), 3);
    });
}

#[test]
fn a_stream_that_is_reset_is_an_error() {
    block_on(async {
        let (url, seen) = resetting(0).await;
        let client = knowing().build().unwrap();
        let error = client.get(format!("{url}/internal")).send().await;
        let error = error.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error}");
        assert_eq!(seen.load(SeqCst), 1);
        // Without a length nothing but the reset tells that there was to be more.
        let cut = client.get(format!("{url}/cut")).send().await;
        let error = match cut {
            Ok(response) => response.bytes().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(!error.is_timeout(), "{error}");
        let response = client.get(format!("{url}/x")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "well");
        assert_eq!(client.metrics().connections_opened, 1);
    });
}

#[test]
fn a_server_that_speaks_something_else_is_an_error() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let text = b"HTTP/1.1 400 Bad Request\r\n\r\n";
                let _ = stream.write_all(text).await;
            }
        }));
        let client = knowing().build().unwrap();
        let error = client.get(&url).send().await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error}");
    });
}

#[test]
fn nobody_listens() {
    block_on(async {
        let url = format!("http://{}/", refusing());
        let client = knowing().build().unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (client, url) = (client.clone(), url.clone());
                spawn(async move { client.get(url).send().await.unwrap_err() })
            })
            .collect();
        for task in tasks {
            let error = task.await.unwrap();
            assert!(error.is_connect(), "{error}");
        }
    });
}
