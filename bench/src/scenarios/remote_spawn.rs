//! A thread outside the runtime spawns many tasks; a task inside waits for them.

use std::{hint::black_box, thread};

use futures_channel::oneshot;

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct RemoteSpawn {
    tasks: usize,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(RemoteSpawn {
        tasks: scale.pick(100_000, 1000),
    })]
}

impl Scenario for RemoteSpawn {
    fn name(&self) -> String {
        "spawn from outside the runtime".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/task").ratio(0.40)]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let tasks = self.tasks;
        let handle = runtime.handle();
        let (sender, receiver) = oneshot::channel();
        let outside = thread::spawn(move || {
            let mut handles = Vec::with_capacity(tasks);
            let meter = Meter::start();
            for i in 0..tasks {
                handles.push(R::spawn_on(&handle, async move { black_box(i) }));
            }
            assert!(
                sender.send((meter, handles)).is_ok(),
                "the root task waits for them"
            );
        });
        // The root is a task and this thread drives the runtime, so all workers are at work while
        // the other thread spawns.
        let cost = runtime.run(async move {
            let (meter, handles) = receiver.await.expect("the thread sends them");
            for (i, handle) in handles.into_iter().enumerate() {
                assert_eq!(handle.await.expect("the task does not panic"), i);
            }
            meter.stop()
        });
        outside.join().expect("the thread does not panic");
        Outcome::per_operation(cost, tasks as u64, 1e9)
    }
}
