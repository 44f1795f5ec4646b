//! What a scenario is.
//!
//! A [`Scenario`] is written once, generic over the runtime. [`AnyScenario`] is the same thing
//! without the type parameter, so that lists of scenarios can be run by the criterion benches and
//! by `compare`.

use std::{fmt, fmt::Write as _, time::Duration};

#[cfg(feature = "tokio")]
use crate::rt::{CurrentThread, MultiThread, Tokio};
use crate::{
    child,
    meter::Cost,
    rt::{Contestant, Coop, Defer, Heist},
    scenarios,
    stats::median,
};

/// How much work a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Whom a scenario is run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Heist in its default ring profile.
    Heist,
    /// Heist with cooperative task work.
    HeistCoop,
    /// tokio's multi-thread scheduler: what the others are compared with.
    #[cfg(feature = "tokio")]
    Tokio,
    /// tokio's current-thread scheduler.
    #[cfg(feature = "tokio")]
    TokioCurrentThread,
    /// No runtime, but a loop written for the scenario: what the kernel leaves to win.
    ByHand,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heist => "heist",
            Self::HeistCoop => "heist-coop",
            #[cfg(feature = "tokio")]
            Self::Tokio => "tokio",
            #[cfg(feature = "tokio")]
            Self::TokioCurrentThread => "tokio-current-thread",
            Self::ByHand => "by-hand",
        })
    }
}

/// Which contenders beside Heist and tokio's multi-thread scheduler say something in a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others {
    /// Heist's other ring profile.
    pub coop: bool,
    /// tokio's scheduler with one thread.
    pub current_thread: bool,
    /// A loop of its own, [`Scenario::run_by_hand`].
    pub by_hand: bool,
}

/// One figure that a run yields.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// What it is, for instance `p99`; empty if the scenario has only this one.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Whether more is better (throughput) or less (time).
    pub more_is_better: bool,
    /// What Heist has to reach.
    pub target: Option<Target>,
}

/// What Heist has to reach in a [`Measure`].
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Our figure divided by tokio's.
    Ratio(f64),
    /// Our figure itself.
    Figure(f64),
}

impl Measure {
    /// A figure of which less is better.
    #[must_use]
    pub const fn less(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            more_is_better: false,
            target: None,
        }
    }

    /// A figure of which more is better.
    #[must_use]
    pub const fn more(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            more_is_better: true,
            target: None,
        }
    }

    /// The same with a target for the ratio to tokio.
    #[must_use]
    pub const fn ratio(self, target: f64) -> Self {
        Self {
            target: Some(Target::Ratio(target)),
            ..self
        }
    }

    /// The same with a target for the figure itself.
    #[must_use]
    pub const fn figure(self, target: f64) -> Self {
        Self {
            target: Some(Target::Figure(target)),
            ..self
        }
    }
}

/// What one run of a scenario yields.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The time that criterion shows: of all operations, or the latency that the scenario is about.
    pub time: Duration,
    /// One value for each [`Scenario::measures`].
    pub values: Vec<f64>,
    /// What the measured part cost.
    pub cost: Cost,
    /// How many operations that part did.
    pub operations: u64,
}

impl Outcome {
    /// The outcome of a scenario whose only figure is the wall time of each of its operations,
    /// `per_second` being the number of units in a second (1e9 for nanoseconds).
    #[must_use]
    pub fn per_operation(cost: Cost, operations: u64, per_second: f64) -> Self {
        let value = cost.elapsed.as_secs_f64() * per_second / operations as f64;
        Self {
            time: cost.elapsed,
            values: vec![value],
            cost,
            operations,
        }
    }

    /// The outcome as one line of text.
    fn to_line(&self) -> String {
        let Cost {
            elapsed,
            cpu,
            switches,
        } = self.cost;
        let durations = [self.time, elapsed, cpu].map(|duration| duration.as_nanos());
        let [time, elapsed, cpu] = durations;
        let mut line = format!("{time} {elapsed} {cpu} {switches} {}", self.operations);
        for value in &self.values {
            let _ = write!(line, " {value}");
        }
        line
    }

    /// What [`Outcome::to_line`] has written.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let time = Duration::from_nanos(number()?);
        let cost = Cost {
            elapsed: Duration::from_nanos(number()?),
            cpu: Duration::from_nanos(number()?),
            switches: number()?,
        };
        let operations = number()?;
        let values = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Self {
            time,
            values,
            cost,
            operations,
        })
    }
}

/// Work that is the same on every runtime.
pub trait Scenario {
    /// What the tables call it.
    fn name(&self) -> String;

    /// The figures it yields.
    fn measures(&self) -> Vec<Measure>;

    /// Who else takes part.
    fn others(&self) -> Others {
        Others::default()
    }

    /// How often `compare` runs it on a warm runtime to take the median: more often if a run is
    /// short. 1 means that a run is long and warms up by itself.
    fn repeats(&self) -> usize {
        5
    }

    /// Whether each run is in a process of its own: where memory is measured, it must not be memory
    /// that an earlier run gave back. The name has to tell the scenario from itself at another scale.
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

    /// Who takes part: Heist first, then tokio, then the others.
    fn contenders(&self) -> Vec<Contender>;

    /// Does the work on a fresh runtime: once to warm up and then [`Scenario::repeats`] times, of
    /// which it yields the one with the median time.
    fn run_on(&self, contender: Contender, workers: usize) -> Outcome;

    /// Does the work `times` times on a fresh runtime, and adds up the times for criterion.
    fn time_on(&self, contender: Contender, workers: usize, times: u64) -> Duration;
}

impl<S: Scenario> AnyScenario for S {
    fn name(&self) -> String {
        Scenario::name(self)
    }

    fn measures(&self) -> Vec<Measure> {
        Scenario::measures(self)
    }

    fn contenders(&self) -> Vec<Contender> {
        let others = self.others();
        let mut list = vec![Contender::Heist];
        #[cfg(feature = "tokio")]
        list.push(Contender::Tokio);
        if others.coop {
            list.push(Contender::HeistCoop);
        }
        #[cfg(feature = "tokio")]
        if others.current_thread {
            list.push(Contender::TokioCurrentThread);
        }
        if others.by_hand {
            list.push(Contender::ByHand);
        }
        list
    }

    fn run_on(&self, contender: Contender, workers: usize) -> Outcome {
        let repeats = self.repeats();
        let mut outcomes = runs(self, contender, workers, repeats + usize::from(repeats > 1));
        if repeats > 1 {
            outcomes.remove(0);
        }
        middle(outcomes)
    }

    fn time_on(&self, contender: Contender, workers: usize, times: u64) -> Duration {
        let times = usize::try_from(times).expect("criterion asks for few runs");
        runs(self, contender, workers, times)
            .iter()
            .map(|outcome| outcome.time)
            .sum()
    }
}

/// Runs a scenario `times` times on one new runtime of the contender's kind.
fn runs<S: Scenario>(
    scenario: &S,
    contender: Contender,
    workers: usize,
    times: usize,
) -> Vec<Outcome> {
    fn on<R: Contestant>(scenario: &impl Scenario, workers: usize, times: usize) -> Vec<Outcome> {
        let runtime = R::start(workers);
        (0..times).map(|_| scenario.run(&runtime)).collect()
    }
    if scenario.own_process() && !child::is_child() {
        return (0..times)
            .map(|_| child::run(&scenario.name(), contender, workers))
            .collect();
    }
    match contender {
        Contender::Heist => on::<Heist<Defer>>(scenario, workers, times),
        Contender::HeistCoop => on::<Heist<Coop>>(scenario, workers, times),
        #[cfg(feature = "tokio")]
        Contender::Tokio => on::<Tokio<MultiThread>>(scenario, workers, times),
        #[cfg(feature = "tokio")]
        Contender::TokioCurrentThread => on::<Tokio<CurrentThread>>(scenario, workers, times),
        Contender::ByHand => (0..times)
            .filter_map(|_| scenario.run_by_hand(workers))
            .collect(),
    }
}

/// Runs the scenario that `child::run` has asked another process for; yields the outcome as a line.
pub(crate) fn run_for_parent(job: &str) -> String {
    let mut words = job.splitn(3, ' ');
    let mut word = || words.next().expect("three words at least");
    let (contender, workers, name) = (word(), word(), word());
    let scenario = [Scale::Full, Scale::Quick]
        .into_iter()
        .flat_map(scenarios::all)
        .find(|scenario| scenario.name() == name)
        .expect("a scenario has this name");
    let contender = scenario
        .contenders()
        .into_iter()
        .find(|one| one.to_string() == contender)
        .expect("it takes part");
    let workers = workers.parse().expect("a number");
    scenario.run_on(contender, workers).to_line()
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
    fn an_outcome_survives_as_a_line() {
        let outcome = Outcome {
            time: Duration::from_nanos(1),
            values: vec![0.1, 2e9],
            cost: Cost {
                elapsed: Duration::from_secs(3),
                cpu: Duration::from_micros(4),
                switches: 5,
            },
            operations: 6,
        };
        let line = outcome.to_line();
        let again = Outcome::from_line(&line).expect("it was written here");
        assert_eq!(format!("{again:?}"), format!("{outcome:?}"));
        assert!(Outcome::from_line("1 2 3 4").is_none());
    }

    #[test]
    fn the_middle_outcome_has_the_median_values() {
        let outcome = |ms: u64, value: f64| Outcome {
            time: Duration::from_millis(ms),
            values: vec![value],
            cost: Cost::default(),
            operations: ms,
        };
        let middle = middle(vec![outcome(30, 1.0), outcome(10, 5.0), outcome(20, 9.0)]);
        assert_eq!((middle.operations, middle.values), (20, vec![5.0]));
    }
}
