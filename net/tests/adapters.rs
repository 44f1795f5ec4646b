//! Other libraries over Heist's sockets: their own futures, dropped at any poll where they may be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "io/support.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod support;

use heist_net::io::Compat;
use heist_runtime::{block_on, spawn};

use support::*;

/// Echoes through `futures-io` on one side, with futures dropped at random on the other.
///
/// Control: a `poll_read` that forgets what does not fit.
#[test]
fn futures_io() {
    use futures_util::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    block_on(async {
        let sent = numbered(20_000);
        let (client, server) = pair().await;
        let echo = spawn(async move {
            let (read, write) = server.into_split();
            let (mut read, mut write) = (Compat::new(read), Compat::new(write));
            let count = futures_util::io::copy_buf(&mut read, &mut write).await;
            write.close().await.unwrap();
            count.unwrap()
        });
        let (read, write) = client.into_split();
        let (mut read, mut write) = (Compat::new(read), Compat::new(write));
        let bytes = sent.clone();
        let writer = spawn(async move {
            let mut chance = Chance::new(1);
            for mut piece in chance.cut(&bytes, 300) {
                while !piece.is_empty() {
                    // A dropped write has written nothing.
                    if let Some(count) = impatient(write.write(piece), chance.below(3)).await {
                        piece = &piece[count.unwrap()..];
                    }
                }
            }
            write.close().await.unwrap();
        });
        let mut chance = Chance::new(2);
        let mut received = Vec::new();
        loop {
            let mut into = vec![0; 1 + chance.below(50)];
            let read = impatient(read.read(&mut into), chance.below(3)).await;
            match read {
                Some(Ok(0)) => break,
                Some(count) => received.extend_from_slice(&into[..count.unwrap()]),
                None => heist_runtime::yield_now().await,
            }
        }
        assert!(received == sent);
        writer.await.unwrap();
        assert_eq!(echo.await.unwrap(), sent.len() as u64);
        assert_eq!(read.fill_buf().await.unwrap(), b"");
    });
}

/// The same through `tokio::io`, whose methods run without its runtime.
///
/// Control: a `poll_put` that forgets what does not fit.
#[test]
fn tokio_io() {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    block_on(async {
        let sent = numbered(20_000);
        let (client, server) = pair().await;
        let echo = spawn(async move {
            let mut stream = Compat::new(server);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            stream.write_all(&all).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let mut stream = Compat::new(client);
        let mut chance = Chance::new(1);
        for mut piece in chance.cut(&sent, 300) {
            while !piece.is_empty() {
                if let Some(count) = impatient(stream.write_buf(&mut piece), chance.below(3)).await
                {
                    assert!(count.unwrap() > 0);
                }
            }
        }
        stream.shutdown().await.unwrap();
        let mut received = Vec::new();
        loop {
            let mut into = vec![0; 1 + chance.below(50)];
            let read = impatient(stream.read(&mut into), chance.below(3)).await;
            match read {
                Some(Ok(0)) => break,
                Some(count) => received.extend_from_slice(&into[..count.unwrap()]),
                None => heist_runtime::yield_now().await,
            }
        }
        assert!(received == sent);
        assert_eq!(stream.fill_buf().await.unwrap(), b"");
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
        echo.await.unwrap();
    });
}

/// A client and a server of hyper's, both on Heist.
#[test]
fn hyper_speaks_http() {
    use hyper::body::Body;
    use hyper::{Request, Response};
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::Pin;

    async fn whole<B: Body<Data = bytes::Bytes> + Unpin>(mut body: B) -> Vec<u8>
    where
        B::Error: std::fmt::Debug,
    {
        let mut all = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            if let Ok(data) = frame.unwrap().into_data() {
                all.extend_from_slice(&data);
            }
        }
        all
    }

    block_on(async {
        let (client, server) = pair().await;
        let serving = spawn(async move {
            let service = hyper::service::service_fn(async |request: Request<_>| {
                let body = whole(request.into_body()).await;
                let reversed: Vec<u8> = body.into_iter().rev().collect();
                Ok::<_, Infallible>(Response::new(String::from_utf8(reversed).unwrap()))
            });
            hyper::server::conn::http1::Builder::new()
                .serve_connection(Compat::new(server), service)
                .await
                .unwrap();
        });
        let (mut sender, connection) = hyper::client::conn::http1::handshake(Compat::new(client))
            .await
            .unwrap();
        let connection = spawn(connection);
        for length in [0, 1, 100_000, 1_000_000] {
            let text: String = (0..length)
                .map(|i| char::from(b'a' + (i % 26) as u8))
                .collect();
            let request = Request::post("/")
                .header("host", "x")
                .body(text.clone())
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            let back = whole(response.into_body()).await;
            assert!(back.iter().rev().copied().eq(text.bytes()));
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        serving.await.unwrap();
    });
}

/// Control: a `poll_write` that says `Ok` for what fails.
#[test]
fn errors_are_told() {
    use tokio::io::AsyncWriteExt;
    block_on(async {
        let (client, server) = pair().await;
        server.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(server);
        let mut stream = Compat::new(client);
        let written = async {
            loop {
                stream.write_all(&[0; 1000]).await?;
                stream.flush().await?;
            }
        };
        let outcome: std::io::Result<()> = written.await;
        let kind = outcome.unwrap_err().kind();
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        assert!([BrokenPipe, ConnectionReset].contains(&kind), "{kind}");
    });
}
