//! What the feature `tracing` tells a subscriber, and what a subscriber may do while it is told.
//!
//! Controls, tried once each: without the call of `trace` in its place a test finds no event, and without the guard and the
//! containment in `trace::emit` the tests of the two unruly subscribers fail.

#![cfg(feature = "tracing")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::future::{Future, pending};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use heist_runtime::ops::{Receiver, SharedFd};
use heist_runtime::{
    Builder, Handle, RingProfile, Runtime, spawn, spawn_blocking, task, yield_now,
};
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

/// An event as it was received.
#[derive(Debug, Clone)]
struct Record {
    target: &'static str,
    level: Level,
    fields: HashMap<&'static str, String>,
}

impl Record {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn is(&self, target: &str, level: Level, message: &str) -> bool {
        self.target == target && self.level == level && self.field("message") == message
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

type Reaction = Arc<dyn Fn(&Record) + Send + Sync>;

static RECORDS: Mutex<Vec<Record>> = Mutex::new(Vec::new());
static REACTION: Mutex<Option<Reaction>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps every event, and reacts to it as the test wants.
struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut record = Record {
            target: event.metadata().target(),
            level: *event.metadata().level(),
            fields: HashMap::new(),
        };
        event.record(&mut record);
        lock(&RECORDS).push(record.clone());
        let reaction = lock(&REACTION).clone();
        if let Some(reaction) = reaction {
            reaction(&record);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// One test at a time: the subscriber is the whole process's.
struct Alone {
    _guard: MutexGuard<'static, ()>,
}

impl Alone {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        static SUBSCRIBE: Once = Once::new();
        let guard = lock(&ALONE);
        SUBSCRIBE.call_once(|| tracing::subscriber::set_global_default(Collector).unwrap());
        lock(&RECORDS).clear();
        Self { _guard: guard }
    }

    /// Reacts to every event from now on.
    fn react(&self, reaction: impl Fn(&Record) + Send + Sync + 'static) {
        *lock(&REACTION) = Some(Arc::new(reaction));
    }

    fn all(&self, target: &str, level: Level, message: &str) -> Vec<Record> {
        let mut records = lock(&RECORDS).clone();
        records.retain(|record| record.is(target, level, message));
        records
    }

    /// The only such event.
    #[track_caller]
    fn one(&self, target: &str, level: Level, message: &str) -> Record {
        let mut found = self.all(target, level, message);
        assert_eq!(
            found.len(),
            1,
            "{message}: {found:?} of {:?}",
            lock(&RECORDS)
        );
        found.remove(0)
    }

    /// The event of the task with this name.
    #[track_caller]
    fn of_task(&self, name: &str, level: Level, message: &str) -> Record {
        let mut found = self.all("heist::task", level, message);
        found.retain(|record| record.field("name") == name);
        assert_eq!(found.len(), 1, "{message}: {found:?}");
        found.remove(0)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        *lock(&REACTION) = None;
    }
}

fn runtime(workers: usize, profile: RingProfile) -> Runtime {
    let builder = Builder::new().worker_threads(workers).ring_profile(profile);
    builder.build().unwrap()
}

#[test]
fn a_life_from_start_to_end() {
    let alone = Alone::new();
    let runtime = runtime(2, RingProfile::Coop);
    runtime.block_on(async {
        spawn(pending::<()>());
        spawn_blocking(|| ()).await.unwrap();
    });
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());

    let built = alone.one("heist::runtime", Level::DEBUG, "runtime built");
    assert_eq!(built.field("workers"), "2");
    assert_eq!(built.field("profile"), "Coop");
    assert_ne!(built.field("rescue"), "signal");
    for message in ["worker thread started", "worker thread stopped"] {
        let event = alone.one("heist::worker", Level::DEBUG, message);
        assert_eq!(event.field("worker"), "1");
    }
    for verb in ["takes", "leaves"] {
        let message = format!("block_on {verb} the place of worker 0");
        alone.one("heist::worker", Level::DEBUG, &message);
    }
    for message in ["blocking thread started", "blocking thread ended"] {
        alone.one("heist::blocking", Level::DEBUG, message);
    }
    let begins = alone.one("heist::runtime", Level::DEBUG, "shutdown begins");
    assert_eq!(begins.field("grace"), "5s");
    let ended = alone.one("heist::runtime", Level::DEBUG, "runtime shut down");
    assert_eq!(ended.field("cancelled_tasks"), "1");
}

#[test]
fn an_end_that_leaves_something() {
    let alone = Alone::new();
    let runtime = runtime(2, RingProfile::Defer);
    let started = Arc::new(AtomicBool::new(false));
    let flag = started.clone();
    runtime.spawn(async move {
        flag.store(true, Ordering::SeqCst);
        thread::sleep(Duration::from_secs(1));
    });
    while !started.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let report = runtime.shutdown(Duration::from_millis(10));
    assert_eq!(report.stuck_workers, 1);

    alone.one(
        "heist::runtime",
        Level::WARN,
        "grace period over with tasks left",
    );
    let message = "runtime shut down, not everything ended";
    let ended = alone.one("heist::runtime", Level::WARN, message);
    assert_eq!(ended.field("stuck_workers"), "1");
    // The other tests want the worker gone.
    while alone
        .all("heist::worker", Level::DEBUG, "worker thread stopped")
        .is_empty()
    {
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn tasks_that_end() {
    let alone = Alone::new();
    let named = |name: &str| task::Builder::new().name(name);
    let id = runtime(1, RingProfile::Defer).block_on(async {
        named("completes").spawn_local(async {}).await.unwrap();
        let cancelled = named("is cancelled").spawn(pending::<()>());
        cancelled.abort();
        cancelled.await.unwrap_err();
        let panics = named("panics").spawn(async { panic!("on purpose") });
        let id = panics.id().to_string();
        assert!(panics.await.unwrap_err().is_panic());
        // Joined: nobody learns of an event later than of the end.
        let event = alone.of_task("panics", Level::ERROR, "task panicked");
        assert_eq!(event.field("id"), id);
        assert!(
            event.field("error").ends_with("panicked: on purpose"),
            "{event:?}"
        );
        id
    });
    let spawned = alone.of_task("panics", Level::TRACE, "task spawned");
    assert_eq!(spawned.field("id"), id);
    assert!(!spawned.fields.contains_key("bound_to"));
    let bound = alone.of_task("completes", Level::TRACE, "task spawned");
    assert_eq!(bound.field("bound_to"), "0");
    alone.of_task("completes", Level::TRACE, "task completed");
    let cancelled = alone.of_task("is cancelled", Level::TRACE, "task cancelled");
    assert_eq!(cancelled.field("aborted"), "true");
}

struct BadWaker;

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        panic!("a waker on purpose");
    }
}

#[test]
fn a_waker_that_panics() {
    let alone = Alone::new();
    let bad = Waker::from(Arc::new(BadWaker));
    runtime(1, RingProfile::Defer).block_on(async {
        let mut task = spawn(yield_now());
        let polled = pin!(&mut task).poll(&mut Context::from_waker(&bad));
        assert!(polled.is_pending());
        while !task.is_finished() {
            yield_now().await;
        }
    });
    let event = alone.one("heist::runtime", Level::WARN, "panic contained");
    assert_eq!(event.field("in_a"), "waker");
    assert_eq!(event.field("panic"), "a waker on purpose");
}

#[test]
fn receive_buffers_that_grow() {
    let alone = Alone::new();
    let builder = Builder::new().worker_threads(1).receive_buffer_size(64);
    let runtime = builder.receive_buffers(1, 4).build().unwrap();
    let (here, mut there) = UnixStream::pair().unwrap();
    let mut receiver = Receiver::new(SharedFd::new(here.into()));
    let held = runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..8 {
            there.write_all(&[7; 64]).unwrap();
            held.push(receiver.recv().await.unwrap().unwrap());
        }
        held
    });
    let grown = alone.all("heist::driver", Level::DEBUG, "receive buffers grown");
    let steps: Vec<_> = grown
        .iter()
        .map(|record| (record.field("before"), record.field("after")))
        .collect();
    assert_eq!(steps, [("1", "2"), ("2", "4")]);
    let message = "receive buffers exhausted";
    let exhausted = alone.all("heist::driver", Level::WARN, message);
    assert_eq!(exhausted[0].field("limit"), "4");
    drop(held);
}

/// A worker that does not get on: its sibling takes the task that waits behind it.
#[test]
fn a_rescue() {
    let alone = Alone::new();
    let seen = || {
        let rescues = alone.all("heist::worker", Level::TRACE, "rescued from a stuck worker");
        rescues.iter().any(|rescue| {
            let of = |name| rescue.field(name);
            (of("worker"), of("stuck"), of("tasks")) == ("1", "0", "1")
        })
    };
    runtime(2, RingProfile::Defer).block_on(async {
        let start = Instant::now();
        while !seen() {
            assert!(start.elapsed() < Duration::from_secs(20), "nobody rescues");
            let task = spawn(async {});
            let stuck = Instant::now();
            while !task.is_finished() && stuck.elapsed() < Duration::from_millis(500) {
                std::hint::spin_loop();
            }
            task.await.unwrap();
        }
    });
}

/// A subscriber that spawns a task for events of every kind, wherever they are emitted.
#[test]
fn a_subscriber_that_spawns() {
    const MOST: usize = 500;
    thread_local! {
        static INSIDE: Cell<bool> = const { Cell::new(false) };
    }
    let alone = Alone::new();
    let (spawned, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let nested = Arc::new(AtomicBool::new(false));
    let reaction = (spawned.clone(), ran.clone(), nested.clone());
    alone.react(move |_| {
        let (spawned, ran, nested) = &reaction;
        if INSIDE.replace(true) {
            nested.store(true, Ordering::SeqCst);
        }
        if let Some(handle) = Handle::try_current()
            && spawned.fetch_add(1, Ordering::SeqCst) < MOST
        {
            let ran = ran.clone();
            handle.spawn(async move {
                yield_now().await;
                ran.fetch_add(1, Ordering::SeqCst);
            });
        }
        INSIDE.set(false);
    });
    let runtime = runtime(2, RingProfile::Defer);
    runtime.block_on(async {
        let (here, mut there) = UnixStream::pair().unwrap();
        let mut receiver = Receiver::new(SharedFd::new(here.into()));
        let start = Instant::now();
        while ran.load(Ordering::SeqCst) < MOST {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{ran:?} of {spawned:?}"
            );
            task::Builder::new().spawn_local(async {}).await.unwrap();
            spawn(async { panic!("on purpose") }).await.unwrap_err();
            spawn_blocking(|| ()).await.unwrap();
            there.write_all(b"some").unwrap();
            receiver.recv().await.unwrap().unwrap();
        }
    });
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    assert!(!nested.load(Ordering::SeqCst), "events inside events");
}

#[test]
fn a_subscriber_that_panics() {
    let alone = Alone::new();
    alone.react(|_| panic!("a subscriber on purpose"));
    let runtime = runtime(2, RingProfile::Defer);
    let before = runtime.metrics().contained_panics;
    let sum = runtime.block_on(async {
        let mut sum = 0;
        for i in 0..10 {
            sum += spawn(async move { i }).await.unwrap();
            sum += spawn_blocking(move || i).await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 90);
    assert!(runtime.metrics().contained_panics >= before + 40);
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    assert!(
        alone
            .all("heist::runtime", Level::WARN, "panic contained")
            .is_empty()
    );
}
