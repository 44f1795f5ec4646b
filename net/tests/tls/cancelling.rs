//! Futures that are dropped at any poll.

use std::time::Duration;

use heist_net::TcpStream;
use heist_net::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use heist_net::tls::TlsStream;
use heist_runtime::{block_on, spawn, yield_now};

use crate::ends::*;
use crate::support::{Chance, impatient, numbered, pair, stubborn};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The client gives up at its first poll, its second, and so on until it does not have to: the server never hangs, and
/// the next connection works.
#[test]
fn a_handshake_may_be_given_up_at_every_poll() {
    let (connector, acceptor) = friends();
    for at_server in [false, true] {
        let mut done = false;
        for polls in 1..2000 {
            done = block_on(async {
                let (client, server) = pair().await;
                let (client, server) = (Slow::new(client, 40, polls), Slow::new(server, 40, polls));
                let (connector, acceptor) = (connector.clone(), acceptor.clone());
                let most = polls as usize;
                if at_server {
                    let other = spawn(async move { connector.connect("a.test", client).await });
                    let accepted = impatient(acceptor.accept(server), most).await;
                    let done = accepted.map(Result::unwrap);
                    let other = other.await.unwrap();
                    assert!(done.is_none() || other.is_ok());
                    done.is_some()
                } else {
                    let other = spawn(async move { acceptor.accept(server).await });
                    let connected = impatient(connector.connect("a.test", client), most).await;
                    let done = connected.map(Result::unwrap);
                    let other = other.await.unwrap();
                    assert!(done.is_none() || other.is_ok());
                    done.is_some()
                }
            });
            if done {
                break;
            }
        }
        assert!(done, "it takes too many polls");
    }
}

/// Echoes what comes.
async fn echo(mut stream: TlsStream<TcpStream>) {
    while let Some(bytes) = stream.recv().await.unwrap() {
        stream.write_all(&bytes).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

/// Reads and writes are dropped at random: every byte comes back once.
///
/// Control: a `poll_write_parts` that encrypts before it has sent what was before, and is pending then.
#[test]
fn reads_and_writes_lose_nothing() {
    for seed in 0..10 {
        block_on(async {
            let (client, server) = secure_pair().await;
            let echo = spawn(echo(server));
            let sent = numbered(1 << 20);
            let (mut read, mut write) = client.into_split();
            let bytes = sent.clone();
            let writer = spawn(async move {
                let mut chance = Chance::new(seed);
                for mut piece in chance.cut(&bytes, 30_000) {
                    while !piece.is_empty() {
                        let attempt = write.write(piece);
                        match impatient(attempt, chance.below(3)).await {
                            Some(count) => piece = &piece[count.unwrap()..],
                            None => yield_now().await,
                        }
                    }
                }
                while impatient(write.shutdown(), chance.below(3)).await.is_none() {
                    yield_now().await;
                }
                write
            });
            let mut chance = Chance::new(seed + 1);
            let mut received = Vec::new();
            while received.len() < sent.len() {
                match chance.below(3) {
                    0 => {
                        let most = chance.below(3);
                        if let Some(bytes) = impatient(read.recv(), most).await {
                            received.extend_from_slice(&bytes.unwrap().unwrap());
                        }
                    }
                    1 => {
                        let left = sent.len() - received.len();
                        let mut some = vec![0; (1 + chance.below(5000)).min(left)];
                        let most = chance.below(3);
                        // A dropped `read_exact` has put back what it has read.
                        if impatient(read.read_exact(&mut some), most).await.is_some() {
                            received.extend_from_slice(&some);
                        }
                    }
                    _ => {
                        let most = chance.below(3);
                        if let Some(shown) = impatient(read.fill_buf(), most).await {
                            let shown = shown.unwrap();
                            let count = shown.len().min(1 + chance.below(5000));
                            received.extend_from_slice(&shown[..count]);
                            read.consume(count);
                        }
                    }
                }
                yield_now().await;
            }
            assert!(received == sent);
            let end = stubborn(&mut chance, async || read.recv().await.unwrap()).await;
            assert!(end.is_none());
            drop(writer.await.unwrap());
            echo.await.unwrap();
        });
    }
}

/// Tasks that are cancelled while they wait for a peer that says nothing leave no descriptor behind.
#[test]
fn cancelled_tasks_leave_nothing_behind() {
    let (connector, acceptor) = friends();
    block_on(async {
        // What the runtime opens for itself is open by then.
        drop(pair().await);
        let before = descriptors();
        for _ in 0..20 {
            let (client, server) = pair().await;
            let connector = connector.clone();
            let waiting = spawn(async move { connector.connect("a.test", client).await });
            yield_now().await;
            waiting.cancel();
            assert!(waiting.await.is_err());
            let acceptor = acceptor.clone();
            let waiting = spawn(async move { acceptor.accept(server).await });
            yield_now().await;
            waiting.cancel();
            drop(waiting.await);
        }
        for _ in 0..200 {
            if descriptors() <= before {
                break;
            }
            heist_sync::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(descriptors() <= before);
    });
}

/// A handshake with somebody who never answers ends when its timeout does.
#[test]
fn a_timeout_ends_a_handshake() {
    let (connector, _) = friends();
    block_on(async {
        let (client, _server) = pair().await;
        let limit = Duration::from_millis(30);
        let timed = heist_sync::time::timeout(limit, connector.connect("a.test", client));
        assert!(timed.await.is_err());
    });
}
