//! Threads outside the runtime spawn many tasks; a task inside waits for them.
//!
//! The runtime is idle, or every worker has tasks that compute for 20 us at a time.

use std::{
    hint::black_box,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use futures_channel::oneshot;

use super::uneven::spin;
use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Needs, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct RemoteSpawn {
    tasks: usize,
    threads: usize,
    busy: bool,
}

/// Tasks that keep the workers busy.
const BUSY_TASKS: usize = 2 * crate::harness::WORKERS;
/// How long they compute before they let others run.
const STRETCH: Duration = Duration::from_micros(20);

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    [(false, 1), (false, 8), (true, 1), (true, 8)]
        .into_iter()
        .map(|(busy, threads)| {
            Box::new(RemoteSpawn {
                tasks: scale.pick(100_000, 1000),
                threads,
                busy,
            }) as Box<dyn AnyScenario>
        })
        .collect()
}

impl Scenario for RemoteSpawn {
    fn name(&self) -> String {
        let state = if self.busy { "a busy" } else { "an idle" };
        let plural = if self.threads == 1 { "" } else { "s" };
        let threads = self.threads;
        format!("spawn from {threads} thread{plural} outside {state} runtime")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/task")]
    }

    fn needs(&self) -> Needs {
        Needs {
            spawn_from_outside: true,
        }
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self {
            tasks,
            threads,
            busy,
        } = *self;
        let each = tasks / threads;
        let begin = Arc::new(Barrier::new(threads + 1));
        let over = Arc::new(AtomicBool::new(false));
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..threads).map(|_| oneshot::channel()).unzip();
        let outside: Vec<_> = senders
            .into_iter()
            .map(|sender| {
                let (handle, begin) = (runtime.handle(), Arc::clone(&begin));
                thread::spawn(move || {
                    let mut handles = Vec::with_capacity(each);
                    begin.wait();
                    for i in 0..each {
                        handles.push(R::spawn_on(&handle, async move { black_box(i) }));
                    }
                    assert!(sender.send(handles).is_ok(), "the root task waits");
                })
            })
            .collect();
        // The root is a task and this thread drives the runtime, so all workers are at work while
        // the other threads spawn.
        let cost = runtime.run(async move {
            for _ in 0..if busy { BUSY_TASKS } else { 0 } {
                let over = Arc::clone(&over);
                drop(R::spawn(async move {
                    // Nothing else is published by it.
                    while !over.load(Ordering::Relaxed) {
                        spin(STRETCH);
                        R::yield_now().await;
                    }
                }));
            }
            let meter = Meter::start();
            begin.wait();
            for receiver in receivers {
                let handles = receiver.await.expect("the thread sends them");
                for (i, handle) in handles.into_iter().enumerate() {
                    assert_eq!(handle.await.expect("the task does not panic"), i);
                }
            }
            over.store(true, Ordering::Relaxed);
            meter.stop()
        });
        for thread in outside {
            thread.join().expect("the thread does not panic");
        }
        Outcome::per_operation(cost, (each * threads) as u64, 1e9)
    }
}
