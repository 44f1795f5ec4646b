//! Layers of tower and tower-http around services of the server, without tokio's runtime.

use std::convert::Infallible;
use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use heist_net::TcpListener;
use heist_net::http::Client;
use heist_net::hyper::{Incoming, serve_tower};
use heist_runtime::{block_on, spawn};
use heist_sync::join_all;
use heist_sync::time::sleep;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use tower::{ServiceBuilder, service_fn};
use tower_http::request_id::{MakeRequestUuid, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

type Body = String;

#[derive(Clone, Default)]
struct Count {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

/// No more than two at once reach the service, which knows the bodies of hyper. Control: leave the layer out.
#[test]
fn a_limit_of_concurrency() {
    block_on(async {
        let count = Count::default();
        let counted = count.clone();
        let app = ServiceBuilder::new()
            .concurrency_limit(2)
            .service(service_fn(move |_: Request<hyper::body::Incoming>| {
                let count = counted.clone();
                async move {
                    let running = count.running.fetch_add(1, SeqCst) + 1;
                    count.most.fetch_max(running, SeqCst);
                    sleep(Duration::from_millis(20)).await;
                    count.running.fetch_sub(1, SeqCst);
                    Ok::<_, Infallible>(Response::new(Body::from("done")))
                }
            }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = serve_tower(listener, app).request_body::<hyper::body::Incoming>();
        let server = spawn(server.into_future());
        let client = Client::builder().http2_prior_knowledge().build().unwrap();
        let all = join_all((0..8).map(|_| async {
            let response = client.get(&url).send().await.unwrap();
            response.text().await.unwrap()
        }));
        assert_eq!(all.await, ["done"; 8]);
        assert_eq!(count.most.load(SeqCst), 2);
        let _ = server.cancel_and_join().await;
    });
}

/// Headers, identifiers, checks and limits of tower-http.
#[test]
fn layers_of_tower_http() {
    block_on(async {
        let request_id = HeaderName::from_static("x-request-id");
        let server_name = HeaderValue::from_static("heist");
        let app = ServiceBuilder::new()
            .layer(SetRequestIdLayer::new(request_id.clone(), MakeRequestUuid))
            .layer(SetResponseHeaderLayer::overriding(
                header::SERVER,
                server_name,
            ))
            .layer(ValidateRequestHeaderLayer::accept("text/plain"))
            .service(service_fn(async |request: Request<Incoming>| {
                let id = request.headers().get("x-request-id").cloned();
                let body = Limited::new(request.into_body(), 10).collect().await;
                let mut response = Response::new(http_body_util::Full::<bytes::Bytes>::default());
                match body {
                    Ok(body) => *response.body_mut() = body.to_bytes().into(),
                    Err(_) => *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE,
                }
                response.headers_mut().insert("x-request-id", id.unwrap());
                Ok::<_, Infallible>(response)
            }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = spawn(serve_tower(listener, app).into_future());
        let client = Client::new();
        let post = |text: &'static str, accept: &'static str| {
            let request = client.post(&url).header("accept", accept);
            request.body(text).send()
        };
        let fine = post("short", "text/plain").await.unwrap();
        assert_eq!(fine.headers()[header::SERVER], "heist");
        assert_eq!(fine.headers()[&request_id].len(), 36);
        assert_eq!(fine.text().await.unwrap(), "short");
        let long = post("much longer than that", "text/plain").await.unwrap();
        assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let wrong = post("short", "image/png").await.unwrap();
        assert_eq!(wrong.status(), StatusCode::NOT_ACCEPTABLE);
        let _ = server.cancel_and_join().await;
    });
}
