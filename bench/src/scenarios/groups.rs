//! A thousand tasks that do nothing, in a set and in a group.

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    kind: Kind,
    tasks: usize,
    times: usize,
}

/// What holds the tasks.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Outputs as they come.
    Set,
    /// All, or the first error.
    Group,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    [Kind::Set, Kind::Group]
        .map(|kind| {
            Box::new(Group {
                kind,
                tasks: 1_000,
                times: scale.pick(100, 1),
            }) as Box<dyn AnyScenario>
        })
        .into()
}

impl Scenario for Group {
    fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Set => "join set",
            Kind::Group => "task group",
        };
        format!("{kind} of {}", self.tasks)
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/task")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { kind, tasks, times } = *self;
        let cost = runtime.run(async move {
            let meter = Meter::start();
            for _ in 0..times {
                match kind {
                    Kind::Set => R::join_set(tasks).await,
                    Kind::Group => R::task_group(tasks).await,
                }
            }
            meter.stop()
        });
        Outcome::per_operation(cost, (tasks * times) as u64, 1e9)
    }
}
