//! What idleness costs: the processor time of a runtime with many quiet connections, and the memory
//! of each connection and of each parked task.
//!
//! Every runtime is measured in a process of its own, so that none inherits the memory that another
//! one gave back. The clients are plain blocking sockets of the same process: they take no memory in
//! user space but their descriptor.

use std::{
    future::pending,
    process::{Command, ExitCode},
    time::Duration,
};

use clap::{Parser, ValueEnum};
#[cfg(feature = "tokio")]
use heist_bench::rt::{MultiThread, Tokio};
use heist_bench::{
    harness::WORKERS,
    meter::{self, Meter},
    rt::{Contestant, Coop, Defer, Heist},
    scenarios::idle::Server,
    stats::short,
};

/// Measure what idle connections and parked tasks cost.
#[derive(Debug, Parser)]
struct Options {
    /// How many connections are held.
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// How long they are held, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many parked tasks their size is averaged over.
    #[arg(long, default_value_t = 200_000)]
    tasks: usize,
    /// Measure only this runtime; all of them, each in a process of its own, if it is left out.
    #[arg(long, value_enum)]
    runtime: Option<Kind>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Heist,
    HeistCoop,
    #[cfg(feature = "tokio")]
    Tokio,
}

fn main() -> ExitCode {
    let options = Options::parse();
    meter::raise_descriptor_limit();
    match options.runtime {
        Some(Kind::Heist) => measure::<Heist<Defer>>("heist", &options),
        Some(Kind::HeistCoop) => measure::<Heist<Coop>>("heist-coop", &options),
        #[cfg(feature = "tokio")]
        Some(Kind::Tokio) => measure::<Tokio<MultiThread>>("tokio", &options),
        None => return measure_all(&options),
    }
    ExitCode::SUCCESS
}

fn measure_all(options: &Options) -> ExitCode {
    println!(
        "| runtime | connections | CPU, % of a core | bytes per connection | bytes per task |"
    );
    println!("|---|---|---|---|---|");
    let program = std::env::current_exe().expect("/proc is mounted");
    for kind in Kind::value_variants() {
        let name = kind.to_possible_value().expect("no variant is skipped");
        let status = Command::new(&program)
            .args(["--runtime", name.get_name()])
            .args(["--connections", &options.connections.to_string()])
            .args(["--seconds", &options.seconds.to_string()])
            .args(["--tasks", &options.tasks.to_string()])
            .status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("idle: {} failed", name.get_name());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Prints the row of one runtime.
fn measure<R: Contestant>(name: &str, options: &Options) {
    let Options {
        connections,
        seconds,
        tasks,
        ..
    } = *options;
    let runtime = R::start(WORKERS);
    let per_task = memory_per_task(&runtime, tasks);

    let server = Server::start(&runtime);
    // The first connections pay for what all of them share.
    let _first = server.connect(connections.clamp(1, 100));
    std::thread::sleep(Duration::from_millis(200));
    let before = meter::resident();
    let held = server.connect(connections);
    std::thread::sleep(Duration::from_millis(200));
    let per_connection = meter::resident().saturating_sub(before) as f64 / connections as f64;

    let meter = Meter::start();
    runtime.run(async move { R::sleep(Duration::from_secs(seconds)).await });
    let cost = meter.stop();
    let share = 100.0 * cost.cpu.as_secs_f64() / cost.elapsed.as_secs_f64();
    println!(
        "| {name} | {} | {share:.2} | {} | {} |",
        held.len(),
        short(per_connection),
        short(per_task)
    );
}

/// The resident memory of one empty task that waits for ever, what the allocator adds included.
fn memory_per_task<R: Contestant>(runtime: &R, tasks: usize) -> f64 {
    let spawn = |count: usize| {
        runtime.run(async move {
            for _ in 0..count {
                drop(R::spawn(pending::<()>()));
            }
            // Each is polled once and then parked.
            R::sleep(Duration::from_millis(100)).await;
        });
    };
    spawn(1000);
    let before = meter::resident();
    spawn(tasks);
    meter::resident().saturating_sub(before) as f64 / tasks.max(1) as f64
}
