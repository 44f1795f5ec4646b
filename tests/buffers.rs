//! Running out of receive buffers is back-pressure, not an error: with four of them, every connection is
//! served, also while the application keeps all it was lent; and the pool works as before afterwards.
//!
//! Control: the metrics must show that the kernel ran out of buffers, or the tests test nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{STEALING, Watchdog, builder, scaled};
use heist::net::{TcpListener, TcpStream};
use heist::time::sleep;
use heist::{Runtime, spawn};

/// A runtime with four buffers per worker, each of `size` bytes.
fn on_four_buffers(size: usize, test: impl Fn(&Runtime)) {
    let mut starvations = 0;
    for profile in STEALING {
        for workers in [1, 2] {
            let built = builder(workers, profile)
                .receive_buffers(4, 4)
                .receive_buffer_size(size)
                .build();
            let runtime = built.unwrap();
            test(&runtime);
            starvations += runtime.metrics().total().buffer_starvations;
            works_as_new(&runtime);
            let report = runtime.shutdown(Duration::from_secs(5));
            assert!(report.is_clean(), "{report:?}");
        }
    }
    assert!(starvations > 0, "the buffers never ran out");
}

/// Pairs of connected streams.
async fn pairs(count: usize) -> Vec<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut pairs = Vec::new();
    for _ in 0..count {
        let here = TcpStream::connect(address).await.unwrap();
        let (there, _) = listener.accept().await.unwrap();
        pairs.push((here, there));
    }
    pairs
}

/// One connection after another finds buffers again.
fn works_as_new(runtime: &Runtime) {
    let before = runtime.metrics().total().buffer_starvations;
    runtime.block_on(async {
        for (mut here, mut there) in pairs(10).await {
            for round in 0..10_u8 {
                here.write_all(&[round; 50]).await.unwrap();
                let bytes = there.recv().await.unwrap().unwrap();
                assert!(bytes.iter().all(|&byte| byte == round));
            }
        }
    });
    let after = runtime.metrics().total().buffer_starvations;
    assert_eq!(
        after, before,
        "a buffer was lost: one connection alone runs out of them"
    );
}

/// Echoes `rounds` messages over each pair at the same time.
async fn echo_all(pairs: Vec<(TcpStream, TcpStream)>, rounds: usize, size: usize) {
    let mut tasks = Vec::new();
    for (id, (mut here, mut there)) in pairs.into_iter().enumerate() {
        tasks.push(spawn(async move {
            while let Some(bytes) = there.recv().await.unwrap() {
                // Kept across a wait: a buffer out of circulation.
                sleep(Duration::from_micros(100)).await;
                there.write_all(&bytes).await.unwrap();
            }
        }));
        tasks.push(spawn(async move {
            let mut back = vec![0; size];
            for round in 0..rounds {
                let message = vec![(id + round) as u8; size];
                here.write_all(&message).await.unwrap();
                here.read_exact(&mut back).await.unwrap();
                assert_eq!(back, message);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn many_connections_share_four_buffers() {
    let _watchdog = Watchdog::new("many_connections_share_four_buffers", 60);
    for size in [256, 4096] {
        on_four_buffers(size, |runtime| {
            runtime.block_on(async {
                let pairs = pairs(scaled(200, 1000)).await;
                echo_all(pairs, 5, 1000).await;
            });
        });
    }
}

#[test]
fn an_application_that_keeps_every_buffer_starves_nobody() {
    let _watchdog = Watchdog::new("an_application_that_keeps_every_buffer_starves_nobody", 60);
    on_four_buffers(1024, |runtime| {
        runtime.block_on(async {
            let mut hoarders = pairs(30).await;
            let mut hoard = Vec::new();
            for (at, (here, there)) in hoarders.iter_mut().enumerate() {
                for part in 0..3 {
                    here.write_all(&[(at + part) as u8; 20]).await.unwrap();
                    let bytes = there.recv().await.unwrap().unwrap();
                    hoard.push(((at + part) as u8, bytes));
                }
            }
            echo_all(pairs(scaled(100, 1000)).await, 3, 3000).await;
            // What was lent has not changed meanwhile.
            for (expected, bytes) in &hoard {
                assert_eq!(bytes.len(), 20);
                assert!(bytes.iter().all(|byte| byte == expected));
            }
            // Given back on other threads than it came from.
            let elsewhere = spawn(async move { drop(hoard) });
            elsewhere.await.unwrap();
            echo_all(hoarders, 3, 500).await;
        });
    });
}

#[test]
fn connections_dropped_while_they_starve_give_everything_back() {
    let _watchdog = Watchdog::new("connections_dropped_while_they_starve", 60);
    on_four_buffers(512, |runtime| {
        runtime.block_on(async {
            for round in (0..scaled(6, 300)).map(|round| round % 6) {
                let mut tasks = Vec::new();
                for (mut here, mut there) in pairs(50).await {
                    here.write_all(&[1; 5000]).await.unwrap();
                    tasks.push(spawn(async move {
                        // Some drop it unread, some after a part, some at the end.
                        let (mut count, mut kept) = (0, Vec::new());
                        while count < round * 1000 {
                            let bytes = there.recv().await.unwrap().unwrap();
                            count += bytes.len();
                            kept.push(bytes);
                        }
                        drop(here);
                    }));
                }
                for (at, task) in tasks.into_iter().enumerate() {
                    if at % 3 == 0 {
                        task.cancel();
                        drop(task.await);
                    } else {
                        task.await.unwrap();
                    }
                }
            }
        });
    });
}
