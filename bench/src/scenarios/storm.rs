//! Connections that live for one message: 64 clients that connect, send 64 bytes, wait for them to come
//! back, and close.
//!
//! Each connection goes to another address of the loopback network, so that ports which are still taken
//! by earlier connections are no limit.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use super::window::{Phase, Window, merged};
use crate::{
    rt::{Contestant, message},
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
    stats::Histogram,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    window: Window,
}

const CLIENTS: usize = 64;
const SIZE: usize = 64;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Storm {
        window: Window::new(scale, Duration::from_secs(1)),
    })]
}

impl Scenario for Storm {
    fn name(&self) -> String {
        format!("connections for one message, {CLIENTS} clients")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::more("", "connections/s")]
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

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let (cost, latencies) = self.window.busy(runtime, |share, phase| async move {
            let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            let (mut listener, address) = R::listen_at(anywhere).await;
            drop(R::spawn(async move {
                loop {
                    let stream = R::accept(&mut listener).await;
                    drop(R::spawn(R::echo(stream, 4096)));
                }
            }));
            (0..share.part(CLIENTS))
                .map(|index| {
                    let seed = (index * share.of + share.index) as u64;
                    R::spawn(client::<R>(address.port(), seed, Arc::clone(&phase)))
                })
                .collect()
        });
        let latencies = merged(latencies);
        let count = latencies.count();
        let rate = count as f64 / cost.elapsed.as_secs_f64();
        // Criterion is shown the time of a thousand connections.
        let time = cost.elapsed.mul_f64(1000.0 / count.max(1) as f64);
        Outcome::new(time, vec![rate], cost, count).with_latency(&latencies)
    }
}

/// Opens and closes one connection after the other; yields how long each took until its message was
/// back.
async fn client<R: Contestant>(port: u16, seed: u64, phase: Arc<Phase>) -> Histogram {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut buffer = vec![0; SIZE];
    let mut latencies = Histogram::default();
    while !phase.is_over() {
        let address = Ipv4Addr::new(127, random.u8(..), random.u8(..), random.u8(1..255));
        let began = Instant::now();
        let mut stream = R::connect(SocketAddr::from((address, port))).await;
        R::round_trip(&mut stream, message(SIZE), &mut buffer).await;
        if phase.counts() {
            latencies.record(began.elapsed());
        }
    }
    latencies
}
