//! TLS and ALPN, failed and slow handshakes.

use std::convert::Infallible;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use heist_net::TcpListener;
use heist_net::http::Client;
use heist_net::hyper::{ConnectionInfo, Incoming, serve};
use heist_net::tls::{TlsAcceptor, Version};
use heist_runtime::spawn;
use http::{Request, Response};
use hyper::service::service_fn;

use crate::certificates::Authority;
use crate::support::{Started, run, start};

async fn secure(
    authority: &Authority,
    set: impl FnOnce(crate::support::Server) -> crate::support::Server,
) -> Started {
    let acceptor = TlsAcceptor::new(authority.issue(&["localhost"]).identity()).unwrap();
    start(|server| set(server.tls(acceptor))).await
}

fn url(server: &Started, path: &str) -> String {
    format!("https://localhost:{}{path}", server.address.port())
}

/// What is agreed on is spoken, without the program's naming the protocols.
#[test]
fn versions_are_agreed_on() {
    run(async {
        let authority = Authority::new();
        let server = secure(&authority, |server| server).await;
        let builder = || Client::builder().add_root_certificate(authority.root());
        for (client, version) in [
            (builder(), http::Version::HTTP_2),
            (builder().http1_only(), http::Version::HTTP_11),
            (builder().http2_prior_knowledge(), http::Version::HTTP_2),
        ] {
            let client = client.build().unwrap();
            for _ in 0..3 {
                let response = client.get(url(&server, "/x")).send().await.unwrap();
                assert_eq!(response.version(), version);
                assert_eq!(response.text().await.unwrap(), "/x");
            }
        }
        assert_eq!(server.now().total, 3);
        server.stop().await;

        let server = secure(&authority, |server| server.http1_only()).await;
        let client = builder().build().unwrap();
        let response = client.get(url(&server, "/")).send().await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_11);
        server.stop().await;
    });
}

/// Handshakes that fail, or do not go on, do not keep others waiting. Control,
/// tried: one handshake at a time.
#[test]
fn bad_handshakes_hurt_nobody() {
    run(async {
        let authority = Authority::new();
        let limit = Duration::from_millis(300);
        let server = secure(&authority, |server| server.tls_handshake_timeout(limit)).await;
        let began = Instant::now();
        let mut silent = server.connect().await;
        let mut plain = server.connect().await;
        plain.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
        let stranger = Client::new();
        assert!(stranger.get(url(&server, "/")).send().await.is_err());
        let builder = Client::builder().add_root_certificate(authority.root());
        let client = builder.build().unwrap();
        let response = client.get(url(&server, "/")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "/");
        assert!(began.elapsed() < limit);
        assert!(silent.is_closed().await);
        server.until(|now| now.refused == 3).await;
        assert_eq!(server.stop().await.timed_out, 1);
    });
}

/// A request knows where it comes from.
#[test]
fn requests_know_their_connection() {
    async fn about(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
        let info = request.extensions().get::<ConnectionInfo<SocketAddr>>();
        let info = info.expect("it was asked for");
        let secure = info.tls_version() == Some(Version::TLS_1_3);
        let name = info.server_name().unwrap_or("nothing").to_owned();
        let text = format!("{} {secure} {name}", info.remote_addr().ip());
        Ok(Response::new(text))
    }
    run(async {
        let authority = Authority::new();
        let acceptor = TlsAcceptor::new(authority.issue(&["localhost"]).identity()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = serve(listener, service_fn(about));
        let server = server.tls(acceptor).connection_info(true);
        let server = spawn(server.into_future());
        let builder = Client::builder().add_root_certificate(authority.root());
        let client = builder.build().unwrap();
        let response = client
            .get(format!("https://localhost:{port}/"))
            .send()
            .await;
        let text = response.unwrap().text().await.unwrap();
        assert_eq!(text, "127.0.0.1 true localhost");
        let _ = server.cancel_and_join().await;
    });
}
