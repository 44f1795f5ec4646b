//! A channel for one value: made, sent into and received from by one task.
//!
//! [`ping_pong`](super::ping_pong) has two tasks wait for each other over such channels.

use std::hint::black_box;

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Oneshot {
    channels: u64,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Oneshot {
        channels: scale.pick(500_000, 1000),
    })]
}

impl Scenario for Oneshot {
    fn name(&self) -> String {
        "oneshot, within one task".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/channel")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let channels = self.channels;
        let cost = runtime.run(async move {
            let meter = Meter::start();
            for value in 0..channels {
                let (send, receive) = R::oneshot();
                send(black_box(value));
                assert_eq!(receive.await, value);
            }
            meter.stop()
        });
        Outcome::per_operation(cost, channels, 1e9)
    }
}
