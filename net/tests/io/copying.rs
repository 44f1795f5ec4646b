//! From one connection to another.

use std::io::{self, ErrorKind};

use heist_net::TcpStream;
use heist_net::io::{AsyncReadExt, BothFailed, BufWriter, copy, copy_bidirectional};
use heist_runtime::{block_on, spawn};

use crate::support::*;

/// Control: a `Pump` without its `Drop`; one that counts bytes before they are written.
#[test]
fn a_copy_dropped_at_any_poll_loses_nothing() {
    block_on(async {
        for seed in 0..300 {
            let mut chance = Chance::new(seed);
            let bytes = numbered(chance.below(300));
            let mut reader = Script::new(&bytes, 20, &mut chance);
            let mut writer = BufWriter::with_capacity(30, Sink::new(9, seed));
            let last = stubborn(&mut chance, async || copy(&mut reader, &mut writer).await).await;
            assert!(last.unwrap() <= bytes.len() as u64);
            let sink = writer.into_inner();
            assert_eq!(sink.taken, bytes);
            assert_eq!(sink.flushed, bytes.len());
        }
    });
}

#[test]
fn a_failed_copy_puts_back_what_was_not_written() {
    block_on(async {
        for seed in 0..100 {
            let mut chance = Chance::new(seed);
            let bytes = numbered(100);
            let mut reader = Script::new(&bytes, 20, &mut chance);
            let mut sink = Sink::new(9, seed).failing_at(chance.below(100));
            let error = copy(&mut reader, &mut sink).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).await.unwrap();
            assert_eq!([sink.taken, rest].concat(), bytes);
        }
    });
}

/// A client, a proxy between its two ends, a server.
async fn proxied() -> (TcpStream, (TcpStream, TcpStream), TcpStream) {
    let (client, front) = pair().await;
    let (back, server) = pair().await;
    (client, (front, back), server)
}

/// The client ends its direction, and still gets the whole answer.
///
/// Control: with a direction that does not shut down its writer this hangs.
#[test]
fn half_closed_connections_get_their_answer() {
    block_on(async {
        let (client, (mut front, mut back), mut server) = proxied().await;
        let request = numbered(2000);
        let answer = numbered(1 << 20);
        let sender = spawn(dribble(client, request.clone(), 1));
        let reply = answer.clone();
        let server = spawn(async move {
            let mut got = Vec::new();
            server.read_to_end(&mut got).await.unwrap();
            server.write_all(&reply).await.unwrap();
            got
        });
        let proxy = spawn(async move {
            // Dropped again and again, as by a timeout that is set anew.
            let mut chance = Chance::new(2);
            loop {
                let attempt = copy_bidirectional(&mut front, &mut back);
                if let Some(outcome) = impatient(attempt, chance.below(3)).await {
                    break outcome;
                }
                heist_runtime::yield_now().await;
            }
        });
        let mut client = sender.await.unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got == answer);
        assert!(server.await.unwrap() == request);
        proxy.await.unwrap().unwrap();
    });
}

#[test]
fn both_counts_are_told() {
    block_on(async {
        let (mut client, (mut front, mut back), mut server) = proxied().await;
        let proxy = spawn(async move { copy_bidirectional(&mut front, &mut back).await });
        client.write_all(b"question").await.unwrap();
        server.write_all(b"yes").await.unwrap();
        let mut question = [0; 8];
        server.read_exact(&mut question).await.unwrap();
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"yes");
        drop(client);
        assert_eq!(proxy.await.unwrap().unwrap(), (8, 3));
    });
}

/// Control: with a `Both` that waits for one direction before it looks at the other this hangs.
#[test]
fn an_error_of_one_direction_is_told_while_the_other_is_open() {
    block_on(async {
        for front_fails in [false, true] {
            let (client, (mut front, mut back), server) = proxied().await;
            let proxy = spawn(async move { copy_bidirectional(&mut front, &mut back).await });
            let (bad, good) = if front_fails {
                (client, server)
            } else {
                (server, client)
            };
            // Closed with a linger of zero: a reset.
            bad.set_linger(Some(std::time::Duration::ZERO)).unwrap();
            drop(bad);
            let error = proxy.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            drop(good);
        }
    });
}

/// Both fail in the same poll.
#[test]
fn two_errors_are_told_together() {
    block_on(async {
        let mut a = Broken("a");
        let mut b = Broken("b");
        let error = copy_bidirectional(&mut a, &mut b).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        let both: &BothFailed = error.get_ref().unwrap().downcast_ref().unwrap();
        assert_eq!(
            (both.there.to_string(), both.back.to_string()),
            ("a".into(), "b".into())
        );
        assert_eq!(error.to_string(), "both directions failed: a there, b back");
    });
}

/// Cannot be read from.
struct Broken(&'static str);

mod broken {
    use std::task::{Context, Poll};

    use heist_net::RecvBuf;
    use heist_net::io::{AsyncRead, AsyncWrite};

    use super::{Broken, io};

    impl AsyncRead for Broken {
        fn poll_recv(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Option<RecvBuf>>> {
            Poll::Ready(Err(io::Error::other(self.0)))
        }

        fn unread(&mut self, _: RecvBuf) {}
    }

    impl AsyncWrite for Broken {
        fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}

/// Control: a `read_through!` whose `consume`, or `poll_fill_buf`, does not reach the reader.
#[test]
fn unix_sockets_are_proxied_too() {
    use heist_net::UnixStream;
    use heist_net::io::{AsyncBufReadExt, AsyncWriteExt};
    block_on(async {
        let (client, mut front) = UnixStream::pair().unwrap();
        let (mut back, server) = pair().await;
        let proxy = spawn(async move { copy_bidirectional(&mut front, &mut back).await });
        let server = spawn(async move {
            let (read, mut write) = server.into_split();
            let mut lines = read.lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                let reply = line.to_uppercase() + "\n";
                write.write_all(reply.as_bytes()).await.unwrap();
            }
        });
        let (mut read, mut write) = client.into_split();
        for line in ["one\n", "two\n"] {
            write.write_all(line.as_bytes()).await.unwrap();
            let mut back = String::new();
            read.read_line(&mut back).await.unwrap();
            assert_eq!(back, line.to_uppercase());
        }
        AsyncWriteExt::shutdown(&mut write).await.unwrap();
        assert_eq!(read.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        server.await.unwrap();
        assert_eq!(proxy.await.unwrap().unwrap(), (8, 8));
    });
}
