//! A receive, a read or an accept that is dropped at any moment loses nothing: whatever its future was doing,
//! the next call goes on where it left off, in order; and no descriptor is left behind.
//!
//! Negative control: the same check rejects a one-shot receive into an owned buffer, whose data is
//! documented to be lost with a drop.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{
    Polls, Random, STEALING, Watchdog, alone, builder, eventually, open_descriptors, runtime,
    scaled,
};
use heist::net::{TcpListener, TcpStream};
use heist::ops::{self, SharedFd};
use heist::time::{sleep, timeout};
use heist::{RingProfile, spawn, yield_now};

/// Byte number `at` of every stream here.
fn byte(at: usize) -> u8 {
    (at ^ (at >> 8)) as u8
}

/// Sends `total` bytes in pieces, with pauses, from a thread of its own.
fn sender(mut stream: StdStream, total: usize, seed: u64) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut random = Random::new(seed);
        stream.set_nodelay(true).unwrap();
        let mut at = 0;
        while at < total {
            let size = (1 + random.below(3000) as usize).min(total - at);
            let piece: Vec<u8> = (at..at + size).map(byte).collect();
            stream.write_all(&piece).unwrap();
            at += size;
            if random.below(2) == 0 {
                thread::sleep(Duration::from_micros(random.below(500)));
            }
        }
    })
}

/// Checks that what comes is what was sent, in order.
struct Check(usize);

impl Check {
    fn feed(&mut self, bytes: &[u8]) {
        for &found in bytes {
            assert_eq!(found, byte(self.0), "the stream broke at {}", self.0);
            self.0 += 1;
        }
    }
}

/// What one step of a reader found.
enum Found {
    Bytes(Vec<u8>),
    End,
    Dropped,
}

/// One receive or read, dropped after some polls or some time, or not at all.
async fn step(stream: &mut TcpStream, random: &mut Random) -> Found {
    let mut buffer = [0; 700];
    let size = 1 + random.below(700) as usize;
    let (fate, reads) = (random.below(4), random.below(2) == 0);
    let polls = random.below(4);
    let patience = Duration::from_micros(random.below(300));
    let read = async {
        if reads {
            let count = stream.read(&mut buffer[..size]).await.unwrap();
            (count > 0).then(|| buffer[..count].to_vec())
        } else {
            stream.recv().await.unwrap().map(|bytes| bytes.to_vec())
        }
    };
    let outcome = match fate {
        0 => Polls::new(polls, read).await,
        1 | 2 => timeout(patience, read).await.ok(),
        _ => Some(read.await),
    };
    match outcome {
        None => Found::Dropped,
        Some(None) => Found::End,
        Some(Some(bytes)) => Found::Bytes(bytes),
    }
}

/// Reads a whole stream with futures dropped at random, moving from task to task.
async fn read_in_steps(mut stream: TcpStream, seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let (mut check, mut dropped) = (Check(0), 0);
    loop {
        match step(&mut stream, &mut random).await {
            Found::Bytes(bytes) => check.feed(&bytes),
            Found::Dropped => dropped += 1,
            Found::End => return (check.0, dropped),
        }
        match random.below(12) {
            0 => {
                // Another task, perhaps on another worker, takes the next step.
                let mut there = random.clone();
                let moved = spawn(async move {
                    let found = step(&mut stream, &mut there).await;
                    (stream, found)
                });
                let found;
                (stream, found) = moved.await.unwrap();
                match found {
                    Found::Bytes(bytes) => check.feed(&bytes),
                    Found::Dropped => dropped += 1,
                    Found::End => return (check.0, dropped),
                }
            }
            1 => yield_now().await,
            2 => sleep(Duration::from_micros(100)).await,
            _ => {}
        }
    }
}

/// A connection with a sender at its other end.
fn connection(total: usize, seed: u64) -> (TcpStream, thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let there = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    let (here, _) = listener.accept().unwrap();
    let sender = sender(there, total, seed);
    (TcpStream::from_std(here).unwrap(), sender)
}

#[test]
fn receives_and_reads_lose_no_byte() {
    let _alone = alone();
    let _watchdog = Watchdog::new("receives_and_reads_lose_no_byte", 90);
    let before = open_descriptors();
    let total = scaled(300_000, 50_000_000);
    let mut drops = 0;
    for profile in STEALING {
        for workers in [1, 2, 4] {
            let runtime = builder(workers, profile).build().unwrap();
            let mut senders = Vec::new();
            let mut readers = Vec::new();
            for seed in 0..6 {
                let (stream, sender) = connection(total, seed);
                senders.push(sender);
                readers.push(runtime.spawn(read_in_steps(stream, seed)));
            }
            runtime.block_on(async {
                for reader in readers {
                    let (count, dropped) = reader.await.unwrap();
                    assert_eq!(count, total);
                    drops += dropped;
                }
            });
            senders.into_iter().for_each(|s| s.join().unwrap());
            drop(runtime);
        }
    }
    assert!(drops > 50, "only {drops} drops: the test tests nothing");
    eventually("descriptors back", || open_descriptors() == before);
}

#[test]
fn a_receive_dropped_at_each_poll_loses_no_byte() {
    let _alone = alone();
    let _watchdog = Watchdog::new("a_receive_dropped_at_each_poll_loses_no_byte", 60);
    for profile in STEALING {
        for workers in [1, 2, 4] {
            runtime(workers, profile).block_on(async {
                // The data comes before the first poll, between drop and next call, or after.
                for (polls, moment) in (0..6).flat_map(|p| [(p, 0), (p, 1), (p, 2)]) {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let address = listener.local_addr().unwrap();
                    let mut peer = TcpStream::connect(address).await.unwrap();
                    let (mut stream, _) = listener.accept().await.unwrap();
                    if moment == 0 {
                        peer.write_all(b"first").await.unwrap();
                    }
                    let mut got = Vec::new();
                    if let Some(bytes) = Polls::new(polls, stream.recv()).await {
                        got.extend_from_slice(&bytes.unwrap().unwrap());
                    }
                    if moment == 1 {
                        peer.write_all(b"first").await.unwrap();
                        sleep(Duration::from_micros(200)).await;
                    }
                    if let Some(count) = {
                        let mut three = [0; 3];
                        let read = Polls::new(polls, stream.read(&mut three)).await;
                        read.map(|count| three[..count.unwrap()].to_vec())
                    } {
                        got.extend_from_slice(&count);
                    }
                    if moment == 2 {
                        peer.write_all(b"first").await.unwrap();
                    }
                    peer.write_all(b"second").await.unwrap();
                    drop(peer);
                    while let Some(bytes) = stream.recv().await.unwrap() {
                        got.extend_from_slice(&bytes);
                    }
                    assert_eq!(got, b"firstsecond", "{polls} polls, moment {moment}");
                }
            });
        }
    }
}

/// Connects `count` times, names itself, and waits for the answer.
fn clients(address: SocketAddr, count: u32, first: u32) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut random = Random::new(u64::from(first));
        let mut waiting = Vec::new();
        for id in first..first + count {
            let mut stream = StdStream::connect(address).unwrap();
            stream.write_all(&id.to_le_bytes()).unwrap();
            waiting.push(stream);
            if random.below(4) == 0 {
                thread::sleep(Duration::from_micros(random.below(500)));
            }
            if waiting.len() > 20 {
                for mut stream in waiting.drain(..) {
                    stream.read_exact(&mut [0]).unwrap();
                }
            }
        }
        for mut stream in waiting {
            stream.read_exact(&mut [0]).unwrap();
        }
    })
}

/// Accepts with futures dropped at random until `expected` clients have been seen.
async fn accept_in_steps(listener: Arc<TcpListener>, seen: Seen, expected: usize, seed: u64) {
    let mut random = Random::new(seed);
    while seen.lock().unwrap().len() < expected {
        let accepted = match random.below(3) {
            0 => Polls::new(random.below(3), listener.accept()).await,
            _ => {
                let patience = Duration::from_micros(random.below(400));
                timeout(patience, listener.accept()).await.ok()
            }
        };
        let Some(accepted) = accepted else {
            yield_now().await;
            continue;
        };
        let (mut stream, _) = accepted.unwrap();
        let mut id = [0; 4];
        stream.read_exact(&mut id).await.unwrap();
        assert!(seen.lock().unwrap().insert(u32::from_le_bytes(id)));
        stream.write_all(b"k").await.unwrap();
    }
}

type Seen = Arc<Mutex<BTreeSet<u32>>>;

#[test]
fn accepts_lose_no_connection() {
    let _alone = alone();
    let _watchdog = Watchdog::new("accepts_lose_no_connection", 90);
    let before = open_descriptors();
    let each = scaled(100, 10_000);
    for profile in STEALING {
        for workers in [1, 2, 4] {
            let runtime = builder(workers, profile).build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let listener = Arc::new(listener);
                let clients = [clients(address, each, 0), clients(address, each, each)];
                let (seen, expected) = (Seen::default(), 2 * each as usize);
                let acceptors: Vec<_> = (0..3)
                    .map(|seed| {
                        let (listener, seen) = (listener.clone(), seen.clone());
                        spawn(accept_in_steps(listener, seen, expected, seed))
                    })
                    .collect();
                for acceptor in acceptors {
                    acceptor.await.unwrap();
                }
                while clients.iter().any(|c| !c.is_finished()) {
                    yield_now().await;
                }
                clients.into_iter().for_each(|c| c.join().unwrap());
            });
        }
    }
    eventually("descriptors back", || open_descriptors() == before);
}

#[test]
fn connections_nobody_takes_are_closed_with_the_listener() {
    let _alone = alone();
    let _watchdog = Watchdog::new("connections_nobody_takes_are_closed", 60);
    let before = open_descriptors();
    for profile in STEALING {
        for workers in [1, 2] {
            let runtime = runtime(workers, profile);
            for _ in 0..20 {
                runtime.block_on(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let address = listener.local_addr().unwrap();
                    assert!(Polls::new(1, listener.accept()).await.is_none());
                    let peers: Vec<_> = (0..10)
                        .map(|_| StdStream::connect(address).unwrap())
                        .collect();
                    sleep(Duration::from_micros(500)).await;
                    drop(listener);
                    for mut peer in peers {
                        peer.set_read_timeout(Some(Duration::from_secs(10)))
                            .unwrap();
                        let end = heist::spawn_blocking(move || match peer.read(&mut [0]) {
                            Ok(count) => count == 0,
                            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
                        });
                        assert!(end.await.unwrap(), "the connection stayed open");
                    }
                });
            }
            drop(runtime);
        }
    }
    eventually("descriptors back", || open_descriptors() == before);
}

#[test]
#[should_panic(expected = "the stream broke")]
fn control_a_dropped_one_shot_receive_loses_bytes() {
    let _alone = alone();
    runtime(1, RingProfile::Defer).block_on(async {
        let (here, mut there) = std::os::unix::net::UnixStream::pair().unwrap();
        let fd = SharedFd::new(here.into());
        let mut check = Check(0);
        let receive = ops::recv(&fd, vec![0; 100], 0);
        let late = async {
            // In flight when the data comes; complete, but not polled again, when it is dropped.
            let mut receive = std::pin::pin!(Polls::new(u64::MAX, receive));
            std::future::poll_fn(|cx| {
                assert!(receive.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            yield_now().await;
            there
                .write_all(&(0..50).map(byte).collect::<Vec<_>>())
                .unwrap();
            sleep(Duration::from_millis(20)).await;
        };
        late.await;
        there
            .write_all(&(50..90).map(byte).collect::<Vec<_>>())
            .unwrap();
        let (count, buffer) = ops::recv(&fd, vec![0; 100], 0).await;
        check.feed(&buffer[..count.unwrap()]);
    });
}
