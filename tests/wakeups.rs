//! No wake-up is lost: tasks and threads hand tokens to each other, one at a time, so that every hand-over
//! finds its target parked, about to park, or just awake. A monitor ends the program when no token has
//! moved for seconds.
//!
//! Negative control: a hand-over that forgets one wake-up in a thousand is noticed by the same monitor.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{Random, STEALING, builder, scaled};
use heist::time::sleep;
use heist::{RingProfile, Runtime, spawn};

/// A stall longer than this is a lost wake-up, on a loaded machine too.
const STALL: Duration = Duration::from_secs(5);

/// The hand-overs of one test, watched by a thread.
#[derive(Debug, Default)]
struct Progress {
    steps: AtomicU64,
    over: AtomicBool,
}

impl Progress {
    /// Calls `stalled` when nothing moves for `limit`.
    fn watch(limit: Duration, stalled: impl FnOnce() + Send + 'static) -> Arc<Self> {
        let progress = Arc::new(Self::default());
        let watched = progress.clone();
        thread::spawn(move || {
            let (mut seen, mut since) = (u64::MAX, Instant::now());
            while !watched.over.load(Ordering::SeqCst) {
                let steps = watched.steps.load(Ordering::SeqCst);
                if steps != seen {
                    (seen, since) = (steps, Instant::now());
                } else if since.elapsed() > limit {
                    return stalled();
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        progress
    }

    fn or_abort(what: &'static str) -> Arc<Self> {
        Self::watch(STALL, move || {
            eprintln!("{what}: a wake-up was lost, nothing moved for {STALL:?}");
            std::process::abort();
        })
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// Ends the watch.
struct Over(Arc<Progress>);

/// A place for one token, taken by a task.
#[derive(Default)]
struct Place {
    state: Mutex<(Option<u64>, Option<Waker>)>,
}

impl Place {
    fn put(&self, token: u64) {
        if let Some(waker) = self.put_silently(token) {
            waker.wake();
        }
    }

    fn put_silently(&self, token: u64) -> Option<Waker> {
        let mut state = self.state.lock().unwrap();
        assert_eq!(state.0.replace(token), None, "a token was overwritten");
        state.1.take()
    }

    async fn take(&self) -> u64 {
        poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            match state.0.take() {
                Some(token) => Poll::Ready(token),
                None => {
                    state.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// A place for one token, taken by a thread.
#[derive(Default)]
struct ThreadPlace {
    token: Mutex<Option<u64>>,
    filled: Condvar,
}

impl ThreadPlace {
    fn put(&self, token: u64) {
        *self.token.lock().unwrap() = Some(token);
        self.filled.notify_one();
    }

    fn take(&self) -> u64 {
        let mut token = self.token.lock().unwrap();
        loop {
            match token.take() {
                Some(token) => return token,
                None => token = self.filled.wait(token).unwrap(),
            }
        }
    }
}

fn runtimes(test: impl Fn(&Runtime)) {
    for profile in STEALING {
        for workers in [1, 2, 4] {
            test(&builder(workers, profile).build().unwrap());
        }
        // Nobody looks after sleepers here, so a lost wake-up is not mended by chance.
        let unwatched = builder(2, profile).watch_interval(None).build();
        test(&unwatched.unwrap());
        // Here everybody looks after everybody, and must not take a wake-up that is meant for another.
        let eager = Duration::from_micros(5);
        let watched = builder(4, profile).watch_interval(eager).build();
        test(&watched.unwrap());
    }
}

#[test]
fn tokens_go_round_among_tasks() {
    runtimes(|runtime| {
        let progress = Progress::or_abort("tokens_go_round_among_tasks");
        let _over = Over(progress.clone());
        let rounds = scaled(2_000, 200_000);
        runtime.block_on(async {
            let mut rings = Vec::new();
            for size in [2_usize, 3, 7] {
                let places: Arc<Vec<_>> = Arc::new((0..size).map(|_| Place::default()).collect());
                for at in 0..size {
                    let (places, progress) = (places.clone(), progress.clone());
                    rings.push(spawn(async move {
                        for round in 0..rounds {
                            assert_eq!(places[at].take().await, round);
                            progress.step();
                            let last = at + 1 == size;
                            if !(last && round + 1 == rounds) {
                                places[(at + 1) % size].put(round + u64::from(last));
                            }
                        }
                    }));
                }
                places[0].put(0);
            }
            for task in rings {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn tokens_go_between_tasks_and_threads() {
    runtimes(|runtime| {
        let progress = Progress::or_abort("tokens_go_between_tasks_and_threads");
        let _over = Over(progress.clone());
        let rounds = scaled(1_500, 200_000);
        let mut threads = Vec::new();
        let mut tasks = Vec::new();
        for pair in 0..3 {
            let (there, back) = (Arc::new(Place::default()), Arc::new(ThreadPlace::default()));
            let (place, answers, steps) = (there.clone(), back.clone(), progress.clone());
            threads.push(thread::spawn(move || {
                let mut random = Random::new(pair);
                for round in 0..rounds {
                    there.put(round);
                    assert_eq!(back.take(), round);
                    // Now and then long enough that the worker parks for good.
                    if random.below(64) == 0 {
                        thread::sleep(Duration::from_micros(random.below(400)));
                    }
                }
            }));
            tasks.push(runtime.spawn(async move {
                for round in 0..rounds {
                    assert_eq!(place.take().await, round);
                    steps.step();
                    answers.put(round);
                }
            }));
        }
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn spawns_from_outside_wake_a_sleeping_runtime() {
    runtimes(|runtime| {
        let progress = Progress::or_abort("spawns_from_outside_wake_a_sleeping_runtime");
        let _over = Over(progress.clone());
        let done = Arc::new(Place::default());
        let left = Arc::new(AtomicU64::new(4));
        let threads: Vec<_> = (0..4)
            .map(|seed| {
                let (handle, progress) = (runtime.handle(), progress.clone());
                let (done, left) = (done.clone(), left.clone());
                thread::spawn(move || {
                    let mut random = Random::new(seed);
                    for _ in 0..scaled(500, 50_000) {
                        let answer = Arc::new(ThreadPlace::default());
                        let (to, progress) = (answer.clone(), progress.clone());
                        let pause = random.below(3) == 0;
                        drop(handle.spawn(async move {
                            if pause {
                                sleep(Duration::from_micros(50)).await;
                            }
                            progress.step();
                            to.put(1);
                        }));
                        assert_eq!(answer.take(), 1);
                    }
                    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        done.put(0);
                    }
                })
            })
            .collect();
        runtime.block_on(done.take());
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn control_a_lost_wake_is_noticed() {
    let stalled = Arc::new(AtomicBool::new(false));
    let lost: Arc<Mutex<Option<Waker>>> = Arc::default();
    let (noted, mended) = (stalled.clone(), lost.clone());
    let progress = Progress::watch(Duration::from_millis(300), move || {
        noted.store(true, Ordering::SeqCst);
        mended.lock().unwrap().take().unwrap().wake();
    });
    let runtime = builder(2, RingProfile::Defer).build().unwrap();
    runtime.block_on(async {
        let place = Arc::new(Place::default());
        let (from, taken) = (place.clone(), Arc::new(Place::default()));
        let answers = taken.clone();
        let taker = spawn(async move {
            for round in 0..1000 {
                assert_eq!(from.take().await, round);
                answers.put(round);
            }
        });
        for round in 0..1000 {
            if round < 999 {
                place.put(round);
            } else {
                // Once the taker waits, its wake-up goes astray.
                sleep(Duration::from_millis(5)).await;
                *lost.lock().unwrap() = place.put_silently(round);
                assert!(lost.lock().unwrap().is_some());
            }
            assert_eq!(taken.take().await, round);
            progress.step();
        }
        taker.await.unwrap();
    });
    assert!(stalled.load(Ordering::SeqCst), "the monitor saw nothing");
}
