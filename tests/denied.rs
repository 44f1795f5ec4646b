//! Where a seccomp filter denies io_uring, as the default profiles of Docker and containerd do, the same program runs on
//! epoll, and says so once.
//!
//! Control: the filter denies indeed, since `Driver::Uring` fails under it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/seccomp.rs"]
mod seccomp;

use std::time::Duration;

use common::{Watchdog, builder, child, finish_within, role, said};
use heist::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use heist::time::{sleep, timeout};
use heist::{Driver, RingProfile, ops, spawn, spawn_blocking};
use seccomp::deny_io_uring;

const CONNECTIONS: usize = 50;
const MESSAGES: usize = 20;

/// Not a test: the program that the test runs.
#[test]
fn helper() {
    if role().as_deref() != Some("denied") {
        return;
    }
    deny_io_uring();
    let error = builder(1, RingProfile::Defer)
        .driver(Driver::Uring)
        .build()
        .expect_err("the filter denies it");
    assert!(error.is_denied(), "{error}");
    for profile in [RingProfile::Defer, RingProfile::Coop, RingProfile::Pinned] {
        for workers in [1, 2] {
            let runtime = builder(workers, profile).build().unwrap();
            assert_eq!(runtime.metrics().driver, Driver::Poll);
            runtime.block_on(everything());
            let report = runtime.shutdown(Duration::from_secs(5));
            assert!(report.is_clean(), "{report:?}");
        }
    }
    println!("DONE");
}

async fn everything() {
    let tasks = [
        spawn(streams()),
        spawn(datagrams()),
        spawn(cancels()),
        spawn(files()),
    ];
    for task in tasks {
        task.await.unwrap();
    }
}

async fn streams() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        for _ in 0..CONNECTIONS {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(spawn(async move {
                while let Some(bytes) = stream.recv().await.unwrap() {
                    stream.write_all(&bytes).await.unwrap();
                }
            }));
        }
    });
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|client| {
            spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for message in 0..MESSAGES {
                    let sent = vec![(client + message) as u8; 1 + message * 1000];
                    stream.write_all(&sent).await.unwrap();
                    let mut back = vec![0; sent.len()];
                    stream.read_exact(&mut back).await.unwrap();
                    assert_eq!(back, sent);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    server.await.unwrap();
}

async fn datagrams() {
    let here = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let there = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = there.local_addr().unwrap();
    for number in 0..100_u8 {
        here.send_to(&[number], to).await.unwrap();
        let mut one = [0; 2];
        let (length, _) = there.recv_from(&mut one).await.unwrap();
        assert_eq!(&one[..length], [number]);
    }
}

/// Receives that are given up again and again lose nothing.
async fn cancels() {
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let sender = spawn(async move {
        for number in 0..100_u8 {
            here.write_all(&[number]).await.unwrap();
            sleep(Duration::from_micros(300)).await;
        }
    });
    let mut received = Vec::new();
    while received.len() < 100 {
        if let Ok(bytes) = timeout(Duration::from_micros(100), there.recv()).await {
            received.extend_from_slice(&bytes.unwrap().unwrap());
        }
    }
    assert!(received.into_iter().eq(0..100));
    sender.await.unwrap();
}

async fn files() {
    let path = std::env::temp_dir().join(format!("heist-denied-{}", std::process::id()));
    let options = ops::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true);
    let file = ops::open(&path, options).unwrap().await.unwrap();
    let (written, bytes) = ops::write_at(&file, vec![7; 300_000], 0).await;
    assert_eq!(written.unwrap(), bytes.len());
    ops::fsync(&file, true).await.unwrap();
    assert_eq!(ops::statx(&path).unwrap().await.unwrap().stx_size, 300_000);
    let (read, back) = ops::read_at(&file, Vec::with_capacity(300_001), 0).await;
    assert_eq!((read.unwrap(), back), (bytes.len(), bytes));
    assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_program_runs_where_io_uring_is_denied() {
    let _watchdog = Watchdog::new("a_program_runs_where_io_uring_is_denied", 90);
    let mut command = child(&[], "helper", "denied");
    let output = finish_within(Duration::from_secs(60), command.env_remove("HEIST_DRIVER"));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("DONE"),
        "{}",
        said(&output)
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    let warnings: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("heist: "))
        .collect();
    // With the feature `tracing` the event is a subscriber's, of whom there is none.
    let expected = usize::from(!cfg!(feature = "tracing"));
    assert_eq!(warnings.len(), expected, "{stderr}");
    let is_clear = |warning: &&str| warning.contains("seccomp") && warning.contains("epoll");
    assert!(warnings.iter().all(is_clear), "{stderr}");
}
