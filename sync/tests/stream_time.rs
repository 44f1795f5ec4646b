//! Streams and the clock.

use heist_runtime::block_on;
use heist_sync::stream::{Stream, StreamExt, empty, generate, iter, pending};
use heist_sync::time::{Duration, Instant, sleep};
use std::pin::pin;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Control, tried: without the pause all values come at once.
#[test]
fn throttle_keeps_values_apart() {
    block_on(async {
        let mut stream = iter(0..4).throttle(5 * MILLISECOND);
        assert_eq!(stream.size_hint(), (4, Some(4)));
        let start = Instant::now();
        let mut count = 0;
        while let Some(i) = stream.next().await {
            assert_eq!(i, count);
            assert!(start.elapsed() >= 5 * MILLISECOND * i);
            count += 1;
        }
        assert_eq!(count, 4);
    });
}

/// The first value does not wait, and nor does a stream without a pause.
///
/// Control, tried: a pause before the first value.
#[test]
fn throttle_of_nothing_costs_nothing() {
    let hour = Duration::from_secs(3600);
    block_on(async {
        assert_eq!(iter([1]).throttle(hour).next().await, Some(1));
        assert_eq!(empty::<u8>().throttle(hour).next().await, None);
    });
    // No runtime, no timer.
    let all = iter(0..1000).throttle(Duration::ZERO).count_all();
    assert_eq!(all, 1000);
}

trait CountAll {
    fn count_all(self) -> usize;
}

impl<S: Stream + Unpin> CountAll for S {
    fn count_all(mut self) -> usize {
        use std::task::{Context, Poll, Waker};
        let mut count = 0;
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(_)) = std::pin::Pin::new(&mut self).poll_next(cx) {
            count += 1;
        }
        count
    }
}

/// A pause that is dropped half way is over when it would have been.
///
/// Control, tried: a stream that is read during the pause.
#[test]
fn a_wait_dropped_in_a_pause_loses_no_value() {
    block_on(async {
        let mut stream = iter(0..3).throttle(3 * MILLISECOND);
        let mut all = Vec::new();
        loop {
            match heist_sync::time::timeout(MILLISECOND, stream.next()).await {
                Ok(Some(i)) => all.push(i),
                Ok(None) => break,
                Err(_) => {}
            }
        }
        assert_eq!(all, [0, 1, 2]);
    });
}

/// Control, tried: a timeout that does not note that it has spoken repeats itself without end.
#[test]
fn timeout_says_once_that_a_value_is_late() {
    block_on(async {
        let mut stream = pin!(
            generate(async |y| {
                y.emit(1).await;
                sleep(150 * MILLISECOND).await;
                y.emit(2).await;
                sleep(150 * MILLISECOND).await;
                y.emit(3).await;
            })
            .timeout(5 * MILLISECOND)
        );
        let mut seen = Vec::new();
        while let Some(item) = stream.next().await {
            seen.push(item.ok());
        }
        assert_eq!(seen, [Some(1), None, Some(2), None, Some(3)]);
    });
}

/// Control, tried: an upper bound without the errors.
#[test]
fn timeout_knows_how_much_may_come() {
    let hint = |stream: heist_sync::stream::Iter<_>| stream.timeout(MILLISECOND).size_hint();
    assert_eq!(hint(iter(vec![1, 2])), (2, Some(5)));
    block_on(async {
        let mut silence = pending::<u8>().timeout(MILLISECOND);
        assert!(silence.next().await.unwrap().is_err());
        assert_eq!(empty::<u8>().timeout(MILLISECOND).next().await, None);
    });
}
