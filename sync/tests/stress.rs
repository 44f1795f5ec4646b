//! Resources under cancellations and aborts from other threads, in everything that can hold one: what is
//! opened is closed, or counted as skipped.
//!
//! A program of its own, so that the counts of skipped cleanups are those of this test alone.
//!
//! Negative controls: before `NodeRef::wake` noted in the scopes around that something in them was woken,
//! this hung; without `overtake_cancel` cleanups that borrow are dropped now and then; and an exit stack that
//! counts as one cleanup whatever is on it, or a group whose wait counts, fails the part with aborts.

mod common;

use common::Rng;
use heist_runtime::scope::cleanup_counts;
use heist_runtime::task::AbortHandle;
use heist_runtime::{JoinError, Runtime, yield_now};
use heist_sync::group::{JoinSet, task_group};
use heist_sync::resource::{AsyncClose, How, exit_stack, finally, try_using, using};
use heist_sync::time::{sleep, timeout};
use heist_sync::{join_all, oneshot, race};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

#[derive(Default)]
struct Counts {
    opened: AtomicU64,
    closed: AtomicU64,
}

/// Takes some polls to close, and some time now and then.
struct Resource {
    counts: Arc<Counts>,
    polls: u64,
}

impl AsyncClose for Resource {
    async fn close(self, _how: How) {
        self.linger().await;
        self.counts.closed.fetch_add(1, Relaxed);
    }
}

impl Resource {
    async fn linger(&self) {
        if self.polls == 7 {
            sleep(Duration::from_micros(50)).await;
        }
        for _ in 0..self.polls % 4 {
            yield_now().await;
        }
    }
}

/// Makes resources, and decides what is done with them.
struct World {
    counts: Arc<Counts>,
    random: Rng,
    /// Has cleanups that borrow, which a drop would skip, instead of futures that are dropped half-way.
    borrows: bool,
}

impl World {
    fn new(counts: &Arc<Counts>, seed: u64) -> Self {
        Self {
            counts: Arc::clone(counts),
            random: Rng::new(seed),
            borrows: seed.is_multiple_of(2),
        }
    }

    /// Another one, to be owned by a part of the task.
    fn split(&mut self) -> Self {
        let seed = self.random.below(u64::MAX / 2) * 2;
        Self::new(&self.counts, seed + u64::from(!self.borrows))
    }

    fn open(&mut self) -> Resource {
        self.counts.opened.fetch_add(1, Relaxed);
        Resource {
            counts: Arc::clone(&self.counts),
            polls: self.random.below(8),
        }
    }

    async fn wait(&mut self) {
        match self.random.below(16) {
            0..3 => sleep(Duration::from_micros(self.random.below(500))).await,
            polls => {
                for _ in 0..polls % 4 {
                    yield_now().await;
                }
            }
        }
    }

    async fn hold(&mut self) {
        let resource = self.open();
        using(resource, async |_| self.wait().await).await;
    }

    /// One of the ways to hold resources, perhaps within another.
    fn live(mut self, depth: u32) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            match self.random.below(if depth == 0 { 1 } else { 10 }) {
                0 => self.hold().await,
                1 => {
                    let resource = self.open();
                    let inner = self.split();
                    using(resource, async move |_| inner.live(depth - 1).await).await;
                }
                2 => {
                    let limit = Duration::from_micros(self.random.below(300));
                    let _elapsed: Result<(), _> =
                        timeout(limit, self.split().live(depth - 1)).await;
                }
                3 => race(self.split().live(depth - 1), self.split().live(depth - 1)).await,
                4 => drop(join_all((0..3).map(|_| self.split().live(0))).await),
                5 => self.stack(depth).await,
                6 => self.group(depth).await,
                7 if !self.borrows => self.drop_half_way(depth).await,
                7 | 8 if self.borrows => {
                    let resource = self.open();
                    let body = self.split().live(depth - 1);
                    finally(body, async |how| resource.close(how).await).await;
                }
                _ => {
                    let resource = self.open();
                    let open = async { Ok::<_, ()>(resource) };
                    let closed = try_using(open, async |_| {
                        self.wait().await;
                        Err::<(), ()>(())
                    });
                    assert!(closed.await.is_err());
                }
            }
            self.wait().await;
        })
    }

    async fn stack(&mut self, depth: u32) {
        exit_stack(async |stack| {
            for _ in 0..3 {
                stack.push(self.open());
                self.wait().await;
            }
            self.split().live(depth - 1).await;
        })
        .await;
    }

    async fn group(&mut self, depth: u32) {
        let fails = self.random.below(2) == 0;
        let _result: Result<(), _> = task_group(async |group| {
            for _ in 0..2 {
                let mut member = self.split();
                let resource = member.open();
                group.spawn(using(resource, async move |_| {
                    member.live(depth - 1).await;
                    if fails { Err(()) } else { Ok(()) }
                }));
            }
            self.wait().await;
            Ok(())
        })
        .await;
    }

    /// As foreign code does.
    async fn drop_half_way(&mut self, depth: u32) {
        let resource = self.open();
        let inner = self.split();
        let mut half = Box::pin(using(resource, async move |_| inner.live(depth - 1).await));
        for _ in 0..self.random.below(4) {
            if poll_fn(|cx| Poll::Ready(half.as_mut().poll(cx).is_ready())).await {
                return;
            }
            yield_now().await;
        }
    }
}

/// A task, and what some of them wait for, so that they are disturbed however busy the machine is.
type Target = (AbortHandle, Option<oneshot::Sender<()>>);

/// Cancels or aborts what it is told to, some of it later. Counts what it was told.
fn disturb(tasks: &mpsc::Receiver<Target>, seed: u64, aborts: bool, told: &AtomicU64) {
    let mut random = Rng::new(seed);
    let mut later = Vec::new();
    let disturb = |random: &mut Rng, task: &AbortHandle| {
        if aborts && random.below(3) == 0 {
            task.abort();
        } else {
            task.cancel();
        }
    };
    for (task, go) in tasks {
        told.fetch_add(1, Relaxed);
        if let Some(go) = go {
            // It may be cancelled already.
            let _sent: Result<(), ()> = go.send(());
        }
        match random.below(8) {
            0 => thread::yield_now(),
            // It may go on.
            1 => continue,
            2..5 => later.push(task.clone()),
            _ => disturb(&mut random, &task),
        }
        if later.len() > 32 {
            for task in later.drain(..) {
                disturb(&mut random, &task);
                if random.below(4) == 0 {
                    disturb(&mut random, &task);
                }
            }
        }
    }
}

/// Ends the program when nothing happens any more.
fn watch(counts: &Arc<Counts>, over: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let (counts, over) = (Arc::clone(counts), Arc::clone(over));
    thread::spawn(move || {
        let (mut before, mut quiet) = (0, 0);
        while !over.load(SeqCst) {
            thread::sleep(Duration::from_millis(100));
            let now = counts.opened.load(SeqCst) + counts.closed.load(SeqCst);
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
            if quiet > 600 {
                eprintln!("it hangs at {now} resources opened and closed");
                std::process::abort();
            }
        }
    })
}

/// How it went.
#[derive(Debug, Default)]
struct Outcome {
    opened: u64,
    closed: u64,
    skipped: u64,
    /// Of the tasks.
    finished: u64,
    cancelled: u64,
    aborted: u64,
}

impl Outcome {
    /// Whether enough tasks were disturbed for the test to be worth something.
    fn hits(&self, aborts: bool) -> bool {
        self.cancelled > 20 && (self.aborted > 20 || !aborts)
    }

    fn count(&mut self, joined: Result<(), JoinError>) {
        match joined {
            Ok(()) => self.finished += 1,
            Err(error) if error.is_aborted() => self.aborted += 1,
            Err(error) if error.is_cancelled() => self.cancelled += 1,
            Err(error) => panic!("{error}"),
        }
    }
}

fn run(runtime: Runtime, resources: u64, aborts: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let counts = Arc::new(Counts::default());
    let over = Arc::new(AtomicBool::new(false));
    let watcher = watch(&counts, &over);
    let skipped = cleanup_counts().skipped;
    runtime.block_on(async {
        let mut disturbers = Vec::new();
        let told = Arc::new(AtomicU64::new(0));
        let channels = [1, 2].map(|seed| {
            let (send, receive) = mpsc::channel();
            let told = Arc::clone(&told);
            disturbers.push(thread::spawn(move || {
                disturb(&receive, seed, aborts, &told);
            }));
            send
        });
        let mut tasks = JoinSet::new();
        let mut number = 0;
        while counts.opened.load(Relaxed) < resources {
            number += 1;
            let world = World::new(&counts, number);
            let (mut go, gone) = if number % 4 < 2 {
                let (go, gone) = oneshot::channel();
                (Some(go), Some(gone))
            } else {
                (None, None)
            };
            let task = tasks.spawn(async move {
                if let Some(gone) = gone {
                    gone.await.expect("it is told");
                }
                world.live(3).await;
            });
            for channel in &channels {
                let target = (task.clone(), go.take());
                channel.send(target).expect("it listens");
            }
            // No more of them than others have the time to disturb.
            while tasks.len() > 64 || (told.load(Relaxed) + 64 < 2 * number && !tasks.is_empty()) {
                let joined = tasks.join_next().await.expect("it is not empty");
                outcome.count(joined);
            }
        }
        while let Some(joined) = tasks.join_next().await {
            outcome.count(joined);
        }
        drop(channels);
        for disturber in disturbers {
            disturber.join().expect("no panic");
        }
    });
    // Members of a group whose task was aborted may still be on their way.
    let report = runtime.shutdown(Duration::from_secs(20));
    assert!(report.is_clean(), "{report:?}");
    over.store(true, SeqCst);
    watcher.join().expect("no panic");
    Outcome {
        opened: counts.opened.load(SeqCst),
        closed: counts.closed.load(SeqCst),
        skipped: cleanup_counts().skipped - skipped,
        ..outcome
    }
}

#[test]
fn what_is_opened_is_closed_or_counted() {
    let long = std::env::var_os("HEIST_LONG").is_some();
    let resources = if long { 1_000_000 } else { 10_000 };
    for (workers, aborts) in [1, 2, 8].map(|n| [(n, false), (n, true)]).concat() {
        let runtime = heist_runtime::Builder::new()
            .worker_threads(workers)
            .build()
            .expect("a runtime");
        let start = std::time::Instant::now();
        let outcome = run(runtime, resources, aborts);
        let seconds = start.elapsed().as_secs_f32();
        println!("{workers} workers, {seconds:.1} s: {outcome:?}");
        assert_eq!(outcome.opened, outcome.closed + outcome.skipped);
        assert!(
            outcome.hits(aborts),
            "the test is worth something only then"
        );
        if !aborts {
            assert_eq!((outcome.skipped, outcome.aborted), (0, 0));
        }
    }
}
