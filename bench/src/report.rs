//! The tables of `RESULTS.md`.

use std::fmt;

use crate::{
    contender::Contender,
    results::{Comparison, Entry, Figure, Results, Standing},
    scenario::Scale,
    stats::short,
    targets::Goal,
};

/// The whole document, in Markdown.
#[derive(Debug)]
pub struct Document<'a> {
    /// What it reports.
    pub results: &'a Results,
    /// The files with charts, relative to the document.
    pub charts: Vec<String>,
}

impl fmt::Display for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.introduction(f)?;
        self.targets(f)?;
        for chart in &self.charts {
            let name = chart.rsplit('/').next().unwrap_or(chart);
            writeln!(f, "\n![{}]({chart})", name.trim_end_matches(".svg"))?;
        }
        writeln!(f, "\n## All scenarios")?;
        for comparison in &self.results.scenarios {
            scenario(f, comparison)?;
        }
        Ok(())
    }
}

impl Document<'_> {
    fn introduction(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results {
            kernel,
            cpus,
            workers,
            rounds,
            scale,
            scenarios,
        } = self.results;
        let repeated: usize = scenarios.iter().map(|one| one.repeated).sum();
        let quick = match scale {
            Scale::Full => "",
            Scale::Quick => "\n**Little work was done: these figures mean nothing.**\n",
        };
        writeln!(
            f,
            "\
# Results

Heist and its peers, each with {workers} workers, written by
`cargo run --release -p heist-bench --bin compare` on Linux {kernel} with {cpus} CPUs.
{quick}
They run in turn, {rounds} rounds, each time on a fresh runtime that was started before the clock. A figure
is the median over the rounds, with the least and the greatest in brackets. A ratio (x) is that median
divided by the one of tokio's multi-thread scheduler; behind it are the least and the greatest ratio of
a round. Absolute figures depend on the machine and on who else uses it, the ratios much less. A run that
lost more than 1 % of its time to the host of a virtual machine (`steal` in `/proc/stat`) was done again,
at most three times: {repeated} such runs.

Runtimes with one thread per core have as many threads as the others have workers, each bound to a CPU
and with a runtime of its own; work that can be divided is divided among them. `tokio-current-thread` is
tokio's scheduler for one thread, used in the same way. `heist-coop` is Heist's other ring profile.
`by-hand` is no runtime but a loop written for the scenario.

The crawls compare HTTP clients, each in a process of its own, and divide by reqwest's figure: `reqwest`,
`hyper-util` and `hyper` (its connection, without a pool) on tokio; `heist-hyper` is hyper's connection on
Heist, `heist-codec` Heist's own codec without its client, and `by-hand` a GET written by hand on tokio."
        )
    }

    fn targets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standings: Vec<_> = self.results.targets().collect();
        if standings.is_empty() {
            return Ok(());
        }
        let met = standings.iter().filter(|one| one.is_met()).count();
        writeln!(
            f,
            "
## Targets

{met} of {} are met. A target is for the ratio to tokio, or to reqwest in a crawl (x), for the ratio to the loop without a runtime
(of by-hand), or for the figure itself. Where a runtime with one thread per core does better, the target is
what that one reaches, and its name is behind it.
[LIMITS.md](LIMITS.md) says of each that is not met what was tried, and what the limit is.

| work | target | reached | of rounds | met? |
|---|---|---|---|---|",
            standings.len()
        )?;
        for standing in &standings {
            writeln!(f, "{}", TargetRow(standing))?;
        }
        Ok(())
    }
}

struct TargetRow<'a>(&'a Standing<'a>);

impl fmt::Display for TargetRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(standing) = self;
        let measure = standing.measure();
        let work = match measure.name {
            "" => standing.comparison.name.clone(),
            name => format!("{}: {name}", standing.comparison.name),
        };
        let bound = if measure.more_is_better { ">=" } else { "<=" };
        let number = |value: f64| match standing.target.goal {
            Goal::Ratio(_) => format!("x {value:.2}"),
            Goal::OfByHand(_) => format!("{value:.2} of by-hand"),
            Goal::Figure(_) => format!("{} {}", short(value), measure.unit),
        };
        let set_by = standing
            .set_by
            .map_or(String::new(), |one| format!(" ({one})"));
        let Figure {
            median,
            least,
            most,
        } = standing.reached;
        let met = if standing.is_met() { "yes" } else { "**no**" };
        write!(
            f,
            "| {work} | {bound} {}{set_by} | {} | {}..{} | {met} |",
            number(standing.goal),
            number(median),
            short(least),
            short(most),
        )
    }
}

/// The table of one scenario.
fn scenario(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    write!(f, "\n### {}\n\n", comparison.name)?;
    if comparison.baseline != Contender::Tokio {
        write!(f, "x is of {}.\n\n", comparison.baseline)?;
    }
    write!(f, "| |")?;
    for measure in &comparison.measures {
        let name = match measure.name {
            "" => String::new(),
            name => format!("{name}, "),
        };
        write!(f, " {name}{} | x |", measure.unit)?;
    }
    write!(f, " CPU us/op | switches/1000 op | syscalls/op |")?;
    let timed = has_latencies(comparison);
    if timed {
        write!(f, " p50 us | p99 us | p99.9 us |")?;
    }
    writeln!(f, " peak MiB |")?;
    let columns = 5 + 2 * comparison.measures.len() + if timed { 3 } else { 0 };
    writeln!(f, "|{}", "---|".repeat(columns))?;
    for entry in &comparison.entries {
        row(f, comparison, entry, timed)?;
    }
    Ok(())
}

fn has_latencies(comparison: &Comparison) -> bool {
    let mut entries = comparison.entries.iter();
    entries.any(|entry| entry.latency(0.5).is_some())
}

fn row(
    f: &mut fmt::Formatter<'_>,
    comparison: &Comparison,
    entry: &Entry,
    timed: bool,
) -> fmt::Result {
    let name = match entry.contender {
        Contender::Heist => "**heist**",
        other => other.name(),
    };
    write!(f, "| {name} |")?;
    if let Some(reason) = entry.absent {
        return writeln!(f, " - {reason} |");
    }
    if entry.failed {
        return writeln!(f, " - has failed |");
    }
    if entry.rounds.is_empty() {
        return writeln!(f, " - |");
    }
    for index in 0..comparison.measures.len() {
        write!(f, " {} |", spread(Figure::of(&entry.values(index))))?;
        match comparison.ratio(entry, index) {
            Some(ratio) => write!(
                f,
                " **{:.2}** ({:.2}..{:.2}) |",
                ratio.median, ratio.least, ratio.most
            )?,
            None => write!(f, " |")?,
        }
    }
    let cpu = entry.per_operation(|one| one.cost.cpu.as_secs_f64() * 1e6);
    let switches = entry.per_operation(|one| one.cost.switches as f64 * 1000.0);
    let optional = |value: Option<f64>| value.map_or("-".to_owned(), short);
    write!(
        f,
        " {} | {} | {} |",
        spread(cpu),
        spread(switches),
        optional(entry.syscalls())
    )?;
    if timed {
        for q in [0.5, 0.99, 0.999] {
            let latency = entry.latency(q).map_or("-".to_owned(), spread);
            write!(f, " {latency} |")?;
        }
    }
    let memory = entry.probe.as_ref().map(|one| one.peak_memory as f64);
    writeln!(
        f,
        " {} |",
        optional(memory.map(|bytes| bytes / f64::from(1 << 20)))
    )
}

/// The median with the least and the greatest value.
fn spread(figure: Figure) -> String {
    let Figure {
        median,
        least,
        most,
    } = figure;
    format!("{} ({}..{})", short(median), short(least), short(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        results::tests::comparison,
        scenario::{Measure, Setup},
    };

    #[test]
    fn the_document_has_what_is_lost_and_who_is_absent() {
        let setup = Setup {
            workers: 2,
            scale: Scale::Full,
        };
        let mut results = Results::new(setup, 1);
        let mut spawn = comparison(
            "spawn and join from one task",
            Measure::less("", "ns/task"),
            &[(Contender::Heist, &[50.0]), (Contender::Tokio, &[100.0])],
        );
        spawn.entries.push(Entry {
            contender: Contender::TokioCurrentThread,
            absent: Some("has a reason"),
            failed: false,
            rounds: Vec::new(),
            probe: None,
        });
        results.scenarios.push(spawn);
        let page = Document {
            results: &results,
            charts: vec!["charts/ratios.svg".into()],
        }
        .to_string();
        assert!(page.contains("0 of 1 are met"), "{page}");
        assert!(page.contains("| <= x 0.15 | x 0.50 | 0.50..0.50 | **no** |"));
        assert!(page.contains("| tokio-current-thread | - has a reason |"));
        assert!(page.contains("![ratios](charts/ratios.svg)"));
    }
}
