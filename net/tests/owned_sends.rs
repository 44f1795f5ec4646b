//! Owned buffers are sent in the background without a copy: whole, in order, and for as long as the kernel needs them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/peer.rs"]
mod peer;

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use common::{on_all, pause, polled};
use heist_net::io::AsyncWriteExt;
use heist_net::{TcpListener, TcpStream, UnixStream};
use heist_runtime::{Builder, spawn, spawn_blocking, yield_now};
use heist_sync::time::timeout;
use peer::{halting_reader, pattern, reader, waiting_reader};

/// Buffers of all sizes and kinds, and borrowed writes between them, to a peer that now and then reads nothing.
///
/// Control, tried: an owned send that does not wait for the one before it.
#[test]
fn owned_sends_keep_their_order_among_writes() {
    on_all(|runtime| {
        let (address, peer) = halting_reader();
        let total = runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            spawn(async move {
                let (mut sent, mut size) = (0, 1);
                while sent < 8 << 20 {
                    size = size * 7 % 20_011;
                    let bytes = pattern(sent, size);
                    match size % 6 {
                        0 => stream.send(bytes).await.unwrap(),
                        1 => stream.send(Bytes::from(bytes)).await.unwrap(),
                        2 => stream.send(BytesMut::from(&bytes[..])).await.unwrap(),
                        3 => stream.send(bytes.into_boxed_slice()).await.unwrap(),
                        4 => stream.send(Arc::<[u8]>::from(bytes)).await.unwrap(),
                        _ => stream.write_all(&bytes).await.unwrap(),
                    }
                    sent += size;
                    if size % 3 == 0 {
                        yield_now().await;
                    }
                }
                stream.send(Vec::new()).await.unwrap();
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

/// What was received is sent on from where it lies.
///
/// Control, tried: an owned send that does not wait for the one before it.
#[test]
fn what_was_received_is_sent_on() {
    const TOTAL: usize = 4 << 20;
    on_all(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                while let Some(bytes) = stream.recv().await.unwrap() {
                    stream.send(bytes).await.unwrap();
                }
                stream.shutdown(Shutdown::Write).await.unwrap();
            });
            let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
            let client = spawn(async move {
                for start in (0..TOTAL).step_by(1 << 16) {
                    write.send(pattern(start, 1 << 16)).await.unwrap();
                }
                write.shutdown().await.unwrap();
            });
            let mut at = 0;
            while let Some(bytes) = read.recv().await.unwrap() {
                assert!(*bytes == pattern(at, bytes.len()), "after {at}");
                at += bytes.len();
            }
            assert_eq!(at, TOTAL);
            client.await.unwrap();
            server.await.unwrap();
        });
    });
}

/// The stream and its task are gone before the peer reads.
///
/// Control, tried: a send that frees its buffer when the kernel has the entry.
#[test]
fn the_buffer_lives_as_long_as_the_kernel_needs_it() {
    const SIZE: usize = 6 << 20;
    on_all(|runtime| {
        let (address, peer) = reader(Duration::from_millis(5));
        let all = runtime.block_on(async move {
            let sender = spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.send(pattern(0, SIZE)).await.unwrap();
            });
            sender.await.unwrap();
            // Its memory is likely to be somebody else's now, if it was freed.
            let others: Vec<_> = (0..4).map(|_| vec![0xff_u8; SIZE]).collect();
            let all = spawn_blocking(move || peer.join().unwrap()).await.unwrap();
            drop(others);
            all
        });
        assert_eq!(all.len(), SIZE);
        assert!(all == pattern(0, SIZE), "other bytes were sent");
    });
}

/// Control, tried: a send that forgets its buffer when all of it has been sent.
#[test]
fn the_buffer_is_freed_when_it_has_been_sent() {
    on_all(|runtime| {
        let (address, peer) = reader(Duration::ZERO);
        runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let buffer = Arc::<[u8]>::from(pattern(0, 100_000));
            for _ in 0..10 {
                stream.send(buffer.clone()).await.unwrap();
            }
            stream.flush().await.unwrap();
            // The end is told first.
            let freed = async {
                while Arc::strong_count(&buffer) > 1 {
                    pause(100).await;
                }
            };
            let freed = timeout(Duration::from_secs(10), freed).await;
            assert!(
                freed.is_ok(),
                "it is held {} times",
                Arc::strong_count(&buffer)
            );
        });
        assert_eq!(peer.join().unwrap().len(), 1_000_000);
    });
}

/// One that waits for the kernel has sent nothing when it is dropped, however often it was polled.
///
/// Control, tried: a send that takes its buffer before the one before it is done.
#[test]
fn a_dropped_send_has_sent_nothing() {
    on_all(|runtime| {
        let (address, peer, start) = waiting_reader();
        let sent = runtime.block_on(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let first = 8 << 20;
            stream.send(pattern(0, first)).await.unwrap();
            for times in 0..5 {
                let dropped = polled(times, stream.send(vec![0xff; 1000])).await;
                assert!(dropped.is_none(), "the peer reads nothing");
            }
            start.send(()).unwrap();
            stream.flush().await.unwrap();
            stream.send(pattern(first, 1000)).await.unwrap();
            first + 1000
        });
        let all = peer.join().unwrap();
        assert_eq!(all.len(), sent);
        assert!(all == pattern(0, sent));
    });
}

/// A peer that reads nothing holds the sender back after one buffer.
///
/// Control, tried: sends that do not wait for each other.
#[test]
fn one_buffer_is_on_its_way_at_a_time() {
    on_all(|runtime| {
        runtime.block_on(async {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.send(vec![1; 8 << 20]).await.unwrap();
            let patience = Duration::from_millis(20);
            assert!(timeout(patience, one.send(vec![2; 10])).await.is_err());
            drop(other);
            // The first has failed, which the next call tells.
            let error = timeout(Duration::from_secs(10), one.send(vec![3; 10])).await;
            let kind = error.unwrap().unwrap_err().kind();
            assert_eq!(kind, std::io::ErrorKind::BrokenPipe);
        });
    });
}

/// A thread that is no worker sends as well.
///
/// Control, tried: an owned send that takes the buffer for done there.
#[test]
fn it_is_sent_from_outside_of_the_workers() {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    let (address, peer) = reader(Duration::ZERO);
    let mut stream = runtime
        .block_on(async move { TcpStream::connect(address).await })
        .unwrap();
    let _inside = runtime.handle().enter();
    futures_executor(async move {
        stream.send(pattern(0, 100_000)).await.unwrap();
        stream.send(pattern(100_000, 10)).await.unwrap();
        stream.shutdown(Shutdown::Write).await.unwrap();
    });
    assert!(peer.join().unwrap() == pattern(0, 100_010));
}

/// An executor of one future, on the thread that calls it.
fn futures_executor(future: impl Future<Output = ()>) {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(&waker);
    while future.as_mut().poll(&mut cx).is_pending() {
        std::thread::park();
    }
}
