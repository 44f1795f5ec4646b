//! Runs the scenarios on Heist and its peers in turn, and writes tables, figures and charts.

use std::{fs, io, path::Path, path::PathBuf, process::ExitCode};

use clap::Parser;
use heist_bench::{
    charts, child,
    contender::Contender,
    harness::WORKERS,
    meter,
    report::Document,
    results::{Comparison, Results},
    scenario::{AnyScenario, Scale, Setup},
    scenarios,
};
use indicatif::{ProgressBar, ProgressStyle};

/// Compare Heist with its peers, round by round, in one process.
#[derive(Debug, Parser)]
struct Options {
    /// How often each scenario is run on each runtime.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Run only the scenarios whose name contains this; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Run only these beside heist and tokio, separated by commas, or `none`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    peers: Vec<String>,
    /// The workers of each runtime.
    #[arg(long, default_value_t = WORKERS, value_name = "NUMBER")]
    workers: usize,
    /// Little work, one round, nothing in processes of its own: to see that it works, not for figures.
    #[arg(long)]
    quick: bool,
    /// Where RESULTS.md, results.json and the charts go. By default `bench` for a whole run; a part of
    /// one is printed.
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
    /// Print the names of the scenarios and of the peers, and end.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    child::enter();
    let options = Options::parse();
    let setup = Setup {
        workers: options.workers,
        scale: if options.quick {
            Scale::Quick
        } else {
            Scale::Full
        },
    };
    meter::raise_descriptor_limit();
    let mut scenarios = scenarios::all(setup.scale);
    if !options.only.is_empty() {
        let wanted = |name: String| options.only.iter().any(|part| name.contains(part));
        scenarios.retain(|scenario| wanted(scenario.name()));
    }
    if scenarios.is_empty() {
        eprintln!("compare: no scenario has such a name; --list prints them all");
        return ExitCode::from(2);
    }
    if let Some(unknown) = options.peers.iter().find(|peer| !is_peer(peer)) {
        eprintln!("compare: {unknown} is no peer; --list prints them all");
        return ExitCode::from(2);
    }
    if options.list {
        list(&scenarios);
        return ExitCode::SUCCESS;
    }

    let whole = options.only.is_empty() && options.peers.is_empty() && !options.quick;
    let default = || whole.then(|| env!("CARGO_MANIFEST_DIR").into());
    let directory = options.output.clone().or_else(default);
    match run(&options, setup, &scenarios, directory.as_deref()) {
        Err(error) => {
            eprintln!("compare: cannot write the results: {error}");
            return ExitCode::FAILURE;
        }
        Ok(results) if directory.is_none() => {
            let document = Document {
                results: &results,
                charts: Vec::new(),
            };
            print!("{document}");
        }
        Ok(_) => {}
    }
    if let Some(directory) = directory {
        eprintln!("written to {}", directory.display());
    }
    ExitCode::SUCCESS
}

fn is_peer(name: &str) -> bool {
    name == "none" || Contender::ALL.iter().any(|one| one.name() == name)
}

fn list(scenarios: &[Box<dyn AnyScenario>]) {
    println!("Scenarios:");
    for scenario in scenarios {
        println!("  {}", scenario.name());
    }
    println!("Peers:");
    for contender in Contender::ALL {
        println!("  {contender}");
    }
}

/// Runs everything that is wanted, and shows how far it is. Each scenario's figures are written as soon as it has them:
/// a comparison takes long, and what ends it early is to take only the rest of it.
fn run(
    options: &Options,
    setup: Setup,
    scenarios: &[Box<dyn AnyScenario>],
    directory: Option<&Path>,
) -> io::Result<Results> {
    let rounds = if options.quick { 1 } else { options.rounds };
    let wanted = |contender: Contender, baseline: Contender| {
        let always = [Contender::Heist, baseline].contains(&contender);
        always
            || options.peers.is_empty()
            || options.peers.iter().any(|one| one == contender.name())
    };
    let comparisons: Vec<_> = scenarios
        .iter()
        .map(|scenario| {
            let baseline = scenario.baseline();
            Comparison::new(scenario.as_ref(), |contender| wanted(contender, baseline))
        })
        .collect();
    let runs_each = u64::from(rounds) + u64::from(!options.quick);
    let entries = comparisons.iter().flat_map(|one| &one.entries);
    let present = entries.filter(|entry| entry.absent.is_none()).count();

    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left: {wide_msg}")
        .expect("the template is well formed");
    let bar = ProgressBar::new(present as u64 * runs_each).with_style(style);
    let mut results = Results::new(setup, rounds);
    for (mut comparison, scenario) in comparisons.into_iter().zip(scenarios) {
        bar.set_message(comparison.name.clone());
        for _ in 0..rounds {
            comparison.round(scenario.as_ref(), setup, || bar.inc(1));
        }
        if !options.quick {
            comparison.probe(setup, || bar.inc(1));
        }
        results.scenarios.push(comparison);
        if let Some(directory) = directory {
            write(&results, directory)?;
        }
    }
    bar.finish_and_clear();
    Ok(results)
}

/// Writes all files into a directory.
fn write(results: &Results, directory: &Path) -> io::Result<()> {
    let folder = directory.join("charts");
    fs::create_dir_all(&folder)?;
    let mut names = Vec::new();
    for chart in charts::all(results) {
        fs::write(folder.join(chart.name), chart.svg)?;
        names.push(format!("charts/{}", chart.name));
    }
    let json = serde_json::to_string_pretty(results).map_err(io::Error::other)?;
    fs::write(directory.join("results.json"), json + "\n")?;
    let document = Document {
        results,
        charts: names,
    };
    fs::write(directory.join("RESULTS.md"), document.to_string())
}
