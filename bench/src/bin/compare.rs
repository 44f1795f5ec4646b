//! Runs the scenarios on Heist and on tokio in turn, and writes the ratios to `bench/RESULTS.md`.

use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use heist_bench::{
    child,
    harness::WORKERS,
    meter,
    report::{Comparison, Document},
    scenario::Scale,
    scenarios,
};

/// Compare Heist with tokio, round by round, in one process.
#[derive(Debug, Parser)]
struct Options {
    /// How often each scenario is run on each runtime.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Run only the scenarios whose name contains this; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Little work and two rounds: to see that it works, not for figures.
    #[arg(long)]
    quick: bool,
    /// Where the report goes; `-` is standard output. By default `bench/RESULTS.md` for a whole
    /// run, and standard output for a part of one.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the names of the scenarios and end.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    child::enter();
    let options = Options::parse();
    let scale = if options.quick {
        Scale::Quick
    } else {
        Scale::Full
    };
    let rounds = if options.quick {
        options.rounds.min(2)
    } else {
        options.rounds
    };
    let mut scenarios = scenarios::all(scale);
    if !options.only.is_empty() {
        scenarios.retain(|scenario| {
            options
                .only
                .iter()
                .any(|part| scenario.name().contains(part))
        });
    }
    if scenarios.is_empty() {
        eprintln!("compare: no scenario has such a name; --list prints them all");
        return ExitCode::from(2);
    }
    if options.list {
        for scenario in &scenarios {
            println!("{}", scenario.name());
        }
        return ExitCode::SUCCESS;
    }

    meter::raise_descriptor_limit();
    let mut comparisons = Vec::new();
    for scenario in &scenarios {
        let began = Instant::now();
        let mut comparison = Comparison::new(scenario.as_ref());
        for _ in 0..rounds {
            comparison.round(scenario.as_ref(), WORKERS);
        }
        eprintln!(
            "{}: {:.1} s",
            scenario.name(),
            began.elapsed().as_secs_f64()
        );
        comparisons.push(comparison);
    }

    let page = Document {
        comparisons: &comparisons,
        workers: WORKERS,
        rounds,
    }
    .to_string();
    let whole = options.only.is_empty() && !options.quick;
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");
    let output = options.output.or_else(|| whole.then(|| default.into()));
    match output.filter(|path| path.as_os_str() != "-") {
        None => print!("{page}"),
        Some(path) => {
            if let Err(error) = fs::write(&path, page) {
                eprintln!("compare: cannot write {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
            eprintln!("written to {}", path.display());
        }
    }
    ExitCode::SUCCESS
}
