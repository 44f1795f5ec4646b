//! Echo at a low rate: 64 clients that each send a message now and then. What does a message cost when
//! every one may have to wake somebody, and whose connections stall beside tasks that compute?
//!
//! The distances between the messages of a client are between half and one and a half times their mean.
//! Latencies are round-trip times.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    beside::Beside,
    window::{Phase, Window, connections, merged},
};
use crate::{
    rt::{Contestant, message},
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
    stats::{Histogram, micros},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct LowRate {
    /// Messages per second of all clients together, as long as none has to wait.
    rate: u32,
    beside: Beside,
    window: Window,
}

const CONNECTIONS: usize = 64;
const SIZE: usize = 64;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let window = Window::new(scale, Duration::from_secs(2));
    let long_spin = Beside::LongSpin(scale.pick(1000, 20));
    [
        (500, Beside::Nothing),
        (8000, Beside::Nothing),
        (8000, Beside::Spinner),
        (8000, Beside::Bursts(6)),
        (8000, Beside::Bursts(64)),
        (8000, Beside::Bursts(160)),
        (8000, long_spin),
    ]
    .into_iter()
    .map(|(rate, beside)| {
        Box::new(LowRate {
            rate,
            beside,
            window,
        }) as Box<dyn AnyScenario>
    })
    .collect()
}

impl Scenario for LowRate {
    fn name(&self) -> String {
        let Self { rate, beside, .. } = self;
        format!("low rate, {rate} messages/s{}", beside.name())
    }

    fn measures(&self) -> Vec<Measure> {
        let headline = match self.beside {
            Beside::LongSpin(_) => Measure::less("worst latency", "us"),
            _ => Measure::less("p99 latency", "us"),
        };
        vec![headline, Measure::less("processor time", "us/message")]
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
        let Self {
            rate,
            beside,
            window,
        } = *self;
        let pace = Duration::from_secs(1) * CONNECTIONS as u32 / rate;
        let (cost, latencies) = window.busy(runtime, move |share, phase| async move {
            let pairs = connections::<R>(share.part(CONNECTIONS)).await;
            let mut tasks: Vec<_> = pairs
                .into_iter()
                .zip(0..)
                .map(|((near, far), index)| {
                    drop(R::spawn(R::echo(far, 4096)));
                    let seed = index * share.of as u64 + share.index as u64;
                    R::spawn(client::<R>(near, pace, seed, Arc::clone(&phase)))
                })
                .collect();
            tasks.extend(beside.spawn::<R>(share, &phase));
            tasks
        });
        let latencies = merged(latencies);
        let headline = match beside {
            Beside::LongSpin(_) => 1.0,
            _ => 0.99,
        };
        let headline = latencies.quantile(headline).expect("messages came back");
        let cpu = micros(cost.cpu) / latencies.count().max(1) as f64;
        let time = Duration::from_secs_f64(headline / 1e6);
        Outcome::new(time, vec![headline, cpu], cost, latencies.count()).with_latency(&latencies)
    }
}

/// Sends a message now and then; yields the round-trip times of those sent in the window.
async fn client<R: Contestant>(
    mut stream: R::Stream,
    pace: Duration,
    seed: u64,
    phase: Arc<Phase>,
) -> Histogram {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut buffer = vec![0; SIZE];
    let mut latencies = Histogram::default();
    // They do not all begin at once.
    R::sleep(pace.mul_f64(random.f64())).await;
    while !phase.is_over() {
        let counts = phase.counts();
        let sent = Instant::now();
        R::round_trip(&mut stream, message(SIZE), &mut buffer).await;
        if counts {
            latencies.record(sent.elapsed());
        }
        R::sleep(pace.mul_f64(0.5 + random.f64())).await;
    }
    latencies
}
