//! 64 tasks watch a value that one sets, each time after all have seen the last one.

use std::sync::Arc;

use super::countdown::Countdown;
use crate::{
    meter::Meter,
    rt::{Contestant, sync::Primitives},
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    rounds: usize,
}

const RECEIVERS: usize = 64;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Watch {
        rounds: scale.pick(5_000, 20),
    })]
}

impl Scenario for Watch {
    fn name(&self) -> String {
        format!("watch, {RECEIVERS} receivers")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/change seen")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let rounds = self.rounds;
        let cost = runtime.run(async move {
            let (sender, receiver) = R::Sync::watch(0);
            let seen = Arc::new(Countdown::<R>::new(RECEIVERS));
            let meter = Meter::start();
            let handles: Vec<_> = (0..RECEIVERS)
                .map(|_| {
                    let (mut receiver, seen) = (receiver.clone(), Arc::clone(&seen));
                    R::spawn(async move {
                        for round in 1..=rounds {
                            assert_eq!(R::Sync::changed(&mut receiver).await, round);
                            seen.arrive();
                        }
                    })
                })
                .collect();
            for round in 1..=rounds {
                R::Sync::set(&sender, round);
                seen.all().await;
            }
            for handle in handles {
                handle.await.expect("the task does not panic");
            }
            meter.stop()
        });
        Outcome::per_operation(cost, (RECEIVERS * rounds) as u64, 1e9)
    }
}
