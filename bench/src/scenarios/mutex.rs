//! 64 tasks share a mutex: locked for a moment, and locked while they yield.

use std::sync::Arc;

use crate::{
    meter::Meter,
    rt::{Contestant, sync::Primitives},
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Mutex {
    rounds: usize,
    /// Whether a task keeps the lock while it yields, so that all others come to wait.
    keeps: bool,
}

const TASKS: usize = 64;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let rounds = scale.pick(10_000, 20);
    [false, true]
        .map(|keeps| Box::new(Mutex { rounds, keeps }) as Box<dyn AnyScenario>)
        .into()
}

impl Scenario for Mutex {
    fn name(&self) -> String {
        let keeps = if self.keeps {
            " that yield with it"
        } else {
            ""
        };
        format!("mutex, {TASKS} tasks{keeps}")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/lock")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { rounds, keeps } = *self;
        let cost = runtime.run(async move {
            let mutex = Arc::new(R::Sync::mutex(0));
            let meter = Meter::start();
            let handles: Vec<_> = (0..TASKS)
                .map(|_| {
                    let mutex = Arc::clone(&mutex);
                    R::spawn(async move {
                        for _ in 0..rounds {
                            let mut count = R::Sync::lock(&mutex).await;
                            *count += 1;
                            if keeps {
                                R::yield_now().await;
                            }
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.await.expect("the task does not panic");
            }
            let cost = meter.stop();
            assert_eq!(*R::Sync::lock(&mutex).await, TASKS * rounds);
            cost
        });
        Outcome::per_operation(cost, (TASKS * rounds) as u64, 1e9)
    }
}
