//! Connections that wait beside others that work: what does one take, and what does it cost the others?
//!
//! First 64 connections are busy with 64-byte messages in a closed loop, then 8000 more are opened and
//! left alone, and then the 64 are busy once more. The waiting ends are the contestants' echo functions,
//! one task for each connection, those that need one with a buffer of 4 KiB of their own. Every connection
//! has echoed one message before it is left alone, as connections that are kept open have: memory that was
//! never touched would cost nothing. Their clients are plain blocking sockets of the same process, which
//! take no memory in user space but their descriptor. A hundred connections before the measured ones pay
//! for what all of them share.
//!
//! The memory is the growth of what the process has resident and shares with no file, divided by the
//! connections: tasks, buffers, and what the allocator adds, without the memory of the kernel. Each run has
//! a process of its own, as memory that an earlier runtime gave back would be used again and not be seen.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::window::{Phase, Window, closed_loop, merged};
use crate::{
    meter::{self, Cost},
    rt::{Contestant, Share},
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
    stats::Histogram,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    connections: usize,
    /// How many it is said to have: as many as it has at the full scale.
    name: usize,
    window: Window,
}

/// Connections that are busy.
const BUSY: usize = 64;
const SIZE: usize = 64;
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
    let possible = possible.saturating_sub(FIRST + BUSY).max(1);
    vec![Box::new(Idle {
        connections: scale.pick(8000, 200).min(possible),
        name: possible.min(8000),
        window: Window::new(scale, Duration::from_secs(1)),
    })]
}

impl Scenario for Idle {
    fn name(&self) -> String {
        format!("{} idle connections beside {BUSY} busy ones", self.name)
    }

    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::less("memory", "KiB/connection"),
            Measure::more("throughput", "messages/s"),
            Measure::more("throughput, of that without them", "x"),
        ]
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
        let Self {
            connections,
            window,
            ..
        } = *self;
        let stage = Arc::new(Stage::new(runtime.shares(), window));
        let shares = runtime.run_shares(move |share| {
            let stage = Arc::clone(&stage);
            async move {
                let server = Server::listen::<R>().await;
                let mut held = open::<R>(&server, share.part(FIRST)).await;
                let mut near = Vec::new();
                for _ in 0..share.part(BUSY) {
                    near.push(R::connect(server.address).await);
                }
                let (near, alone) = stage.work::<R>(share, near).await;
                stage.all.wait();
                let before = meter::resident();
                stage.all.wait();
                held.extend(open::<R>(&server, share.part(connections)).await);
                stage.all.wait();
                let growth = meter::resident().saturating_sub(before);
                stage.all.wait();
                let (_near, beside) = stage.work::<R>(share, near).await;
                (growth, alone, beside)
            }
        });
        let growth = shares[0].0;
        let (mut alone, mut beside) = (Work::default(), Work::default());
        for (_, one, other) in shares {
            alone.add(one);
            beside.add(other);
        }
        let bytes = growth as f64 / connections as f64;
        let values = vec![
            bytes / 1024.0,
            beside.rate(),
            beside.rate() / alone.rate().max(1.0),
        ];
        // Criterion knows only times: a nanosecond stands for a byte.
        let time = Duration::from_nanos((bytes as u64).max(1));
        Outcome::new(time, values, beside.cost, beside.latencies.count())
            .with_latency(&beside.latencies)
    }
}

/// What the shares have in common.
#[derive(Debug)]
struct Stage {
    all: Barrier,
    window: Window,
    /// The phase of the work that is under way.
    phase: Mutex<Arc<Phase>>,
}

/// What the busy connections have done.
#[derive(Debug, Default)]
struct Work {
    cost: Cost,
    latencies: Histogram,
}

impl Work {
    fn add(&mut self, other: Self) {
        if other.cost.elapsed > Duration::ZERO {
            self.cost = other.cost;
        }
        self.latencies.add(&other.latencies);
    }

    fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.cost.elapsed.as_secs_f64().max(1e-9)
    }
}

impl Stage {
    fn new(shares: usize, window: Window) -> Self {
        Self {
            all: Barrier::new(shares),
            window,
            phase: Mutex::default(),
        }
    }

    /// Lets the connections of a share be busy for a window, and gives them back. Where there are
    /// several shares, each has its thread to itself, so it may be blocked here.
    async fn work<R: Contestant>(
        &self,
        share: Share,
        near: Vec<R::Stream>,
    ) -> (Vec<R::Stream>, Work) {
        if share.is_first() {
            *self.phase.lock().expect("nobody panics with it") = Arc::default();
        }
        self.all.wait();
        let phase = Arc::clone(&self.phase.lock().expect("nobody panics with it"));
        let tasks: Vec<_> = near
            .into_iter()
            .map(|mut stream| {
                let phase = Arc::clone(&phase);
                R::spawn(async move {
                    let latencies = closed_loop::<R>(&mut stream, SIZE, &phase).await;
                    (stream, latencies)
                })
            })
            .collect();
        let mut work = Work::default();
        if share.is_first() {
            work.cost = self.window.pass::<R>(phase).await;
        }
        let mut near = Vec::new();
        let mut latencies = Vec::new();
        for task in tasks {
            let (stream, of_one) = task.await.expect("the task does not panic");
            near.push(stream);
            latencies.push(of_one);
        }
        work.latencies = merged(latencies);
        (near, work)
    }
}

/// Opens connections that are then left alone; the runtime serves them meanwhile.
async fn open<R: Contestant>(server: &Server, count: usize) -> Vec<TcpStream> {
    let server = server.clone();
    let clients = thread::spawn(move || {
        let mut streams = server.connect(count);
        exchange(&mut streams);
        thread::sleep(REST);
        streams
    });
    // Not every runtime can be woken by another thread.
    while !clients.is_finished() {
        R::sleep(Duration::from_millis(5)).await;
    }
    clients.join().expect("the clients do not panic")
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
#[derive(Clone, Debug)]
pub struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Starts it on a worker of `runtime`.
    pub fn start<R: Contestant>(runtime: &R) -> Self {
        runtime.run(Self::listen::<R>())
    }

    /// Starts it on the worker of the calling task.
    async fn listen<R: Contestant>() -> Self {
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let (mut listener, address) = R::listen().await;
        drop(R::spawn(async move {
            loop {
                let stream = R::accept(&mut listener).await;
                count.fetch_add(1, Ordering::Relaxed);
                drop(R::spawn(R::echo(stream, 4096)));
            }
        }));
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
