//! Sleeps, timeouts and intervals on the real clock, inside a runtime.

use heist_sync::time::{
    Instant, MissedTickBehavior, interval, interval_at, sleep, sleep_until, timeout, timeout_at,
};
use heist_sync::{Semaphore, join_all};
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Fails instead of hanging, should a timer never fire.
fn run<T>(future: impl Future<Output = T>) -> T {
    heist_runtime::block_on(async { timeout(60_000 * MS, future).await.expect("a lost timer") })
}

#[test]
fn no_sleep_is_early_and_none_is_lost() {
    run(async {
        join_all((0..2_000_u64).map(async |n| {
            let duration = Duration::from_micros(n * 37 % 50_000);
            let start = Instant::now();
            sleep(duration).await;
            assert!(start.elapsed() >= duration);
        }))
        .await;
    });
}

#[test]
fn extreme_sleeps() {
    run(async {
        sleep(Duration::ZERO).await;
        sleep(Duration::from_nanos(1)).await;
        let past = Instant::now()
            .checked_sub(5 * MS)
            .expect("the machine has been up that long");
        sleep_until(past).await;
        for forever in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            assert!(timeout(2 * MS, sleep(forever)).await.is_err());
            assert_eq!(timeout(forever, async { 1 }).await, Ok(1));
            let mut ticks = interval(forever);
            ticks.tick().await;
            assert!(timeout(2 * MS, ticks.tick()).await.is_err());
        }
    });
}

#[test]
fn a_sleep_knows_its_deadline_and_can_be_reset() {
    run(async {
        let deadline = Instant::now() + 5 * MS;
        let mut pause = pin!(sleep_until(deadline));
        assert_eq!(pause.deadline(), deadline);
        assert!(!pause.is_elapsed());
        pause.as_mut().await;
        assert!(pause.is_elapsed());

        // Forward, then back, while it is waited for.
        let start = Instant::now();
        pause.as_mut().reset(start + 60_000 * MS);
        assert!(timeout(2 * MS, pause.as_mut()).await.is_err());
        pause.as_mut().reset(start + 10 * MS);
        pause.as_mut().await;
        assert!(start.elapsed() >= 10 * MS);
    });
}

#[test]
fn timeouts_end_what_is_slow_and_spare_what_is_quick() {
    run(async {
        assert_eq!(timeout(Duration::ZERO, async { 3 }).await, Ok(3));
        let start = Instant::now();
        let slow = timeout(5 * MS, pending::<()>()).await;
        assert!(start.elapsed() >= 5 * MS);
        let error = slow.expect_err("it never ends");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "the deadline of the timeout has passed");
        assert!(timeout_at(Instant::now(), pending::<()>()).await.is_err());

        // Taken by reference, the future survives.
        let mut future = pin!(async {
            sleep(10 * MS).await;
            4
        });
        assert!(timeout(MS, &mut future).await.is_err());
        assert_eq!(future.await, 4);

        // The inner of two is the earlier one, and the other way round.
        let nested = timeout(60_000 * MS, timeout(MS, pending::<()>())).await;
        assert!(nested.expect("the outer one has time").is_err());
        assert!(
            timeout(MS, timeout(60_000 * MS, pending::<()>()))
                .await
                .is_err()
        );

        let mut kept = timeout(MS, async { 5 });
        let _: &_ = kept.get_ref();
        let _: &mut _ = kept.get_mut();
        assert_eq!(kept.into_inner().await, 5);
    });
}

#[test]
fn a_timeout_that_races_with_its_future_loses_no_permit() {
    let semaphore = Arc::new(Semaphore::new(1));
    let got = Arc::new(AtomicUsize::new(0));
    run(async {
        let tasks: Vec<_> = (0..200_u32)
            .map(|n| {
                let (semaphore, got) = (Arc::clone(&semaphore), Arc::clone(&got));
                heist_runtime::spawn(async move {
                    let limit = Duration::from_micros(u64::from(n * 53 % 3_000));
                    if let Ok(permit) = timeout(limit, semaphore.acquire()).await {
                        let _permit = permit.expect("it is never closed");
                        got.fetch_add(1, SeqCst);
                        sleep(Duration::from_micros(40)).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    assert!(got.load(SeqCst) > 0);
    assert_eq!(semaphore.available_permits(), 1);
}

/// A timeout in a task that is woken while it is polled sets its timer up at the next poll.
///
/// Control, tried: a timer that does not ask whose the waker is never ends the last, whose task is woken and whose
/// timeout is not polled again for it.
#[test]
fn timeouts_in_tasks_that_are_woken_already() {
    run(async {
        let endless = async {
            loop {
                heist_runtime::yield_now().await;
            }
        };
        let once = async {
            heist_runtime::yield_now().await;
            pending::<()>().await;
        };
        let slow = heist_runtime::spawn(timeout(5 * MS, endless)).await;
        assert!(slow.expect("it does not panic").is_err());
        let start = Instant::now();
        let slow = heist_runtime::spawn(timeout(5 * MS, once)).await;
        assert!(slow.expect("it does not panic").is_err());
        assert!(start.elapsed() >= 5 * MS);

        let aside = heist_runtime::spawn(async {
            let mut slow = pin!(timeout(5 * MS, pending::<()>()));
            let mut bell: Option<Arc<Bell>> = None;
            poll_fn(move |cx| {
                if bell
                    .as_ref()
                    .is_some_and(|bell| bell.rings.swap(0, SeqCst) == 0)
                {
                    return Poll::Pending;
                }
                if bell.is_none() {
                    cx.waker().wake_by_ref();
                }
                let bell = bell.get_or_insert_with(|| {
                    Arc::new(Bell {
                        rings: AtomicUsize::new(0),
                        task: cx.waker().clone(),
                    })
                });
                let waker = Waker::from(bell.clone());
                slow.as_mut().poll(&mut Context::from_waker(&waker))
            })
            .await
        });
        assert!(aside.await.expect("it does not panic").is_err());
    });
}

/// Wakes a task, and says that it did.
struct Bell {
    rings: AtomicUsize,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rings.fetch_add(1, SeqCst);
        self.task.wake_by_ref();
    }
}

#[test]
fn thousands_of_cancelled_timeouts() {
    run(async {
        join_all((0..5_000).map(async |_| {
            for _ in 0..4 {
                let quick = timeout(60_000 * MS, heist_runtime::yield_now()).await;
                quick.expect("a minute is enough to yield");
            }
        }))
        .await;
    });
}

#[test]
fn intervals_tick_at_once_and_then_by_the_period() {
    run(async {
        let start = Instant::now();
        let mut ticks = interval_at(start, 3 * MS);
        assert_eq!(ticks.period(), 3 * MS);
        assert_eq!(ticks.missed_tick_behavior(), MissedTickBehavior::Burst);
        for n in 0..5 {
            assert_eq!(ticks.tick().await, start + n * 3 * MS);
            assert!(Instant::now() >= start + n * 3 * MS);
        }
    });
}

#[test]
fn a_cancelled_tick_is_not_used_up() {
    run(async {
        let start = Instant::now();
        let mut ticks = interval_at(start + 200 * MS, 20 * MS);
        for _ in 0..3 {
            assert!(timeout(MS, ticks.tick()).await.is_err());
        }
        assert_eq!(ticks.tick().await, start + 200 * MS);
        let pending = poll_fn(|cx| Poll::Ready(ticks.poll_tick(cx).is_pending())).await;
        assert!(pending);
    });
}

#[test]
fn an_interval_can_be_reset() {
    run(async {
        let mut ticks = interval(60_000 * MS);
        ticks.tick().await;
        ticks.reset_immediately();
        ticks.tick().await;
        let start = Instant::now();
        ticks.reset_after(4 * MS);
        ticks.tick().await;
        assert!(start.elapsed() >= 4 * MS);
        ticks.reset_at(start + 8 * MS);
        assert_eq!(ticks.tick().await, start + 8 * MS);
        ticks.reset();
        assert!(timeout(2 * MS, ticks.tick()).await.is_err());
    });
}

#[test]
#[should_panic(expected = "must not be zero")]
fn a_period_of_zero_panics() {
    let _ = interval(Duration::ZERO);
}

#[test]
#[should_panic(expected = "outside a Heist runtime")]
fn sleeping_outside_a_runtime_says_so() {
    let mut pause = pin!(sleep(MS));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = pause.as_mut().poll(&mut cx);
}

#[test]
fn all_of_it_can_be_sent() {
    fn check<T: Send>(_: T) {}
    check(sleep(MS));
    check(timeout(MS, pending::<()>()));
    check(async { interval(MS).tick().await });
}
