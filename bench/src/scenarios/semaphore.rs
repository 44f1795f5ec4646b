//! 64 tasks share a semaphore of 8 permits, and keep a permit while they yield.

use std::sync::Arc;

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Semaphore {
    rounds: usize,
}

const TASKS: usize = 64;
const PERMITS: usize = 8;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Semaphore {
        rounds: scale.pick(10_000, 20),
    })]
}

impl Scenario for Semaphore {
    fn name(&self) -> String {
        format!("semaphore({PERMITS}), {TASKS} tasks")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/acquire")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let rounds = self.rounds;
        let cost = runtime.run(async move {
            let semaphore = Arc::new(R::semaphore(PERMITS));
            let meter = Meter::start();
            let handles: Vec<_> = (0..TASKS)
                .map(|_| {
                    let semaphore = Arc::clone(&semaphore);
                    R::spawn(async move {
                        for _ in 0..rounds {
                            let _permit = R::acquire(&semaphore).await;
                            R::yield_now().await;
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.await.expect("the task does not panic");
            }
            meter.stop()
        });
        Outcome::per_operation(cost, (TASKS * rounds) as u64, 1e9)
    }
}
