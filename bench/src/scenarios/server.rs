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
    thread,
    time::Duration,
};

use super::{
    echo_by_hand::Loop,
    window::{Phase, Window},
};
use crate::{
    child::Process,
    meter::{Cost, Meter},
    rt::Contestant,
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
    stats::micros,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    connections: usize,
    target: Option<f64>,
    window: Window,
}

const SIZE: usize = 64;
/// How long the clients may take to connect.
const PATIENCE: Duration = Duration::from_secs(10);

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let window = Window::new(scale, Duration::from_secs(1));
    [(64, Some(0.75)), (512, None)]
        .into_iter()
        .map(|(connections, target)| {
            Box::new(Server {
                connections,
                target,
                window,
            }) as Box<dyn AnyScenario>
        })
        .collect()
}

impl Scenario for Server {
    fn name(&self) -> String {
        let connections = self.connections;
        format!("server, {connections} connections from another process")
    }

    fn measures(&self) -> Vec<Measure> {
        let cpu = Measure::less("processor time", "us/message");
        vec![
            self.target.map_or(cpu, |target| cpu.ratio(target)),
            Measure::more("throughput", "messages/s"),
        ]
    }

    fn others(&self) -> Others {
        Others {
            coop: true,
            by_hand: true,
            ..Others::default()
        }
    }

    fn repeats(&self) -> usize {
        1
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self {
            connections,
            window,
            ..
        } = *self;
        let (cost, clients) = runtime.run(async move {
            let (mut listener, address) = R::listen().await;
            let mut clients = start_clients(address, connections);
            let mut servers = Vec::with_capacity(connections);
            let accepted = R::timeout(PATIENCE, async {
                while servers.len() < connections {
                    let stream = R::accept(&mut listener).await;
                    servers.push(R::spawn(R::echo(stream, 4096)));
                }
            });
            assert!(accepted.await, "the clients do not connect");
            R::sleep(window.warm_up).await;
            clients.signal();
            let meter = Meter::start();
            R::sleep(window.measured).await;
            let cost = meter.stop();
            clients.end_input();
            for server in servers {
                server.await.expect("the server does not panic");
            }
            (cost, clients)
        });
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

fn outcome(cost: Cost, clients: Process) -> Outcome {
    let messages: u64 = clients.answer().parse().expect("the clients count");
    let each = micros(cost.cpu) / messages.max(1) as f64;
    Outcome {
        // Criterion is shown the processor time of a thousand messages.
        time: Duration::from_secs_f64(each / 1e3),
        values: vec![each, messages as f64 / cost.elapsed.as_secs_f64()],
        cost,
        operations: messages,
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
    let messages = thread::scope(|scope| {
        let clients = scope.spawn(|| clients.run(&phase));
        let mut input = io::stdin().lock().bytes();
        if input.next().is_some() {
            phase.begin();
            input.next();
        }
        phase.end();
        clients.join().expect("the loop does not panic")
    })?;
    Ok(messages.to_string())
}
