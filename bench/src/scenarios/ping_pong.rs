//! Pairs of tasks that exchange one message each way over oneshot channels.
//!
//! The channels are the runtime's own.

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct PingPong {
    pairs: usize,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(PingPong {
        pairs: scale.pick(1000, 100),
    })]
}

impl Scenario for PingPong {
    fn name(&self) -> String {
        "ping-pong, 1000 oneshot pairs".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "us")]
    }

    fn repeats(&self) -> usize {
        25
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let pairs = self.pairs;
        let cost = runtime.run(async move {
            let meter = Meter::start();
            let handles: Vec<_> = (0..pairs).map(|i| R::spawn(ping::<R>(i))).collect();
            for (i, handle) in handles.into_iter().enumerate() {
                assert_eq!(handle.await.expect("the task does not panic"), i);
            }
            meter.stop()
        });
        let time = cost.elapsed;
        Outcome::new(time, vec![time.as_secs_f64() * 1e6], cost, pairs as u64)
    }
}

/// Sends `i` to a new task and yields its answer.
async fn ping<R: Contestant>(i: usize) -> usize {
    let (ping, pinged) = R::oneshot();
    let (pong, ponged) = R::oneshot();
    drop(R::spawn(async move { pong(pinged.await) }));
    ping(i);
    ponged.await
}
