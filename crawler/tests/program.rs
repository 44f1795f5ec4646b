//! The program `heist-crawl` as its users meet it: arguments, streams, files, exit status.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Scripted, closed_port, page, program, records, response, run, text};
use heist_crawler::Site;

#[test]
fn without_arguments_it_crawls_two_thousand_pages() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.contains("pages               2000  finished\n"),
        "{table}"
    );
    assert!(table.contains("  2xx               2000\n"), "{table}");
    assert!(table.contains("errors                 0\n"), "{table}");
    assert_eq!(
        text(&output.stderr),
        "",
        "nothing to say without a terminal"
    );
}

#[test]
fn standard_output_carries_the_lines_and_nothing_else() {
    let output = run(&["--pages", "2000", "--output", "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let records = records(&output.stdout);
    assert_eq!(records.len(), 2000);
    let site = Site::new(2000, 0x6865_6973_7400);
    for record in &records {
        let path = record.url.splitn(4, '/').nth(3).unwrap();
        let page = site.find(&format!("/{path}")).unwrap();
        assert_eq!(
            record.content_length,
            site.page_length(page),
            "{}",
            record.url
        );
    }
    assert!(text(&output.stderr).contains("pages               2000  finished"));
}

#[test]
fn files_get_the_lines_and_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, summary) = (
        folder.path().join("pages.jsonl"),
        folder.path().join("summary.json"),
    );
    // What was there before is gone afterwards.
    fs::write(&lines, "old\n".repeat(100_000)).unwrap();
    let output = program()
        .args([
            "--pages",
            "50",
            "--max-pages",
            "30",
            "--concurrency",
            "4",
            "--workers",
            "1",
        ])
        .arg("--output")
        .arg(&lines)
        .arg("--summary-json")
        .arg(&summary)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let records = records(&fs::read(&lines).unwrap());
    assert_eq!(records.len(), 30);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&summary).unwrap()).unwrap();
    assert_eq!(json["pages"], 30);
    assert_eq!(json["failed"], 0);
    assert_eq!(json["end"], "page_limit");
    assert_eq!(
        json["bytes"],
        records
            .iter()
            .map(|record| record.content_length)
            .sum::<u64>()
    );
    assert!(json["pages_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn bad_arguments_exit_with_2() {
    for arguments in [
        &["--frobnicate"][..],
        &["--pages", "0"],
        &["--pages", "many"],
        &["--concurrency", "0"],
        &["--delay-ms", "9..1"],
        &["--timeout-s", "0"],
        &["example.com"],
        &["ftp://example.com/"],
        &["--pages", "5", "http://example.com/"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains("error:"), "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}

#[test]
fn help_and_version_exit_with_0() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for option in [
        "--pages",
        "--delay-ms",
        "--concurrency",
        "--output",
        "--max-pages",
        "--timeout-s",
        "--summary-json",
        "--user-agent",
        "--max-depth",
        "--workers",
    ] {
        assert!(text(&help.stdout).contains(option), "{option}");
    }
    let version = run(&["--version"]);
    assert_eq!(
        text(&version.stdout),
        concat!("heist-crawl ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn nothing_fetched_exits_with_1_and_says_why() {
    let refused = format!("http://{}/", closed_port());
    let output = run(&[&refused, "--quiet", "--output", "-"]);
    assert_eq!(output.status.code(), Some(1));
    let why = format!("heist-crawl: nothing could be fetched: {refused}: connect: ");
    assert!(text(&output.stderr).starts_with(&why), "{output:?}");
    let records = records(&output.stdout);
    assert_eq!(records.len(), 1);
    assert!(
        records[0]
            .error
            .as_ref()
            .unwrap()
            .to_string()
            .starts_with("connect: ")
    );

    let server = Scripted::start(|_| response("404 Not Found", "", ""));
    assert_eq!(run(&[&server.url("/")]).status.code(), Some(1));
}

#[test]
fn one_page_fetched_is_enough_for_0() {
    let server = Scripted::start(|path| match path {
        "/" => page(&["/gone"]),
        _ => response("410 Gone", "", ""),
    });
    let output = run(&[&server.url("/"), "-v"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).contains("/gone: status: 410 Gone\n"),
        "{output:?}"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_one_clear_error() {
    for option in ["--output", "--summary-json"] {
        let output = run(&["--pages", "3", option, "/nonexistent/file"]);
        assert_eq!(output.status.code(), Some(1));
        let message = text(&output.stderr);
        assert!(
            message.starts_with("heist-crawl: cannot write `/nonexistent/file`: "),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1);
    }
    // A disk that is full shows only while writing.
    let output = run(&["--pages", "500", "--output", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        text(&output.stderr).contains("cannot write `/dev/full`: "),
        "{output:?}"
    );
}

#[test]
fn a_reader_that_leaves_ends_the_crawl_cleanly() {
    let mut child = program()
        .args(["--pages", "1000000", "--output", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"url\":"), "{line}");
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("  stopped\n"),
        "{}",
        text(&output.stderr)
    );
    assert!(!text(&output.stderr).contains("panicked"));
}

fn signal(child: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &child.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn an_interrupt_stops_the_crawl_with_its_summary() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("summary.json");
        let mut child = program()
            .args([
                "--pages",
                "100000",
                "--delay-ms",
                "5..10",
                "--output",
                "-",
                "--summary-json",
            ])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = String::new();
        for _ in 0..20 {
            stdout.read_line(&mut lines).unwrap();
        }
        signal(child.id(), name);
        let sent = Instant::now();
        stdout.read_to_string(&mut lines).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            sent.elapsed() < Duration::from_secs(10),
            "{:?}",
            sent.elapsed()
        );
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        let summary: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(summary["end"], "stopped");
        assert_eq!(
            summary["pages"],
            lines.lines().count(),
            "a line for every page"
        );
        assert!(text(&output.stderr).contains("  stopped\n"));
    }
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    // Nobody reads standard output, so the first interrupt cannot finish the output.
    let mut child = program()
        .args(["--pages", "1000000", "--output", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // One byte shows that it runs; then the pipe fills up.
    stdout.read_exact(&mut [0]).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    signal(child.id(), "INT");
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        child.try_wait().unwrap().is_none(),
        "the output is still waiting for its reader"
    );
    signal(child.id(), "INT");
    let sent = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        sent.elapsed() < Duration::from_secs(2),
        "{:?}",
        sent.elapsed()
    );
    drop(stdout);
}

#[test]
fn a_terminal_gets_a_display_that_stays_in_place() {
    let command = format!(
        "{} --pages 4000 --delay-ms 10..20",
        env!("CARGO_BIN_EXE_heist-crawl")
    );
    let script = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .output();
    let Ok(output) = script else {
        eprintln!("skipped: needs `script` of util-linux");
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.contains(" pages/s")
            && shown.contains(" in the queue")
            && shown.contains(" in flight"),
        "{shown}"
    );
    // It is drawn over, and gone at the end.
    assert!(
        shown.matches(" in the queue").count() > 2 && shown.contains("\x1b["),
        "{shown}"
    );
    assert!(
        shown
            .trim_end()
            .rsplit("\x1b[")
            .next()
            .unwrap()
            .contains("pages/s "),
        "{shown}"
    );

    let quiet = Command::new("script")
        .args(["-qec", &format!("{command} --quiet"), "/dev/null"])
        .env("TERM", "xterm")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&quiet.stdout), "");
}

/// A log of a long crawl says how it goes. The negative control, tried: the display for nobody in place of the one for a pipe.
#[test]
fn a_pipe_gets_a_plain_line_now_and_then() {
    let output = run(&["--pages", "230", "--delay-ms", "50", "--concurrency", "1"]);
    let lines = text(&output.stderr);
    assert!(
        (1..=2).contains(&lines.lines().count()) && lines.contains(" in flight, "),
        "{lines}"
    );
}

#[test]
fn a_pipe_gets_more_plain_lines_if_it_wants_them() {
    let output = run(&[
        "--pages",
        "3000",
        "--delay-ms",
        "60",
        "--concurrency",
        "64",
        "-v",
    ]);
    let lines = text(&output.stderr);
    assert!(
        lines
            .lines()
            .all(|line| line.starts_with("heist-crawl: ") && line.contains(" in flight")),
        "{lines}"
    );
    assert!(
        lines.lines().count() >= 1 && !lines.contains('\x1b'),
        "{lines}"
    );
}

#[test]
fn a_report_is_one_page_of_html() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let output = program()
        .args(["--pages", "300", "--quiet", "--report"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr)
        ),
        (Some(0), "", "")
    );
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<b>300</b><span>pages</span>"));
    assert_eq!(page.matches("<svg").count(), 4);
}

#[test]
fn completions_the_manual_and_the_examples_are_there() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["--completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            text(&output.stdout).contains("max-pages-per-host"),
            "{shell}"
        );
    }
    let manual = run(&["--man"]);
    let manual = text(&manual.stdout);
    assert!(
        manual.contains(".TH heist-crawl 1") && manual.contains("journal"),
        "{manual}"
    );
    let help = run(&["--help"]);
    let help = text(&help.stdout);
    assert!(help.contains("Examples:") && help.contains("Exit status:") && help.contains("128+N"));
    assert!(
        help.lines().all(|line| line.chars().count() <= 130),
        "{help}"
    );
}

#[test]
fn flags_come_from_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crawl.toml");
    fs::write(
        &file,
        "pages = 50\nmax-pages = 20\nsummary-json = \"-\"\nquiet = true\n",
    )
    .unwrap();
    let run_with = |more: &[&str]| {
        let output = program()
            .arg("--config")
            .arg(&file)
            .args(more)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        summary["pages"].as_u64().unwrap()
    };
    assert_eq!(run_with(&[]), 20);
    assert_eq!(run_with(&["--max-pages", "7"]), 7);
    fs::write(&file, "max-pagez = 20\n").unwrap();
    let output = program().arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("crawl.toml") && text(&output.stderr).contains("max-pagez")
    );
}

#[test]
fn a_crawl_of_a_busy_site_says_what_it_skipped() {
    let server = Scripted::start(|path| match path {
        "/" => page(&["/a", "/b", "/c"]),
        _ => response("500 Oh No", "", ""),
    });
    let output = run(&[
        &server.url("/"),
        "--error-budget",
        "2",
        "--concurrency",
        "1",
    ]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output.stdout);
    assert!(
        table.contains("skipped                1") && table.contains("given up               1"),
        "{table}"
    );
}
