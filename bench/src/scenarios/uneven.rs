//! Computations of very different length, all spawned by one task: who balances them?
//!
//! The lengths are drawn from a bounded Pareto distribution, the same ones in every run. A task
//! spins by the clock, so the ideal is known: the sum of the lengths divided by the workers. It
//! also means that a disturbance from outside the process hits wall time and ideal alike, unless
//! it leaves a worker without work.

use std::{
    hint,
    time::{Duration, Instant},
};

use crate::{
    meter::Meter,
    rt::Contestant,
    scenario::{AnyScenario, Measure, Outcome, Scale, Scenario},
};

/// See the module.
#[derive(Clone, Debug)]
pub struct Uneven {
    lengths: Vec<Duration>,
}

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    vec![Box::new(Uneven {
        lengths: lengths(scale.pick(2000, 100)),
    })]
}

/// The workers among whom the ideal divides the work.
const WORKERS: u32 = crate::harness::WORKERS as u32;

impl Scenario for Uneven {
    fn name(&self) -> String {
        "2000 uneven computations".into()
    }

    fn measures(&self) -> Vec<Measure> {
        vec![Measure::less("", "wall / ideal")]
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let lengths = self.lengths.clone();
        let ideal = lengths.iter().sum::<Duration>() / WORKERS;
        let operations = lengths.len() as u64;
        let cost = runtime.run(async move {
            let meter = Meter::start();
            let handles: Vec<_> = lengths
                .into_iter()
                .map(|length| R::spawn(async move { spin(length) }))
                .collect();
            for handle in handles {
                handle.await.expect("the task does not panic");
            }
            meter.stop()
        });
        let values = vec![cost.elapsed.as_secs_f64() / ideal.as_secs_f64()];
        Outcome::new(cost.elapsed, values, cost, operations)
    }
}

/// Computes for as long as `length`, as seen by the clock.
pub(crate) fn spin(length: Duration) {
    let began = Instant::now();
    while began.elapsed() < length {
        hint::spin_loop();
    }
}

/// Lengths of 10 to 500 us, most of them short: a Pareto distribution with exponent 1.1.
fn lengths(count: usize) -> Vec<Duration> {
    const EXPONENT: f64 = 1.1;
    const LEAST: f64 = 10e-6;
    const MOST: f64 = 500e-6;
    let mut random = fastrand::Rng::with_seed(1);
    (0..count)
        .map(|_| {
            // The inverse of the distribution function, cut off at the longest length.
            let kept = 1.0 - (LEAST / MOST).powf(EXPONENT);
            let share = 1.0 - random.f64() * kept;
            Duration::from_secs_f64(LEAST * share.powf(-1.0 / EXPONENT))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bounded_and_skewed() {
        let lengths = lengths(2000);
        let within = Duration::from_micros(10)..=Duration::from_micros(501);
        assert!(lengths.iter().all(|length| within.contains(length)));
        let long = lengths
            .iter()
            .filter(|length| length.as_micros() > 100)
            .count();
        assert!((50..400).contains(&long), "{long}");
        assert_eq!(lengths, super::lengths(2000), "the same in every run");
    }
}
