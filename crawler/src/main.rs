//! `heist-crawl`: crawls web sites on the Heist runtime. See `--help`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use heist_crawler::{Args, run};

fn main() -> ExitCode {
    match Args::read(std::env::args_os()) {
        Ok(args) => ExitCode::from(run(&args)),
        // Prints it, or the help, and exits with 2, or 0.
        Err(error) => error.exit(),
    }
}
