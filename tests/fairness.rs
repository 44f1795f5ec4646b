//! Tasks that are always ready do not starve tasks that wait for the network: beside them, no echo waits
//! longer than a fraction of a second for its turn.
//!
//! The machine may be busy with other programs, so a thread measures how long the kernel keeps it waiting
//! at worst, and that much is forgiven.
//!
//! Negative control: a task that does not yield exceeds the bound.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{STEALING, Watchdog, alone, builder, runtime, scaled};
use heist::net::TcpListener;
use heist::{RingProfile, spawn, yield_now};

/// No echo waits longer.
const BOUND: Duration = Duration::from_millis(500);

/// Echoes until the peers have left.
async fn serve(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        spawn(async move {
            while let Ok(Some(bytes)) = stream.recv().await {
                if stream.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Keeps the CPU busy for a time, in one poll.
fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

/// Measures until `over`: the worst echo of `count` connections, less the worst pause of this machine.
fn worst_echo(address: SocketAddr, count: usize, duration: Duration) -> Duration {
    let over = Arc::new(AtomicBool::new(false));
    let stop = over.clone();
    let pauses = thread::spawn(move || {
        let mut worst = Duration::ZERO;
        while !stop.load(Ordering::SeqCst) {
            let start = Instant::now();
            thread::sleep(Duration::from_millis(1));
            worst = worst.max(start.elapsed());
        }
        worst
    });
    let mut streams: Vec<_> = (0..count)
        .map(|_| {
            let stream = StdStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        })
        .collect();
    let (start, mut worst) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < duration {
        let sent: Vec<_> = streams
            .iter_mut()
            .map(|stream| {
                stream.write_all(b"x").unwrap();
                Instant::now()
            })
            .collect();
        for (stream, sent) in streams.iter_mut().zip(sent) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            worst = worst.max(sent.elapsed());
        }
        thread::sleep(Duration::from_millis(2));
    }
    over.store(true, Ordering::SeqCst);
    worst.saturating_sub(pauses.join().unwrap())
}

/// The worst echo beside tasks that spin for `poll` and yield.
fn beside(
    workers: usize,
    profile: RingProfile,
    connections: usize,
    tasks: usize,
    poll: Duration,
) -> Duration {
    let runtime = builder(workers, profile).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(spawn(serve(listener)));
        let duration = scaled(Duration::from_millis(300), Duration::from_secs(20));
        let client = thread::spawn(move || worst_echo(address, connections, duration));
        for _ in 0..tasks {
            drop(spawn(async move {
                loop {
                    spin(poll);
                    yield_now().await;
                }
            }));
        }
        while !client.is_finished() {
            yield_now().await;
        }
        client.join().unwrap()
    })
}

#[test]
fn echoes_go_on_beside_tasks_that_are_always_ready() {
    let _alone = alone();
    let _watchdog = Watchdog::new("echoes_go_on_beside_tasks_that_are_always_ready", 60);
    for profile in STEALING {
        for workers in [1, 2] {
            for poll in [Duration::ZERO, Duration::from_micros(50)] {
                let worst = beside(workers, profile, scaled(64, 1000), 16, poll);
                assert!(
                    worst < BOUND,
                    "an echo waited {worst:?}: {profile:?}, {workers} workers, polls of {poll:?}"
                );
            }
        }
    }
}

#[test]
fn spawned_tasks_get_their_turn_beside_a_chain_of_wakes() {
    let _alone = alone();
    let _watchdog = Watchdog::new("spawned_tasks_get_their_turn_beside_a_chain_of_wakes", 60);
    // Two tasks that wake each other keep the next-task slot occupied; a third must still run.
    for profile in STEALING {
        for workers in [1, 2] {
            runtime(workers, profile).block_on(async {
                let over = Arc::new(AtomicBool::new(false));
                for _ in 0..4 {
                    let over = over.clone();
                    drop(spawn(async move {
                        while !over.load(Ordering::SeqCst) {
                            spawn(async {}).await.unwrap();
                        }
                    }));
                }
                for _ in 0..200 {
                    spawn(async { yield_now().await }).await.unwrap();
                }
                over.store(true, Ordering::SeqCst);
            });
        }
    }
}

/// Tasks spawned by other threads come in batches, however busy the workers are. (Control, tried: a worker with tasks of its
/// own that takes one at a time lets these run 32 times for each.)
#[test]
fn tasks_spawned_from_outside_get_their_share_of_a_busy_runtime() {
    const OUTSIDE: usize = 5000;
    let _alone = alone();
    let _watchdog = Watchdog::new(
        "tasks_spawned_from_outside_get_their_share_of_a_busy_runtime",
        60,
    );
    for profile in STEALING {
        let runtime = runtime(1, profile);
        let (over, turns) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let handle = runtime.handle();
        let tasks: Vec<_> = (0..OUTSIDE).map(|_| handle.spawn(async {})).collect();
        runtime.block_on(async {
            for _ in 0..2 {
                let (over, turns) = (over.clone(), turns.clone());
                drop(spawn(async move {
                    while !over.load(Ordering::SeqCst) {
                        turns.fetch_add(1, Ordering::SeqCst);
                        yield_now().await;
                    }
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
        over.store(true, Ordering::SeqCst);
        let turns = turns.load(Ordering::SeqCst);
        assert!(turns < 2 * OUTSIDE, "the others had {turns} turns");
    }
}

#[test]
fn control_a_task_that_does_not_yield_is_noticed() {
    let _alone = alone();
    let poll = 2 * BOUND;
    let worst = beside(1, RingProfile::Defer, 1, 1, poll);
    assert!(worst > BOUND, "{worst:?} beside polls of {poll:?}");
}
