//! Timers: none is early, none is lost, half of them cancelled from their own worker and from others; and
//! the ends of the range are safe.
//!
//! Negative control: the same check rejects a timer that completes before the deadline it was told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use common::{Random, STEALING, Watchdog, builder, runtime, scaled};
use heist::time::{Sleep, sleep, sleep_until, timeout};
use heist::{RingProfile, spawn, yield_now};

/// Waits and says whether the time has passed.
async fn is_in_time<T: Future<Output = ()>>(
    wait: Duration,
    timer: impl FnOnce(Duration) -> T,
) -> bool {
    let start = Instant::now();
    timer(wait).await;
    start.elapsed() >= wait
}

/// As [`is_in_time`], and insists.
async fn wait_checked<T: Future<Output = ()>>(wait: Duration, timer: impl FnOnce(Duration) -> T) {
    assert!(is_in_time(wait, timer).await, "a timer was early");
}

/// Counts timers that fired, those that were early a second time.
async fn count_fired(wait: Duration, fired: Arc<AtomicU64>, early: Arc<AtomicU64>) {
    if !is_in_time(wait, sleep).await {
        early.fetch_add(1, Ordering::SeqCst);
    }
    fired.fetch_add(1, Ordering::SeqCst);
}

/// Polls a sleep once, which registers it with this worker.
async fn register(mut sleep: Pin<Box<Sleep>>) -> Pin<Box<Sleep>> {
    poll_fn(|cx| {
        assert!(sleep.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    sleep
}

/// Sets `count` timers from `tasks` tasks, some to be cancelled, and counts those that fire.
async fn timers(count: u64, workers: usize) {
    const TASKS: u64 = 100;
    let fired = Arc::new(AtomicU64::new(0));
    let early = Arc::new(AtomicU64::new(0));
    let mut expected = 0;
    let mut all = Vec::new();
    let mut to_cancel = Vec::new();
    for task in 0..TASKS {
        let mut random = Random::new(task + 1);
        let mut waits = Vec::new();
        for _ in 0..count / TASKS {
            let wait = Duration::from_micros(random.below(800_000));
            let fate = random.below(4);
            expected += u64::from(fate < 2);
            waits.push((wait, fate));
        }
        let (fired, early) = (fired.clone(), early.clone());
        all.push(spawn(async move {
            for (wait, fate) in waits {
                let (fired, early) = (fired.clone(), early.clone());
                match fate {
                    0 | 1 => drop(spawn(count_fired(wait, fired, early))),
                    2 => {
                        // Registered here, dropped wherever the task below runs.
                        let registered = register(Box::pin(sleep(wait + LATER))).await;
                        drop(spawn(async move { drop(registered) }));
                    }
                    _ => drop(spawn(async move {
                        let inner = sleep(wait + LATER);
                        let outcome = timeout(wait, inner).await;
                        assert!(outcome.is_err());
                    })),
                }
            }
        }));
        let sleeper = spawn(async {
            sleep(LATER).await;
        });
        to_cancel.push(sleeper);
    }
    for task in all {
        task.await.unwrap();
    }
    for task in to_cancel {
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    while fired.load(Ordering::SeqCst) < expected {
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_millis(5)).await;
    assert_eq!(fired.load(Ordering::SeqCst), expected, "{workers} workers");
    assert_eq!(early.load(Ordering::SeqCst), 0, "timers were early");
}

/// Beyond the test's time.
const LATER: Duration = Duration::from_secs(3600);

#[test]
fn none_early_none_lost() {
    let _watchdog = Watchdog::new("none_early_none_lost", 60);
    for profile in STEALING {
        for workers in [1, 2] {
            let runtime = runtime(workers, profile);
            runtime.block_on(timers(scaled(25_000, 1_000_000), workers));
            let report = runtime.shutdown(Duration::from_secs(10));
            assert!(report.is_clean(), "{report:?}");
        }
    }
}

#[test]
fn timers_of_a_block_on_that_ends_go_on_elsewhere() {
    let _watchdog = Watchdog::new("timers_of_a_block_on_that_ends_go_on_elsewhere", 60);
    for profile in STEALING {
        for workers in [1, 2, 4] {
            let runtime = runtime(workers, profile);
            let fired = Arc::new(AtomicU64::new(0));
            let early = Arc::new(AtomicU64::new(0));
            for _ in 0..10 {
                runtime.block_on(async {
                    for i in 0..200 {
                        let wait = Duration::from_micros(i * 500);
                        drop(spawn(count_fired(wait, fired.clone(), early.clone())));
                    }
                    for _ in 0..20 {
                        yield_now().await;
                    }
                });
            }
            runtime.block_on(async {
                while fired.load(Ordering::SeqCst) < 2000 {
                    sleep(Duration::from_millis(2)).await;
                }
            });
            assert_eq!(early.load(Ordering::SeqCst), 0, "timers were early");
        }
    }
}

#[test]
fn the_ends_of_the_range_are_safe() {
    let _watchdog = Watchdog::new("the_ends_of_the_range_are_safe", 60);
    for profile in STEALING {
        for workers in [1, 2] {
            runtime(workers, profile).block_on(async {
                for wait in [Duration::ZERO, Duration::from_nanos(1)] {
                    for _ in 0..1000 {
                        wait_checked(wait, sleep).await;
                    }
                }
                sleep_until(heist::time::Instant::now()).await;
                let huge = [
                    Duration::MAX,
                    Duration::from_secs(u64::MAX),
                    Duration::from_secs(1 << 40),
                    Duration::from_secs(86_400 * 365 * 29),
                ];
                for wait in huge {
                    let waiting = timeout(Duration::from_millis(3), sleep(wait)).await;
                    assert!(waiting.is_err(), "{wait:?} was over at once");
                    let inner = timeout(wait, sleep(Duration::from_millis(1))).await;
                    assert!(inner.is_ok());
                    drop(spawn(sleep(wait)));
                }
                yield_now().await;
            });
        }
    }
}

#[test]
fn a_sleep_of_moments_wakes_an_idle_runtime() {
    let _watchdog = Watchdog::new("a_sleep_of_moments_wakes_an_idle_runtime", 60);
    for profile in STEALING {
        let runtime = builder(2, profile).watch_interval(None).build().unwrap();
        runtime.block_on(async {
            for round in 0..scaled(2_000, 100_000) {
                let wait = Duration::from_micros(round % 97);
                wait_checked(wait, sleep).await;
            }
        });
    }
}

#[test]
#[should_panic(expected = "a timer was early")]
fn control_an_early_timer_is_noticed() {
    let runtime = runtime(1, RingProfile::Defer);
    let promised = Duration::from_millis(500);
    runtime.block_on(wait_checked(promised, |wait| sleep(wait / 2)));
}

/// How many of so many tasks run before a timer that is due early among them.
fn tasks_before_a_timer(tasks: u64) -> u64 {
    const WORK: Duration = Duration::from_micros(20);
    let runtime = runtime(1, RingProfile::Defer);
    let done = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let count = done.clone();
        let timer = spawn(async move {
            sleep(WORK * 50).await;
            count.load(Ordering::SeqCst)
        });
        yield_now().await;
        let all: Vec<_> = (0..tasks)
            .map(|_| {
                let done = done.clone();
                spawn(async move {
                    let start = Instant::now();
                    while start.elapsed() < WORK {
                        std::hint::spin_loop();
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        for task in all {
            task.await.unwrap();
        }
        timer.await.unwrap()
    })
}

#[test]
fn a_timer_does_not_wait_behind_all_tasks_that_are_ready() {
    const TASKS: u64 = 20_000;
    let _watchdog = Watchdog::new("a_timer_does_not_wait_behind_all", 60);
    let before = tasks_before_a_timer(TASKS);
    assert!(before < TASKS / 4, "{before} of {TASKS} tasks ran first");
}

#[test]
fn timers_without_end_do_not_keep_other_tasks_from_running() {
    let _watchdog = Watchdog::new("timers_without_end", 60);
    let runtime = runtime(1, RingProfile::Defer);
    runtime.block_on(async {
        let timers: Vec<_> = (0..500)
            .map(|_| {
                spawn(async {
                    loop {
                        sleep(Duration::from_micros(1)).await;
                    }
                })
            })
            .collect();
        let others: Vec<_> = (0..100)
            .map(|_| {
                spawn(async {
                    for _ in 0..100 {
                        yield_now().await;
                    }
                })
            })
            .collect();
        for other in others {
            other.await.unwrap();
        }
        for timer in timers {
            timer.abort();
        }
    });
}

/// How often a worker sleeps for 2,000 timers that come one by one within 200 ms.
fn sleeps_for_timers(slack: Duration) -> u64 {
    let runtime = builder(1, RingProfile::Defer)
        .timer_slack(slack)
        .build()
        .unwrap();
    runtime.block_on(async {
        let base = heist::time::Instant::now() + Duration::from_millis(20);
        let all: Vec<_> = (0..2_000)
            .map(|k| spawn(sleep_until(base + Duration::from_micros(100) * k)))
            .collect();
        for one in all {
            one.await.unwrap();
        }
    });
    runtime.metrics().total().parks
}

#[test]
fn slack_saves_wake_ups() {
    let _watchdog = Watchdog::new("slack_saves_wake_ups", 60);
    let (with, without) = (
        sleeps_for_timers(Duration::from_millis(1)),
        sleeps_for_timers(Duration::ZERO),
    );
    // Two hundred milliseconds have room for two hundred sleeps that each end a millisecond late.
    assert!(with < 400, "{with} sleeps with slack");
    assert!(
        with < without,
        "{with} sleeps with slack, {without} without"
    );
}
