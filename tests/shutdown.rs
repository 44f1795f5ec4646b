//! A shutdown ends everything that is in flight within seconds, and nothing stays behind: no descriptor, no
//! thread, no operation. The same for a runtime that is dropped inside async code; and `block_on` may
//! be called from thread after thread while operations are in flight, which move between rings without
//! loss.
//!
//! Negative control: a runtime that is forgotten instead is noticed by the same counts, and a task that
//! never returns from its poll is reported.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Random, STEALING, Watchdog, alone, builder, eventually, open_descriptors, runtime_threads,
    scaled,
};
use heist::net::{TcpListener, TcpStream};
use heist::ops::{self, SharedFd};
use heist::time::sleep;
use heist::{RingProfile, Runtime, spawn, spawn_blocking, spawn_local, yield_now};

/// A clean end takes milliseconds; this much on a loaded machine.
const LIMIT: Duration = Duration::from_secs(2);

/// What the process has now.
fn baseline() -> (usize, usize) {
    (open_descriptors(), runtime_threads())
}

/// A pipe with a name, that opening blocks on until somebody opens the other end.
struct Fifo(PathBuf);

impl Fifo {
    fn new() -> Self {
        let name = format!("heist-shutdown-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::fs::remove_file(&path));
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        Self(path)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn pair() -> (SharedFd, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    (SharedFd::new(OwnedFd::from(here)), there)
}

/// Tasks of all kinds that wait for what never comes, `count` in all.
fn start_endless(count: usize, fifo: &Fifo) -> Vec<UnixStream> {
    let pairs: Vec<_> = (0..50).map(|_| pair()).collect();
    for at in 0..count {
        let fd = pairs[at % pairs.len()].0.clone();
        match at % 8 {
            0 | 1 => drop(spawn(ops::recv(&fd, vec![0; 64], 0))),
            2 => drop(spawn(ops::read_at(&fd, vec![0; 64], u64::MAX))),
            3 => drop(spawn(ops::recv_msg(&fd, vec![0; 64]))),
            4 => drop(spawn(sleep(Duration::from_secs(3600)))),
            5 => drop(spawn(async move {
                // A stream of operations rather than one.
                loop {
                    let wait = ops::recv(&fd, vec![0; 64], 0);
                    drop(heist::time::timeout(Duration::from_micros(500), wait).await);
                }
            })),
            6 => drop(spawn(async move {
                let error_or_hangup = 0;
                drop(ops::poll_ready(&fd, error_or_hangup).await);
            })),
            _ => drop(spawn_local(async move {
                let mut receiver = ops::Receiver::new(fd);
                drop(receiver.recv().await);
            })),
        }
    }
    drop(spawn(async {
        loop {
            yield_now().await;
        }
    }));
    for _ in 0..3 {
        // Blocks a kernel thread, where only a signal gets it out.
        let options = ops::OpenOptions::new().read(true);
        drop(spawn(ops::open(&fifo.0, options).unwrap()));
    }
    drop(spawn_blocking(|| thread::sleep(Duration::from_millis(10))));
    pairs.into_iter().map(|(_, there)| there).collect()
}

async fn endless_and_accepts(count: usize, fifo: &Fifo) -> Vec<UnixStream> {
    let peers = start_endless(count, fifo);
    for _ in 0..10 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(spawn(async move { drop(listener.accept().await) }));
        // One connection for nobody, and one that waits for an answer.
        drop(TcpStream::connect(address).await.unwrap());
        drop(spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            drop(stream.recv().await);
        }));
    }
    // Everything is under way.
    sleep(Duration::from_millis(5)).await;
    peers
}

#[test]
fn thousands_in_flight_end_in_time() {
    let _alone = alone();
    let _watchdog = Watchdog::new("thousands_in_flight_end_in_time", 60);
    let fifo = Fifo::new();
    let before = baseline();
    let count = scaled(2000, 10_000);
    for _ in 0..scaled(3, 80) {
        for profile in STEALING {
            for workers in [1, 2, 4] {
                let runtime = builder(workers, profile).build().unwrap();
                let peers = runtime.block_on(endless_and_accepts(count, &fifo));
                let start = Instant::now();
                let report = runtime.shutdown(Duration::from_secs(1));
                let took = start.elapsed();
                assert!(
                    report.is_clean(),
                    "{profile:?}, {workers} workers: {report:?}"
                );
                assert!(took < LIMIT, "{profile:?}, {workers} workers: {took:?}");
                drop(peers);
            }
        }
    }
    eventually("everything back", || baseline() == before);
}

#[test]
fn a_runtime_dropped_inside_async_code_ends_in_the_background() {
    let _alone = alone();
    let _watchdog = Watchdog::new("a_runtime_dropped_inside_async_code", 60);
    let fifo = Fifo::new();
    let before = baseline();
    for profile in STEALING {
        for workers in [1, 2] {
            let outer = builder(workers, profile).build().unwrap();
            outer.block_on(async {
                let inner = builder(workers, profile).build().unwrap();
                let guard = inner.enter();
                let (fd, mut there) = pair();
                for _ in 0..200 {
                    drop(inner.spawn(ops::recv(&fd, vec![0; 8], 0)));
                    drop(inner.spawn(sleep(Duration::from_secs(3600))));
                }
                drop(guard);
                sleep(Duration::from_millis(1)).await;
                let start = Instant::now();
                drop(inner);
                assert!(start.elapsed() < LIMIT, "the drop waited");
                there.write_all(b"late").unwrap();
                // The outer one goes on.
                spawn(sleep(Duration::from_millis(1))).await.unwrap();
            });
            // And one that ends while its own task holds it.
            let (sender, receiver) = std::sync::mpsc::channel::<Runtime>();
            let outer = Arc::new(outer);
            let task = outer.spawn(async move {
                let own = receiver.recv().unwrap();
                drop(own);
            });
            sender.send(builder(2, profile).build().unwrap()).unwrap();
            outer.block_on(task).unwrap();
        }
    }
    drop(fifo);
    eventually("everything back", || baseline() == before);
}

/// Sends and receives numbered messages by one-shot operations on both ends, until told to stop.
async fn talk(stop: Arc<AtomicBool>) -> u32 {
    let (here, there) = UnixStream::pair().unwrap();
    let here = SharedFd::new(OwnedFd::from(here));
    let there = SharedFd::new(OwnedFd::from(there));
    let echo = spawn(async move {
        loop {
            let (count, mut buffer) = ops::recv(&there, vec![0; 4], 0).await;
            match count.unwrap() {
                0 => return,
                count => buffer.truncate(count),
            }
            sleep(Duration::from_micros(30)).await;
            ops::send(&there, buffer, 0, 0x100).await.0.unwrap();
        }
    });
    let mut number = 0_u32;
    // One message at least.
    while number == 0 || !stop.load(Ordering::SeqCst) {
        let message = number.to_le_bytes().to_vec();
        ops::send(&here, message, 0, 0x100).await.0.unwrap();
        let mut answer = Vec::new();
        while answer.len() < 4 {
            let (count, buffer) = ops::recv(&here, vec![0; 4], 0).await;
            answer.extend_from_slice(&buffer[..count.unwrap()]);
        }
        assert_eq!(answer, number.to_le_bytes());
        number += 1;
    }
    drop(here);
    echo.await.unwrap();
    number
}

/// Accepts, connects, receives and writes in bulk, until told to stop.
async fn talk_tcp(stop: Arc<AtomicBool>) -> u32 {
    const BULK: usize = 600_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut number = 0_u32;
    while number == 0 || !stop.load(Ordering::SeqCst) {
        let client = spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let data: Vec<u8> = (0..BULK).map(|at| (at % 253) as u8).collect();
            stream.write_all_owned(data).await.0.unwrap();
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut at = 0;
        while let Some(bytes) = stream.recv().await.unwrap() {
            for &byte in &*bytes {
                assert_eq!(byte, (at % 253) as u8, "at {at}");
                at += 1;
            }
        }
        assert_eq!(at, BULK);
        client.await.unwrap();
        number += 1;
    }
    number
}

#[test]
fn operations_move_between_rings_without_loss() {
    let _alone = alone();
    let _watchdog = Watchdog::new("operations_move_between_rings_without_loss", 60);
    let before = baseline();
    for profile in STEALING {
        for workers in [1, 2, 3] {
            let runtime = builder(workers, profile).build().unwrap();
            let stop = Arc::new(AtomicBool::new(false));
            let mut tasks: Vec<_> = (0..20).map(|_| runtime.spawn(talk(stop.clone()))).collect();
            tasks.extend((0..2).map(|_| runtime.spawn(talk_tcp(stop.clone()))));
            let mut random = Random::new(9);
            for _ in 0..scaled(30, 3000) {
                let pause = Duration::from_micros(random.below(2000));
                thread::scope(|scope| {
                    scope.spawn(|| runtime.block_on(sleep(pause)));
                });
                if random.below(4) == 0 {
                    thread::sleep(Duration::from_micros(random.below(1000)));
                }
            }
            stop.store(true, Ordering::SeqCst);
            runtime.block_on(async {
                for task in tasks {
                    assert!(task.await.unwrap() > 0);
                }
            });
            let report = runtime.shutdown(Duration::from_secs(5));
            assert!(report.is_clean(), "{report:?}");
        }
    }
    eventually("everything back", || baseline() == before);
}

#[test]
fn several_threads_block_on_one_runtime_at_once() {
    let _alone = alone();
    let _watchdog = Watchdog::new("several_threads_block_on_one_runtime_at_once", 60);
    for profile in STEALING {
        for workers in [2, 3] {
            let runtime = builder(workers, profile).build().unwrap();
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..scaled(20, 2000) {
                            let stop = Arc::new(AtomicBool::new(false));
                            runtime.block_on(async {
                                let talking = talk(stop.clone());
                                let stopping = spawn(async move {
                                    sleep(Duration::from_micros(500)).await;
                                    stop.store(true, Ordering::SeqCst);
                                });
                                assert!(talking.await > 0);
                                stopping.await.unwrap();
                            });
                        }
                    });
                }
            });
            assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
        }
    }
}

#[test]
fn control_what_does_not_end_is_told() {
    let _alone = alone();
    let _watchdog = Watchdog::new("control_what_does_not_end_is_told", 60);
    let before = baseline();
    let forgotten = builder(2, RingProfile::Defer).build().unwrap();
    assert_ne!(baseline(), before, "a runtime has threads and descriptors");
    drop(forgotten);
    eventually("everything back", || baseline() == before);

    let runtime = builder(2, RingProfile::Defer).build().unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    drop(runtime.spawn(async move { assert!(released.recv().is_err()) }));
    thread::sleep(Duration::from_millis(50));
    let report = runtime.shutdown(Duration::from_millis(200));
    assert_eq!(report.stuck_workers, 1, "{report:?}");
    drop(release);
    eventually("the thread ends after all", || baseline().1 == before.1);
}
