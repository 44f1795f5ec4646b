//! A worker that is stuck in a task does not stall the connections on its ring: the other worker has their
//! completions posted, takes them, and answers.
//!
//! The test finds out on which thread each connection's receive was armed, gets one worker stuck for as
//! long as it takes, and insists that all connections of that very worker are answered meanwhile. No
//! timing decides, but who has to come first.
//!
//! Negative control: without the watch they are not answered until the worker comes free.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use common::{STEALING, Watchdog, alone, builder, scaled};
use heist::net::{TcpListener, TcpStream};
use heist::{RingProfile, Runtime, spawn, time::sleep};

const CONNECTIONS: usize = 16;

/// The thread that polled each connection's receive last, which is the one it is armed on.
type Homes = Arc<Mutex<Vec<Option<ThreadId>>>>;

/// Echoes, and notes where it waits.
async fn echo(mut stream: TcpStream, at: usize, homes: Homes) {
    loop {
        let received = poll_fn(|cx| {
            let polled = stream.poll_recv(cx);
            if polled.is_pending() {
                homes.lock().unwrap()[at].get_or_insert_with(|| thread::current().id());
            }
            polled
        })
        .await;
        match received {
            Ok(Some(bytes)) => stream.write_all(&bytes).await.unwrap(),
            _ => return,
        }
    }
}

/// What the worker that gets stuck tells, and how it is freed.
struct Stuck {
    worker: ThreadId,
    free: std::sync::mpsc::Sender<()>,
}

/// Gets a worker stuck in one poll until it is freed, at most for `patience`. It spins all the time: a
/// worker that sleeps in the kernel is an easier case.
fn get_stuck(runtime: &Runtime, patience: Duration) -> Stuck {
    let (tell, told) = std::sync::mpsc::channel();
    let (free, freed) = std::sync::mpsc::channel();
    drop(runtime.spawn(async move {
        tell.send(thread::current().id()).unwrap();
        let start = Instant::now();
        while start.elapsed() < patience
            && freed.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty)
        {
            std::hint::spin_loop();
        }
    }));
    let worker = told.recv().unwrap();
    Stuck { worker, free }
}

/// Serves connections, gets a worker stuck, and returns how many of the connections armed there are
/// answered within `patience`, and how many there are.
fn answered_beside_a_stuck_worker(runtime: &Runtime, patience: Duration) -> (usize, usize) {
    let homes: Homes = Arc::new(Mutex::new(vec![None; CONNECTIONS]));
    let (address_to, address) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        let server_homes = homes.clone();
        scope.spawn(move || {
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                address_to.send(listener.local_addr().unwrap()).unwrap();
                for at in 0..CONNECTIONS {
                    let (stream, _) = listener.accept().await.unwrap();
                    drop(spawn(echo(stream, at, server_homes.clone())));
                }
                while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    sleep(Duration::from_millis(1)).await;
                }
            });
        });
        let address = address.recv().unwrap();
        let mut streams: Vec<_> = (0..CONNECTIONS)
            .map(|_| StdStream::connect(address).unwrap())
            .collect();
        let all_armed = || homes.lock().unwrap().iter().all(Option::is_some);
        common::eventually("all connections wait", all_armed);
        let stuck = get_stuck(runtime, patience + Duration::from_secs(10));
        let targets: Vec<_> = (0..CONNECTIONS)
            .filter(|&at| homes.lock().unwrap()[at] == Some(stuck.worker))
            .collect();
        for &at in &targets {
            streams[at].write_all(b"x").unwrap();
        }
        let limit = Instant::now() + patience;
        let mut answered = 0;
        for &at in &targets {
            let left = limit.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            streams[at].set_read_timeout(Some(left)).unwrap();
            answered += usize::from(streams[at].read_exact(&mut [0]).is_ok());
        }
        assert!(
            stuck.free.send(()).is_ok(),
            "the worker was not stuck long enough"
        );
        drop(end);
        (answered, targets.len())
    })
}

/// Repeats until the stuck worker had connections; they may all be the other's.
fn with_targets(runtime: &Runtime, patience: Duration) -> (usize, usize) {
    for _ in 0..50 {
        let (answered, targets) = answered_beside_a_stuck_worker(runtime, patience);
        if targets > 0 {
            return (answered, targets);
        }
    }
    panic!("the stuck worker never had a connection");
}

#[test]
fn the_connections_of_a_stuck_worker_are_answered_meanwhile() {
    let _alone = alone();
    let _watchdog = Watchdog::new("the_connections_of_a_stuck_worker", 60);
    for profile in STEALING {
        for workers in [2, 3] {
            let runtime = builder(workers, profile).build().unwrap();
            for _ in 0..scaled(3, 500) {
                let (answered, targets) = with_targets(&runtime, Duration::from_secs(5));
                assert_eq!(answered, targets, "{profile:?}, {workers} workers");
            }
            let rescues = runtime.metrics().total().rescued_completions;
            assert!(rescues > 0, "answered, but not by a rescue");
        }
    }
}

#[test]
fn many_short_spins_beside_echoes_lose_nothing() {
    let _alone = alone();
    let _watchdog = Watchdog::new("many_short_spins_beside_echoes", 60);
    for profile in STEALING {
        let runtime = builder(2, profile).build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            drop(spawn(async move {
                let homes: Homes = Arc::new(Mutex::new(vec![None; 100]));
                for at in 0..CONNECTIONS {
                    let (stream, _) = listener.accept().await.unwrap();
                    drop(spawn(echo(stream, at, homes.clone())));
                }
            }));
            let clients: Vec<_> = (0..CONNECTIONS as u8)
                .map(|id| {
                    spawn(async move {
                        let mut stream = TcpStream::connect(address).await.unwrap();
                        for round in 0..scaled(60, 5000) {
                            let message = [id ^ round as u8; 100];
                            stream.write_all(&message).await.unwrap();
                            let mut back = [0; 100];
                            stream.read_exact(&mut back).await.unwrap();
                            assert_eq!(back, message);
                        }
                    })
                })
                .collect();
            let spinner = spawn(async {
                loop {
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_millis(20) {
                        std::hint::spin_loop();
                    }
                    sleep(Duration::from_micros(100)).await;
                }
            });
            for client in clients {
                client.await.unwrap();
            }
            spinner.cancel();
        });
    }
}

#[test]
fn control_without_the_watch_they_are_not_answered() {
    let _alone = alone();
    let _watchdog = Watchdog::new("control_without_the_watch", 60);
    for profile in [RingProfile::Defer, RingProfile::Coop] {
        let built = builder(2, profile).watch_interval(None).build();
        let runtime = built.unwrap();
        let (answered, targets) = with_targets(&runtime, Duration::from_millis(300));
        assert!(
            answered < targets,
            "{profile:?}: all {targets} were answered without a rescue"
        );
    }
}

/// Beside a task that gets its worker stuck again and again, connections end up on the other worker:
/// they are rescued at first, and then no more.
#[test]
fn connections_leave_a_worker_that_is_stuck_again_and_again() {
    const ROUNDS: u64 = 200;
    let _alone = alone();
    let _watchdog = Watchdog::new("connections_leave_a_worker", 60);
    for profile in STEALING {
        let runtime = builder(2, profile).build().unwrap();
        let rescued = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut clients = Vec::new();
            for _ in 0..CONNECTIONS {
                clients.push(TcpStream::connect(address).await.unwrap());
                let (mut server, _) = listener.accept().await.unwrap();
                drop(spawn(async move {
                    while let Ok(Some(bytes)) = server.recv().await {
                        server.write_all(&bytes).await.unwrap();
                    }
                }));
            }
            let spinner = spawn(async {
                loop {
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_millis(5) {
                        std::hint::spin_loop();
                    }
                    sleep(Duration::from_millis(1)).await;
                }
            });
            let busy: Vec<_> = clients
                .into_iter()
                .map(|mut client| {
                    spawn(async move {
                        for _ in 0..ROUNDS {
                            client.write_all(b"x").await.unwrap();
                            client.read_exact(&mut [0]).await.unwrap();
                            sleep(Duration::from_millis(1)).await;
                        }
                    })
                })
                .collect();
            for client in busy {
                client.await.unwrap();
            }
            spinner.abort();
            runtime.metrics().total().rescued_completions
        });
        // Three for each connection and each time that the task changes workers: the bytes, those of the
        // peer, and the end of the receive. Staying, they would be rescued nearly every time.
        let limit = CONNECTIONS as u64 * ROUNDS / 4;
        assert!(rescued < limit, "{profile:?}: {rescued} rescued");
    }
}
