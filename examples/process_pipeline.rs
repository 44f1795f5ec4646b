//! Runs programs one behind the other, as a shell does: `process_pipeline PROGRAM ARG... '|' PROGRAM ARG...`.
//!
//! What comes in goes to the first, and what the last one prints comes out with its lines numbered:
//!
//! ```console
//! $ cargo run --example process_pipeline -- sort '|' uniq -c <names
//! ```

use std::io::{Error, ErrorKind, Result};
use std::process::Stdio;

use heist::io::{AsyncBufReadExt, AsyncWriteExt, copy, stdin, stdout};
use heist::process::{Child, ChildStdin, Command};

#[heist::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut programs = start(&words)?;
    let (Some(first), Some(last)) = (programs[0].stdin.take(), programs.last_mut()) else {
        unreachable!("both were asked for")
    };
    let output = last.stdout.take().expect("asked for");
    // When the last one has ended, nobody wants what is left.
    let _feeding = heist::spawn(feed(first)).cancel_on_drop();

    let (mut lines, mut number, mut out) = (output.lines(), 0, stdout());
    while let Some(line) = lines.next_line().await? {
        number += 1;
        out.write_all(format!("{number:4}  {line}\n").as_bytes())
            .await?;
    }
    out.flush().await?;

    for (place, program) in programs.iter_mut().enumerate() {
        let status = program.wait().await?;
        if !status.success() {
            eprintln!("program {}: {status}", place + 1);
        }
    }
    Ok(())
}

/// Starts one program after the other, each of which reads what the one before writes. Should this one fail, they are
/// killed.
fn start(words: &[String]) -> Result<Vec<Child>> {
    let mut programs: Vec<Child> = Vec::new();
    for words in words.split(|word| word == "|") {
        let Some((name, arguments)) = words.split_first() else {
            let usage = "usage: process_pipeline PROGRAM ARG... '|' PROGRAM ARG...";
            return Err(Error::new(ErrorKind::InvalidInput, usage));
        };
        let before = programs
            .last_mut()
            .and_then(|program| program.stdout.take());
        let input = match before {
            Some(output) => output.try_into()?,
            None => Stdio::piped(),
        };
        let mut program = Command::new(name);
        program.args(arguments).stdin(input).stdout(Stdio::piped());
        programs.push(program.kill_on_drop(true).spawn()?);
    }
    Ok(programs)
}

async fn feed(mut first: ChildStdin) -> Result<()> {
    match copy(&mut stdin(), &mut first).await {
        // It has seen enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        copied => copied.map(drop),
    }
}
