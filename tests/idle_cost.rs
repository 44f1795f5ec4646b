//! What a runtime costs that has connections and nothing to do: no more than nothing.

#![expect(unsafe_code, reason = "the clock of a process is a system call")]

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::thread;
use std::time::Duration;

use heist::net::TcpListener;
use heist::{Builder, RingProfile};

mod common;

use common::Watchdog;

/// Processor time of all threads of this process so far.
fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a place for what the call writes.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    Duration::from_secs(time.tv_sec as u64) + Duration::from_nanos(time.tv_nsec as u64)
}

/// The processor time that `profile` takes in each second with a hundred connections that have echoed once.
fn load(profile: RingProfile) -> f64 {
    const CONNECTIONS: usize = 100;
    const WINDOW: Duration = Duration::from_secs(3);
    let builder = Builder::new().worker_threads(4).ring_profile(profile);
    let runtime = builder.build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = runtime.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            heist::spawn(async move {
                while let Some(bytes) = stream.recv().await.expect("bytes") {
                    stream.write_all(&bytes).await.expect("room");
                }
            });
        }
    });
    let clients: Vec<StdStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut client = StdStream::connect(address).expect("it listens");
            client.write_all(b"x").expect("room");
            client.read_exact(&mut [0]).expect("an echo");
            client
        })
        .collect();
    // Watchers look a while longer, and memory that has not been used again is given back.
    thread::sleep(Duration::from_secs(1));
    let before = processor_time();
    thread::sleep(WINDOW);
    let used = processor_time() - before;
    drop(clients);
    server.abort();
    used.as_secs_f64() / WINDOW.as_secs_f64()
}

/// Half a percent of a core.
///
/// Control, tried: a watcher whose interval does not grow, and whose patience does not end.
#[test]
fn a_hundred_idle_connections_cost_nothing() {
    const MOST: f64 = 0.005;
    let _watchdog = Watchdog::new("a_hundred_idle_connections_cost_nothing", 60);
    for profile in [RingProfile::default(), RingProfile::Coop] {
        let load = load(profile);
        println!("{profile:?}: {:.3} % of a core", load * 100.0);
        assert!(load < MOST, "{profile:?}: {:.2} % of a core", load * 100.0);
    }
}
