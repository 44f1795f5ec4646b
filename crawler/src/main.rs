//! `heist-crawl`: crawls web sites on the Heist runtime. See `--help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use heist_crawler::{Args, run};

fn main() -> ExitCode {
    ExitCode::from(run(&Args::parse()))
}
