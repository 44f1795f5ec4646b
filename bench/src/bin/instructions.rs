//! Counts the instructions of the operations that everything is made of, and compares them with a budget.
//!
//! Times on a shared machine vary by more than most changes are worth; instructions do not. Each operation
//! is run under `valgrind --tool=callgrind`, N times and 2N times on one worker, in processes of their own.
//! The difference, divided by N, is what one costs, without what it takes to start. Only instructions in
//! user mode count: those of the kernel, cache misses and locked instructions are what `compare` is for.
//!
//! The budget is `bench/instructions.toml`. A change that costs more than 3 % of it fails; if it is worth
//! that, raise the budget in its commit, with the reason (`--update` writes the file).

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    future::poll_fn,
    hint::black_box,
    net::Ipv4Addr,
    path::PathBuf,
    process::{Command, ExitCode},
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    time::Duration,
};

use clap::{Parser, ValueEnum};
use heist::{
    Builder,
    net::{
        TcpListener, TcpStream,
        http::h1::{Connection, Event, Limits, RequestBody, RequestHead},
    },
    time,
};
use http::{HeaderMap, HeaderValue, Method, Version, header::ACCEPT};

/// Count instructions and compare them with the budget.
#[derive(Debug, Parser)]
struct Options {
    /// Count only these.
    #[arg(long, value_enum)]
    only: Vec<Operation>,
    /// Write the counts into the budget instead of comparing them.
    #[arg(long)]
    update: bool,
    /// Do this operation, `--times` times, and end: what is run under valgrind.
    #[arg(long, value_enum, hide = true, requires = "times")]
    run: Option<Operation>,
    #[arg(long, hide = true)]
    times: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Operation {
    /// Spawn a task that is ready at its first poll, and join it.
    Spawn,
    /// Wake another task, which is then polled.
    Wake,
    /// Yield to the next task.
    Yield,
    /// A timeout around a future that is pending once: set a timer, and take it back.
    Timer,
    /// Send 64 bytes over TCP, echo them and receive them, all on one worker.
    Echo,
    /// Encode a request for HTTP/1.1, and decode a response of 1 KiB.
    Http,
}

/// How much more than the budget an operation may cost.
const TOLERANCE: f64 = 1.03;
/// A budget that is this much too high should be lowered.
const SLACK: f64 = 0.97;

fn main() -> ExitCode {
    let options = Options::parse();
    if let (Some(operation), Some(times)) = (options.run, options.times) {
        operation.run(times);
        return ExitCode::SUCCESS;
    }
    match compare(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// Counts everything that is asked for; tells whether all of it is within the budget.
fn compare(options: &Options) -> Result<bool, String> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml"));
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut budget = parse(&text)?;
    let operations = match &options.only[..] {
        [] => Operation::value_variants(),
        some => some,
    };
    println!("| operation | instructions | budget | of it | |");
    println!("|---|---|---|---|---|");
    let mut within = true;
    for operation in operations {
        let name = operation.name();
        let count = operation.count()?;
        if options.update {
            budget.insert(name.clone(), count);
        }
        let Some(allowed) = budget.get(&name) else {
            println!("| {name} | {count:.0} | - | - | **has no budget** |");
            within = false;
            continue;
        };
        let share = count / allowed;
        let (is_within, remark) = judge(share);
        within &= is_within;
        println!(
            "| {name} | {count:.0} | {allowed:.0} | {:.1} % | {remark} |",
            share * 100.0
        );
    }
    if options.update {
        fs::write(&path, print(&budget)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if !within {
        println!(
            "\nMore than the budget allows. If that is worth it, raise bench/instructions.toml in the"
        );
        println!("same commit (`--update`), and say why.");
    }
    Ok(within)
}

/// Whether such a part of the budget is within it, and a remark for the table.
fn judge(share: f64) -> (bool, &'static str) {
    if share > TOLERANCE {
        (false, "**too many**")
    } else if share < SLACK {
        (true, "fewer: lower the budget")
    } else {
        (true, "")
    }
}

/// Reads lines like `spawn = 123`.
fn parse(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let entry = line.split_once('=').and_then(|(name, count)| {
                let count = count.trim().parse().ok()?;
                Some((name.trim().to_owned(), count))
            });
            entry.ok_or_else(|| format!("the budget has a line that is no entry: {line}"))
        })
        .collect()
}

fn print(budget: &BTreeMap<String, f64>) -> String {
    let mut text = "\
# Instructions in user mode for each operation, as `cargo run --release -p heist-bench --bin instructions`
# counts them on x86-64. More than 3 % above fails in CI: raise it only with the reason in the commit.
"
    .to_owned();
    for (name, count) in budget {
        let _ = writeln!(text, "{name} = {count:.0}");
    }
    text
}

impl Operation {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("no variant is skipped");
        value.get_name().to_owned()
    }

    /// The instructions of one of them.
    fn count(self) -> Result<f64, String> {
        let times = match self {
            Self::Spawn | Self::Wake | Self::Yield | Self::Timer => 4000,
            Self::Echo | Self::Http => 1000,
        };
        let (once, twice) = (self.under_valgrind(times)?, self.under_valgrind(2 * times)?);
        Ok(twice.saturating_sub(once) as f64 / f64::from(times))
    }

    /// The instructions of a process that does so many.
    fn under_valgrind(self, times: u32) -> Result<u64, String> {
        let program = env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args(["--run", &self.name(), "--times", &times.to_string()])
            .output()
            .map_err(|error| format!("valgrind cannot be run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let count = text
            .lines()
            .find_map(|line| line.split_once("Collected :"))
            .and_then(|(_, count)| count.trim().parse().ok());
        count
            .filter(|_| output.status.success())
            .ok_or_else(|| format!("{} under valgrind failed: {text}", self.name()))
    }

    /// Does it so many times, on one worker.
    fn run(self, times: u32) {
        if let Self::Http = self {
            return codec(times);
        }
        let runtime = Builder::new()
            .worker_threads(1)
            .build()
            .expect("io_uring is permitted here");
        runtime.block_on(async move {
            let task = match self {
                Self::Spawn => heist::spawn(spawns(times)),
                Self::Wake => heist::spawn(wakes(times)),
                Self::Yield => heist::spawn(yields(times)),
                Self::Timer => heist::spawn(timers(times)),
                Self::Echo => heist::spawn(echoes(times)),
                Self::Http => unreachable!("it needs no runtime"),
            };
            task.await.expect("the task does not panic");
        });
    }
}

async fn spawns(times: u32) {
    for i in 0..times {
        let task = heist::spawn(async move { black_box(i) });
        assert_eq!(task.await.expect("the task does not panic"), i);
    }
}

/// Two tasks wake each other in turn, half of the times each.
async fn wakes(times: u32) {
    let slots = Arc::new([const { Mutex::new(None::<Waker>) }; 2]);
    let tasks = [0, 1].map(|mine| {
        let slots = Arc::clone(&slots);
        let mut left = times / 2;
        heist::spawn(poll_fn(move |context| {
            let waker = slots[1 - mine]
                .lock()
                .expect("nobody panics with it")
                .take();
            if let Some(waker) = waker {
                waker.wake();
            }
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            let waker = context.waker().clone();
            *slots[mine].lock().expect("nobody panics with it") = Some(waker);
            Poll::Pending
        }))
    });
    for task in tasks {
        task.await.expect("the task does not panic");
    }
}

async fn yields(times: u32) {
    let tasks = [(); 2].map(|()| {
        heist::spawn(async move {
            for _ in 0..times / 2 {
                heist::yield_now().await;
            }
        })
    });
    for task in tasks {
        task.await.expect("the task does not panic");
    }
}

async fn timers(times: u32) {
    for _ in 0..times {
        let in_time = time::timeout(Duration::from_secs(60), heist::yield_now()).await;
        assert!(in_time.is_ok(), "it yields only once");
    }
}

async fn echoes(times: u32) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let mut near = TcpStream::connect(address).await.expect("it listens");
    let (mut far, _) = listener.accept().await.expect("somebody connects");
    near.set_nodelay(true).expect("TCP has this option");
    far.set_nodelay(true).expect("TCP has this option");
    let server = heist::spawn(async move {
        while let Ok(Some(bytes)) = far.recv().await {
            if far.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    for _ in 0..times {
        near.write_all(&[b'x'; 64]).await.expect("the peer reads");
        let mut missing: usize = 64;
        while missing > 0 {
            let bytes = near
                .recv()
                .await
                .expect("the peer answers")
                .expect("the peer stays");
            missing -= bytes.len();
        }
    }
    drop(near);
    server.await.expect("the server does not panic");
}

fn codec(times: u32) {
    let none = HeaderMap::new();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let request = RequestHead {
        method: &Method::GET,
        target: "/a/path/of/some/length?and=a&query=string",
        host: "www.example.com",
        port: None,
        headers: &headers,
        defaults: &none,
        version: Version::HTTP_11,
        body: RequestBody::None,
    };
    let mut response = b"HTTP/1.1 200 OK\r\n\
        Server: nginx/1.27.0\r\n\
        Date: Fri, 27 Nov 2026 09:00:00 GMT\r\n\
        Content-Type: text/html; charset=utf-8\r\n\
        Content-Length: 1024\r\n\
        Connection: keep-alive\r\n\
        ETag: \"65f0-400\"\r\n\r\n"
        .to_vec();
    response.resize(response.len() + 1024, b'x');
    let mut connection = Connection::new(Limits::default());
    let mut out = Vec::new();
    for _ in 0..times {
        out.clear();
        connection
            .encode_request(black_box(&request), &mut out)
            .expect("the request keeps the rules");
        let mut input = black_box(&response[..]);
        let mut length = 0;
        loop {
            let received = connection.receive(input);
            let (used, event) = received.expect("the response keeps the rules");
            input = &input[used..];
            match event {
                Event::Head(head) => assert_eq!(head.status(), 200),
                Event::Data(data) => length += data.len(),
                Event::Trailers(_) | Event::NeedMore => {
                    unreachable!("it has a length and is whole")
                }
                Event::End => break,
            }
        }
        assert_eq!(length, 1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_read_as_it_is_written() {
        let budget = BTreeMap::from([("spawn".to_owned(), 1081.0), ("yield".to_owned(), 351.0)]);
        assert_eq!(parse(&print(&budget)), Ok(budget));
        assert!(parse("spawn: 3").is_err());
        assert!(parse("spawn = many").is_err());
    }

    #[test]
    fn only_what_is_far_above_fails() {
        assert_eq!(judge(1.0), (true, ""));
        assert_eq!(judge(1.029), (true, ""));
        assert_eq!(judge(1.031), (false, "**too many**"));
        assert!(judge(0.9).0);
    }

    #[test]
    fn every_operation_has_a_budget() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml");
        let text = fs::read_to_string(path).expect("the budget is in the repository");
        let budget = parse(&text).expect("it keeps the form");
        for operation in Operation::value_variants() {
            assert!(budget.contains_key(&operation.name()), "{operation:?}");
        }
    }
}
