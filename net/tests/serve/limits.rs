//! Limits of connections, time and heads.

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use heist_net::http::Body;
use heist_net::hyper::{Listener, serve};
use heist_net::{TcpListener, TcpStream};
use heist_runtime::spawn;
use heist_sync::stream::generate;
use heist_sync::time::timeout;
use http::Method;
use http_body_util::BodyExt;

use crate::support::{App, Client, millis, request, run, start};

/// At the limit nothing is accepted; when one leaves, the next is. Control, tried: acquire the permit after the
/// accept.
#[test]
fn connections() {
    run(async {
        let server = start(|server| server.max_connections(2)).await;
        let mut first = server.connect().await;
        first.get("/").await;
        let mut second = server.connect().await;
        second.get("/").await;
        let mut third = server.connect().await;
        let waiting = timeout(Duration::from_millis(100), third.get("/waits"));
        assert!(waiting.await.is_err());
        assert_eq!(server.now().total, 2);
        drop(first);
        assert!(third.response().await.unwrap().ends_with("/waits"));
        assert_eq!(server.now().total, 3);
        server.stop().await;
    });
}

/// A head that dribbles in is cut off in time, also on a connection that has served others. Controls, tried: no timeout
/// (it hangs); count from the last byte (it takes too long).
#[test]
fn slow_heads() {
    run(async {
        let limit = Duration::from_millis(200);
        let server = start(|server| server.header_read_timeout(limit)).await;
        for served in [0, 2] {
            let mut client = server.connect().await;
            for _ in 0..served {
                client.get("/").await;
            }
            // Idle, it may be for longer than that.
            if served > 0 {
                millis(300).await;
            }
            let began = Instant::now();
            let closed = loop {
                // Now and then a byte, for ever.
                if client.stream.write_all(b"G").await.is_err() {
                    break began.elapsed();
                }
                let closed = timeout(Duration::from_millis(20), client.is_closed()).await;
                if closed.is_ok() {
                    break began.elapsed();
                }
            };
            assert!(
                (limit - limit / 10..limit * 5).contains(&closed),
                "{closed:?}"
            );
        }
        // Not a word: the same.
        let mut client = server.connect().await;
        assert!(client.is_closed().await);
        let now = server.now();
        assert_eq!((now.timed_out, now.refused), (3, 2));
        server.stop().await;
    });
}

/// Bytes that might become the preface of HTTP/2 are a part of the head: the time begins with the connection, not anew
/// when it is known what is spoken. Control, tried: a clock that begins with the conversation.
#[test]
fn a_slow_preface_counts_once() {
    run(async {
        let limit = Duration::from_secs(1);
        let server = start(|server| server.header_read_timeout(limit).idle_timeout(limit)).await;
        let (before, after) = (limit - limit / 10, limit + limit / 2);
        // It takes four fifths of the time, and then is none, or is one.
        let cases = [
            ["PRI ", "* HT", "TP/", "1.1\r\nA: "],
            [
                "PRI * ",
                "HTTP/2.0\r",
                "\n\r\nSM\r\n\r",
                "\n\0\0\0\x04\0\0\0\0\0",
            ],
        ];
        for [first, second, third, last] in cases {
            let mut client = server.connect().await;
            let began = Instant::now();
            for piece in [first, second, third] {
                millis(266).await;
                client.send(piece).await;
            }
            client.send(last).await;
            let mut frames = Vec::new();
            while let Ok(Some(bytes)) = client.stream.recv().await {
                frames.extend_from_slice(&bytes);
                // With HTTP/2 it is told so: GOAWAY.
                if has_frame(&frames, 7) {
                    break;
                }
            }
            let closed = began.elapsed();
            assert!((before..after).contains(&closed), "{last:?}: {closed:?}");
        }
        server.stop().await;
    });
}

/// Whether there is a frame of this kind among whole ones of HTTP/2.
fn has_frame(mut frames: &[u8], kind: u8) -> bool {
    while let [a, b, c, this, ..] = *frames {
        let length = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        if this == kind {
            return true;
        }
        frames = frames.get(length..).unwrap_or_default();
    }
    false
}

/// A slow service, and a slow body, are no slow head.
#[test]
fn slow_services_are_left_alone() {
    run(async {
        let short = Duration::from_millis(50);
        let server = start(|server| server.header_read_timeout(short).idle_timeout(short)).await;
        let mut client = server.connect().await;
        assert!(client.get("/sleep/300").await.ends_with("/sleep/300"));
        client
            .send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\n")
            .await;
        for piece in ["a", "b", "c"] {
            millis(80).await;
            client.send(piece).await;
        }
        assert!(client.response().await.unwrap().ends_with("abc"));
        server.stop().await;
    });
}

#[test]
fn idle_connections() {
    run(async {
        let limit = Duration::from_millis(150);
        let server = start(|server| server.idle_timeout(limit)).await;
        let mut client = server.connect().await;
        for _ in 0..3 {
            millis(80).await;
            client.get("/").await;
        }
        let began = Instant::now();
        assert!(client.is_closed().await);
        assert!(began.elapsed() >= limit * 9 / 10);
        // HTTP/2 is told so (GOAWAY), and a client connects anew.
        let builder = heist_net::http::Client::builder().http2_prior_knowledge();
        let client = builder.build().unwrap();
        for _ in 0..2 {
            let response = client.get(server.url("/sleep/200")).send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), "/sleep/200");
            server.until(|now| now.open == 0).await;
        }
        let last = server.stop().await;
        assert_eq!((last.total, last.timed_out, last.refused), (3, 3, 0));
    });
}

/// A body that stops in the middle fails in time, and its connection is closed after the response; one that comes slowly
/// does not, nor one that nobody has asked for yet. Controls, tried: no limit (it hangs); count from the first part (the slow
/// one fails); count while nobody waits (the late one does).
#[test]
fn bodies_that_stop() {
    run(async {
        let limit = Duration::from_millis(200);
        let server = start(|server| server.body_read_timeout(limit)).await;
        for framing in [
            "Content-Length: 10\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let mut client = server.connect().await;
            client.get("/").await;
            let began = Instant::now();
            client
                .send(&format!("POST /echo HTTP/1.1\r\nHost: t\r\n{framing}"))
                .await;
            let response = client.response().await.unwrap();
            assert!(response.starts_with("HTTP/1.1 408"), "{response}");
            assert!(began.elapsed() >= limit);
            assert!(client.is_closed().await);
        }
        assert_eq!(server.now().stalled, 2);
        for (path, pause) in [("/echo", 90), ("/late/400", 20)] {
            let mut client = server.connect().await;
            let head = "HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n";
            client.send(&format!("POST {path} {head}")).await;
            for piece in ["a", "b", "c", "d", "e"] {
                client.send(piece).await;
                millis(pause).await;
            }
            assert!(client.response().await.unwrap().ends_with("abcde"));
            client.get("/").await;
        }
        assert_eq!(server.stop().await.stalled, 2);
    });
}

/// Nor may one of HTTP/2, whose connection goes on.
#[test]
fn bodies_of_streams_that_stop() {
    run(async {
        let limit = Duration::from_millis(150);
        let server = start(|server| server.body_read_timeout(limit)).await;
        let builder = heist_net::http::Client::builder().http2_prior_knowledge();
        let client = builder.build().unwrap();
        let parts = generate(async |part| {
            part.emit(Ok::<_, io::Error>("abc")).await;
            std::future::pending::<()>().await;
        });
        let request = client.post(server.url("/echo"));
        let stuck = request.body(Body::wrap_stream(parts)).send();
        let beside = client.get(server.url("/sleep/300")).send();
        let (stuck, beside) = heist_sync::join!(stuck, beside);
        assert_eq!(stuck.unwrap().status(), 408);
        assert_eq!(beside.unwrap().text().await.unwrap(), "/sleep/300");
        assert_eq!((server.now().total, server.now().stalled), (1, 1));
        drop(client);
        server.stop().await;
    });
}

/// A client that takes nothing is closed; one that takes a little at a time is not.
#[test]
fn clients_that_take_nothing() {
    run(async {
        let limit = Duration::from_millis(300);
        let server = start(|server| server.write_timeout(limit).idle_timeout(None)).await;
        let mut stuck = server.connect().await;
        stuck
            .send("GET /big/50000000 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        let mut slow = server.connect().await;
        slow.send("GET /big/20000000 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        let mut taken = 0;
        while taken < 20_000_000 {
            let bytes = slow.stream.recv().await.unwrap();
            let count = bytes.expect("it is not cut off").len();
            taken += count;
            if taken / 2_000_000 > (taken - count) / 2_000_000 {
                millis(60).await;
            }
        }
        server.until(|now| now.open == 1).await;
        let last = server.now();
        assert_eq!((last.timed_out, last.refused), (1, 0));
        drop((stuck, slow));
        server.stop().await;
    });
}

/// A client that stops reading one response loses that stream, though it takes others all the while; one that reads it
/// slowly does not. Controls, tried: no patience (the first is never reset); give a body in one piece (the
/// slow one is).
#[test]
fn streams_of_which_a_client_takes_nothing() {
    run(async {
        let limit = Duration::from_millis(300);
        let server = start(|server| server.write_timeout(limit)).await;
        let mut streams = server.streams().await;
        let get = |path| request(Method::GET, &server.url(path));
        let began = Instant::now();
        let response = streams.send_request(get("/big/1000000")).await.unwrap();
        let mut left = response.into_body();
        let mut slow = streams.send_request(get("/big/800000")).await.unwrap();
        let mut taken = 0;
        while let Some(part) = slow.frame().await {
            let count = part.unwrap().into_data().unwrap().len();
            taken += count;
            if taken / 50_000 > (taken - count) / 50_000 {
                millis(40).await;
            }
        }
        assert_eq!(taken, 800_000, "nothing was cut off of it");
        assert!(began.elapsed() > limit * 3 / 2, "it was slow");
        server.until(|now| now.unread == 1).await;
        let whole = streams.send_request(get("/beside")).await.unwrap();
        assert_eq!(
            whole.into_body().collect().await.unwrap().to_bytes(),
            "/beside"
        );
        server.until(|now| now.in_flight == 0).await;
        let end = loop {
            match left.frame().await.expect("it is not whole") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        let cause = std::error::Error::source(&end).unwrap().to_string();
        assert!(cause.contains("stream no longer needed"), "{cause}");
        let now = server.now();
        assert_eq!((now.total, now.unread, now.timed_out), (1, 1, 0), "{now:?}");
        drop(streams);
        server.stop().await;
    });
}

/// Nor may a client keep a short response waiting, by leaving no room at all.
#[test]
fn streams_without_room() {
    run(async {
        let limit = Duration::from_millis(150);
        let server = start(|server| server.write_timeout(limit)).await;
        let mut stream = server.connect().await.stream;
        // The preface; SETTINGS_INITIAL_WINDOW_SIZE of 0; HEADERS with END_STREAM and END_HEADERS: GET, http, /, and no
        // authority, all from the static table (RFC 7541, appendix A).
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
        bytes.extend([0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84]);
        stream.write_all(&bytes).await.unwrap();
        server.until(|now| now.requests == 1).await;
        assert_eq!(server.now().in_flight, 1);
        server
            .until(|now| (now.unread, now.in_flight) == (1, 0))
            .await;
        // RST_STREAM of stream 1 is the last that comes, with CANCEL.
        let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
        let mut seen = Vec::new();
        while !seen.ends_with(&reset) {
            let bytes = stream.recv().await.unwrap().expect("a reset");
            seen.extend_from_slice(&bytes);
        }
        drop(stream);
        server.stop().await;
    });
}

/// 64 KiB and 100 fields.
#[test]
fn long_heads() {
    run(async {
        let server = start(|server| server).await;
        let long = format!("X-Long: {}\r\n", "x".repeat(70_000));
        let many = "X-Many: 1\r\n".repeat(101);
        for fields in [long, many] {
            let mut client = server.connect().await;
            let request = format!("GET / HTTP/1.1\r\nHost: t\r\n{fields}\r\n");
            client.send(&request).await;
            let response = client.response().await.unwrap();
            assert!(response.starts_with("HTTP/1.1 431"), "{response}");
            assert!(client.is_closed().await);
        }
        assert_eq!(server.stop().await.requests, 0);
    });
}

/// A listener whose accepts fail first, and has a last error.
struct Failing {
    inner: TcpListener,
    errors: Vec<i32>,
    asked: Arc<AtomicUsize>,
}

impl Listener for Failing {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.asked.fetch_add(1, SeqCst);
        match self.errors.pop() {
            Some(0) | None => self.inner.accept().await,
            Some(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Errors of accepting are survived, without spinning; that of a descriptor that is no listener ends the server, after
/// what it serves. Controls, tried: end at the first; pause for none.
#[test]
fn errors_of_accepting() {
    const ECONNABORTED: i32 = 103;
    const EMFILE: i32 = 24;
    const EBADF: i32 = 9;
    run(async {
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = inner.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        // From the last to the first.
        let errors = [&[EBADF, 0][..], &[EMFILE; 5], &[ECONNABORTED; 3]].concat();
        let listener = Failing {
            inner,
            errors,
            asked: asked.clone(),
        };
        let server = serve(listener, App::default());
        let metrics = server.metrics();
        let began = Instant::now();
        let server = spawn(server.into_future());
        let mut client = Client::connect(address).await;
        client
            .send("GET /sleep/100 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        let error = server.await.unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(EBADF));
        // 10, 20, 40, 80, 160 ms.
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert!(client.response().await.unwrap().ends_with("/sleep/100"));
        assert_eq!(
            (asked.load(SeqCst), metrics.snapshot().accept_errors),
            (10, 5)
        );
    });
}
