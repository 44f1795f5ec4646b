//! Every task that is spawned ends once, is dropped once, and its output is dropped once: with wakes from
//! tasks and threads, steals, cancels, panics, detached handles and tasks that spawn tasks mixed at
//! random.
//!
//! Negative control: the same check rejects a task whose future is leaked.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use common::{Random, STEALING, Watchdog, builder, scaled};
use heist::time::sleep;
use heist::{Handle, JoinHandle, RingProfile, Runtime, spawn, spawn_blocking, yield_now};

const BATCH: u64 = 1000;

/// What happened, for all tasks together.
#[derive(Debug, Default)]
struct Tally {
    spawned: AtomicUsize,
    completed: AtomicUsize,
    panicked: AtomicUsize,
    futures_dropped: AtomicUsize,
    outputs_dropped: AtomicUsize,
    joined: AtomicUsize,
}

impl Tally {
    fn count(counter: &AtomicUsize) {
        counter.fetch_add(1, Ordering::SeqCst);
    }

    fn ended(&self) -> bool {
        self.futures_dropped.load(Ordering::SeqCst) == self.spawned.load(Ordering::SeqCst)
            && self.outputs_dropped.load(Ordering::SeqCst) == self.completed.load(Ordering::SeqCst)
    }

    async fn check(&self, patience: Duration) {
        let limit = Instant::now() + patience;
        while !self.ended() && Instant::now() < limit {
            sleep(Duration::from_millis(1)).await;
        }
        // Whoever would be counted twice is counted now.
        sleep(Duration::from_millis(2)).await;
        assert!(self.ended(), "spawned, ended and dropped differ: {self:?}");
    }
}

/// In a task's future from its birth on; tells the tally and the task that waits for this one.
struct InFuture {
    tally: Arc<Tally>,
    next: Option<Arc<Event>>,
}

impl Drop for InFuture {
    fn drop(&mut self) {
        Tally::count(&self.tally.futures_dropped);
        if let Some(next) = &self.next {
            next.set();
        }
    }
}

/// A task's output.
struct Output(Arc<Tally>);

impl Drop for Output {
    fn drop(&mut self) {
        Tally::count(&self.0.outputs_dropped);
    }
}

/// Something one task waits for and another, or a thread, brings about.
#[derive(Default)]
struct Event {
    set: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Event {
    fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            if self.set.load(Ordering::SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// One task of some kind.
async fn body(guard: InFuture, kind: u64, awaited: Arc<Event>) -> Output {
    match kind {
        0 | 1 => {}
        2 => {
            for _ in 0..5 {
                yield_now().await;
            }
        }
        3 | 4 => awaited.wait().await,
        5 => {
            Tally::count(&guard.tally.panicked);
            panic!("on purpose");
        }
        6 => sleep(Duration::from_micros(200)).await,
        7 => {
            // A child that outlives its handle.
            drop(spawn_one(&guard.tally, None, 2, None, Arc::default()));
            yield_now().await;
        }
        _ => {
            let tally = guard.tally.clone();
            let child = spawn_one(&tally, None, kind % 3, None, Arc::default());
            if child.await.is_ok() {
                Tally::count(&tally.joined);
            }
        }
    }
    Tally::count(&guard.tally.completed);
    Output(guard.tally.clone())
}

fn spawn_one(
    tally: &Arc<Tally>,
    outside: Option<&Handle>,
    kind: u64,
    next: Option<Arc<Event>>,
    awaited: Arc<Event>,
) -> JoinHandle<Output> {
    Tally::count(&tally.spawned);
    let guard = InFuture {
        tally: tally.clone(),
        next,
    };
    let future = body(guard, kind, awaited);
    match outside {
        Some(handle) => handle.spawn(future),
        None => spawn(future),
    }
}

/// Spawns a batch of all kinds, each waiting for its predecessor when it waits, and sets off what is done
/// to them.
fn spawn_batch(
    tally: &Arc<Tally>,
    outside: Option<&Handle>,
    random: &mut Random,
) -> Vec<JoinHandle<Output>> {
    let mut handles = Vec::new();
    let mut awaited = Arc::new(Event::default());
    awaited.set();
    for _ in 0..BATCH {
        let next = Arc::new(Event::default());
        let kind = random.below(12);
        let handle = spawn_one(tally, outside, kind, Some(next.clone()), awaited);
        awaited = next;
        match random.below(8) {
            0 => drop(handle),
            1 => {
                handle.cancel();
                handles.push(handle);
            }
            2 => {
                handle.abort();
                drop(handle);
            }
            _ => handles.push(handle),
        }
    }
    handles
}

/// Cancels some from whatever thread this is, awaits the others.
async fn end_batch(tally: Arc<Tally>, handles: Vec<JoinHandle<Output>>, mut random: Random) {
    let remote: Vec<_> = handles.iter().map(JoinHandle::abort_handle).collect();
    let mut choice = random.clone();
    let canceller = spawn_blocking(move || {
        for handle in remote {
            if choice.below(10) == 0 {
                handle.cancel();
            }
        }
    });
    for handle in handles {
        match random.below(4) {
            0 => drop(handle),
            _ => match handle.await {
                Ok(output) => {
                    Tally::count(&tally.joined);
                    drop(output);
                }
                Err(error) => assert!(error.is_panic() || error.is_cancelled()),
            },
        }
    }
    canceller.await.unwrap();
}

fn run(runtime: &Runtime, batches: u64) -> Arc<Tally> {
    let tally = Arc::new(Tally::default());
    let handle = runtime.handle();
    let from_outside = {
        let (tally, handle) = (tally.clone(), handle);
        std::thread::spawn(move || {
            let mut random = Random::new(77);
            for _ in 0..batches / 4 {
                let handles = spawn_batch(&tally, Some(&handle), &mut random);
                drop(handle.spawn(end_batch(tally.clone(), handles, random.clone())));
            }
        })
    };
    runtime.block_on(async {
        let mut random = Random::new(5);
        let mut running = Vec::new();
        for seed in 0..batches {
            let handles = spawn_batch(&tally, None, &mut random);
            running.push(spawn(end_batch(tally.clone(), handles, Random::new(seed))));
            if running.len() > 3 {
                running.remove(0).await.unwrap();
            }
        }
        for batch in running {
            batch.await.unwrap();
        }
        while !from_outside.is_finished() {
            yield_now().await;
        }
        tally.check(Duration::from_secs(20)).await;
    });
    from_outside.join().unwrap();
    tally
}

#[test]
fn spawned_is_completed_is_dropped() {
    let _watchdog = Watchdog::new("spawned_is_completed_is_dropped", 90);
    // The panics are meant; their reports would be thousands of lines.
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("on purpose") {
            eprintln!("{info}");
        }
    }));
    for profile in STEALING {
        for workers in [1, 2, 8] {
            let runtime = builder(workers, profile).build().unwrap();
            let tally = run(&runtime, scaled(16, 10_000));
            let report = runtime.shutdown(Duration::from_secs(10));
            assert!(report.is_clean(), "{report:?}");
            assert!(tally.ended(), "the shutdown changed something: {tally:?}");
            assert!(tally.joined.load(Ordering::SeqCst) > 0);
            assert!(tally.panicked.load(Ordering::SeqCst) > 0);
        }
    }
}

#[test]
fn a_shutdown_ends_each_task_once() {
    let _watchdog = Watchdog::new("a_shutdown_ends_each_task_once", 60);
    for profile in STEALING {
        for workers in [1, 2, 8] {
            for round in 0..scaled(5, 200) {
                let tally = Arc::new(Tally::default());
                let runtime = builder(workers, profile).build().unwrap();
                runtime.block_on(async {
                    let never = Arc::new(Event::default());
                    for kind in 0..1000 {
                        let kind = [3, 2, 6, 7][kind % 4];
                        drop(spawn_one(&tally, None, kind, None, never.clone()));
                    }
                    for _ in 0..round {
                        yield_now().await;
                    }
                });
                let report = runtime.shutdown(Duration::from_secs(10));
                assert!(report.is_clean(), "{report:?}");
                assert!(tally.ended(), "{tally:?}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "spawned, ended and dropped differ")]
fn control_a_leaked_future_is_noticed() {
    let runtime = builder(2, RingProfile::Defer).build().unwrap();
    let tally = Arc::new(Tally::default());
    runtime.block_on(async {
        let mut random = Random::new(1);
        drop(spawn_batch(&tally, None, &mut random));
        Tally::count(&tally.spawned);
        let guard = InFuture {
            tally: tally.clone(),
            next: None,
        };
        std::mem::forget(body(guard, 0, Arc::default()));
        tally.check(Duration::from_millis(300)).await;
    });
}
