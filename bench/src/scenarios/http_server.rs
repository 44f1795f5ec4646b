//! HTTP servers, under the load of wrk and h2load.
//!
//! Each is hyper's, in a process of its own, and answers every request with the same thirteen bytes: Heist's is
//! `heist::net::hyper::serve` as it comes, with its limits and timeouts; tokio's is hyper-util's `auto` connection in a
//! task of its own, which is what axum serves with. wrk keeps 64 connections of HTTP/1.1 busy, h2load 64 of HTTP/2 with
//! ten streams each. They share the CPUs with the server, and are the same for both.
//!
//! The processor time is the server's, divided by the requests that the load generator counts.

use std::{convert::Infallible, io::Read as _, process::Command, thread, time::Duration};

use bytes::Bytes;
use heist::net::hyper::serve;
use http::{Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde::{Deserialize, Serialize};

use crate::{
    child::Process,
    contender::Contender,
    meter::{self, Cost, Meter},
    scenario::{AnyScenario, Measure, Outcome, Point, Scale, Setup},
    stats::micros,
};

/// Connections that are kept busy.
const CONNECTIONS: usize = 64;
/// Streams of a connection of HTTP/2.
const STREAMS: usize = 10;

/// What the load generator speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Load {
    Wrk,
    H2load,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct HttpServer {
    load: Load,
}

/// The scenarios of this module.
#[must_use]
pub fn list(_scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    [Load::Wrk, Load::H2load]
        .into_iter()
        .map(|load| Box::new(HttpServer { load }) as Box<dyn AnyScenario>)
        .collect()
}

impl AnyScenario for HttpServer {
    fn name(&self) -> String {
        match self.load {
            Load::Wrk => format!("HTTP/1.1 server, {CONNECTIONS} connections"),
            Load::H2load => format!("HTTP/2 server, {CONNECTIONS} connections"),
        }
    }

    fn measures(&self) -> Vec<Measure> {
        let mut measures = vec![
            Measure::more("throughput", "requests/s"),
            Measure::less("processor time", "us/request"),
        ];
        // h2load tells no quantiles.
        if self.load == Load::Wrk {
            measures.push(Measure::less("p99 latency", "us"));
        }
        measures
    }

    fn points(&self) -> Vec<Point> {
        Vec::new()
    }

    fn contenders(&self) -> Vec<(Contender, Result<(), &'static str>)> {
        let runs = match self.load {
            Load::Wrk if !is_installed("wrk") => Err("needs wrk, which is not installed"),
            Load::H2load if !is_installed("h2load") => Err("needs h2load, which is not installed"),
            _ => Ok(()),
        };
        [Contender::Heist, Contender::Tokio]
            .map(|contender| (contender, runs))
            .into()
    }

    fn run_on(&self, contender: Contender, setup: Setup) -> Outcome {
        self.run_once(contender, setup)
    }

    fn run_once(&self, contender: Contender, setup: Setup) -> Outcome {
        let mut server = Process::start(&format!("web {} {}", contender.name(), setup.workers));
        let address = server.line("127.").expect("the server listens");
        let seconds = setup.scale.pick(3, 1);
        server.signal();
        let told = self.load.start(&format!("http://{address}/"), seconds);
        let served: Served = serde_json::from_str(&server.answer()).expect("it tells its cost");
        let cost = served.cost;
        let requests = told.requests.max(1.0);
        let mut values = vec![told.rate, micros(cost.cpu) / requests];
        values.extend(told.p99);
        Outcome {
            peak_memory: Some(served.peak_memory),
            ..Outcome::new(cost.elapsed, values, cost, requests as u64)
        }
    }

    fn time_on(&self, contender: Contender, setup: Setup, times: u64) -> Duration {
        // Criterion wants a time that falls as the rate rises: that of a million requests.
        let run = |_| Duration::from_secs_f64(1e6 / self.run_once(contender, setup).values[0]);
        (0..times).map(run).sum()
    }
}

fn is_installed(program: &str) -> bool {
    // Both print their version, and wrk then fails.
    Command::new(program).arg("--version").output().is_ok()
}

/// What a load generator tells.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    requests: f64,
    rate: f64,
    /// In microseconds.
    p99: Option<f64>,
}

/// A run of a load generator.
#[derive(Debug, Serialize, Deserialize)]
struct Run {
    load: Load,
    url: String,
    seconds: u32,
}

/// What the process does that [`Load::start`] starts.
pub(crate) fn run(job: &str) -> String {
    let run: Run = serde_json::from_str(job).expect("the parent writes a job");
    let told = run.load.run(&run.url, run.seconds);
    serde_json::to_string(&told).expect("it has only plain fields")
}

impl Load {
    /// Runs the generator in a process of its own. What a runtime has left open in this one would count for it: its
    /// connections fail when there is no room for their descriptors.
    fn start(self, url: &str, seconds: u32) -> Told {
        let run = Run {
            load: self,
            url: url.to_owned(),
            seconds,
        };
        let job = serde_json::to_string(&run).expect("it has only plain fields");
        let answer = Process::start(&format!("load {job}")).answer();
        serde_json::from_str(&answer).expect("the process writes what it was told")
    }

    /// Runs the generator, and checks that nothing has failed.
    fn run(self, url: &str, seconds: u32) -> Told {
        let mut command = match self {
            Self::Wrk => {
                let mut wrk = Command::new("wrk");
                wrk.args(["-t1", "--latency"])
                    .arg(format!("-c{CONNECTIONS}"));
                wrk.arg(format!("-d{seconds}s"));
                wrk
            }
            Self::H2load => {
                let mut h2load = Command::new("h2load");
                h2load.arg("-t1").arg(format!("-c{CONNECTIONS}"));
                h2load
                    .arg(format!("-m{STREAMS}"))
                    .arg(format!("-D{seconds}"));
                h2load
            }
        };
        let output = command.arg(url).output().expect("it is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "the load generator fails: {text}");
        match self {
            Self::Wrk => read_wrk(&text),
            Self::H2load => read_h2load(&text),
        }
        .unwrap_or_else(|| panic!("the load generator says something else: {text}"))
    }
}

/// The figures in the output of wrk; `None` if a request has failed.
fn read_wrk(text: &str) -> Option<Told> {
    let failed = ["Socket errors", "Non-2xx"]
        .iter()
        .any(|sign| text.contains(sign));
    let mut told = Told {
        requests: 0.0,
        rate: 0.0,
        p99: None,
    };
    for line in text.lines().map(str::trim) {
        if let Some(rate) = line.strip_prefix("Requests/sec:") {
            told.rate = rate.trim().parse().ok()?;
        } else if let Some(latency) = line.strip_prefix("99%") {
            told.p99 = micros_of(latency.trim());
        } else if let Some((requests, _)) = line.split_once(" requests in ") {
            told.requests = requests.parse().ok()?;
        }
    }
    (!failed && told.rate > 0.0 && told.p99.is_some()).then_some(told)
}

/// The figures in the output of h2load; `None` if a request has failed.
fn read_h2load(text: &str) -> Option<Told> {
    let number = |after: &str, before: &str| -> Option<f64> {
        let (_, rest) = text.split_once(after)?;
        let (number, _) = rest.split_once(before)?;
        number.trim().rsplit(' ').next()?.parse().ok()
    };
    let rate = number("finished in", " req/s")?;
    let requests = number("requests:", " total")?;
    let failed = number("done, ", " failed")?;
    (failed == 0.0).then_some(Told {
        requests,
        rate,
        p99: None,
    })
}

/// A time as wrk writes it, in microseconds.
fn micros_of(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_alphabetic())?;
    let scale = match &text[unit..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(text[..unit].parse::<f64>().ok()? * scale)
}

/// What the server's process tells at its end.
#[derive(Debug, Serialize, Deserialize)]
struct Served {
    cost: Cost,
    peak_memory: u64,
}

/// What that process does: it serves, is measured from the first byte of its input on, and ends with its input.
pub(crate) fn child(job: &str) -> String {
    let (contender, workers) = job.split_once(' ').expect("the parent writes a job");
    let workers: usize = workers.parse().expect("it is a number");
    let serve = match contender {
        "heist" => serve_on_heist,
        "tokio" => serve_on_tokio,
        other => panic!("{other} has no server here"),
    };
    thread::spawn(move || serve(workers));
    let mut input = std::io::stdin().lock();
    let _ = input.read(&mut [0]);
    let meter = Meter::start();
    let _ = input.read(&mut [0]);
    let served = Served {
        cost: meter.stop(),
        peak_memory: meter::peak_resident(),
    };
    serde_json::to_string(&served).expect("it has only plain fields")
}

/// Each server has bodies of its own.
async fn hello<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(
        b"Hello, World!",
    ))))
}

fn serve_on_heist(workers: usize) {
    let runtime = heist::Builder::new().worker_threads(workers).build();
    let runtime = runtime.expect("a runtime can be had");
    runtime.block_on(async {
        let listener = heist::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        println!("\n{}", listener.local_addr().expect("it is bound"));
        let service = service_fn(hello::<heist::net::hyper::Incoming>);
        serve(listener, service).await.expect("it serves");
    });
}

fn serve_on_tokio(workers: usize) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(workers).enable_all().build();
    runtime.expect("a runtime can be had").block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        println!("\n{}", listener.local_addr().expect("it is bound"));
        // A root future of tokio's is no task of a worker's.
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("it listens");
                stream.set_nodelay(true).expect("TCP has this option");
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let service = service_fn(hello::<hyper::body::Incoming>);
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    // The load generator closes its connections as it likes.
                    let _ = connection.await;
                });
            }
        });
        accepting.await.expect("it does not panic");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says() {
        let text = "Running 3s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  \
            Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency   601.05us  200.1us   9.65ms   92.9%\n  \
            Latency Distribution\n     50%  583.00us\n     99%    1.12ms\n  \
            317563 requests in 3.01s, 39.98MB read\nRequests/sec: 105504.38\nTransfer/sec:     13.28MB\n";
        let told = Told {
            requests: 317_563.0,
            rate: 105_504.38,
            p99: Some(1120.0),
        };
        assert_eq!(read_wrk(text), Some(told));
        let failed = format!("{text}  Socket errors: connect 0, read 3, write 0, timeout 0\n");
        assert_eq!(read_wrk(&failed), None);
    }

    #[test]
    fn what_h2load_says() {
        let text = "finished in 3.00s, 123456.67 req/s, 5.5MB/s\n\
            requests: 370370 total, 370370 started, 370370 done, 370370 succeeded, 0 failed, 0 errored, 0 timeout\n";
        let told = Told {
            requests: 370_370.0,
            rate: 123_456.67,
            p99: None,
        };
        assert_eq!(read_h2load(text), Some(told));
        assert_eq!(read_h2load(&text.replace(" 0 failed", " 7 failed")), None);
    }

    #[test]
    fn units() {
        assert_eq!(micros_of("583.00us"), Some(583.0));
        assert_eq!(micros_of("1.50ms"), Some(1500.0));
        assert_eq!(micros_of("2.00s"), Some(2e6));
        assert_eq!(micros_of("2.00"), None);
    }
}
