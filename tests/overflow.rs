//! Rings far too small for what is asked of them lose nothing and never lock up: full submission queues,
//! completion queues that overflow into the kernel's memory, and cancels by the thousand.
//!
//! Control: the metrics must show that the queues were full and did overflow, or the tests test nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "an operation of the test's own")]

mod common;

use std::future::{Future, poll_fn};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use common::{STEALING, Watchdog, builder, scaled};
use heist::net::{TcpListener, TcpStream};
use heist::ops::{self, Completion, Op, Operation, SharedFd};
use heist::time::{sleep, timeout};
use heist::{Runtime, spawn};
use io_uring::{opcode, squeue};

/// Does nothing in the kernel, and says how often that has happened.
struct Nop(Arc<AtomicU64>);

// SAFETY: the entry names neither memory nor a descriptor.
unsafe impl Operation for Nop {
    type Output = u64;

    fn prepare(&mut self) -> squeue::Entry {
        opcode::Nop::new().build()
    }

    fn complete(self, completion: Completion) -> u64 {
        assert_eq!(completion.raw_result(), 0);
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Runs `test` on runtimes with the smallest rings; its figures at the end.
fn on_tiny_rings(test: impl Fn(&Runtime)) {
    let (mut full, mut overflows) = (0, 0);
    for profile in STEALING {
        for workers in [1, 2] {
            for entries in [1, 2, 8] {
                let built = builder(workers, profile)
                    .ring_entries(entries)
                    .completion_entries(8)
                    .build();
                let runtime = built.unwrap();
                test(&runtime);
                let total = runtime.metrics().total();
                full += total.sq_full;
                overflows += total.overflows;
                assert_eq!(total.stale_completions, 0);
                let report = runtime.shutdown(Duration::from_secs(10));
                assert!(
                    report.is_clean(),
                    "{profile:?} {workers} {entries}: {report:?}"
                );
            }
        }
    }
    assert!(full > 0, "no submission queue was ever full");
    println!("{full} full submission queues, {overflows} overflows");
    OVERFLOWS.fetch_add(overflows, Ordering::SeqCst);
}

/// Connected streams, with the runtime's end of each first.
fn a_hundred_pairs() -> Vec<(SharedFd, UnixStream)> {
    let pair = |_| {
        let (here, there) = UnixStream::pair().unwrap();
        (SharedFd::new(here.into()), there)
    };
    (0..100).map(pair).collect()
}

static OVERFLOWS: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_thousand_operations_at_once() {
    let _watchdog = Watchdog::new("a_thousand_operations_at_once", 60);
    on_tiny_rings(|runtime| {
        runtime.block_on(async {
            let pairs = a_hundred_pairs();
            let receives: Vec<_> = (0..1000)
                .map(|at| spawn(ops::recv(&pairs[at % 100].0, vec![0; 1], 0)))
                .collect();
            sleep(Duration::from_millis(2)).await;
            // All at once: ten receives wait at each socket.
            for (_, there) in &pairs {
                (&mut &*there).write_all(&[7; 10]).unwrap();
            }
            for receive in receives {
                let (count, buffer) = receive.await.unwrap();
                assert_eq!((count.unwrap(), &buffer[..]), (1, &[7][..]));
            }
        });
    });
    assert!(
        OVERFLOWS.load(Ordering::SeqCst) > 0,
        "no completion queue overflowed"
    );
}

#[test]
fn every_completion_of_very_many_is_delivered() {
    let _watchdog = Watchdog::new("every_completion_of_very_many_is_delivered", 60);
    let total: u64 = scaled(50_000, 1_000_000);
    on_tiny_rings(|runtime| {
        runtime.block_on(async {
            const TASKS: u64 = 500;
            let count = Arc::new(AtomicU64::new(0));
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let count = count.clone();
                    spawn(async move {
                        for _ in 0..total / TASKS {
                            Op::new(Nop(count.clone())).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(count.load(Ordering::SeqCst), total);
        });
    });
}

#[test]
fn ten_thousand_timeouts_around_receives_at_once() {
    let _watchdog = Watchdog::new("ten_thousand_timeouts_around_receives_at_once", 90);
    on_tiny_rings(|runtime| {
        runtime.block_on(async {
            let pairs = a_hundred_pairs();
            let waits: Vec<_> = (0..10_000)
                .map(|at| {
                    let receive = ops::recv(&pairs[at % 100].0, vec![0; 1], 0);
                    spawn(timeout(Duration::from_millis(20), receive))
                })
                .collect();
            for wait in waits {
                assert!(wait.await.unwrap().is_err());
            }
            // A timeout returns when the kernel has let go of what it cancelled: nothing is left behind.
            assert_eq!(runtime.metrics().total().orphans, 0);

            // Dropped as they are, they end late, in the hands of the runtime. Every cancel arrives. (That
            // takes longer than any pause one would care to guess.)
            let mut receives: Vec<_> = (0..10_000)
                .map(|at| ops::recv(&pairs[at % 100].0, vec![0; 1], 0))
                .collect();
            poll_fn(|cx| {
                for receive in &mut receives {
                    assert!(Pin::new(receive).poll(cx).is_pending());
                }
                Poll::Ready(())
            })
            .await;
            drop(receives);
            while runtime.metrics().total().orphans < 10_000 {
                sleep(Duration::from_millis(5)).await;
            }
            // What comes now is for the next receive.
            for (fd, there) in &pairs {
                (&mut &*there).write_all(b"n").unwrap();
                let (count, buffer) = ops::recv(fd, vec![0; 1], 0).await;
                assert_eq!((count.unwrap(), &buffer[..]), (1, &b"n"[..]));
            }
        });
    });
}

#[test]
fn multishot_receives_and_accepts_survive_overflow() {
    let _watchdog = Watchdog::new("multishot_receives_and_accepts_survive_overflow", 90);
    on_tiny_rings(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(async move {
                for _ in 0..100 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    drop(spawn(async move {
                        while let Some(bytes) = stream.recv().await.unwrap() {
                            stream.write_all(&bytes).await.unwrap();
                        }
                    }));
                }
            });
            let clients: Vec<_> = (0..100)
                .map(|id: u8| {
                    spawn(async move {
                        let mut stream = TcpStream::connect(address).await.unwrap();
                        for round in 0..20 {
                            let message = [id ^ round; 300];
                            stream.write_all(&message).await.unwrap();
                            let mut back = [0; 300];
                            stream.read_exact(&mut back).await.unwrap();
                            assert_eq!(back, message);
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
            server.await.unwrap();
        });
    });
}
