//! Signals that interrupt system calls a thousand times a second disturb nobody, and no descriptor of the
//! runtime reaches a program that is started meanwhile.
//!
//! Negative control: `control_an_inherited_descriptor_is_noticed`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    unsafe_code,
    reason = "a signal handler, and a descriptor that is inherited"
)]

mod common;

use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{STEALING, Watchdog, alone, runtime, scaled};
use heist::net::{TcpListener, TcpStream};
use heist::time::sleep;
use heist::{spawn, spawn_blocking};

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_signal: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Sends this process SIGALRM every `interval`, or no more if that is zero. Without `SA_RESTART`, so that calls
/// fail with `EINTR`.
fn alarm_every(interval: Duration) {
    let period = libc::timeval {
        tv_sec: 0,
        tv_usec: interval.as_micros().try_into().unwrap(),
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: all zeros is a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(i32) as usize;
    let old = std::ptr::null_mut();
    // SAFETY: the handler does nothing but an atomic addition, and lives as long as the program.
    let installed = unsafe { libc::sigaction(libc::SIGALRM, &raw const action, old) };
    assert_eq!(installed, 0);
    let old = std::ptr::null_mut();
    // SAFETY: it reads a value that is alive.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, old) };
    assert_eq!(set, 0);
}

/// Echoes, timers and closures on the blocking pool; fails if any of them is wrong or early.
async fn work(rounds: u32) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(spawn(async move {
                while let Ok(Some(bytes)) = stream.recv().await {
                    stream.write_all(&bytes).await.unwrap();
                }
            }));
        }
    });
    let clients: Vec<_> = (0..8_u8)
        .map(|client| {
            spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for round in 0..rounds {
                    let sent = [client, round as u8];
                    let mut echoed = [0; 2];
                    stream.write_all(&sent).await.unwrap();
                    stream.read_exact(&mut echoed).await.unwrap();
                    assert_eq!(sent, echoed);
                    let start = Instant::now();
                    sleep(Duration::from_micros(500)).await;
                    assert!(start.elapsed() >= Duration::from_micros(500));
                    let square = spawn_blocking(move || round * round).await.unwrap();
                    assert_eq!(square, round * round);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    drop(server.cancel_and_join().await);
}

/// The descriptors that a program finds open which is started by this one, beyond the usual.
fn inherited() -> Vec<String> {
    let output = Command::new("ls")
        .args(["-l", "/proc/self/fd"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let targets = text.lines().filter_map(|line| line.split_once(" -> "));
    targets
        .map(|(_, target)| target.to_owned())
        .filter(|target| target.starts_with("anon_inode:") || target.starts_with("socket:"))
        .collect()
}

#[test]
fn signals_disturb_nobody() {
    let _alone = alone();
    let _watchdog = Watchdog::new("signals_disturb_nobody", 60);
    for profile in STEALING {
        let runtime = runtime(2, profile);
        let before = SIGNALS.load(Ordering::Relaxed);
        let start = Instant::now();
        alarm_every(Duration::from_millis(1));
        runtime.block_on(work(scaled(200, 20_000)));
        let millis = start.elapsed().as_millis() as u64;
        let signals = SIGNALS.load(Ordering::Relaxed) - before;
        // The shutdown under signals, too.
        assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
        alarm_every(Duration::ZERO);
        // They merge while the machine is busy.
        assert!(signals > millis / 20, "{signals} signals in {millis} ms");
    }
}

#[test]
fn no_descriptor_reaches_a_program_that_is_started() {
    let _alone = alone();
    let _watchdog = Watchdog::new("no_descriptor_reaches_a_program_that_is_started", 60);
    // What the test itself was given.
    let usual = inherited();
    for profile in STEALING {
        let runtime = runtime(2, profile);
        // Descriptors come and go meanwhile.
        let over = runtime.spawn(async {
            loop {
                work(1).await;
            }
        });
        for _ in 0..scaled(25, 1_000) {
            assert_eq!(inherited(), usual);
        }
        assert!(!over.is_finished());
        over.cancel();
    }
}

#[test]
fn control_an_inherited_descriptor_is_noticed() {
    let _alone = alone();
    let usual = inherited();
    // SAFETY: it takes no pointer.
    let raw = unsafe { libc::eventfd(0, 0) };
    assert!(raw >= 0);
    // SAFETY: it is new, and nobody else has it.
    let _eventfd = unsafe { OwnedFd::from_raw_fd(raw) };
    assert!(inherited().len() > usual.len());
}
