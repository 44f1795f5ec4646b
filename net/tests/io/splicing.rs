//! Through a pipe in the kernel, from one connection to another.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Mutex;

use heist_net::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, splice_bidirectional};
use heist_net::{TcpStream, UnixStream};
use heist_runtime::{Builder, block_on, spawn};
use heist_sync::join;

use crate::support::*;

/// Far more than is copied before a direction is spliced.
const LONG: usize = 5 << 20;

/// Some tests count the pipes of the process, so that all that make some take turns.
static DESCRIPTORS: Mutex<()> = Mutex::new(());

fn open_pipes() -> usize {
    let folder = std::fs::read_dir("/proc/self/fd").unwrap();
    folder
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("pipe:"))
        .count()
}

fn blocks(stream: &impl AsFd) -> bool {
    !socket2::SockRef::from(stream).nonblocking().unwrap()
}

/// Gives a socket small buffers. With the smallest, the peers would wait for each other's timers.
fn narrow(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
}

/// Sends `bytes` beside receiving until the end, and returns what came.
async fn exchange(stream: TcpStream, bytes: Vec<u8>) -> Vec<u8> {
    let (mut read, mut write) = stream.into_split();
    let sending = async {
        write.write_all(&bytes).await.unwrap();
        AsyncWriteExt::shutdown(&mut write).await.unwrap();
    };
    let mut got = Vec::new();
    let (_, received) = join!(sending, read.read_to_end(&mut got));
    received.unwrap();
    got
}

/// Both directions are long, and both peers send before they receive: each direction has to go on by itself.
#[test]
fn long_streams_go_both_ways() {
    let _turn = DESCRIPTORS.lock().unwrap_or_else(|held| held.into_inner());
    for workers in [1, 2] {
        let runtime = Builder::new().worker_threads(workers).build().unwrap();
        runtime.block_on(async {
            let (client, mut front) = pair().await;
            let (mut back, server) = pair().await;
            let proxy = spawn(async move {
                let counts = splice_bidirectional(&mut front, &mut back).await.unwrap();
                (counts, blocks(&front) && blocks(&back))
            });
            let (up, down) = (numbered(LONG), numbered(LONG / 2 + 1));
            let client = spawn(exchange(client, up.clone()));
            let server = spawn(exchange(server, down.clone()));
            assert!(client.await.unwrap() == down);
            assert!(server.await.unwrap() == up);
            let (counts, blocking) = proxy.await.unwrap();
            assert_eq!(counts, (LONG as u64, LONG as u64 / 2 + 1));
            assert!(blocking, "the sockets were left in another mode");
        });
    }
}

/// Control: a `Both` without its `Drop`; a `put_back` that leaves out the pipe; a drain that drops what the runtime had
/// received.
#[test]
fn a_splice_dropped_at_any_poll_loses_nothing() {
    let _turn = DESCRIPTORS.lock().unwrap_or_else(|held| held.into_inner());
    for workers in [1, 2] {
        let runtime = Builder::new().worker_threads(workers).build().unwrap();
        runtime.block_on(async {
            for seed in 0..2 {
                let (client, mut front) = pair().await;
                let (mut back, server) = pair().await;
                // So that the pipe is hardly ever empty when the proxy waits.
                [&front, &back, &client, &server]
                    .into_iter()
                    .for_each(narrow);
                let proxy = spawn(async move {
                    let mut chance = Chance::new(seed);
                    loop {
                        // Each attempt copies before it splices.
                        let polls = chance.below(400);
                        // The two kinds take over from each other.
                        let outcome = if chance.below(4) == 0 {
                            impatient(copy_bidirectional(&mut front, &mut back), polls).await
                        } else {
                            impatient(splice_bidirectional(&mut front, &mut back), polls).await
                        };
                        if let Some(outcome) = outcome {
                            return outcome.map(drop);
                        }
                        heist_runtime::yield_now().await;
                    }
                });
                let (up, down) = (numbered(LONG), numbered(LONG + 77));
                let client = spawn(exchange(client, up.clone()));
                let server = spawn(exchange(server, down.clone()));
                assert!(client.await.unwrap() == down, "{seed}");
                assert!(server.await.unwrap() == up, "{seed}");
                proxy.await.unwrap().unwrap();
            }
        });
    }
}

/// The peer takes nothing, so the pipe is full when the proxy is cancelled; a program may go on as it likes.
///
/// Control: as above.
#[test]
fn what_is_in_the_pipe_is_put_back() {
    let _turn = DESCRIPTORS.lock().unwrap_or_else(|held| held.into_inner());
    block_on(async {
        let (client, mut front) = pair().await;
        let (mut back, mut server) = pair().await;
        let before = open_pipes();
        let bytes = numbered(2 * LONG);
        let sending = spawn({
            let bytes = bytes.clone();
            async move { exchange(client, bytes).await }
        });
        {
            let mut splicing = Box::pin(splice_bidirectional(&mut front, &mut back));
            let mut pipes = 0;
            // Until both sockets and the pipe are full.
            for _ in 0..100 {
                let patience = std::time::Duration::from_millis(5);
                let waiting = heist_sync::time::timeout(patience, splicing.as_mut());
                assert!(waiting.await.is_err());
                pipes = pipes.max(open_pipes() - before);
            }
            // One direction has been long: one pipe with two ends.
            assert_eq!(pipes, 2);
        }
        assert_eq!(open_pipes(), before);
        assert!(blocks(&front) && blocks(&back));
        let rest = spawn(async move {
            let mut rest = Vec::new();
            front.read_to_end(&mut rest).await.unwrap();
            (rest, front)
        });
        let (rest, mut front) = rest.await.unwrap();
        back.shutdown(Shutdown::Write).await.unwrap();
        let mut passed = Vec::new();
        server.read_to_end(&mut passed).await.unwrap();
        assert!(passed.len() > 256 * 1024 && rest.len() > 64 * 1024);
        assert!([passed, rest].concat() == bytes);
        front.shutdown(Shutdown::Write).await.unwrap();
        assert!(sending.await.unwrap().is_empty());
    });
}

/// Requests and answers are copied: nobody pays for a pipe.
#[test]
fn short_exchanges_need_no_pipe() {
    let _turn = DESCRIPTORS.lock().unwrap_or_else(|held| held.into_inner());
    block_on(async {
        let (mut client, mut front) = pair().await;
        let (mut back, mut server) = UnixStream::pair().unwrap();
        let before = open_pipes();
        let proxy = spawn(async move { splice_bidirectional(&mut front, &mut back).await });
        let mut buffer = [0; 8];
        for _ in 0..1000 {
            client.write_all(b"question").await.unwrap();
            server.read_exact(&mut buffer).await.unwrap();
            server.write_all(b"yes").await.unwrap();
            client.read_exact(&mut buffer[..3]).await.unwrap();
        }
        assert_eq!(open_pipes(), before);
        drop(server);
        assert!(client.recv().await.unwrap().is_none());
        drop(client);
        assert_eq!(proxy.await.unwrap().unwrap(), (8000, 3000));
    });
}

/// Long streams through Unix sockets, as between a proxy and a server beside it, in turns with short ones.
#[test]
fn unix_sockets_are_spliced_too() {
    let _turn = DESCRIPTORS.lock().unwrap_or_else(|held| held.into_inner());
    block_on(async {
        let (client, mut front) = pair().await;
        let (mut back, mut server) = UnixStream::pair().unwrap();
        let proxy = spawn(async move { splice_bidirectional(&mut front, &mut back).await });
        let up = numbered(LONG);
        let expected = up.clone();
        let server = spawn(async move {
            let mut got = vec![0; LONG];
            for part in got.chunks_mut(LONG / 5) {
                server.read_exact(part).await.unwrap();
                server.write_all(b"next").await.unwrap();
            }
            assert!(got == expected);
        });
        let (mut read, mut write) = client.into_split();
        for part in up.chunks(LONG / 5) {
            write.write_all(part).await.unwrap();
            let mut next = [0; 4];
            read.read_exact(&mut next).await.unwrap();
        }
        server.await.unwrap();
        drop((read, write));
        assert_eq!(proxy.await.unwrap().unwrap(), (LONG as u64, 20));
    });
}

#[test]
fn a_reset_in_the_middle_is_an_error() {
    let _turn = DESCRIPTORS.lock().unwrap_or_else(|held| held.into_inner());
    block_on(async {
        let (client, mut front) = pair().await;
        let (mut back, server) = pair().await;
        let proxy = spawn(async move { splice_bidirectional(&mut front, &mut back).await });
        let sending = spawn(async move {
            let (_read, mut write) = client.into_split();
            let bytes = numbered(16 * LONG);
            write.write_all(&bytes).await
        });
        let mut server = server;
        let mut got = 0;
        while got < LONG {
            got += server.recv().await.unwrap().unwrap().len();
        }
        server.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(server);
        let error = proxy.await.unwrap().unwrap_err();
        let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        // The connections are gone with the proxy.
        assert!(sending.await.unwrap().is_err());
    });
}
