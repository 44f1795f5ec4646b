//! Draining, the grace, cancelling and dropping the server.

use std::future::IntoFuture;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use heist_net::http::Client;
use heist_net::hyper::{Listener, serve};
use heist_net::{TcpStream, UnixStream};
use heist_runtime::spawn;
use heist_runtime::time::Instant as Now;
use heist_sync::time::{sleep, sleep_until, timeout};

use crate::support::{App, millis, run, start};

/// What is in flight is answered, idle connections are closed at once, and nobody can connect. Control, tried:
/// cancel the group instead of telling the connections.
#[test]
fn it_drains() {
    run(async {
        let mut server = start(|server| server).await;
        let mut idle = server.connect().await;
        idle.get("/").await;
        let mut silent = server.connect().await;
        let mut busy = server.connect().await;
        busy.send("GET /sleep/300 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        let builder = Client::builder().http2_prior_knowledge();
        let client = builder.build().unwrap();
        let url = server.url("/sleep/300");
        let streams: Vec<_> = (0..3)
            .map(|_| {
                let (client, url) = (client.clone(), url.clone());
                spawn(async move { client.get(url).send().await.unwrap().text().await.unwrap() })
            })
            .collect();
        server.until(|now| now.in_flight == 4).await;
        let began = Instant::now();
        server.tell_to_stop();
        assert!(idle.is_closed().await);
        assert!(began.elapsed() < Duration::from_millis(180));
        assert!(silent.is_closed().await);
        assert!(TcpStream::connect(server.address).await.is_err());
        let response = busy.response().await.unwrap();
        assert!(response.contains("connection: close"), "{response}");
        assert!(response.ends_with("/sleep/300"), "{response}");
        assert!(busy.is_closed().await);
        for stream in streams {
            assert_eq!(stream.await.unwrap(), "/sleep/300");
        }
        let last = server.stop().await;
        assert_eq!((last.cancelled, last.requests), (0, 5));
    });
}

/// Connections that had come are served, though nobody has looked at them. Control, tried: no
/// `accept_rest`.
#[test]
fn what_had_come_is_served() {
    run(async {
        for _ in 0..10 {
            let mut server = start(|server| server).await;
            let mut clients = Vec::new();
            for _ in 0..20 {
                let mut client = std::net::TcpStream::connect(server.address).unwrap();
                let request = b"GET /late HTTP/1.1\r\nHost: t\r\n\r\n";
                std::io::Write::write_all(&mut client, request).unwrap();
                clients.push(client);
            }
            server.tell_to_stop();
            server.stop().await;
            for mut client in clients {
                let mut response = String::new();
                std::io::Read::read_to_string(&mut client, &mut response).unwrap();
                assert!(response.ends_with("/late"), "{response:?}");
            }
        }
    });
}

/// Others that keep coming do not keep it from ending. Control, tried: no end of `accept_rest` but
/// that nobody comes.
#[test]
fn it_ends_though_more_keep_coming() {
    /// Somebody comes each millisecond.
    struct Crowd(Now);

    impl Listener for Crowd {
        type Io = UnixStream;
        type Addr = ();

        async fn accept(&mut self) -> io::Result<(UnixStream, ())> {
            sleep_until(self.0).await;
            self.0 = Now::now() + Duration::from_millis(1);
            let (here, _) = UnixStream::pair()?;
            Ok((here, ()))
        }
    }

    run(async {
        let server = serve(Crowd(Now::now()), App::default());
        let server = server.with_graceful_shutdown(sleep(Duration::from_millis(20)));
        let metrics = server.metrics();
        let ended = timeout(Duration::from_secs(5), server.into_future()).await;
        ended.expect("it ends").unwrap();
        assert!(metrics.snapshot().total > 10, "{metrics:?}");
    });
}

/// After the grace, requests are cancelled; with it the server ends. Control, tried: no deadline.
#[test]
fn the_grace_is_kept() {
    run(async {
        let grace = Duration::from_millis(200);
        let server = start(|server| server.shutdown_grace(grace)).await;
        let mut client = server.connect().await;
        client
            .send("GET /sleep/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        let http2 = Client::builder().http2_prior_knowledge().build().unwrap();
        let url = server.url("/sleep/60000");
        let stream = spawn(async move { http2.get(url).send().await.is_err() });
        server.until(|now| now.in_flight == 2).await;
        let (began, seen) = (Instant::now(), server.app.seen.clone());
        let last = server.stop().await;
        assert!(began.elapsed() >= grace);
        assert_eq!((last.cancelled, seen.dropped.load(SeqCst)), (2, 2));
        assert!(client.is_closed().await);
        assert!(stream.await.unwrap());
    });
}

/// A cancelled server waits for its requests; none goes on when it has ended. Control, tried: spawn the streams as
/// nobody's tasks.
#[test]
fn cancelled_it_unwinds() {
    run(async {
        let server = start(|server| server).await;
        let mut client = server.connect().await;
        client
            .send("GET /sleep/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        let http2 = Client::builder().http2_prior_knowledge().build().unwrap();
        let url = server.url("/sleep/60000");
        let stream = spawn(async move { http2.get(url).send().await.is_err() });
        let http2 = Client::builder().http2_prior_knowledge().build().unwrap();
        let url = server.url("/cleanup/100");
        let cleaned = spawn(async move { http2.get(url).send().await.is_err() });
        server.until(|now| now.in_flight == 3).await;
        let error = server.task.cancel_and_join().await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(server.app.seen.running.load(SeqCst), 0);
        assert_eq!(server.app.seen.dropped.load(SeqCst), 3);
        assert_eq!(server.app.seen.cleaned.load(SeqCst), 1, "it has waited");
        let last = server.metrics.snapshot();
        assert_eq!((last.open, last.in_flight), (0, 0));
        assert!(client.is_closed().await);
        assert!(stream.await.unwrap() && cleaned.await.unwrap());
    });
}

/// Tasks and descriptors are back where they were after servers that were ended in each of the ways.
#[test]
fn nothing_is_left() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    run(async {
        // The first of everything.
        start(|server| server).await.stop().await;
        millis(50).await;
        let before = open();
        for way in 0..30 {
            let server = start(|server| server.shutdown_grace(Duration::from_millis(5))).await;
            let mut client = server.connect().await;
            client
                .send("GET /sleep/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
                .await;
            if way % 2 == 0 {
                server.until(|now| now.in_flight == 1).await;
            }
            if way % 3 == 0 {
                let _ = server.task.cancel_and_join().await;
            } else {
                server.stop().await;
            }
        }
        for _ in 0..100 {
            if open() <= before + 8 {
                return;
            }
            millis(20).await;
        }
        panic!("{} descriptors are left of {before}", open());
    });
}
