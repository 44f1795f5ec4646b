//! Echo at a low rate beside a task that spins 2 ms out of every 4: whose connections stall?
//!
//! 64 clients send a message every 5 to 15 ms. The figures are round-trip times. The same without
//! the spinning task shows what they are at rest.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    uneven::spin,
    window::{Phase, Window, connections},
};
use crate::{
    rt::Contestant,
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
    stats::quantile,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Spin {
    spinning: bool,
    window: Window,
}

const CONNECTIONS: usize = 64;
const SIZE: usize = 64;
const PACE: Duration = Duration::from_millis(10);
/// What the spinning task spins for, and sleeps for in turn.
const HALF: Duration = Duration::from_millis(2);

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let window = Window::new(scale, Duration::from_secs(2));
    [true, false]
        .into_iter()
        .map(|spinning| Box::new(Spin { spinning, window }) as Box<dyn AnyScenario>)
        .collect()
}

impl Scenario for Spin {
    fn name(&self) -> String {
        let beside = if self.spinning {
            "beside a spinning task"
        } else {
            "alone"
        };
        format!("{CONNECTIONS} low-rate connections {beside}")
    }

    fn measures(&self) -> Vec<Measure> {
        let p99 = Measure::less("p99", "us");
        vec![
            if self.spinning { p99.ratio(0.20) } else { p99 },
            Measure::less("p50", "us"),
            Measure::less("processor use", "cores"),
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

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { spinning, window } = *self;
        let (cost, times) = runtime.run(async move {
            let phase = Arc::new(Phase::default());
            let clients: Vec<_> = connections::<R>(CONNECTIONS)
                .await
                .into_iter()
                .zip(1..)
                .map(|((near, far), seed)| {
                    drop(R::spawn(R::echo(far, 4096)));
                    R::spawn(client::<R>(near, seed, Arc::clone(&phase)))
                })
                .collect();
            let spinner = spinning.then(|| R::spawn(spinner::<R>(Arc::clone(&phase))));
            let cost = window.pass::<R>(phase).await;
            let mut times = Vec::new();
            for client in clients {
                times.extend(client.await.expect("the client does not panic"));
            }
            if let Some(spinner) = spinner {
                spinner.await.expect("the spinner does not panic");
            }
            (cost, times)
        });
        let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
        let cores = cost.cpu.as_secs_f64() / cost.elapsed.as_secs_f64();
        Outcome {
            time: Duration::from_secs_f64(p99 / 1e6),
            values: vec![p99, p50, cores],
            cost,
            operations: times.len() as u64,
        }
    }
}

/// Sends a message now and then; yields the round-trip times of the window in microseconds.
async fn client<R: Contestant>(mut stream: R::Stream, seed: u64, phase: Arc<Phase>) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let message = [b'x'; SIZE];
    let mut buffer = [0; SIZE];
    let mut times = Vec::new();
    while !phase.is_over() {
        let began = Instant::now();
        R::round_trip(&mut stream, &message, &mut buffer).await;
        if phase.counts() {
            times.push(crate::stats::micros(began.elapsed()));
        }
        R::sleep(PACE.mul_f64(0.5 + random.f64())).await;
    }
    times
}

/// Spins for 2 ms and sleeps for 2 ms, over and over.
async fn spinner<R: Contestant>(phase: Arc<Phase>) {
    while !phase.is_over() {
        spin(HALF);
        R::sleep(HALF).await;
    }
}
