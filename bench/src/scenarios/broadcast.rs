//! 64 tasks receive every item that one sends, 16 at a time and the next 16 when all have got those.

use std::sync::Arc;

use super::countdown::Countdown;
use crate::{
    meter::Meter,
    rt::{Contestant, sync::Primitives},
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    rounds: usize,
}

const RECEIVERS: usize = 64;
const BURST: usize = 16;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Broadcast {
        rounds: scale.pick(1_000, 20),
    })]
}

impl Scenario for Broadcast {
    fn name(&self) -> String {
        format!("broadcast, {RECEIVERS} receivers")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/item received")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let rounds = self.rounds;
        let cost = runtime.run(async move {
            let sender = R::Sync::broadcast(2 * BURST);
            let seen = Arc::new(Countdown::<R>::new(RECEIVERS));
            let meter = Meter::start();
            let handles: Vec<_> = (0..RECEIVERS)
                .map(|_| {
                    let (mut receiver, seen) = (R::Sync::subscribe(&sender), Arc::clone(&seen));
                    R::spawn(async move {
                        for round in 0..rounds {
                            for item in 0..BURST {
                                let received = R::Sync::recv_each(&mut receiver).await;
                                assert_eq!(received, (round, item));
                            }
                            seen.arrive();
                        }
                    })
                })
                .collect();
            for round in 0..rounds {
                for item in 0..BURST {
                    R::Sync::send_to_all(&sender, (round, item));
                }
                seen.all().await;
            }
            for handle in handles {
                handle.await.expect("the task does not panic");
            }
            meter.stop()
        });
        Outcome::per_operation(cost, (RECEIVERS * BURST * rounds) as u64, 1e9)
    }
}
