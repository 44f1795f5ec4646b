//! Timers: very many, very short-lived, and few.

use std::{
    future::{poll_fn, ready},
    hint::black_box,
    task::Poll,
    time::{Duration, Instant},
};

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Others, Outcome, Scale, Scenario},
    stats::{micros, quantile},
};

/// Many tasks sleep for 1 to 100 ms each.
#[derive(Clone, Copy, Debug)]
pub struct Sleeps {
    tasks: u64,
}

/// Timeouts around a future that is ready at once, or that is pending once, so that each registers a
/// timer and takes it back.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pending: bool,
    timeouts: u64,
}

/// A few tasks that sleep 5 to 15 ms again and again.
#[derive(Clone, Copy, Debug)]
pub struct LowRate {
    lasts: Duration,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![
        Box::new(Timeouts {
            pending: false,
            timeouts: scale.pick(1_000_000, 1000),
        }),
        Box::new(Timeouts {
            pending: true,
            timeouts: scale.pick(1_000_000, 1000),
        }),
        Box::new(Sleeps {
            tasks: scale.pick(100_000, 1000),
        }),
        Box::new(LowRate {
            lasts: Duration::from_millis(scale.pick(1000, 100)),
        }),
    ]
}

impl Scenario for Sleeps {
    fn name(&self) -> String {
        format!("{} sleeps of 1-100 ms", self.tasks)
    }

    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::less("processor time", "ms").ratio(0.51),
            Measure::less("p99 lateness", "ms").ratio(0.14),
        ]
    }

    fn repeats(&self) -> usize {
        3
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let tasks = self.tasks;
        let (cost, late) = runtime.run(async move {
            let mut random = fastrand::Rng::with_seed(1);
            let mut late = Vec::with_capacity(usize::try_from(tasks).unwrap_or_default());
            let meter = Meter::start();
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    R::spawn(late_by::<R>(Duration::from_micros(
                        random.u64(1000..100_000),
                    )))
                })
                .collect();
            for handle in handles {
                late.push(handle.await.expect("the task does not panic"));
            }
            (meter.stop(), late)
        });
        let p99 = quantile(&late, 0.99);
        Outcome {
            time: Duration::from_secs_f64(p99 / 1e6),
            values: vec![cost.cpu.as_secs_f64() * 1e3, p99 / 1e3],
            cost,
            operations: tasks,
        }
    }
}

impl Scenario for Timeouts {
    fn name(&self) -> String {
        if self.pending {
            "timeout around a future pending once".into()
        } else {
            "timeout around a ready future".into()
        }
    }

    fn measures(&self) -> Vec<Measure> {
        let target = if self.pending { 0.35 } else { 0.50 };
        vec![Measure::less("", "ns/timeout").ratio(target)]
    }

    fn repeats(&self) -> usize {
        3
    }

    fn others(&self) -> Others {
        Others {
            coop: false,
            current_thread: true,
            ..Others::default()
        }
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { pending, timeouts } = *self;
        let cost = runtime.run(async move {
            let limit = Duration::from_secs(1);
            let meter = Meter::start();
            for _ in 0..timeouts {
                let in_time = if pending {
                    R::timeout(limit, black_box(pending_once())).await
                } else {
                    R::timeout(limit, black_box(ready(()))).await
                };
                assert!(in_time);
            }
            meter.stop()
        });
        Outcome::per_operation(cost, timeouts, 1e9)
    }
}

const LOW_RATE_TASKS: u64 = 64;

impl Scenario for LowRate {
    fn name(&self) -> String {
        format!("{LOW_RATE_TASKS} low-rate timers")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::less("p50 lateness", "us").ratio(0.05),
            Measure::less("processor time", "ms").ratio(1.11),
        ]
    }

    fn repeats(&self) -> usize {
        1
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let lasts = self.lasts;
        let (cost, late) = runtime.run(async move {
            let meter = Meter::start();
            let began = Instant::now();
            let handles: Vec<_> = (0..LOW_RATE_TASKS)
                .map(|seed| {
                    R::spawn(async move {
                        let mut random = fastrand::Rng::with_seed(seed);
                        let mut late = Vec::new();
                        while began.elapsed() < lasts {
                            let duration = Duration::from_micros(random.u64(5000..15_000));
                            late.push(late_by::<R>(duration).await);
                        }
                        late
                    })
                })
                .collect();
            let mut late = Vec::new();
            for handle in handles {
                late.extend(handle.await.expect("the task does not panic"));
            }
            (meter.stop(), late)
        });
        let p50 = quantile(&late, 0.5);
        Outcome {
            time: Duration::from_secs_f64(p50 / 1e6),
            values: vec![p50, cost.cpu.as_secs_f64() * 1e3],
            cost,
            operations: late.len() as u64,
        }
    }
}

/// Sleeps for `duration`; yields by how many microseconds that was too long.
async fn late_by<R: Contestant>(duration: Duration) -> f64 {
    let began = Instant::now();
    R::sleep(duration).await;
    let late = began
        .elapsed()
        .checked_sub(duration)
        .expect("a sleep is never too short");
    micros(late)
}

/// Is pending the first time, having woken its task, and ready the next.
async fn pending_once() {
    let mut polled = false;
    poll_fn(|context| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
