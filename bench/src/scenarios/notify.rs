//! Wake-ups without a value: from one task to another and back, and from one to 64.

use std::sync::Arc;

use super::countdown::Countdown;
use crate::{
    meter::Meter,
    rt::{Contestant, sync::Primitives},
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// Pairs of tasks that wake each other in turn.
#[derive(Clone, Copy, Debug)]
pub struct InTurn {
    pairs: usize,
    rounds: usize,
}

/// A task that wakes all others, again and again, once all wait again.
#[derive(Clone, Copy, Debug)]
pub struct Everybody {
    rounds: usize,
}

const WAITERS: usize = 64;

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![
        Box::new(InTurn {
            pairs: 1,
            rounds: scale.pick(100_000, 20),
        }),
        Box::new(InTurn {
            pairs: 32,
            rounds: scale.pick(5_000, 20),
        }),
        Box::new(Everybody {
            rounds: scale.pick(5_000, 20),
        }),
    ]
}

impl Scenario for InTurn {
    fn name(&self) -> String {
        match self.pairs {
            1 => "notify, a pair in turn".into(),
            pairs => format!("notify, {pairs} pairs in turn"),
        }
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/wake-up")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { pairs, rounds } = *self;
        let cost = runtime.run(async move {
            let meter = Meter::start();
            let handles: Vec<_> = (0..pairs)
                .flat_map(|_| {
                    let there = Arc::new(R::Sync::notify());
                    let back = Arc::new(R::Sync::notify());
                    R::Sync::notify_one(&there);
                    let one = turns::<R>(Arc::clone(&there), Arc::clone(&back), rounds);
                    let other = turns::<R>(back, there, rounds);
                    [R::spawn(one), R::spawn(other)]
                })
                .collect();
            for handle in handles {
                handle.await.expect("the task does not panic");
            }
            meter.stop()
        });
        Outcome::per_operation(cost, (2 * pairs * rounds) as u64, 1e9)
    }
}

/// Waits for its turn and passes it on, so many times.
async fn turns<R: Contestant>(
    mine: Arc<<R::Sync as Primitives>::Notify>,
    others: Arc<<R::Sync as Primitives>::Notify>,
    rounds: usize,
) {
    for _ in 0..rounds {
        R::Sync::notified(&mine).await;
        R::Sync::notify_one(&others);
    }
}

impl Scenario for Everybody {
    fn name(&self) -> String {
        format!("notify, {WAITERS} at a time")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "ns/wake-up")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let rounds = self.rounds;
        let cost = runtime.run(async move {
            let all = Arc::new(R::Sync::notify());
            let done = Arc::new(Countdown::<R>::new(WAITERS));
            let meter = Meter::start();
            let handles: Vec<_> = (0..WAITERS)
                .map(|_| {
                    let (all, done) = (Arc::clone(&all), Arc::clone(&done));
                    R::spawn(async move {
                        for _ in 0..rounds {
                            // Made before the rest is told, so that it is reached.
                            let woken = R::Sync::notified(&all);
                            done.arrive();
                            woken.await;
                        }
                    })
                })
                .collect();
            for _ in 0..rounds {
                done.all().await;
                R::Sync::notify_waiters(&all);
            }
            for handle in handles {
                handle.await.expect("the task does not panic");
            }
            meter.stop()
        });
        Outcome::per_operation(cost, (WAITERS * rounds) as u64, 1e9)
    }
}
