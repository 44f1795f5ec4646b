//! Streams of HTTP/2 that leave HTTP: `CONNECT`, and what RFC 8441 makes of it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use heist_net::hyper::upgrade::Upgraded;
use heist_net::io::{AsyncReadExt, AsyncWriteExt};
use heist_sync::join;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::ext::Protocol;

use crate::support::{Started, Streams, millis, request, run, start};

/// A tunnel that echoes.
async fn tunnel(streams: &mut Streams, request: Request<Empty<Bytes>>) -> Upgraded {
    let response = streams.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    hyper::upgrade::on(response).await.unwrap().into()
}

fn connect(host: &str) -> Request<Empty<Bytes>> {
    request(Method::CONNECT, &format!("{host}:80"))
}

async fn get(streams: &mut Streams, server: &Started, path: &str) -> Bytes {
    let get = request(Method::GET, &server.url(path));
    let response = streams.send_request(get).await.unwrap();
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn echoes(tunnel: &mut Upgraded, text: &str) {
    tunnel.write_all(text.as_bytes()).await.unwrap();
    tunnel.flush().await.unwrap();
    let mut back = vec![0; text.len()];
    tunnel.read_exact(&mut back).await.unwrap();
    assert_eq!(back, text.as_bytes());
}

/// More than all windows hold goes both ways, beside requests of the same connection, and its end is told.
#[test]
fn a_tunnel() {
    run(async {
        let server = start(|server| server).await;
        let mut streams = server.streams().await;
        let mut tunnel = tunnel(&mut streams, connect("host")).await;
        echoes(&mut tunnel, "hello").await;
        let long: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let through = async {
            for _ in 0..10 {
                tunnel.write_all(&long).await.unwrap();
                let mut back = vec![0; long.len()];
                tunnel.read_exact(&mut back).await.unwrap();
                assert!(back == long);
            }
            tunnel.write_all(b"last").await.unwrap();
            tunnel.shutdown().await.unwrap();
            let mut rest = Vec::new();
            tunnel.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"last");
        };
        let ((), beside) = join!(through, get(&mut streams, &server, "/beside"));
        assert_eq!(beside, "/beside");
        drop(tunnel);
        assert_eq!(server.now().total, 1);
        drop(streams);
        server.stop().await;
    });
}

/// WebSockets and the like: refused by the client's side until the server says that it knows them.
#[test]
fn extended_connect() {
    run(async {
        let asking = |server: &Started| {
            let mut asking = request(Method::CONNECT, &server.url("/chat"));
            let protocol = Protocol::from_static("websocket");
            asking.extensions_mut().insert(protocol);
            asking
        };
        let server = start(|server| {
            server.http2(|http2| {
                http2.enable_connect_protocol();
            })
        })
        .await;
        let mut streams = server.streams().await;
        // With the first answer come the settings.
        get(&mut streams, &server, "/").await;
        let mut tunnel = tunnel(&mut streams, asking(&server)).await;
        echoes(&mut tunnel, "a message").await;
        drop((tunnel, streams));
        server.stop().await;

        let server = start(|server| server).await;
        let mut streams = server.streams().await;
        get(&mut streams, &server, "/").await;
        assert!(streams.send_request(asking(&server)).await.is_err());
        assert_eq!(server.now().requests, 1);
        drop(streams);
        server.stop().await;
    });
}

/// The connection below an open tunnel is not idle, whoever waited for it; when it is closed, it is. Control,
/// tried: no `tunnels` in `Account::idle_since`.
#[test]
fn a_tunnel_is_not_idle() {
    run(async {
        let limit = Duration::from_millis(60);
        let server = start(|server| server.idle_timeout(limit).write_timeout(limit)).await;
        for host in ["ours", "theirs"] {
            let mut streams = server.streams().await;
            let mut tunnel = tunnel(&mut streams, connect(host)).await;
            for _ in 0..4 {
                millis(100).await;
                echoes(&mut tunnel, "still").await;
            }
            assert_eq!((server.now().open, server.now().in_flight), (1, 0));
            // One that was idle has been told to close, and takes nothing more.
            assert_eq!(get(&mut streams, &server, "/more").await, "/more");
            drop(tunnel);
            server.until(|now| now.open == 0).await;
        }
        server.stop().await;
    });
}

/// Nor when the server's side has said all, and the client has not. Control, tried: `upgrade::on` that leaves the
/// `Tunnel` alone.
#[test]
fn half_a_tunnel_is_not_idle() {
    use std::convert::Infallible;
    use std::future::IntoFuture;

    use heist_net::TcpListener;
    use heist_net::hyper::{Incoming, serve, upgrade};
    use heist_runtime::spawn;
    use heist_sync::oneshot;
    use http::Response;
    use hyper::service::service_fn;

    run(async {
        let (tell, told) = oneshot::channel::<io::Result<Vec<u8>>>();
        let tell = std::sync::Arc::new(std::sync::Mutex::new(Some(tell)));
        let service = service_fn(move |request: Request<Incoming>| {
            let tell = tell.lock().unwrap().take();
            drop(spawn(async move {
                let read = async {
                    let mut tunnel = upgrade::on(request).await?;
                    tunnel.shutdown().await?;
                    let mut all = Vec::new();
                    tunnel.read_to_end(&mut all).await?;
                    Ok(all)
                };
                if let Some(tell) = tell {
                    let _ = tell.send(read.await);
                }
            }));
            async { Ok::<_, Infallible>(Response::new(String::new())) }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(listener, service).idle_timeout(Duration::from_millis(60));
        let server = spawn(server.into_future());
        let mut streams = crate::support::streams(address).await;
        let mut tunnel = tunnel(&mut streams, connect("host")).await;
        assert!(tunnel.recv().await.unwrap().is_none());
        for _ in 0..4 {
            millis(100).await;
            tunnel.write_all(b"more ").await.unwrap();
        }
        drop(self::tunnel(&mut streams, connect("host")).await);
        tunnel.shutdown().await.unwrap();
        assert_eq!(told.await.unwrap().unwrap(), b"more more more more ");
        let _ = server.cancel_and_join().await;
    });
}

/// What is refused is no tunnel, and its connection goes on.
#[test]
fn a_refused_tunnel() {
    run(async {
        let limit = Duration::from_millis(60);
        let server = start(|server| server.idle_timeout(limit)).await;
        let mut streams = server.streams().await;
        let refused = streams.send_request(connect("refused")).await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(hyper::upgrade::on(refused).await.is_err());
        assert_eq!(get(&mut streams, &server, "/after").await, "/after");
        server.until(|now| now.open == 0).await;
        server.stop().await;
    });
}

/// A shutdown lets a tunnel go on for as long as the grace, and no longer.
#[test]
fn the_grace_is_a_tunnels_too() {
    run(async {
        let grace = Duration::from_millis(400);
        let mut server = start(|server| server.shutdown_grace(grace)).await;
        let mut streams = server.streams().await;
        let mut tunnel = tunnel(&mut streams, connect("host")).await;
        echoes(&mut tunnel, "before").await;
        server.tell_to_stop();
        millis(150).await;
        echoes(&mut tunnel, "after").await;
        assert!(streams.send_request(connect("late")).await.is_err());
        let last = server.stop().await;
        assert_eq!(last.cancelled, 1);
        assert!(!matches!(tunnel.recv().await, Ok(Some(_))));
    });
}

/// A client that goes away, or gives up the stream, ends it on the other side.
#[test]
fn a_client_that_leaves() {
    run(async {
        let server = start(|server| server).await;
        let mut streams = server.streams().await;
        let mut one = tunnel(&mut streams, connect("host")).await;
        echoes(&mut one, "one").await;
        drop(one);
        let mut other = tunnel(&mut streams, connect("host")).await;
        echoes(&mut other, "other").await;
        drop(streams);
        drop(other);
        server.until(|now| now.open == 0).await;
        server.stop().await;
    });
}
