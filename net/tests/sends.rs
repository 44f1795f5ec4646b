//! Small writes leave in the background, through the ring: nothing of that may show.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/peer.rs"]
mod peer;

use std::future::poll_fn;
use std::io::Read;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use common::on_all;
use heist_net::io::{AsyncWrite, AsyncWriteExt};
use heist_net::{TcpStream, UnixStream};
use heist_runtime::{Builder, RingProfile, spawn, yield_now};
use heist_sync::time::timeout;
use peer::{halting_reader, pattern, peer, reader, waiting_reader};

/// Small and large writes, from a task that changes workers, to a peer that now and then reads nothing.
/// Control: a sender that does not wait for its flight before it sends something large.
#[test]
fn writes_of_all_sizes_keep_their_order() {
    on_all(|runtime| {
        let (address, peer) = halting_reader();
        let total = runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            spawn(async move {
                let (mut sent, mut size) = (0, 1);
                while sent < 8 << 20 {
                    size = size * 7 % 20_011;
                    let bytes = pattern(sent, size);
                    let (one, other) = bytes.split_at(size / 3);
                    stream.write_all(one).await.unwrap();
                    stream.write_all(other).await.unwrap();
                    sent += size;
                    if size % 3 == 0 {
                        yield_now().await;
                    }
                }
                stream.shutdown(Shutdown::Write).await.unwrap();
                sent
            })
            .await
            .unwrap()
        });
        let all = peer.join().unwrap();
        assert_eq!(all.len(), total);
        assert!(all == pattern(0, total), "bytes changed places");
    });
}

/// Control: a `Sender` that cancels its flight when it is dropped.
#[test]
fn what_was_written_is_sent_though_the_stream_is_dropped() {
    on_all(|runtime| {
        for round in 0..20 {
            let (address, peer) = reader(Duration::ZERO);
            runtime.block_on(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(&pattern(0, 100 + round)).await.unwrap();
            });
            assert_eq!(peer.join().unwrap(), pattern(0, 100 + round));
        }
    });
}

/// A thread that leaves `block_on` and drops the runtime at once. Control: rings that are drained without
/// being entered first.
#[test]
fn what_was_written_is_sent_though_the_runtime_is_dropped() {
    for workers in [1, 2] {
        for _ in 0..20 {
            let (address, peer) = reader(Duration::from_millis(2));
            let runtime = Builder::new().worker_threads(workers).build().unwrap();
            runtime.block_on(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"the last words").await.unwrap();
            });
            drop(runtime);
            assert_eq!(peer.join().unwrap(), b"the last words");
        }
    }
}

/// Writes small parts until the stream takes no more for a while; yields how many bytes it took.
async fn fill(stream: &mut TcpStream) -> usize {
    let mut sent = 0;
    loop {
        let bytes = pattern(sent, 1000);
        match timeout(Duration::from_millis(30), stream.write(&bytes)).await {
            Ok(count) => sent += count.unwrap(),
            Err(_) => return sent,
        }
    }
}

/// Control: a write that is pending with its bytes on their way already.
#[test]
fn a_write_that_is_cancelled_has_sent_nothing() {
    on_all(|runtime| {
        let (address, peer, start) = waiting_reader();
        let sent = runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let first = fill(&mut stream).await;
            start.send(()).unwrap();
            let rest = pattern(first, 5000);
            stream.write_all(&rest).await.unwrap();
            first + rest.len()
        });
        let all = peer.join().unwrap();
        assert_eq!(all.len(), sent);
        assert!(
            all == pattern(0, sent),
            "bytes were sent twice or not at all"
        );
    });
}

/// The thread of `block_on` leaves, and takes its ring along, with a send that waits for a peer. Control: a
/// `Sending` that ends with the cancel.
#[test]
fn a_send_goes_on_when_its_ring_is_drained() {
    for workers in [1, 2] {
        let (address, peer, start) = waiting_reader();
        let runtime = Builder::new().worker_threads(workers).build().unwrap();
        let (mut stream, sent) = runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let sent = fill(&mut stream).await;
            (stream, sent)
        });
        start.send(()).unwrap();
        runtime.block_on(async {
            stream.flush().await.unwrap();
            stream.shutdown(Shutdown::Write).await.unwrap();
        });
        let all = peer.join().unwrap();
        assert_eq!(all.len(), sent, "with {workers} workers");
        assert!(all == pattern(0, sent));
    }
}

/// A peer that takes nothing does not keep a runtime from ending, nor a writer that waits for it.
#[test]
fn a_runtime_ends_beside_a_send_that_waits() {
    for workers in [1, 2] {
        let runtime = Builder::new().worker_threads(workers).build().unwrap();
        let (mut one, other) = runtime.block_on(async { UnixStream::pair().unwrap() });
        runtime.block_on(async {
            let bytes = pattern(0, 1000);
            while timeout(Duration::from_millis(30), one.write(&bytes))
                .await
                .is_ok()
            {}
            // One in the runtime's hands, and a task that waits behind it.
            spawn(async move {
                let written = one.write_all(&pattern(0, 100_000)).await;
                panic!("nobody reads, and yet: {written:?}");
            });
            yield_now().await;
        });
        let began = Instant::now();
        drop(runtime);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "with {workers}: {took:?}");
        drop(other);
    }
}

/// Control: a `Flight` that forgets its error.
#[test]
fn an_error_is_told_by_the_next_call() {
    on_all(|runtime| {
        let (gone, is_gone) = std::sync::mpsc::channel();
        let (address, peer) = peer(move |stream| {
            // With bytes that nobody has read, a close is a reset.
            stream.peek(&mut [0]).unwrap();
            drop(stream);
            gone.send(()).unwrap();
        });
        let error = runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"unread").await.unwrap();
            stream.flush().await.unwrap();
            is_gone.recv().unwrap();
            // The reset has been noted by the socket, and the first call that meets it tells.
            let written = stream.write_all(b"lost").await;
            written.and(stream.flush().await).unwrap_err()
        });
        peer.join().unwrap();
        let kinds = [
            std::io::ErrorKind::BrokenPipe,
            std::io::ErrorKind::ConnectionReset,
        ];
        assert!(kinds.contains(&error.kind()), "{error:?}");
    });
}

/// A direction that is ended right after a write ends behind it. Control: `shutdown` without a look at the
/// flight.
#[test]
fn the_end_comes_behind_what_was_written() {
    on_all(|runtime| {
        for round in 0..20 {
            let (address, peer) = reader(Duration::ZERO);
            runtime.block_on(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"before").await.unwrap();
                if round % 2 == 0 {
                    stream.shutdown(Shutdown::Write).await.unwrap();
                } else {
                    let (read, mut write) = stream.into_split();
                    write.write_all(b" and behind").await.unwrap();
                    drop(write);
                    drop(read);
                }
            });
            let all = peer.join().unwrap();
            let expected: &[u8] = match round % 2 {
                0 => b"before",
                _ => b"before and behind",
            };
            assert_eq!(all, expected);
        }
    });
}

/// Halves that are put together again take along what one of them has on its way. Control: a `TcpStream` that
/// makes itself a new writer.
#[test]
fn halves_are_reunited_with_what_they_send() {
    on_all(|runtime| {
        let (address, peer, start) = waiting_reader();
        let sent = runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let first = fill(&mut stream).await;
            let (read, write) = stream.into_split();
            let mut stream = read.reunite(write).unwrap();
            start.send(()).unwrap();
            let rest = pattern(first, 100_000);
            stream.write_all(&rest).await.unwrap();
            first + rest.len()
        });
        assert!(peer.join().unwrap() == pattern(0, sent));
    });
}

/// Bytes with descriptors come behind bytes without. Control: a `send_with_fds` that does not flush.
#[test]
fn descriptors_come_behind_what_was_written() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
            for _ in 0..100 {
                one.write_all(b"a").await.unwrap();
                one.send_with_fds(b"b", &[file.as_fd()]).await.unwrap();
                one.write_all(b"c").await.unwrap();
                let mut all = Vec::new();
                while all.len() < 3 {
                    let mut part = [0; 3];
                    let found = other.recv_with_fds(&mut part).await.unwrap();
                    all.extend_from_slice(&part[..found.len]);
                }
                assert_eq!(all, b"abc");
            }
        });
    });
}

/// A task that writes and then computes for long: its bytes leave meanwhile. Control: no watching worker.
#[test]
fn a_busy_task_does_not_hold_its_bytes_back() {
    for profile in [RingProfile::Defer, RingProfile::Coop] {
        let runtime = Builder::new()
            .worker_threads(2)
            .ring_profile(profile)
            .build()
            .unwrap();
        let (address, peer) = peer(|mut stream| {
            stream.read_exact(&mut [0; 4]).unwrap();
            let first = Instant::now();
            stream.read_exact(&mut [0; 4]).unwrap();
            first.elapsed()
        });
        runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            spawn(async move {
                stream.write_all(b"ping").await.unwrap();
                stream.flush().await.unwrap();
                stream.write_all(b"pong").await.unwrap();
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(400) {
                    std::hint::spin_loop();
                }
            })
            .await
            .unwrap();
        });
        let waited = peer.join().unwrap();
        assert!(
            waited < Duration::from_millis(200),
            "{profile:?}: {waited:?}"
        );
    }
}

/// Sends in the background are no operations whose future was dropped. Control: `is_background` not asked for.
#[test]
fn sends_in_the_background_are_no_orphans() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            for _ in 0..1000 {
                one.write_all(b"x").await.unwrap();
                let mut byte = [0];
                other.read_exact(&mut byte).await.unwrap();
            }
            one.flush().await.unwrap();
        });
        // The receive that is armed when a stream is dropped is one.
        let orphans = runtime.metrics().total().orphans;
        assert!(orphans < 10, "{orphans} orphans");
    });
}

/// What a protocol does after each of its messages leaves the batching to the worker. Control: `poll_flush`.
#[test]
fn starting_to_flush_makes_no_system_call() {
    on_all(|runtime| {
        let made = runtime.block_on(async {
            let pairs: Vec<_> = (0..64).map(|_| UnixStream::pair().unwrap()).collect();
            let (mut ones, mut others): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let enters = || runtime.metrics().total().enters;
            let before = enters();
            for one in &mut ones {
                one.write_all(b"message").await.unwrap();
                poll_fn(|cx| one.poll_start_flush(cx)).await.unwrap();
            }
            let made = enters() - before;
            for other in &mut others {
                let mut bytes = [0; 7];
                other.read_exact(&mut bytes).await.unwrap();
                assert_eq!(&bytes, b"message");
            }
            made
        });
        assert!(made < 32, "{made} system calls for 64 messages");
    });
}
