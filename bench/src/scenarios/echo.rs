//! TCP echo over loopback in a closed loop: each client sends its next message when the last one
//! has come back. Clients and servers are tasks of the same runtime.

use std::{sync::Arc, time::Duration};

use super::{
    echo_by_hand,
    window::{Phase, Window, connections},
};
use crate::{
    meter::Cost,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    connections: usize,
    size: usize,
    target: f64,
    window: Window,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let window = Window::new(scale, Duration::from_secs(1));
    [
        (1, 64, 1.30),
        (64, 64, 1.90),
        (512, 64, 1.60),
        (64, 16 << 10, 1.65),
    ]
    .into_iter()
    .map(|(connections, size, target)| {
        Box::new(Echo {
            connections,
            size,
            target,
            window,
        }) as Box<dyn AnyScenario>
    })
    .collect()
}

impl Scenario for Echo {
    fn name(&self) -> String {
        let Self {
            connections, size, ..
        } = self;
        let plural = if *connections == 1 { "" } else { "s" };
        match size {
            1024.. => format!("echo, {connections} connection{plural}, {} KiB", size >> 10),
            _ => format!("echo, {connections} connection{plural}, {size} B"),
        }
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::more("", "messages/s").ratio(self.target)]
    }

    fn others(&self) -> Others {
        Others {
            coop: true,
            current_thread: false,
            by_hand: true,
        }
    }

    fn repeats(&self) -> usize {
        1
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self {
            connections: count,
            size,
            window,
            ..
        } = *self;
        let (cost, messages) = runtime.run(async move {
            let phase = Arc::new(Phase::default());
            let clients: Vec<_> = connections::<R>(count)
                .await
                .into_iter()
                .map(|(near, far)| {
                    drop(R::spawn(R::echo(far, size.max(4096))));
                    R::spawn(client::<R>(near, size, Arc::clone(&phase)))
                })
                .collect();
            let cost = window.pass::<R>(phase).await;
            let mut messages = 0;
            for client in clients {
                messages += client.await.expect("the client does not panic");
            }
            (cost, messages)
        });
        outcome(cost, messages)
    }

    fn run_by_hand(&self, threads: usize) -> Option<Outcome> {
        let Self {
            connections,
            size,
            window,
            ..
        } = *self;
        let (cost, messages) = echo_by_hand::run(threads, connections, size, window)
            .expect("the loopback interface works");
        Some(outcome(cost, messages))
    }
}

fn outcome(cost: Cost, messages: u64) -> Outcome {
    // Criterion is shown the time of a thousand messages.
    let time = cost.elapsed.mul_f64(1000.0 / messages.max(1) as f64);
    let rate = messages as f64 / cost.elapsed.as_secs_f64();
    Outcome {
        time,
        values: vec![rate],
        cost,
        operations: messages,
    }
}

/// Sends one message after the other until the window is over; yields how many it got back in it.
async fn client<R: Contestant>(mut stream: R::Stream, size: usize, phase: Arc<Phase>) -> u64 {
    let message = vec![b'x'; size];
    let mut buffer = vec![0; size];
    let mut messages = 0;
    while !phase.is_over() {
        R::round_trip(&mut stream, &message, &mut buffer).await;
        messages += u64::from(phase.counts());
    }
    messages
}
