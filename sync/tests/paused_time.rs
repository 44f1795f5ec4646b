//! Time on a clock that stands still: exact to the nanosecond. Needs the feature `test-util`.

#![cfg(feature = "test-util")]

use heist_runtime::time::{advance, pause, resume};
use heist_sync::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Runs a future with the clock paused. The clock is the process's, so one at a time.
fn paused<T>(future: impl Future<Output = T>) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    struct Resume;
    impl Drop for Resume {
        fn drop(&mut self) {
            resume();
        }
    }

    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    heist_runtime::block_on(async {
        pause();
        let _resume = Resume;
        future.await
    })
}

async fn poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[test]
fn a_sleep_ends_at_its_deadline_and_not_a_nanosecond_before() {
    paused(async {
        let start = Instant::now();
        for duration in [
            Duration::from_nanos(1),
            MS,
            1_000 * MS,
            Duration::from_secs(86_400),
        ] {
            let mut pause = pin!(sleep(duration));
            assert!(poll(pause.as_mut()).await.is_pending());
            advance(duration - Duration::from_nanos(1)).await;
            assert!(poll(pause.as_mut()).await.is_pending());
            advance(Duration::from_nanos(1)).await;
            assert!(poll(pause.as_mut()).await.is_ready());
        }
        assert!(start.elapsed() > Duration::from_secs(86_400));
    });
}

#[test]
fn the_clock_wakes_tasks_that_sleep() {
    paused(async {
        let task = heist_runtime::spawn(async {
            let start = Instant::now();
            sleep(3_600_000 * MS).await;
            start.elapsed()
        });
        heist_runtime::yield_now().await;
        while !task.is_finished() {
            advance(600_000 * MS).await;
        }
        assert!(task.await.expect("no panic") >= 3_600_000 * MS);
    });
}

#[test]
fn a_timeout_ends_at_its_deadline() {
    paused(async {
        let mut limited = pin!(timeout(10 * MS, pending::<()>()));
        assert!(poll(limited.as_mut()).await.is_pending());
        advance(10 * MS - Duration::from_nanos(1)).await;
        assert!(poll(limited.as_mut()).await.is_pending());
        advance(Duration::from_nanos(1)).await;
        assert!(matches!(poll(limited.as_mut()).await, Poll::Ready(Err(_))));

        // Both are due at once: the future within wins.
        let mut even = pin!(timeout(10 * MS, sleep(10 * MS)));
        assert!(poll(even.as_mut()).await.is_pending());
        advance(10 * MS).await;
        assert_eq!(poll(even.as_mut()).await, Poll::Ready(Ok(())));
    });
}

/// Takes ticks at once, except that the second is taken 25 ms late. Returns when, in ms.
async fn late_ticks(behavior: MissedTickBehavior) -> Vec<u128> {
    let start = Instant::now();
    let mut ticks = interval(10 * MS);
    ticks.set_missed_tick_behavior(behavior);
    let mut taken = Vec::new();
    while taken.len() < 6 {
        if taken.len() == 1 && start.elapsed() < 35 * MS {
            advance(35 * MS).await;
        }
        match poll_fn(|cx| Poll::Ready(ticks.poll_tick(cx))).await {
            Poll::Ready(_) => taken.push(start.elapsed().as_millis()),
            Poll::Pending => advance(MS).await,
        }
    }
    taken
}

#[test]
fn missed_ticks_are_treated_as_documented() {
    paused(async {
        assert_eq!(
            late_ticks(MissedTickBehavior::Burst).await,
            [0, 35, 35, 35, 40, 50]
        );
        assert_eq!(
            late_ticks(MissedTickBehavior::Delay).await,
            [0, 35, 45, 55, 65, 75]
        );
        assert_eq!(
            late_ticks(MissedTickBehavior::Skip).await,
            [0, 35, 40, 50, 60, 70]
        );
    });
}

#[test]
fn a_little_lateness_does_not_shift_the_ticks() {
    paused(async {
        for behavior in [MissedTickBehavior::Delay, MissedTickBehavior::Skip] {
            let start = Instant::now();
            let mut ticks = interval(10 * MS);
            ticks.set_missed_tick_behavior(behavior);
            for n in 0..20_u32 {
                assert_eq!(ticks.tick().await, start + n * 10 * MS);
                // Each one is taken 3 ms late.
                advance(if n == 0 { 13 * MS } else { 10 * MS }).await;
            }
        }
    });
}

#[test]
fn a_reset_sleep_forgets_its_old_deadline() {
    paused(async {
        let mut pause = pin!(sleep(10 * MS));
        assert!(poll(pause.as_mut()).await.is_pending());
        pause.as_mut().reset(Instant::now() + 30 * MS);
        assert!(poll(pause.as_mut()).await.is_pending());
        advance(20 * MS).await;
        assert!(poll(pause.as_mut()).await.is_pending());
        advance(10 * MS).await;
        assert!(poll(pause.as_mut()).await.is_ready());
    });
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    paused(async {
        let next = Cell::new(0);
        let mut sleepers = pin!(heist_sync::join_all((0..50_u32).rev().map(async |n| {
            sleep(n * MS).await;
            assert_eq!(next.replace(n + 1), n);
        })));
        // All at the first poll, then one by one; the first is over at once.
        for _ in 0..50 {
            if poll(sleepers.as_mut()).await.is_ready() {
                break;
            }
            advance(MS).await;
        }
        assert_eq!(next.get(), 50);
    });
}
