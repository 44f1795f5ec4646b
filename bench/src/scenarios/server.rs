//! What an echo server costs: it is alone in this process, its clients have one of their own.
//!
//! Every connection is a closed loop with 64-byte messages. The clients are one thread with a loop on
//! epoll, the same for every server, so the processor time of this process is that of the server with
//! its share of the kernel's work: every system call and every interrupt taken on its threads. The
//! messages that are counted are those that came back to the clients in the same stretch of time. By
//! hand the server is a loop on epoll as well, in one thread that is bound to no CPU.
//!
//! The messages per second depend on the clients too, which share the CPUs with the server.

use std::{
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Barrier, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    echo_by_hand::Loop,
    window::{Phase, Window},
};
use crate::{
    child::Process,
    meter::{Cost, Meter},
    rt::{Contestant, Share},
    scenario::{AnyScenario, Measure, Others, Outcome, Point, Scale, Scenario},
    stats::{Quantiles, micros},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    connections: usize,
    window: Window,
}

const SIZE: usize = 64;
/// How long the clients may take to connect.
const PATIENCE: Duration = Duration::from_secs(10);

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let window = Window::new(scale, Duration::from_secs(1));
    [1, 64, 512]
        .into_iter()
        .map(|connections| {
            Box::new(Server {
                connections,
                window,
            }) as Box<dyn AnyScenario>
        })
        .collect()
}

impl Scenario for Server {
    fn name(&self) -> String {
        let connections = self.connections;
        let plural = if connections == 1 { "" } else { "s" };
        format!("server, {connections} connection{plural} from another process")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::less("processor time", "us/message"),
            Measure::more("throughput", "messages/s"),
        ]
    }

    fn others(&self) -> Others {
        Others {
            coop: true,
            by_hand: true,
        }
    }

    fn points(&self) -> Vec<Point> {
        vec![Point {
            curve: ("server, CPU per message", "connections"),
            x: self.connections,
        }]
    }

    fn repeats(&self) -> usize {
        1
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self {
            connections,
            window,
        } = *self;
        let meeting = Arc::new(Meeting::new(runtime.shares()));
        let shares = runtime.run_shares(move |share| {
            let meeting = Arc::clone(&meeting);
            async move {
                meeting.serve::<R>(share).await;
                if !share.is_first() {
                    // The others have their connections, and nothing to do but to wait.
                    while !meeting.over.is_over() {
                        R::sleep(Duration::from_millis(20)).await;
                    }
                    return None;
                }
                let address = *meeting.address.get().expect("it listens");
                let mut clients = start_clients(address, connections);
                let began = Instant::now();
                while meeting.accepted.load(Ordering::Relaxed) < connections {
                    assert!(began.elapsed() < PATIENCE, "the clients do not connect");
                    R::sleep(Duration::from_millis(1)).await;
                }
                R::sleep(window.warm_up).await;
                clients.signal();
                let meter = Meter::start();
                R::sleep(window.measured).await;
                let cost = meter.stop();
                clients.end_input();
                meeting.over.end();
                Some((cost, clients))
            }
        });
        let mut shares = shares.into_iter().flatten();
        let (cost, clients) = shares.next().expect("the first share has measured");
        outcome(cost, clients)
    }

    fn run_by_hand(&self, _threads: usize) -> Option<Outcome> {
        let by_hand = || -> io::Result<Outcome> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let mut clients = start_clients(listener.local_addr()?, self.connections);
            let server = Loop::server(&listener, self.connections, SIZE)?;
            let phase = Phase::default();
            let cost = thread::scope(|scope| {
                let server = scope.spawn(|| server.run(&phase));
                thread::sleep(self.window.warm_up);
                clients.signal();
                let meter = Meter::start();
                thread::sleep(self.window.measured);
                let cost = meter.stop();
                // The clients go, and the server with them.
                clients.end_input();
                server
                    .join()
                    .expect("the loop does not panic")
                    .map(|_| cost)
            })?;
            Ok(outcome(cost, clients))
        };
        Some(by_hand().expect("the loopback interface works"))
    }
}

/// What the shares of a server have in common. Each listens at the same address, and the kernel divides
/// the connections among them.
#[derive(Debug)]
struct Meeting {
    address: OnceLock<SocketAddr>,
    all: Barrier,
    accepted: AtomicUsize,
    over: Phase,
}

impl Meeting {
    fn new(shares: usize) -> Self {
        Self {
            address: OnceLock::new(),
            all: Barrier::new(shares),
            accepted: AtomicUsize::new(0),
            over: Phase::default(),
        }
    }

    /// Starts to listen and to serve connections. Where there are several shares, each has its thread to
    /// itself, so it may be blocked here.
    async fn serve<R: Contestant>(self: &Arc<Self>, share: Share) {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut listener = None;
        if share.is_first() {
            let (first, address) = R::listen_at(free).await;
            self.address.set(address).expect("there is one first share");
            listener = Some(first);
        }
        self.all.wait();
        let mut listener = match listener {
            Some(listener) => listener,
            None => {
                let address = *self.address.get().expect("the first share listens");
                R::listen_at(address).await.0
            }
        };
        self.all.wait();
        let meeting = Arc::clone(self);
        drop(R::spawn(async move {
            loop {
                let stream = R::accept(&mut listener).await;
                meeting.accepted.fetch_add(1, Ordering::Relaxed);
                drop(R::spawn(R::echo(stream, 4096)));
            }
        }));
    }
}

/// What the clients tell the server's process.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    messages: u64,
    latency: Option<Quantiles>,
}

fn outcome(cost: Cost, clients: Process) -> Outcome {
    let answer = clients.answer();
    let answer: Answer = serde_json::from_str(&answer).expect("the clients count");
    let messages = answer.messages;
    let each = micros(cost.cpu) / messages.max(1) as f64;
    // Criterion is shown the processor time of a thousand messages.
    let time = Duration::from_secs_f64(each / 1e3);
    let values = vec![each, messages as f64 / cost.elapsed.as_secs_f64()];
    Outcome {
        latency: answer.latency,
        ..Outcome::new(time, values, cost, messages)
    }
}

fn start_clients(server: SocketAddr, connections: usize) -> Process {
    Process::start(&format!("clients {server} {connections}"))
}

/// The process with the clients: counts the messages from the first byte of its input to the end of it.
pub(crate) fn clients(job: &str) -> io::Result<String> {
    let (server, connections) = job.split_once(' ').expect("two words");
    let server: SocketAddr = server.parse().expect("an address");
    let clients = Loop::clients(server, connections.parse().expect("a number"), SIZE)?;
    let phase = Phase::default();
    let latencies = thread::scope(|scope| {
        let clients = scope.spawn(|| clients.run(&phase));
        let mut input = io::stdin().lock().bytes();
        if input.next().is_some() {
            phase.begin();
            input.next();
        }
        phase.end();
        clients.join().expect("the loop does not panic")
    })?;
    let answer = Answer {
        messages: latencies.count(),
        latency: latencies.quantiles(),
    };
    Ok(serde_json::to_string(&answer).expect("it has only plain fields"))
}
