//! Faults that were found once, each as the test that would have found it.

mod common;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::runtime;
use heist_runtime::ops::{self, Receiver, SharedFd};
use heist_runtime::{Builder, RingProfile, spawn, spawn_local, yield_now};

/// The first completion of a zero-copy send used the waker up, and the second had none to call.
#[test]
fn zero_copy_sends_complete() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (_receiver, _) = listener.accept().unwrap();
    let fd = SharedFd::new(OwnedFd::from(sender));
    runtime(2, RingProfile::Defer).block_on(async {
        for _ in 0..50 {
            let (sent, _) = ops::send_zero_copy(&fd, vec![7; 64], 0).await;
            assert_eq!(sent.unwrap(), 64);
        }
    });
}

/// A receive that polls first never saw the end of a Unix stream that had ended before it was armed.
#[test]
fn an_end_that_came_first_is_seen() {
    for profile in [RingProfile::Defer, RingProfile::Coop] {
        runtime(2, profile).block_on(async {
            for _ in 0..20 {
                let (here, mut there) = UnixStream::pair().unwrap();
                there.write_all(b"last words").unwrap();
                drop(there);
                let mut receiver = Receiver::new(SharedFd::new(here.into()));
                assert_eq!(&*receiver.recv().await.unwrap().unwrap(), b"last words");
                assert!(receiver.recv().await.unwrap().is_none());
            }
        });
    }
}

/// Tasks bound to a worker starved beside a pair of others that kept the parity of its polls.
#[test]
fn bound_tasks_get_their_turn() {
    runtime(1, RingProfile::Defer).block_on(async {
        let polls = Arc::new(AtomicU32::new(0));
        let counter = polls.clone();
        spawn_local(async move {
            loop {
                counter.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        for _ in 0..3 {
            spawn(async {
                loop {
                    yield_now().await;
                }
            });
        }
        let start = Instant::now();
        while polls.load(Ordering::Relaxed) < 100 {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the bound task starves"
            );
            yield_now().await;
        }
    });
}

/// A receive buffer held by a reader went back to the kernel when another thread became worker 0.
#[test]
fn held_buffers_survive_a_change_of_thread() {
    let built = Builder::new()
        .worker_threads(1)
        .receive_buffers(4, 4)
        .receive_buffer_size(4096)
        .build();
    let runtime = built.unwrap();
    let (here, mut there) = UnixStream::pair().unwrap();
    let mut receiver = Receiver::new(SharedFd::new(here.into()));
    let mut held = runtime.block_on(async {
        let mut held = Vec::new();
        for byte in b"ABCD" {
            there.write_all(&[*byte; 8]).unwrap();
            held.push(receiver.recv().await.unwrap().unwrap());
        }
        held
    });
    // Two are given back here, outside the workers; two are kept.
    held.drain(..2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(async {
                for byte in b"wxyz" {
                    there.write_all(&[*byte; 8]).unwrap();
                    drop(receiver.recv().await.unwrap().unwrap());
                }
            });
        });
    });
    assert_eq!((&*held[0], &*held[1]), (&b"CCCCCCCC"[..], &b"DDDDDDDD"[..]));
}
