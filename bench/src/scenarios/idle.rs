//! The memory of connections that wait: each server end is in a receive, and nothing comes.
//!
//! The servers are the contestants' echo functions, one task for each connection, those of tokio with a
//! buffer of 4 KiB of their own. Every connection has echoed one message before it is left alone, as
//! connections that are kept open have: memory that was never touched would cost nothing. The clients
//! are plain blocking sockets of the same process, which take no memory in user space but their
//! descriptor. A hundred connections before the measured ones pay for what all of them share.
//!
//! The figure is the growth of the resident memory of the process that is not shared with a file,
//! divided by the connections: tasks, buffers, and what the allocator adds, without the memory of the
//! kernel. Each run has a process of its own, as memory that an earlier runtime gave back would be used
//! again and not be seen.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures_channel::oneshot;

use crate::{
    meter::{self, Meter},
    rt::Contestant,
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    connections: usize,
}

/// Connections that pay for what all of them share.
const FIRST: usize = 100;
/// Descriptors that are not those of a connection.
const OTHERS: usize = 200;
/// What everything takes to come to rest.
const REST: Duration = Duration::from_millis(200);

/// The scenarios of this module. Where the limit of descriptors is too low, the connections are fewer.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let possible = meter::descriptor_limit().saturating_sub(OTHERS) / 2;
    let possible = possible.saturating_sub(FIRST).max(1);
    vec![Box::new(Idle {
        connections: scale.pick(4000, 200).min(possible),
    })]
}

impl Scenario for Idle {
    fn name(&self) -> String {
        format!("idle, {} connections", self.connections)
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "KiB/connection").figure(1.0)]
    }

    fn others(&self) -> Others {
        Others {
            coop: true,
            ..Others::default()
        }
    }

    fn repeats(&self) -> usize {
        1
    }

    fn own_process(&self) -> bool {
        true
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let count = self.connections;
        let server = Server::start(runtime);
        let (ready, is_ready) = oneshot::channel();
        // This thread may be one of the workers, so the clients block another one.
        let clients = thread::spawn(move || {
            let mut held = server.connect(FIRST);
            exchange(&mut held);
            thread::sleep(REST);
            let before = meter::resident();
            let meter = Meter::start();
            let mut measured = server.connect(count);
            exchange(&mut measured);
            thread::sleep(REST);
            let growth = meter::resident().saturating_sub(before);
            let cost = meter.stop();
            ready.send(()).expect("the runtime waits");
            (growth, cost, held, measured)
        });
        runtime.run(is_ready).expect("the clients do not panic");
        let (growth, cost, ..) = clients.join().expect("the clients do not panic");
        let bytes = growth as f64 / count as f64;
        Outcome {
            // Criterion knows only times: a nanosecond stands for a byte.
            time: Duration::from_nanos((bytes as u64).max(1)),
            values: vec![bytes / 1024.0],
            cost,
            operations: count as u64,
        }
    }
}

/// One message on each connection, and back.
fn exchange(streams: &mut [TcpStream]) {
    for stream in streams {
        let mut message = [b'x'; 64];
        stream.write_all(&message).expect("the server reads");
        stream.read_exact(&mut message).expect("the server answers");
    }
}

/// An echo server that counts the connections it has accepted.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Starts it on a worker of `runtime`.
    pub fn start<R: Contestant>(runtime: &R) -> Self {
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let address = runtime.run(async move {
            let (mut listener, address) = R::listen().await;
            drop(R::spawn(async move {
                loop {
                    let stream = R::accept(&mut listener).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    drop(R::spawn(R::echo(stream, 4096)));
                }
            }));
            address
        });
        Self { address, accepted }
    }

    /// Opens `count` connections and waits until the server has accepted them.
    ///
    /// # Panics
    ///
    /// Panics if the server stops accepting, or the descriptors are used up.
    #[must_use]
    pub fn connect(&self, count: usize) -> Vec<TcpStream> {
        let before = self.accepted.load(Ordering::Relaxed);
        let connect = |i| {
            let stream = TcpStream::connect(self.address).expect("the server listens");
            // Few at a time, so that the backlog does not overflow.
            self.wait_for(before + usize::saturating_sub(i, 32));
            stream
        };
        let streams = (0..count).map(connect).collect();
        self.wait_for(before + count);
        streams
    }

    fn wait_for(&self, accepted: usize) {
        let began = Instant::now();
        while self.accepted.load(Ordering::Relaxed) < accepted {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the server stopped accepting"
            );
            std::thread::yield_now();
        }
    }
}
