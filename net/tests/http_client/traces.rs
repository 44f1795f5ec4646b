//! What the feature `tracing` tells, and what it does not.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use heist_net::http::{Client, Retry};
use heist_runtime::block_on;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::server::*;

type Fields = BTreeMap<&'static str, String>;

/// Writes down the fields of each span and each event, and how many spans are not closed.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    spans: Vec<Fields>,
    events: Vec<Fields>,
    /// Handles of spans that are still there.
    open: usize,
}

struct Line<'a>(&'a mut Fields);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0
            .insert(field.name(), format!("{value:?}").replace('"', ""));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "heist::http"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut told = self.0.lock().unwrap();
        let mut fields = Fields::new();
        span.record(&mut Line(&mut fields));
        told.spans.push(fields);
        told.open += 1;
        Id::from_u64(told.spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let fields = &mut self.0.lock().unwrap().spans[id.into_u64() as usize - 1];
        values.record(&mut Line(fields));
    }

    fn event(&self, event: &Event<'_>) {
        assert!(event.parent().is_some(), "an event is of a request");
        let mut fields = Fields::new();
        event.record(&mut Line(&mut fields));
        self.0.lock().unwrap().events.push(fields);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.lock().unwrap().open += 1;
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        let mut told = self.0.lock().unwrap();
        told.open -= 1;
        told.open == 0
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What a client tells that fetches this, in a span each.
fn told(client: &Client, urls: &[&str]) -> Told {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        for url in urls {
            drop(block_on(get(client, url)));
        }
    });
    std::mem::take(&mut *log.0.lock().unwrap())
}

fn has(fields: &Fields, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(
            fields.get(name).map(String::as_str),
            Some(*value),
            "{name} in {fields:?}"
        );
    }
}

/// Control: with the whole URL in `public` of `trace.rs` the secrets are told.
#[test]
fn a_request_tells_its_phases_and_no_secret() {
    let server = Server::new(|peer| {
        while let Some(head) = peer.request() {
            peer.send(&if head.starts_with("GET /goal") {
                ok("goal")
            } else {
                let to = "Location: /goal?token=secret#secret";
                format!("HTTP/1.1 302 Found\r\n{to}\r\nContent-Length: 0\r\n\r\n")
            });
        }
    });
    let url = server.url("/start?key=secret#secret");
    let url = url.replace("http://", "http://me:secret@");
    let told = told(&client(), &[&url]);
    assert_eq!((told.spans.len(), told.open), (1, 0));
    let port = server.address().port().to_string();
    has(
        &told.spans[0],
        &[
            ("otel.name", "GET"),
            ("otel.kind", "client"),
            ("http.request.method", "GET"),
            ("url.full", &server.url("/start")),
            ("server.address", "127.0.0.1"),
            ("server.port", &port),
            ("network.peer.address", "127.0.0.1"),
            ("network.peer.port", &port),
            ("network.protocol.version", "1.1"),
            ("http.response.status_code", "200"),
            ("http.response.body.size", "4"),
            ("http.request.resend_count", "1"),
            ("heist.connection.reused", "true"),
        ],
    );
    assert!(!told.spans[0].contains_key("error.type"));
    assert_eq!(told.events.len(), 1);
    let to = server.url("/goal");
    has(
        &told.events[0],
        &[("message", "redirect"), ("url.full", &to)],
    );
    let all = format!("{:?} {:?}", told.spans, told.events);
    assert!(!all.contains("secret"), "{all}");
}

#[test]
fn retries_and_failures_are_told() {
    let server = Server::new(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let retry = Retry::times(1).backoff(millis(1), millis(1));
    let client = Client::builder().retry(retry).build().unwrap();
    let told = told(&client, &[&server.url("/"), "http://127.0.0.1:1/"]);
    assert_eq!((told.spans.len(), told.open), (2, 0));
    has(
        &told.spans[0],
        &[("error.type", "503"), ("http.request.resend_count", "1")],
    );
    has(
        &told.spans[1],
        &[("error.type", "connect"), ("otel.status_code", "ERROR")],
    );
    assert!(!told.spans[1].contains_key("http.response.status_code"));
    let reasons: Vec<_> = (told.events.iter())
        .map(|it| &*it["heist.retry.reason"])
        .collect();
    assert_eq!(reasons, ["503", "connect"]);
}

#[test]
fn a_wait_for_the_pool_is_told() {
    let server = Server::answering(ok("hello"));
    let client = Client::builder()
        .max_connections_per_host(1)
        .build()
        .unwrap();
    let log = Log::default();
    let url = server.url("/");
    tracing::subscriber::with_default(log.clone(), || {
        let both = block_on(async { join([get(&client, &url), get(&client, &url)]).await });
        assert!(both.iter().all(Result::is_ok));
    });
    let told = log.0.lock().unwrap();
    has(&told.spans[0], &[("heist.connection.reused", "false")]);
    has(&told.spans[1], &[("heist.connection.reused", "true")]);
    assert_eq!(told.events.len(), 2, "{:?}", told.events);
    assert!(told.events[1].contains_key("heist.pool.wait"));
}
