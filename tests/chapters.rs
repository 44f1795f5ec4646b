//! The programs of the course "Mastering asyncio", in Rust and in Python, say the same, line by line.
//!
//! The Rust ones are `examples/asyncio_*.rs`. In `tests/chapters` are the Python ones, `*.py`, and what
//! they print, `*.txt`. Where there is a Python 3.11, they are run, too, so that it is they and not this
//! test that say what is right.
//!
//! Negative control: let task B of the first chapter take 1.2 s, longer than A. `basics` fails, since B is
//! done after A then.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::Duration;

use common::{finish_within, said};

/// The slowest chapter takes 4 s where nothing else runs.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn basics() {
    let took = elapsed(&compare("asyncio_basics"));
    assert!((1.5..3.0).contains(&took), "{took} s is not concurrent");
}

#[test]
fn tasks() {
    compare("asyncio_tasks");
}

#[test]
fn cancellation() {
    compare("asyncio_cancellation");
}

#[test]
fn context_and_iterators() {
    compare("asyncio_context_and_iterators");
}

#[test]
fn semaphore() {
    compare("asyncio_semaphore");
}

#[test]
fn scraper() {
    let took = elapsed(&compare("asyncio_scraper"));
    // Twenty times 0.1 s at least, by five at a time.
    assert!(took >= 0.4, "{took} s is too many at once");
}

#[test]
fn only_measurements_are_normalised() {
    let line = "Done: 20/20, elapsed: 1.27s\nAverage size: 26849 bytes\n0 1 4 \n";
    let normal = "Done: 20/20, elapsed: #s\nAverage size: # bytes\n0 1 4 \n";
    assert_eq!(normalised(line), normal);
    let unlike = "Done: 19/20, elapsed: soon\nAverage size: NaN bytes\n";
    assert_eq!(normalised(unlike), unlike);
}

/// Runs a chapter in both languages, and returns what the Rust one printed.
fn compare(chapter: &str) -> String {
    let committed = std::fs::read_to_string(source(chapter, "txt")).expect("the expected output");
    let (rust, python) = std::thread::scope(|scope| {
        let python = scope.spawn(|| python_3_11().then(|| printed(&mut python(chapter))));
        let rust = printed(&mut Command::new(example(chapter)));
        (rust, python.join().expect("the Python program"))
    });
    if let Some(python) = python {
        assert_eq!(
            normalised(&python),
            normalised(&committed),
            "{chapter}.txt is not what Python prints"
        );
    }
    assert_eq!(normalised(&rust), normalised(&committed), "{chapter}");
    rust
}

/// The program that cargo has made of an example.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let program = profile.join("examples").join(name);
    assert!(
        is_fresh(&program),
        "{} is missing or older than its sources: `cargo test` builds the examples, but given a name or a \
         choice such as `--test chapters` it does not, and `cargo build --examples` has to come first",
        program.display()
    );
    program
}

/// Whether a program is newer than all its sources, which cargo lists beside it. One whose name has a
/// space is not looked at.
fn is_fresh(program: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|file| file.modified());
    let Ok(built) = modified(program) else {
        return false;
    };
    let sources = std::fs::read_to_string(program.with_extension("d")).expect("cargo's list");
    let (_, sources) = sources.split_once(": ").expect("a list of sources");
    sources
        .split_whitespace()
        .filter_map(|source| modified(Path::new(source)).ok())
        .all(|source| source <= built)
}

fn source(chapter: &str, extension: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/chapters")
        .join(chapter)
        .with_extension(extension)
}

fn python(chapter: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(source(chapter, "py"))
        .env("PYTHONIOENCODING", "utf-8");
    command
}

/// Whether there is a Python that knows task groups.
fn python_3_11() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let check = "import sys; sys.exit(sys.version_info < (3, 11))";
        let status = Command::new("python3").args(["-c", check]).status();
        let found = status.is_ok_and(|status| status.success());
        if !found {
            eprintln!("no python3 from 3.11 on: compared with the committed output only");
        }
        found
    });
    *FOUND
}

/// What a program prints that ends well, without a complaint.
fn printed(command: &mut Command) -> String {
    let output: Output = finish_within(LIMIT, command);
    let well = output.status.success() && output.stderr.is_empty();
    assert!(well, "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// A text in which measured and random numbers are `#`.
fn normalised(text: &str) -> String {
    let text = without_number(text, "lapsed: ", "s");
    without_number(&text, "Average size: ", " bytes")
}

fn without_number(text: &str, before: &str, after: &str) -> String {
    let mut parts = text.split(before);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        result.push_str(before);
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let is_number = rest.len() < part.len() && rest.starts_with(after);
        if is_number {
            result.push('#');
        }
        result.push_str(if is_number { rest } else { part });
    }
    result
}

/// The seconds that a program says it took.
fn elapsed(printed: &str) -> f64 {
    let (_, rest) = printed.split_once("lapsed: ").expect("a time");
    let (seconds, _) = rest.split_once('s').expect("seconds");
    seconds.parse().expect("a number")
}
