//! 64 tasks send into a channel with room for 128 items, which one task empties.

use crate::{
    meter::Meter,
    rt::{Contestant, sync::Primitives},
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Mpsc {
    items: usize,
}

const SENDERS: usize = 64;
const ROOM: usize = 128;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Mpsc {
        items: scale.pick(10_000, 20),
    })]
}

impl Scenario for Mpsc {
    fn name(&self) -> String {
        format!("mpsc({ROOM}), {SENDERS} senders")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/item")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let items = self.items;
        let cost = runtime.run(async move {
            let (sender, mut receiver) = R::Sync::channel(ROOM);
            let meter = Meter::start();
            for _ in 0..SENDERS {
                let sender = sender.clone();
                drop(R::spawn(async move {
                    for item in 0..items {
                        R::Sync::send(&sender, item).await;
                    }
                }));
            }
            drop(sender);
            let mut received = 0;
            while R::Sync::recv(&mut receiver).await.is_some() {
                received += 1;
            }
            assert_eq!(received, SENDERS * items);
            meter.stop()
        });
        Outcome::per_operation(cost, (SENDERS * items) as u64, 1e9)
    }
}
