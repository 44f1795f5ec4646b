//! Timers: very many, very short-lived, and few.

use std::{
    future::{pending, poll_fn, ready},
    hint::black_box,
    task::Poll,
    time::{Duration, Instant},
};

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
    stats::Histogram,
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

/// Very many timeouts that all expire at the same time.
#[derive(Clone, Copy, Debug)]
pub struct AtOnce {
    timeouts: u64,
    after: Duration,
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
            lasts: Duration::from_millis(scale.pick(1000, 50)),
        }),
        Box::new(AtOnce {
            timeouts: scale.pick(10_000, 1000),
            after: Duration::from_millis(scale.pick(100, 20)),
        }),
    ]
}

impl Scenario for Sleeps {
    fn name(&self) -> String {
        "100 k sleeps of 1-100 ms".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::less("processor time", "ms"),
            Measure::less("p99 lateness", "ms"),
        ]
    }

    fn repeats(&self) -> usize {
        3
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let tasks = self.tasks;
        let (cost, late) = runtime.run(async move {
            let mut random = fastrand::Rng::with_seed(1);
            let mut late = Histogram::default();
            let meter = Meter::start();
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    let duration = Duration::from_micros(random.u64(1000..100_000));
                    R::spawn(late_by::<R>(duration))
                })
                .collect();
            for handle in handles {
                late.record(handle.await.expect("the task does not panic"));
            }
            (meter.stop(), late)
        });
        let p99 = late.quantile(0.99).expect("there are sleeps") / 1e3;
        let values = vec![cost.cpu.as_secs_f64() * 1e3, p99];
        Outcome::new(Duration::from_secs_f64(p99 / 1e3), values, cost, tasks).with_latency(&late)
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
        vec![Measure::less("", "ns/timeout")]
    }

    fn repeats(&self) -> usize {
        3
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
            Measure::less("p50 lateness", "us"),
            Measure::less("processor time", "ms"),
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
                        let mut late = Histogram::default();
                        while began.elapsed() < lasts {
                            let duration = Duration::from_micros(random.u64(5000..15_000));
                            late.record(late_by::<R>(duration).await);
                        }
                        late
                    })
                })
                .collect();
            let mut late = Histogram::default();
            for handle in handles {
                late.add(&handle.await.expect("the task does not panic"));
            }
            (meter.stop(), late)
        });
        let p50 = late.quantile(0.5).expect("there are sleeps");
        let values = vec![p50, cost.cpu.as_secs_f64() * 1e3];
        let time = Duration::from_secs_f64(p50 / 1e6);
        Outcome::new(time, values, cost, late.count()).with_latency(&late)
    }
}

impl Scenario for AtOnce {
    fn name(&self) -> String {
        "10 k timeouts at once".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::less("worst lateness", "ms"),
            Measure::less("processor time", "us/timeout"),
        ]
    }

    fn repeats(&self) -> usize {
        3
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self { timeouts, after } = *self;
        let (cost, late) = runtime.run(async move {
            let meter = Meter::start();
            let deadline = Instant::now() + after;
            let handles: Vec<_> = (0..timeouts)
                .map(|_| {
                    R::spawn(async move {
                        let limit = deadline.saturating_duration_since(Instant::now());
                        assert!(!R::timeout(limit, pending::<()>()).await);
                        deadline.elapsed()
                    })
                })
                .collect();
            let mut late = Histogram::default();
            for handle in handles {
                late.record(handle.await.expect("the task does not panic"));
            }
            (meter.stop(), late)
        });
        let worst = late.quantile(1.0).expect("there are timeouts") / 1e3;
        let values = vec![worst, cost.cpu.as_secs_f64() * 1e6 / timeouts as f64];
        Outcome::new(Duration::from_secs_f64(worst / 1e3), values, cost, timeouts)
            .with_latency(&late)
    }
}

/// Sleeps for `duration`; yields by how much that was too long.
async fn late_by<R: Contestant>(duration: Duration) -> Duration {
    let began = Instant::now();
    R::sleep(duration).await;
    began.elapsed().saturating_sub(duration)
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
