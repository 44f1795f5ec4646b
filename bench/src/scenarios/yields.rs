//! Tasks that do nothing but yield.

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Yields {
    tasks: usize,
    yields: usize,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Yields {
        tasks: 200,
        yields: scale.pick(1000, 20),
    })]
}

impl Scenario for Yields {
    fn name(&self) -> String {
        "yield, 200 tasks".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/yield")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { tasks, yields } = *self;
        let cost = runtime.run(async move {
            let meter = Meter::start();
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    R::spawn(async move {
                        for _ in 0..yields {
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
        Outcome::per_operation(cost, (tasks * yields) as u64, 1e9)
    }
}
