//! A scenario under criterion.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};

use crate::{
    child, meter,
    scenario::{AnyScenario, Scale, Setup},
};

/// The workers of every runtime in the benches. Two, so that stealing happens and figures from
/// different machines can be compared.
pub const WORKERS: usize = 2;

/// Runs the scenarios that `list` yields as one criterion group, each on all its contenders. With
/// `--test` each runs once and at the quick scale.
pub fn run(group: &str, list: impl FnOnce(Scale) -> Vec<Box<dyn AnyScenario>>) {
    child::enter();
    meter::raise_descriptor_limit();
    let quick = std::env::args().any(|argument| argument == "--test");
    let setup = Setup {
        workers: WORKERS,
        scale: if quick { Scale::Quick } else { Scale::Full },
    };
    let scenarios = list(setup.scale);

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group(group);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_secs(1));
    for scenario in &scenarios {
        for (contender, takes_part) in scenario.contenders() {
            if takes_part.is_err() {
                continue;
            }
            let id = BenchmarkId::new(contender.to_string(), scenario.name());
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|times| scenario.time_on(contender, setup, times));
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
