//! The server against curl, h2load and wrk.

use std::process::Command;

use heist_runtime::spawn_blocking;

use crate::support::{run, start};

/// Runs a program to its end, if it is installed, and returns what it prints.
async fn output(program: &'static str, arguments: Vec<String>) -> Option<String> {
    let run = move || Command::new(program).args(arguments).output();
    let output = match spawn_blocking(run).await.unwrap() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        output => output.unwrap(),
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{program}: {text}");
    Some(text)
}

fn words(line: &str, url: String) -> Vec<String> {
    line.split_whitespace()
        .map(str::to_owned)
        .chain([url])
        .collect()
}

#[test]
fn curl() {
    run(async {
        let server = start(|server| server).await;
        for how in ["--http1.1", "--http2-prior-knowledge", "--http1.0"] {
            let line = format!("-sS --max-time 10 {how} --data-binary @Cargo.toml");
            let Some(text) = output("curl", words(&line, server.url("/echo"))).await else {
                break;
            };
            let file = std::fs::read_to_string("Cargo.toml").unwrap();
            assert_eq!(text, file, "{how}");
        }
        server.stop().await;
    });
}

/// Requests by the thousand: all succeed.
#[test]
fn h2load() {
    run(async {
        let server = start(|server| server).await;
        for how in ["", "--h1"] {
            let line = format!("{how} -n 2000 -c 10 -m 20");
            let Some(text) = output("h2load", words(&line, server.url("/"))).await else {
                break;
            };
            let all = "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored";
            assert!(text.contains(all), "{text}");
        }
        server.stop().await;
    });
}

#[test]
fn wrk() {
    run(async {
        let server = start(|server| server).await;
        let line = "-c 32 -t 1 -d 1s";
        if let Some(text) = output("wrk", words(line, server.url("/"))).await {
            assert!(
                !text.contains("Non-2xx") && !text.contains("Socket errors"),
                "{text}"
            );
            assert!(server.now().requests > 100, "{text}");
        }
        server.stop().await;
    });
}
