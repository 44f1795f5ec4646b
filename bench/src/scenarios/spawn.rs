//! One task spawns many, and then waits for each of them.

use std::hint::black_box;

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Spawn {
    tasks: usize,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Spawn {
        tasks: scale.pick(100_000, 1000),
    })]
}

impl Scenario for Spawn {
    fn name(&self) -> String {
        "spawn and join from one task".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/task")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let tasks = self.tasks;
        let cost = runtime.run(async move {
            let mut handles = Vec::with_capacity(tasks);
            let meter = Meter::start();
            for i in 0..tasks {
                handles.push(R::spawn(async move { black_box(i) }));
            }
            for (i, handle) in handles.into_iter().enumerate() {
                assert_eq!(handle.await.expect("the task does not panic"), i);
            }
            meter.stop()
        });
        Outcome::per_operation(cost, tasks as u64, 1e9)
    }
}
