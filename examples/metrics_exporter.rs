//! The numbers of the runtime and of a server for Prometheus:
//! `cargo run --features hyper --example metrics_exporter -- 127.0.0.1:9100`, and `curl 127.0.0.1:9100/metrics`.
//!
//! The text format is [version 0.0.4](https://prometheus.io/docs/instrumenting/exposition_formats/).

use std::convert::Infallible;
use std::fmt::Write;

use heist::RuntimeMetrics;
use heist::net::TcpListener;
use heist::net::hyper::{Incoming, ServerMetrics, ServerSnapshot, serve};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};

/// A text in the making.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One number.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// A counter of each worker.
    fn workers(
        &mut self,
        runtime: &RuntimeMetrics,
        name: &str,
        help: &str,
        value: impl Fn(&heist::WorkerMetrics) -> u64,
    ) {
        self.family(name, "counter", help);
        for worker in &runtime.workers {
            let (index, value) = (worker.index, value(worker));
            let _ = writeln!(self.0, "{name}{{worker=\"{index}\"}} {value}");
        }
    }

    fn runtime(&mut self, runtime: &RuntimeMetrics) {
        self.workers(runtime, "heist_polls_total", "Tasks polled.", |it| it.polls);
        self.workers(
            runtime,
            "heist_steals_total",
            "Times that tasks were taken from siblings.",
            |it| it.steals,
        );
        self.workers(
            runtime,
            "heist_parks_total",
            "Times that the worker went to sleep.",
            |it| it.parks,
        );
        self.workers(
            runtime,
            "heist_enters_total",
            "Calls of io_uring_enter, or of what takes its place.",
            |it| it.enters,
        );
        self.workers(
            runtime,
            "heist_completions_total",
            "Completions read.",
            |it| it.completions,
        );
        self.workers(runtime, "heist_timers_total", "Timers fired.", |it| {
            it.timers_fired
        });
        let threads = runtime.blocking_threads as u64;
        self.one(
            "heist_blocking_threads",
            "gauge",
            "Threads that may block.",
            threads,
        );
        let panics = runtime.contained_panics;
        self.one(
            "heist_contained_panics_total",
            "counter",
            "Panics without an owner.",
            panics,
        );
    }

    fn server(&mut self, server: &ServerSnapshot) {
        self.one(
            "http_connections",
            "gauge",
            "Connections that are open.",
            server.open,
        );
        self.one(
            "http_connections_total",
            "counter",
            "Connections accepted.",
            server.total,
        );
        self.one(
            "http_refused_total",
            "counter",
            "Connections without a request.",
            server.refused,
        );
        self.one(
            "http_requests_total",
            "counter",
            "Requests begun.",
            server.requests,
        );
        self.one(
            "http_requests_in_flight",
            "gauge",
            "Requests not answered yet.",
            server.in_flight,
        );
        self.one(
            "http_received_bytes_total",
            "counter",
            "Bytes received.",
            server.bytes_received,
        );
        self.one(
            "http_sent_bytes_total",
            "counter",
            "Bytes sent.",
            server.bytes_sent,
        );
    }
}

fn answer(request: &Request<Incoming>, server: &ServerMetrics) -> Response<String> {
    if request.uri().path() != "/metrics" {
        let mut response = Response::new("see /metrics\n".to_owned());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let mut page = Page::default();
    page.runtime(&heist::Handle::current().metrics());
    page.server(&server.snapshot());
    let mut response = Response::new(page.0);
    let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[heist::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:9100".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let metrics = ServerMetrics::default();
    let shown = metrics.clone();
    let service = service_fn(move |request| {
        let response = answer(&request, &shown);
        async move { Ok::<_, Infallible>(response) }
    });
    serve(listener, service).with_metrics(metrics).await
}
