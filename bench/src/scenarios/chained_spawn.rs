//! A task spawns a task that spawns a task, a thousand deep.

use futures_channel::oneshot;

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ChainedSpawn {
    depth: usize,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(ChainedSpawn {
        depth: scale.pick(1000, 100),
    })]
}

impl Scenario for ChainedSpawn {
    fn name(&self) -> String {
        "chained spawn, depth 1000".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "us")]
    }

    fn repeats(&self) -> usize {
        25
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let depth = self.depth;
        let cost = runtime.run(async move {
            let (bottom, reached) = oneshot::channel();
            let meter = Meter::start();
            descend::<R>(depth, bottom);
            reached.await.expect("the last task sends");
            meter.stop()
        });
        let time = cost.elapsed;
        Outcome::new(time, vec![time.as_secs_f64() * 1e6], cost, depth as u64)
    }
}

/// Spawns a chain of `depth` tasks, the last of which reports to `bottom`.
fn descend<R: Contestant>(depth: usize, bottom: oneshot::Sender<()>) {
    drop(R::spawn(async move {
        if depth == 1 {
            bottom.send(()).expect("the root waits");
        } else {
            descend::<R>(depth - 1, bottom);
        }
    }));
}
