//! At the limit of open files the accept loop does not spin, connections that are open are served as
//! before, and new ones are accepted within a second after descriptors have been freed.
//!
//! The server is a process of its own with a low limit; the test is its client and reads its CPU time.
//!
//! Negative control: an accept loop that tries again at once is seen to spin by the same measure.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "the limit is a system call")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Watchdog, builder, child, open_descriptors, role, scaled};
use heist::net::TcpListener;
use heist::{RingProfile, spawn};

/// Descriptors the server may have for connections.
const ROOM: usize = 40;
/// Connections that the client opens.
const CLIENTS: usize = 100;

/// Lets this process open `more` descriptors beyond those it has.
fn limit_descriptors(more: usize) {
    let count = (open_descriptors() + more) as libc::rlim_t;
    let limit = libc::rlimit {
        rlim_cur: count,
        rlim_max: count,
    };
    // SAFETY: the structure is valid for the call.
    let limited = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(limited, 0);
}

/// Not a test: the servers, when the tests start them.
#[test]
fn server() {
    match role().as_deref() {
        Some("defer 1") => serve(RingProfile::Defer, 1),
        Some("defer 2") => serve(RingProfile::Defer, 2),
        Some("coop 2") => serve(RingProfile::Coop, 2),
        Some("spins") => serve_spinning(),
        _ => {}
    }
}

/// Echoes for ever.
fn serve(profile: RingProfile, workers: usize) {
    let runtime = builder(workers, profile).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("LISTENS {}", listener.local_addr().unwrap());
        limit_descriptors(ROOM);
        loop {
            // The plain loop that everybody writes.
            let Ok((mut stream, _)) = listener.accept().await else {
                continue;
            };
            drop(spawn(async move {
                while let Ok(Some(bytes)) = stream.recv().await {
                    if stream.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
            }));
        }
    });
}

/// Accepts, and tries again at once when that fails.
fn serve_spinning() {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    println!("LISTENS {}", listener.local_addr().unwrap());
    limit_descriptors(ROOM);
    let mut kept = Vec::new();
    loop {
        if let Ok((mut stream, _)) = listener.accept() {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
            kept.push(stream);
        }
    }
}

/// A server in a process of its own, killed at the end.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(role: &str) -> Self {
        let mut process = child(&[], "server", role)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_once("LISTENS ")?.1.parse().ok())
            .expect("the server says where it listens");
        Self { process, address }
    }

    /// CPU time used so far, in all threads.
    fn cpu_time(&self) -> Duration {
        const TICKS_PER_SECOND: u64 = 100;
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(path).unwrap();
        // After the name in parentheses: state is the third field, the times are 14 and 15.
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|t| t.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// CPU time used within `duration`, as a part of one CPU.
    fn load_for(&self, duration: Duration) -> f64 {
        let before = self.cpu_time();
        thread::sleep(duration);
        (self.cpu_time() - before).as_secs_f64() / duration.as_secs_f64()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Whether `stream` echoes within `patience`.
fn is_served(stream: &mut StdStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

/// Connects until the server has no descriptor left. Yields those that are served and those that wait.
fn exhaust(server: &Server) -> (Vec<StdStream>, Vec<StdStream>) {
    let mut served = Vec::new();
    let mut waiting = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = StdStream::connect(server.address).unwrap();
        if waiting.is_empty() && is_served(&mut stream, Duration::from_secs(2)) {
            served.push(stream);
        } else {
            waiting.push(stream);
        }
    }
    assert!(
        (ROOM / 2..ROOM + 5).contains(&served.len()),
        "{} connections were served with room for {ROOM}",
        served.len()
    );
    (served, waiting)
}

/// Above this part of a CPU a server that has nothing to do spins.
const SPINS: f64 = 0.3;

fn endures_exhaustion(role: &str) {
    let server = Server::start(role);
    let (mut served, mut waiting) = exhaust(&server);
    for _ in 0..scaled(1, 20) {
        let load = server.load_for(Duration::from_secs(1));
        assert!(load < SPINS, "{role}: the server used {load:.2} of a CPU");
        for stream in &mut served {
            assert!(
                is_served(stream, Duration::from_secs(10)),
                "{role}: an open connection was harmed"
            );
        }
        // Descriptors come free: as many of those that wait are served, as soon as may be.
        let free = 5.min(waiting.len());
        served.drain(..free);
        let start = Instant::now();
        for mut stream in waiting.drain(..free) {
            assert!(
                is_served(&mut stream, Duration::from_secs(10)),
                "{role}: a connection that waited was not served"
            );
            served.push(stream);
        }
        // A second is promised; a loaded machine gets some more.
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(3),
            "{role}: recovery took {took:?}"
        );
    }
}

#[test]
fn a_server_endures_the_limit() {
    let _watchdog = Watchdog::new("a_server_endures_the_limit", 120);
    thread::scope(|scope| {
        for role in ["defer 1", "defer 2", "coop 2"] {
            scope.spawn(move || endures_exhaustion(role));
        }
    });
}

#[test]
fn control_a_loop_that_spins_is_noticed() {
    let _watchdog = Watchdog::new("control_a_loop_that_spins_is_noticed", 60);
    let server = Server::start("spins");
    let (_served, _waiting) = exhaust(&server);
    let load = server.load_for(Duration::from_secs(1));
    assert!(load > SPINS, "the measure sees only {load:.2} of a CPU");
}
