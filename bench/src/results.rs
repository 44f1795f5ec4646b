//! The figures of a comparison: every run of every scenario on every contender.

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    thread,
    time::Instant,
};

use serde::{Serialize, Serializer};

use crate::{
    child,
    contender::Contender,
    meter,
    scenario::{AnyScenario, Measure, Outcome, Point, Probe, Scale, Setup},
    stats::{QUANTILES, Quantiles, median, spread},
    targets::{Goal, TARGETS, Target},
};

/// All of it, as `results.json` has it.
#[derive(Debug, Serialize)]
pub struct Results {
    /// The kernel's version.
    pub kernel: String,
    /// The processors of the machine.
    pub cpus: usize,
    /// The workers of each runtime.
    pub workers: usize,
    /// How often each scenario was run on each contender.
    pub rounds: u32,
    /// How much work a run did.
    pub scale: Scale,
    /// The scenarios in the order in which they were run.
    pub scenarios: Vec<Comparison>,
}

/// All rounds of one scenario.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The name of the scenario.
    pub name: String,
    /// Its figures.
    pub measures: Vec<Measure>,
    /// Its places on curves.
    #[serde(skip)]
    pub points: Vec<Point>,
    /// Whom the others are compared with.
    #[serde(serialize_with = "name_of")]
    pub baseline: Contender,
    /// Who was run.
    pub entries: Vec<Entry>,
    /// Runs done again because the host interfered.
    pub repeated: usize,
}

/// One contender in one scenario.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Who it is.
    #[serde(serialize_with = "name_of")]
    pub contender: Contender,
    /// Why it takes no part, if it does not.
    pub absent: Option<&'static str>,
    /// Whether a run has failed, which left its message on standard error; there are no more runs then.
    pub failed: bool,
    /// One for each round.
    pub rounds: Vec<Outcome>,
    /// One in a process of its own.
    pub probe: Option<Probe>,
}

fn name_of<S: Serializer>(contender: &Contender, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(contender.name())
}

/// A run is done again when the host has taken away more than this part of its time, summed over the
/// processors ...
const STOLEN: f64 = 0.01;
/// ... but not more often than this; the least disturbed one counts.
const TRIES: usize = 4;

impl Results {
    /// No figures yet, of a comparison on this machine.
    #[must_use]
    pub fn new(setup: Setup, rounds: u32) -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel: Vec<_> = kernel.split(['.', '-']).take(2).collect();
        Self {
            kernel: kernel.join("."),
            cpus: thread::available_parallelism().map_or(0, usize::from),
            workers: setup.workers,
            rounds,
            scale: setup.scale,
            scenarios: Vec::new(),
        }
    }

    /// The targets whose scenario was run, each with how it stands.
    pub fn targets(&self) -> impl Iterator<Item = Standing<'_>> {
        TARGETS.iter().filter_map(|target| {
            let comparison = self
                .scenarios
                .iter()
                .find(|one| one.name == target.scenario)?;
            comparison.standing(target)
        })
    }
}

impl Comparison {
    /// A comparison without rounds, of those whom `wanted` lets in.
    pub fn new(scenario: &dyn AnyScenario, wanted: impl Fn(Contender) -> bool) -> Self {
        let entries = scenario
            .contenders()
            .into_iter()
            .filter(|(contender, _)| wanted(*contender))
            .map(|(contender, takes_part)| Entry {
                contender,
                absent: takes_part.err(),
                failed: false,
                rounds: Vec::new(),
                probe: None,
            });
        Self {
            name: scenario.name(),
            measures: scenario.measures(),
            points: scenario.points(),
            baseline: scenario.baseline(),
            entries: entries.collect(),
            repeated: 0,
        }
    }

    /// Runs the scenario once on each contender, one after the other. A run that the host took the
    /// processors away from is done again; who fails is out of it, and the others go on. `step` is called after each.
    pub fn round(&mut self, scenario: &dyn AnyScenario, setup: Setup, mut step: impl FnMut()) {
        let tries = match setup.scale {
            Scale::Full => TRIES,
            Scale::Quick => 1,
        };
        let Self {
            entries, repeated, ..
        } = self;
        for entry in entries.iter_mut().filter(|entry| entry.takes_part()) {
            entry
                .attempt(|contender| {
                    let mut best = disturbed_run(scenario, contender, setup);
                    for _ in 1..tries {
                        if best.0 <= STOLEN {
                            break;
                        }
                        *repeated += 1;
                        let again = disturbed_run(scenario, contender, setup);
                        if again.0 < best.0 {
                            best = again;
                        }
                    }
                    best.1
                })
                .into_iter()
                .for_each(|outcome| entry.rounds.push(outcome));
            step();
        }
    }

    /// Runs the scenario once more on each contender, in a process of its own, for its system calls and
    /// its memory.
    pub fn probe(&mut self, setup: Setup, mut step: impl FnMut()) {
        let Self { name, entries, .. } = self;
        for entry in entries.iter_mut().filter(|entry| entry.takes_part()) {
            entry.probe = entry.attempt(|contender| child::probe(name, contender, setup, true));
            step();
        }
    }

    /// The contender, if it has figures.
    #[must_use]
    pub fn entry(&self, contender: Contender) -> Option<&Entry> {
        let found = self.entries.iter().find(|one| one.contender == contender);
        found.filter(|entry| !entry.rounds.is_empty())
    }

    /// The median of a measure divided by the baseline's, and the least and the greatest quotient of a round.
    #[must_use]
    pub fn ratio(&self, entry: &Entry, measure: usize) -> Option<Figure> {
        let baseline = self.entry(self.baseline)?;
        Some(quotient(&entry.values(measure), &baseline.values(measure)))
    }

    pub(crate) fn standing<'a>(&'a self, target: &'static Target) -> Option<Standing<'a>> {
        let index = self
            .measures
            .iter()
            .position(|one| one.name == target.measure)?;
        let measure = &self.measures[index];
        let of = |entry: &Entry| match target.goal {
            Goal::Ratio(_) => self.ratio(entry, index),
            Goal::Figure(_) => Some(Figure::of(&entry.values(index))),
            Goal::OfByHand(_) => {
                let by_hand = self.entry(Contender::ByHand)?;
                Some(quotient(&entry.values(index), &by_hand.values(index)))
            }
        };
        let reached = of(self.entry(Contender::Heist)?)?;
        let (Goal::Ratio(mut goal) | Goal::Figure(mut goal) | Goal::OfByHand(mut goal)) =
            target.goal;
        let mut set_by = None;
        if !matches!(target.goal, Goal::OfByHand(_)) {
            for entry in self.entries.iter().filter(|one| one.sets_targets()) {
                let theirs = of(entry)?.median;
                if measure.is_better(theirs, goal) {
                    goal = theirs;
                    set_by = Some(entry.contender);
                }
            }
        }
        Some(Standing {
            comparison: self,
            index,
            target,
            goal,
            set_by,
            reached,
        })
    }
}

impl Entry {
    fn takes_part(&self) -> bool {
        self.absent.is_none() && !self.failed
    }

    /// Runs the contender, if that does not fail.
    fn attempt<T>(&mut self, run: impl FnOnce(Contender) -> T) -> Option<T> {
        let contender = self.contender;
        // Nothing of what a run works with is used again.
        let done = panic::catch_unwind(AssertUnwindSafe(|| run(contender)));
        self.failed = done.is_err();
        done.ok()
    }

    /// Whether Heist is to be at least as good, where this one is better than a target.
    fn sets_targets(&self) -> bool {
        self.contender.is_thread_per_core() && !self.rounds.is_empty()
    }

    /// A measure in each round.
    #[must_use]
    pub fn values(&self, measure: usize) -> Vec<f64> {
        let value = |outcome: &Outcome| outcome.values[measure];
        self.rounds.iter().map(value).collect()
    }

    /// Something of each round, divided by the operations of that round.
    #[must_use]
    pub fn per_operation(&self, figure: impl Fn(&Outcome) -> f64) -> Figure {
        let share = |one: &Outcome| figure(one) / one.operations.max(1) as f64;
        Figure::of(&self.rounds.iter().map(share).collect::<Vec<_>>())
    }

    /// The system calls of an operation.
    #[must_use]
    pub fn syscalls(&self) -> Option<f64> {
        let outcome = &self.probe.as_ref()?.outcome;
        Some(outcome.cost.syscalls? as f64 / outcome.operations.max(1) as f64)
    }

    /// A quantile of the latencies in each round, one of [`QUANTILES`].
    #[must_use]
    pub fn latency(&self, q: f64) -> Option<Figure> {
        let quantiles = self.rounds.iter().map(|one| one.latency);
        let values: Option<Vec<_>> = quantiles.map(|one| Some(one?.at(q))).collect();
        values
            .filter(|all| !all.is_empty())
            .map(|all| Figure::of(&all))
    }

    /// The medians of all quantiles.
    #[must_use]
    pub fn latencies(&self) -> Option<Quantiles> {
        let mut medians = [0.0; QUANTILES.len()];
        for (value, q) in medians.iter_mut().zip(QUANTILES) {
            *value = self.latency(q)?.median;
        }
        Some(Quantiles(medians))
    }
}

/// A median with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// The least value.
    pub least: f64,
    /// The greatest value.
    pub most: f64,
}

impl Figure {
    /// That of some values, of which there are some.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let (least, most) = spread(values);
        Self {
            median: median(values),
            least,
            most,
        }
    }
}

/// The quotient of two medians; the spread is that of the rounds' quotients.
fn quotient(these: &[f64], those: &[f64]) -> Figure {
    let rounds: Vec<_> = these.iter().zip(those).map(|(a, b)| a / b).collect();
    Figure {
        median: median(these) / median(those),
        ..Figure::of(&rounds)
    }
}

/// How a target stands.
#[derive(Debug)]
pub struct Standing<'a> {
    /// The scenario.
    pub comparison: &'a Comparison,
    /// Which of its measures.
    pub index: usize,
    /// The target.
    pub target: &'static Target,
    /// What is to be reached: the target, or what a thread-per-core runtime reaches.
    pub goal: f64,
    /// Which one that is.
    pub set_by: Option<Contender>,
    /// What is reached.
    pub reached: Figure,
}

impl Standing<'_> {
    /// The measure.
    #[must_use]
    pub fn measure(&self) -> &Measure {
        &self.comparison.measures[self.index]
    }

    /// Whether the target is met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        !self.measure().is_better(self.goal, self.reached.median)
    }
}

/// Runs a scenario, and tells which part of the time the host took.
fn disturbed_run(scenario: &dyn AnyScenario, contender: Contender, setup: Setup) -> (f64, Outcome) {
    let before = meter::stolen();
    let began = Instant::now();
    let outcome = scenario.run_on(contender, setup);
    let stolen = meter::stolen().saturating_sub(before);
    let part = stolen.as_secs_f64() / began.elapsed().as_secs_f64();
    (part, outcome)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::meter::Cost;

    /// A comparison with such values of one measure for each contender.
    pub(crate) fn comparison(
        name: &str,
        measure: Measure,
        values: &[(Contender, &[f64])],
    ) -> Comparison {
        let outcome =
            |&value: &f64| Outcome::new(Duration::from_secs(1), vec![value], Cost::default(), 1);
        let entry = |&(contender, values): &(Contender, &[f64])| Entry {
            contender,
            absent: None,
            failed: false,
            rounds: values.iter().map(outcome).collect(),
            probe: None,
        };
        Comparison {
            name: name.into(),
            measures: vec![measure],
            points: Vec::new(),
            baseline: Contender::Tokio,
            entries: values.iter().map(entry).collect(),
            repeated: 0,
        }
    }

    fn target(goal: Goal) -> &'static Target {
        Box::leak(Box::new(Target {
            scenario: "work",
            measure: "",
            goal,
        }))
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_of_rounds() {
        let all = comparison(
            "work",
            Measure::less("", "ns"),
            &[
                (Contender::Heist, &[10.0, 20.0, 90.0]),
                (Contender::Tokio, &[100.0, 40.0, 30.0]),
            ],
        );
        let heist = all.entry(Contender::Heist).expect("it was run");
        let ratio = all.ratio(heist, 0).expect("both were run");
        let expected = Figure {
            median: 0.5,
            least: 0.1,
            most: 3.0,
        };
        assert_eq!(ratio, expected);
    }

    #[test]
    fn less_is_met_from_above_and_more_from_below() {
        let met = |measure, ours: f64, goal| {
            let values: [(_, &[f64]); 2] =
                [(Contender::Heist, &[ours]), (Contender::Tokio, &[100.0])];
            let all = comparison("work", measure, &values);
            all.standing(target(goal)).expect("both were run").is_met()
        };
        let less = Measure::less("", "ns");
        assert!(!met(less, 60.0, Goal::Ratio(0.4)));
        assert!(met(less, 40.0, Goal::Ratio(0.4)));
        let more = Measure::more("", "1/s");
        assert!(!met(more, 70.0, Goal::Ratio(1.6)));
        assert!(met(more, 170.0, Goal::Ratio(1.6)));
        assert!(!met(less, 1.04, Goal::Figure(1.03)));
        assert!(met(less, 1.02, Goal::Figure(1.03)));
    }

    #[cfg(feature = "monoio")]
    #[test]
    fn a_better_runtime_sets_the_target() {
        let values: [(_, &[f64]); 3] = [
            (Contender::Heist, &[15.0]),
            (Contender::Tokio, &[100.0]),
            (Contender::Monoio, &[10.0]),
        ];
        let all = comparison("work", Measure::less("", "ns"), &values);
        let standing = all.standing(target(Goal::Ratio(0.2))).expect("both ran");
        assert_eq!(
            (standing.goal, standing.set_by),
            (0.1, Some(Contender::Monoio))
        );
        assert!(!standing.is_met());
        let standing = all.standing(target(Goal::Ratio(0.05))).expect("both ran");
        assert_eq!((standing.goal, standing.set_by), (0.05, None));
    }

    #[test]
    fn the_loop_without_a_runtime_is_a_target_of_its_own() {
        let values: [(_, &[f64]); 2] = [(Contender::Heist, &[90.0]), (Contender::ByHand, &[100.0])];
        let all = comparison("work", Measure::more("", "1/s"), &values);
        let standing = all
            .standing(target(Goal::OfByHand(0.85)))
            .expect("both ran");
        assert_eq!(standing.reached.median, 0.9);
        assert!(standing.is_met());
    }
}
