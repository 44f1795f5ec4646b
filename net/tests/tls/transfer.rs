//! Many bytes, in every size of record and packet.

use std::hash::{DefaultHasher, Hash, Hasher};

use heist_net::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream,
};
use heist_net::tls::{TlsStream, Version};
use heist_runtime::{block_on, spawn, yield_now};

use crate::certificates::Authority;
use crate::ends::*;
use crate::support::{Chance, numbered, pair};

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Sends and receives at the same time, and compares. Both ends do it.
async fn exchange<S>(stream: TlsStream<S>, send: Vec<u8>, expected: u64, seed: u64) -> TlsStream<S>
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + 'static,
{
    let (mut read, mut write) = stream.into_split();
    let writer = spawn(async move {
        let mut chance = Chance::new(seed);
        for piece in chance.cut(&send, 100_000) {
            write.write_all(piece).await.unwrap();
        }
        write.shutdown().await.unwrap();
        write
    });
    let mut all = Vec::new();
    let mut chance = Chance::new(seed);
    loop {
        // By all three ways of reading.
        let count = match chance.below(3) {
            0 => read.recv().await.unwrap().map_or(0, |bytes| {
                all.extend_from_slice(&bytes);
                bytes.len()
            }),
            1 => {
                let mut some = vec![0; 1 + chance.below(40_000)];
                let count = read.read(&mut some).await.unwrap();
                all.extend_from_slice(&some[..count]);
                count
            }
            _ => {
                let shown = read.fill_buf().await.unwrap();
                let count = shown.len().min(1 + chance.below(40_000));
                all.extend_from_slice(&shown[..count]);
                read.consume(count);
                count
            }
        };
        if count == 0 {
            break;
        }
    }
    assert_eq!(hash(&all), expected);
    let write = writer.await.unwrap();
    assert!(read.is_pair_of(&write));
    read.unsplit(write)
}

/// Control: a `take` that forgets what it has not taken.
#[test]
fn large_transfers_both_ways_at_once() {
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let authority = Authority::new();
        let connector = trusting(&authority).max_version(version).build().unwrap();
        let identity = authority.issue(&["a.test"]).identity();
        let acceptor = heist_net::tls::TlsAcceptor::new(identity).unwrap();
        block_on(async {
            let (client, server) = shake_tcp(&connector, &acceptor, "a.test").await;
            let (up, down) = (numbered(8 << 20), numbered((8 << 20) + 12_345));
            let (of_up, of_down) = (hash(&up), hash(&down));
            let server = spawn(exchange(server.unwrap(), down, of_up, 1));
            let client = exchange(client.unwrap(), up, of_down, 2).await;
            assert_eq!(client.protocol_version(), version);
            server.await.unwrap();
        });
    }
}

/// A record for each byte, and packets that are cut anywhere.
#[test]
fn one_byte_records_over_a_network_that_splits_everything() {
    for most in [1, 2, 7, 100] {
        let (connector, acceptor) = friends();
        block_on(async {
            let (client, server) = pair().await;
            let slow = (Slow::new(client, most, 1), Slow::new(server, most, 2));
            let (client, server) = shake(&connector, &acceptor, "a.test", slow).await;
            let (mut client, mut server) = (client.unwrap(), server.unwrap());
            let sent = numbered(500);
            let bytes = sent.clone();
            let echo = spawn(async move {
                let mut all = vec![0; bytes.len()];
                server.read_exact(&mut all).await.unwrap();
                for byte in all {
                    assert_eq!(server.write(&[byte]).await.unwrap(), 1);
                }
                server.shutdown().await.unwrap();
            });
            for byte in &sent {
                client.write_all(&[*byte]).await.unwrap();
            }
            client.flush().await.unwrap();
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.unwrap();
            assert!(all == sent);
            echo.await.unwrap();
        });
    }
}

/// What a write leaves because the socket is full is sent by reads, so that a request that was not flushed is answered.
///
/// Control: a `send_aside` that sends nothing.
#[test]
fn reading_sends_what_was_written() {
    block_on(async {
        let (mut client, mut server) = secure_pair().await;
        let length = 4 << 20;
        let answering = spawn(async move {
            // Late, so that the socket fills up.
            for _ in 0..100 {
                yield_now().await;
            }
            let mut all = vec![0; length];
            server.read_exact(&mut all).await.unwrap();
            server.write_all(b"done").await.unwrap();
            server.shutdown().await.unwrap();
        });
        let mut bytes = &vec![7; length][..];
        while !bytes.is_empty() {
            let count = client.write(bytes).await.unwrap();
            bytes = &bytes[count..];
        }
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "done");
        answering.await.unwrap();
    });
}

/// Through a writer that sends nothing before it is flushed: the handshake flushes by itself.
#[test]
fn over_a_buffered_stream() {
    block_on(async {
        let (connector, acceptor) = friends();
        let (client, server) = pair().await;
        let buffered = (BufStream::new(client), BufStream::new(server));
        let (client, server) = shake(&connector, &acceptor, "a.test", buffered).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        client.write_all(b"a line\n").await.unwrap();
        client.flush().await.unwrap();
        let mut line = String::new();
        server.read_line(&mut line).await.unwrap();
        assert_eq!(line, "a line\n");
    });
}

#[test]
fn bytes_are_put_back() {
    block_on(async {
        let (client, mut server) = secure_pair().await;
        server.write_all(b"world").await.unwrap();
        server.shutdown().await.unwrap();
        let (mut read, write) = client.into_split();
        let shown = read.fill_buf().await.unwrap();
        assert_eq!(shown, b"world");
        read.unread(b"hello, ".to_vec().into());
        let mut client = read.unsplit(write);
        client.unread(b"1: ".to_vec().into());
        assert_eq!(client.fill_buf().await.unwrap(), b"1: hello, world");
        client.consume(3);
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "hello, world");
    });
}

/// hyper over TLS over Heist, by `io::Compat`.
#[cfg(feature = "hyper")]
#[test]
fn hyper_speaks_https() {
    use heist_net::io::Compat;
    use hyper::body::Body;
    use hyper::{Request, Response};

    block_on(async {
        let (client, server) = secure_pair().await;
        let serving = spawn(async move {
            let service = hyper::service::service_fn(async |request: Request<_>| {
                let path = request.uri().path().to_owned();
                Ok::<_, std::convert::Infallible>(Response::new(path))
            });
            let http = hyper::server::conn::http1::Builder::new();
            let connection = http.serve_connection(Compat::new(server), service);
            connection.await.unwrap();
        });
        let handshake = hyper::client::conn::http1::handshake(Compat::new(client));
        let (mut sender, connection) = handshake.await.unwrap();
        let connection = spawn(connection);
        let request = Request::get("/over-tls")
            .header("host", "a.test")
            .body(String::new());
        let response = sender.send_request(request.unwrap()).await.unwrap();
        let mut body = response.into_body();
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "/over-tls");
        drop(sender);
        connection.await.unwrap().unwrap();
        serving.await.unwrap();
    });
}
