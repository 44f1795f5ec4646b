//! Several futures of a stream at the same time: their order, their number, and who drives them.

mod common;

use common::{Rng, block_on};
use heist_sync::oneshot;
use heist_sync::stream::{Stream, StreamExt, iter, pending};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Yields to the executor so many times.
async fn yield_times(n: u64) {
    for _ in 0..n {
        let mut yielded = false;
        poll_fn(|cx| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

fn poll_next<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
}

/// How many run, and the most there were.
#[derive(Default)]
struct Running {
    now: Cell<usize>,
    most: Cell<usize>,
}

impl Running {
    async fn job(&self, pauses: u64) {
        self.now.set(self.now.get() + 1);
        self.most.set(self.most.get().max(self.now.get()));
        yield_times(pauses).await;
        self.now.set(self.now.get() - 1);
    }
}

/// Control, tried: with `<=` for the limit one too many runs; with `FuturesUnordered` the order is wrong.
#[test]
fn buffered_keeps_order_and_limit() {
    for limit in [1, 2, 5, 100] {
        let mut rng = Rng::new(limit as u64);
        let running = Running::default();
        let futures = (0..50).map(|i| {
            let pauses = 1 + rng.below(6);
            let running = &running;
            async move {
                running.job(pauses).await;
                i
            }
        });
        let outputs: Vec<_> = block_on(iter(futures).buffered(limit).collect());
        assert_eq!(outputs, (0..50).collect::<Vec<_>>());
        assert_eq!(running.most.get(), limit.min(50));
    }
}

/// Control, tried: as above.
#[test]
fn buffer_unordered_keeps_the_limit_and_gives_what_is_done() {
    for limit in [1, 2, 5, 100] {
        let mut rng = Rng::new(limit as u64);
        let running = Running::default();
        let futures = (0..50).map(|i| {
            let pauses = 1 + rng.below(6);
            let running = &running;
            async move {
                running.job(pauses).await;
                i
            }
        });
        let mut outputs: Vec<_> = block_on(iter(futures).buffer_unordered(limit).collect());
        outputs.sort_unstable();
        assert_eq!(outputs, (0..50).collect::<Vec<_>>());
        assert_eq!(running.most.get(), limit.min(50));
    }
    let by_length = iter([9, 1, 5]).map(async |n| {
        yield_times(n).await;
        n
    });
    let outputs: Vec<_> = block_on(by_length.buffer_unordered(3).collect());
    assert_eq!(outputs, [1, 5, 9]);
}

/// An output that waits for its turn counts, or a slow future would fill the memory.
///
/// Control, tried: with a limit on what runs only, all are started.
#[test]
fn a_slow_future_holds_buffered_up() {
    let (release, released) = oneshot::channel();
    let mut released = Some(released);
    let started = Cell::new(0);
    let futures = (0..10).map(|i| {
        let released = released.take();
        let started = &started;
        async move {
            started.set(started.get() + 1);
            if let Some(released) = released {
                released.await.unwrap();
            }
            i
        }
    });
    let mut stream = Box::pin(iter(futures).buffered(3));
    assert_eq!(stream.size_hint(), (10, Some(10)));
    for _ in 0..5 {
        assert_eq!(poll_next(&mut stream), Poll::Pending);
    }
    assert_eq!(started.get(), 3);
    assert_eq!(stream.size_hint(), (10, Some(10)));
    release.send(()).unwrap();
    assert_eq!(
        block_on(stream.collect::<Vec<_>>()),
        (0..10).collect::<Vec<_>>()
    );
}

/// Control, tried: a stream that says `None` because nothing runs ends here.
#[test]
fn nothing_running_is_no_end() {
    let mut ordered = pending::<std::future::Ready<()>>().buffered(2);
    assert_eq!(poll_next(&mut ordered), Poll::Pending);
    let mut unordered = pending::<std::future::Ready<()>>().buffer_unordered(2);
    assert_eq!(poll_next(&mut unordered), Poll::Pending);
    let mut each = Box::pin(pending::<()>().for_each_concurrent(2, async |()| {}));
    assert!(
        each.as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
}

/// Control, tried: with a return after the first future that is done this loses values.
#[test]
fn for_each_concurrent_keeps_the_limit_and_sees_all() {
    for limit in [Some(1), Some(3), Some(100), None] {
        let mut rng = Rng::new(3);
        let running = Running::default();
        let seen = RefCell::new(Vec::new());
        block_on(
            iter((0..50).map(|i| (i, rng.below(6)))).for_each_concurrent(
                limit,
                async |(i, pauses)| {
                    running.job(pauses).await;
                    seen.borrow_mut().push(i);
                },
            ),
        );
        let mut seen = seen.into_inner();
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
        if let Some(limit) = limit.filter(|limit| *limit < 50) {
            assert_eq!(running.most.get(), limit);
        }
    }
}

/// Control, tried: reading the whole stream before anything is polled never gets here.
#[test]
fn an_endless_stream_does_not_keep_the_futures_from_running() {
    let done = Cell::new(0);
    let mut each = pin!(iter(0..).for_each_concurrent(None, async |_| {
        done.set(done.get() + 1);
        if done.get() == 100 {
            panic!("enough");
        }
    }));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = each.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }));
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"enough"));
}

/// Wake-ups from other threads reach the futures.
#[test]
fn futures_are_woken_from_other_threads() {
    let channels: Vec<_> = (0..100).map(|_| oneshot::channel::<u32>()).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = channels.into_iter().unzip();
    let threads = std::thread::spawn(move || {
        for (i, sender) in senders.into_iter().enumerate().rev() {
            sender.send(i as u32).unwrap();
            std::thread::yield_now();
        }
    });
    let sum = block_on(
        iter(receivers)
            .buffer_unordered(100)
            .fold(0, |sum, i| sum + i.unwrap()),
    );
    assert_eq!(sum, 99 * 100 / 2);
    threads.join().unwrap();
}

/// Control, tried: without the check.
#[test]
#[should_panic(expected = "at least one future")]
fn a_limit_of_zero_is_refused() {
    drop(iter([0]).for_each_concurrent(0, async |_| {}));
}
