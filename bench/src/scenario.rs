//! What a scenario is.
//!
//! A [`Scenario`] is written once, generic over the runtime. [`AnyScenario`] is the same thing
//! without the type parameter, so that lists of scenarios can be run by the criterion benches and
//! by `compare`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(feature = "compio")]
use crate::rt::Compio;
#[cfg(feature = "glommio")]
use crate::rt::Glommio;
#[cfg(feature = "monoio")]
use crate::rt::Monoio;
#[cfg(feature = "smol")]
use crate::rt::Smol;
#[cfg(feature = "spargio")]
use crate::rt::Spargio;
#[cfg(feature = "tokio")]
use crate::rt::{CurrentThread, MultiThread, Tokio};
use crate::{
    child,
    contender::Contender,
    meter::Cost,
    rt::{Contestant, Coop, Defer, Heist},
    scenarios,
    stats::{Histogram, Quantiles, median},
};

/// How much work a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    /// As much as the figures need.
    Full,
    /// Just enough to see that it works.
    Quick,
}

impl Scale {
    /// `full` or `quick`, according to the scale.
    #[must_use]
    pub fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// Which contenders beside the runtimes say something in a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others {
    /// Heist's other ring profile.
    pub coop: bool,
    /// A loop of its own, [`Scenario::run_by_hand`].
    pub by_hand: bool,
}

/// What a scenario demands of a runtime that not every one has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Tasks can be spawned from other threads.
    pub spawn_from_outside: bool,
}

/// The circumstances of a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The workers of each runtime.
    pub workers: usize,
    /// The scale that the scenario was made for.
    pub scale: Scale,
}

/// One figure that a run yields.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measure {
    /// What it is, for instance `p99`; empty if the scenario has only this one.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Whether more is better (throughput) or less (time).
    pub more_is_better: bool,
}

impl Measure {
    /// A figure of which less is better.
    #[must_use]
    pub const fn less(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            more_is_better: false,
        }
    }

    /// A figure of which more is better.
    #[must_use]
    pub const fn more(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            more_is_better: true,
        }
    }

    /// Whether the first value is better than the second.
    #[must_use]
    pub fn is_better(&self, value: f64, than: f64) -> bool {
        if self.more_is_better {
            value > than
        } else {
            value < than
        }
    }
}

/// What one run of a scenario yields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The time that criterion shows: of all operations, or the latency that the scenario is about.
    pub time: Duration,
    /// One value for each [`Scenario::measures`].
    pub values: Vec<f64>,
    /// What the measured part cost.
    pub cost: Cost,
    /// How many operations that part did.
    pub operations: u64,
    /// How long the operations took, where each has a latency of its own.
    pub latency: Option<Quantiles>,
    /// The most memory that was resident, in bytes, where what is measured has a process of its own.
    pub peak_memory: Option<u64>,
}

impl Outcome {
    /// An outcome without latencies.
    #[must_use]
    pub const fn new(time: Duration, values: Vec<f64>, cost: Cost, operations: u64) -> Self {
        Self {
            time,
            values,
            cost,
            operations,
            latency: None,
            peak_memory: None,
        }
    }

    /// The outcome of a scenario whose only figure is the wall time of each of its operations,
    /// `per_second` being the number of units in a second (1e9 for nanoseconds).
    #[must_use]
    pub fn per_operation(cost: Cost, operations: u64, per_second: f64) -> Self {
        let value = cost.elapsed.as_secs_f64() * per_second / operations as f64;
        Self::new(cost.elapsed, vec![value], cost, operations)
    }

    /// The same with latencies.
    #[must_use]
    pub fn with_latency(self, latencies: &Histogram) -> Self {
        Self {
            latency: latencies.quantiles(),
            ..self
        }
    }
}

/// What one run in a process of its own shows that cannot be seen in a shared one, or not without
/// disturbing what is measured there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// What the run yielded; its cost has the system calls, if they can be counted.
    pub outcome: Outcome,
    /// The most memory that the process ever had resident, in bytes.
    pub peak_memory: u64,
}

/// A place on a curve.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// What the curve is of, and over: for instance `echo, 64 B` and `connections`.
    pub curve: (&'static str, &'static str),
    /// Where on it the scenario is.
    pub x: usize,
}

/// Work that is the same on every runtime.
pub trait Scenario {
    /// What the tables call it; the same at every scale.
    fn name(&self) -> String;

    /// The figures it yields.
    fn measures(&self) -> Vec<Measure>;

    /// Who takes part beside the runtimes.
    fn others(&self) -> Others {
        Others::default()
    }

    /// What it demands of a runtime.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// How many workers it is run with, if not as many as everything else.
    fn workers(&self) -> Option<usize> {
        None
    }

    /// The curves of which its first figure is a point.
    fn points(&self) -> Vec<Point> {
        Vec::new()
    }

    /// How often `compare` runs it on a warm runtime to take the median: more often if a run is
    /// short. 1 means that a run is long and warms up by itself.
    fn repeats(&self) -> usize {
        5
    }

    /// Whether each run is in a process of its own: where memory is measured, it must not be memory
    /// that an earlier run gave back.
    fn own_process(&self) -> bool {
        false
    }

    /// Does the work once.
    fn run<R: Contestant>(&self, runtime: &R) -> Outcome;

    /// Does the work once without any runtime, on so many threads; `None` if nobody has written that.
    fn run_by_hand(&self, _threads: usize) -> Option<Outcome> {
        None
    }
}

/// A [`Scenario`] that can be put into a list.
pub trait AnyScenario {
    /// See [`Scenario::name`].
    fn name(&self) -> String;

    /// See [`Scenario::measures`].
    fn measures(&self) -> Vec<Measure>;

    /// See [`Scenario::points`].
    fn points(&self) -> Vec<Point>;

    /// Whom the others are compared with.
    #[cfg(feature = "tokio")]
    fn baseline(&self) -> Contender {
        Contender::Tokio
    }

    /// Who would take part: Heist first, then tokio, then the others. Those who cannot come with the
    /// reason.
    fn contenders(&self) -> Vec<(Contender, Result<(), &'static str>)>;

    /// Does the work on a fresh runtime: once to warm up and then [`Scenario::repeats`] times, of
    /// which it yields the one with the median time.
    fn run_on(&self, contender: Contender, setup: Setup) -> Outcome;

    /// Does the work once on a fresh runtime of this process.
    fn run_once(&self, contender: Contender, setup: Setup) -> Outcome;

    /// Does the work `times` times on a fresh runtime, and adds up the times for criterion.
    fn time_on(&self, contender: Contender, setup: Setup, times: u64) -> Duration;
}

impl<S: Scenario> AnyScenario for S {
    fn name(&self) -> String {
        Scenario::name(self)
    }

    fn measures(&self) -> Vec<Measure> {
        Scenario::measures(self)
    }

    fn points(&self) -> Vec<Point> {
        Scenario::points(self)
    }

    fn contenders(&self) -> Vec<(Contender, Result<(), &'static str>)> {
        let others = self.others();
        Contender::ALL
            .iter()
            .filter(|contender| match contender {
                Contender::HeistCoop => others.coop,
                Contender::ByHand => others.by_hand,
                other => !other.is_http_client(),
            })
            .map(|&contender| {
                let able = contender.can(self.needs());
                (contender, able.and_then(|()| contender.ends(&self.name())))
            })
            .collect()
    }

    fn run_on(&self, contender: Contender, setup: Setup) -> Outcome {
        let repeats = match setup.scale {
            Scale::Full => self.repeats(),
            Scale::Quick => 1,
        };
        let mut outcomes = runs(self, contender, setup, repeats + usize::from(repeats > 1));
        if repeats > 1 {
            outcomes.remove(0);
        }
        middle(outcomes)
    }

    fn run_once(&self, contender: Contender, setup: Setup) -> Outcome {
        runs_here(self, contender, setup, 1)
            .pop()
            .expect("one run was asked for")
    }

    fn time_on(&self, contender: Contender, setup: Setup, times: u64) -> Duration {
        let times = usize::try_from(times).expect("criterion asks for few runs");
        runs(self, contender, setup, times)
            .iter()
            .map(|outcome| outcome.time)
            .sum()
    }
}

/// Runs a scenario `times` times on one new runtime of the contender's kind, or in as many processes.
fn runs<S: Scenario>(
    scenario: &S,
    contender: Contender,
    setup: Setup,
    times: usize,
) -> Vec<Outcome> {
    if scenario.own_process() {
        let probe = || child::probe(&scenario.name(), contender, setup, false);
        return (0..times).map(|_| probe().outcome).collect();
    }
    runs_here(scenario, contender, setup, times)
}

fn runs_here<S: Scenario>(
    scenario: &S,
    contender: Contender,
    setup: Setup,
    times: usize,
) -> Vec<Outcome> {
    fn on<R: Contestant>(scenario: &impl Scenario, workers: usize, times: usize) -> Vec<Outcome> {
        let runtime = R::start(workers);
        (0..times).map(|_| scenario.run(&runtime)).collect()
    }
    let workers = scenario.workers().unwrap_or(setup.workers);
    match contender {
        Contender::Heist => on::<Heist<Defer>>(scenario, workers, times),
        Contender::HeistCoop => on::<Heist<Coop>>(scenario, workers, times),
        #[cfg(feature = "tokio")]
        Contender::Tokio => on::<Tokio<MultiThread>>(scenario, workers, times),
        #[cfg(feature = "tokio")]
        Contender::TokioCurrentThread => on::<Tokio<CurrentThread>>(scenario, workers, times),
        #[cfg(feature = "smol")]
        Contender::Smol => on::<Smol>(scenario, workers, times),
        #[cfg(feature = "spargio")]
        Contender::Spargio => on::<Spargio>(scenario, workers, times),
        #[cfg(feature = "monoio")]
        Contender::Monoio => on::<Monoio>(scenario, workers, times),
        #[cfg(feature = "compio")]
        Contender::Compio => on::<Compio>(scenario, workers, times),
        #[cfg(feature = "glommio")]
        Contender::Glommio => on::<Glommio>(scenario, workers, times),
        Contender::ByHand => (0..times)
            .filter_map(|_| scenario.run_by_hand(workers))
            .collect(),
        #[cfg(feature = "http-clients")]
        client => unreachable!("{client} is no runtime"),
    }
}

/// What another process is to run for this one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) scenario: String,
    pub(crate) contender: String,
    pub(crate) setup: Setup,
    /// Whether its system calls are to be counted, which slows them down.
    pub(crate) count_syscalls: bool,
}

impl Job {
    /// Runs the scenario once in this process.
    pub(crate) fn run(&self) -> Outcome {
        let scenario = scenarios::all(self.setup.scale)
            .into_iter()
            .find(|scenario| scenario.name() == self.scenario)
            .expect("a scenario has this name");
        let contender = Contender::ALL
            .iter()
            .find(|one| one.name() == self.contender)
            .expect("a contender has this name");
        scenario.run_once(*contender, self.setup)
    }
}

/// The outcome whose values are the medians of all of them, with the cost of the one in the middle.
fn middle(mut outcomes: Vec<Outcome>) -> Outcome {
    let values = (0..outcomes[0].values.len())
        .map(|i| {
            median(
                &outcomes
                    .iter()
                    .map(|outcome| outcome.values[i])
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    outcomes.sort_by_key(|outcome| outcome.time);
    let middle = outcomes.len() / 2;
    Outcome {
        values,
        ..outcomes.swap_remove(middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_outcome_has_the_median_values() {
        let outcome = |ms: u64, value: f64| {
            Outcome::new(Duration::from_millis(ms), vec![value], Cost::default(), ms)
        };
        let middle = middle(vec![outcome(30, 1.0), outcome(10, 5.0), outcome(20, 9.0)]);
        assert_eq!((middle.operations, middle.values), (20, vec![5.0]));
    }
}
