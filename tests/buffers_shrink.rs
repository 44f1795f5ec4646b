//! Receive buffers that a burst has called for are given back when it is over: their memory goes to the system.
//!
//! Control, tried: with an `end_period` that changes nothing, or a `retire` that keeps the pages, the memory stays.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{STEALING, Watchdog, builder};
use heist::net::{TcpListener, TcpStream};
use heist::time::sleep;

const BUFFER: usize = 64 * 1024;
const CONNECTIONS: usize = 300;

/// Bytes of memory that this process has now.
fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

async fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address = listener.local_addr().unwrap();
    let here = TcpStream::connect(address).await.unwrap();
    let (there, _) = listener.accept().await.unwrap();
    (here, there)
}

#[test]
fn buffers_of_a_burst_are_given_back() {
    let _watchdog = Watchdog::new("buffers_of_a_burst_are_given_back", 60);
    for profile in STEALING {
        let built = builder(1, profile)
            .receive_buffers(4, 512)
            .receive_buffer_size(BUFFER)
            .build();
        built.unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut all = Vec::new();
            for _ in 0..CONNECTIONS {
                all.push(pair(&listener).await);
            }
            let before = resident();
            // Each keeps a buffer, most of it written by the kernel.
            let mut hoard = Vec::new();
            for (here, there) in &mut all {
                here.write_all(&[7; BUFFER]).await.unwrap();
                sleep(Duration::from_micros(200)).await;
                hoard.push(there.recv().await.unwrap().unwrap());
            }
            let lent: usize = hoard.iter().map(|bytes| bytes.len()).sum();
            assert!(lent > 8 << 20, "{lent} bytes do not show");
            let most = resident() - before;
            assert!(most > lent / 2, "{most} of {lent} bytes are in use");
            drop(hoard);
            // Little traffic, as it is at night.
            let (here, there) = &mut all[0];
            let deadline = Instant::now() + Duration::from_secs(30);
            while resident().saturating_sub(before) > most / 4 {
                assert!(Instant::now() < deadline, "the buffers are kept");
                here.write_all(b"still here").await.unwrap();
                there.recv().await.unwrap().unwrap();
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
}
