//! `using_stream`: what becomes of a stream that is not read to its end. The controls named below were tried once each.

mod common;

use common::{Counter, block_on as foreign_block_on, poll_once};
use heist_runtime::block_on;
use heist_runtime::scope::{Exit, Scope, catch, current_deadline};
use heist_sync::stream::{Stream, StreamExt, generate, iter, using_stream};
use heist_sync::time::{Duration, Instant, sleep, timeout};
use heist_sync::{AsyncClose, How, finally, join_all, mpsc, using};
use std::cell::Cell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

const SHORT: Duration = Duration::from_millis(5);

/// What happened, in order.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("no panic under it").push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic under it"))
    }
}

/// Takes its time to close.
struct Resource(&'static str, Log);

impl AsyncClose for Resource {
    async fn close(self, how: How) {
        sleep(SHORT).await;
        self.1.note(format!("closed {} {how:?}", self.0));
    }
}

/// Counts, with a resource open.
fn counting(log: &Log) -> impl Stream<Item = u32> + use<> {
    let resource = Resource("stream", log.clone());
    generate(async |y| {
        using(resource, async |_: &mut Resource| {
            for i in 0..5 {
                y.emit(i).await;
            }
        })
        .await;
    })
}

/// Control: without the cancel after the body the resource is closed by the root, after "returned".
#[test]
fn a_generator_that_is_left_half_read_has_cleaned_up_on_return() {
    let log = Log::default();
    block_on(async {
        let found = using_stream(counting(&log), async |numbers| {
            while let Some(number) = numbers.next().await {
                if number == 2 {
                    log.note("found");
                    return number;
                }
            }
            unreachable!("2 is one of them")
        });
        assert_eq!(found.await, 2);
        log.note("returned");
    });
    assert_eq!(log.take(), ["found", "closed stream Cancelled", "returned"]);
}

#[test]
fn one_that_is_read_to_its_end_is_not_cancelled() {
    let log = Log::default();
    block_on(async {
        let all = using_stream(counting(&log), async |numbers| {
            let mut all = Vec::new();
            while let Some(number) = numbers.next().await {
                all.push(number);
            }
            assert_eq!(numbers.size_hint(), (0, Some(0)));
            assert_eq!(numbers.next().await, None);
            all
        });
        assert_eq!(all.await, [0, 1, 2, 3, 4]);
    });
    assert_eq!(log.take(), ["closed stream Done"]);
}

/// Control: with a scope that is not shielded both unwind at the same time, and the stream is closed first.
#[test]
fn a_cancellation_unwinds_the_body_and_then_the_stream() {
    let log = Log::default();
    let resource = Resource("stream", log.clone());
    block_on(async {
        let stalls = generate(async |y| {
            using(resource, async |_: &mut Resource| {
                y.emit(0).await;
                pending::<()>().await;
            })
            .await;
        });
        let work = using_stream(stalls, async |numbers| {
            finally(
                async {
                    assert_eq!(numbers.next().await, Some(0));
                    numbers.next().await;
                },
                async |_| {
                    sleep(2 * SHORT).await;
                    log.note("body");
                },
            )
            .await;
        });
        assert!(timeout(SHORT, work).await.is_err());
        log.note("returned");
    });
    assert_eq!(log.take(), ["body", "closed stream Cancelled", "returned"]);
}

/// Control: with a scope that is not shielded the stream is cancelled first.
#[test]
fn the_cleanup_of_a_cancelled_body_may_read_on() {
    let mut read = Vec::new();
    let log = Log::default();
    block_on(async {
        let work = using_stream(counting(&log), async |numbers| {
            finally(pending::<()>(), async |_| {
                while let Some(number) = numbers.next().await {
                    read.push(number);
                }
            })
            .await;
        });
        assert!(timeout(SHORT, work).await.is_err());
    });
    assert_eq!(read, [0, 1, 2, 3, 4]);
    assert_eq!(log.take(), ["closed stream Done"]);
}

fn message(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("it panics");
    payload
        .downcast_ref::<&str>()
        .expect("a message")
        .to_string()
}

/// Control: without a scope for the body its panic drops the stream, whose close is then called `Dropped`.
#[test]
fn a_panic_of_the_body_goes_on_after_the_stream_has_unwound() {
    let log = Log::default();
    let message = message(|| {
        block_on(using_stream(counting(&log), async |numbers| {
            numbers.next().await;
            panic!("the body");
        }))
    });
    assert_eq!(message, "the body");
    assert_eq!(log.take(), ["closed stream Cancelled"]);
}

/// Control: a `poll_next` that does not look for a panic returns `None`, and "went on" is noted.
#[test]
fn a_panic_of_the_stream_reaches_who_asked_for_its_value() {
    let log = Log::default();
    let message = message(|| {
        block_on(async {
            let stream = generate(async |y| {
                y.emit(1).await;
                panic!("the stream");
            });
            using_stream(stream, async |stream| {
                let reads = async {
                    assert_eq!(stream.next().await, Some(1));
                    stream.next().await;
                    log.note("went on");
                };
                finally(reads, async |how| log.note(format!("{how:?}"))).await;
            })
            .await;
        });
    });
    assert_eq!(message, "the stream");
    assert_eq!(log.take(), ["Panicked"]);
}

/// Control: without the look at `panicked` at the end nobody hears of it.
#[test]
fn a_panic_while_the_stream_is_closed_replaces_the_value() {
    struct Bad;
    impl AsyncClose for Bad {
        async fn close(self, _: How) {
            sleep(SHORT).await;
            panic!("in the cleanup");
        }
    }
    let message = message(|| {
        block_on(async {
            let stream = generate(async |y| {
                using(Bad, async |_: &mut Bad| y.emit(1).await).await;
            });
            using_stream(stream, async |stream| {
                assert_eq!(stream.next().await, Some(1));
            })
            .await;
        });
    });
    assert_eq!(message, "in the cleanup");
}

/// A generator with scopes of its own, polled within the timeout, would be unwound by it.
///
/// Control: with the generator itself, pinned and without `using_stream`, it panics, since it was unwound.
#[test]
fn a_wait_that_times_out_does_not_unwind_the_stream() {
    block_on(async {
        let slow = generate(async |y| {
            for i in 0..3 {
                let elapsed = timeout(3 * SHORT, pending::<()>()).await;
                assert!(elapsed.is_err());
                y.emit(i).await;
            }
        });
        let (all, waits) = using_stream(slow, async |slow| {
            let (mut all, mut waits) = (Vec::new(), 0);
            loop {
                match timeout(SHORT, slow.next()).await {
                    Ok(Some(i)) => all.push(i),
                    Ok(None) => return (all, waits),
                    Err(_) => waits += 1,
                }
            }
        })
        .await;
        assert_eq!(all, [0, 1, 2]);
        assert!(waits >= 3, "{waits}");
    });
}

/// Control: if it is closed without a look at what it has begun, it does begin.
#[test]
fn a_stream_that_nobody_asks_for_anything_does_not_begin() {
    let begun = Cell::new(false);
    block_on(async {
        let stream = generate(async |y| {
            begun.set(true);
            y.emit(()).await;
        });
        using_stream(stream, async |_| sleep(SHORT).await).await;
    });
    assert!(!begun.get());
}

/// Control: without the look at what has begun, the closing takes an item.
#[test]
fn a_stream_that_only_waits_takes_nothing_along() {
    let polls = Cell::new(0);
    block_on(async {
        // Knows nothing of scopes.
        let stream = futures_util::stream::poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::Ready(Some(polls.get()))
        });
        let sum = using_stream(stream, async |stream| {
            stream.next().await.unwrap() + stream.next().await.unwrap()
        });
        assert_eq!(sum.await, 3);
    });
    assert_eq!(polls.get(), 2);
}

/// What `join_all` runs has wakers of its own from 31 futures on.
///
/// Control: without the wake in `poll_both` this waits for ever.
#[test]
fn values_reach_parts_of_the_body_that_have_their_own_wakers() {
    block_on(async {
        let numbers = generate(async |y| {
            for i in 0..40_usize {
                heist_runtime::yield_now().await;
                y.emit(i).await;
            }
        });
        using_stream(numbers, async |numbers| {
            let numbers = heist_sync::Mutex::new(numbers);
            let all = join_all((0..40).map(async |_| numbers.lock().await.next().await)).await;
            let all: Option<Vec<_>> = all.into_iter().collect();
            assert_eq!(all, Some((0..40).collect()));
        })
        .await;
    });
}

/// Control: none; it shows what a drop does.
#[test]
fn dropped_half_way_it_leaves_the_cleanup_to_the_scope_around() {
    let log = Log::default();
    block_on(async {
        let body = async {
            let work = using_stream(counting(&log), async |numbers| {
                numbers.next().await;
                pending::<()>().await;
            });
            let mut work = Box::pin(work);
            std::future::poll_fn(|cx| {
                assert!(work.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        };
        assert!(matches!(catch(&Scope::new(), body).await, Exit::Value(())));
        log.note("returned");
    });
    assert_eq!(log.take(), ["closed stream Dropped", "returned"]);
}

/// Control: without the deadline of the scope the stream sees none.
#[test]
fn the_stream_sees_the_deadline_around_it() {
    block_on(async {
        let deadlines = generate(async |y| y.emit(current_deadline()).await);
        let before = Instant::now();
        let seen = timeout(
            Duration::from_secs(9),
            using_stream(deadlines, async |deadlines| deadlines.next().await),
        );
        let seen = seen.await.unwrap().flatten().expect("there is one");
        let left = seen - before;
        assert!(Duration::from_secs(8) < left && left < Duration::from_secs(10));
    });
}

#[test]
fn it_needs_no_runtime_and_may_change_threads() {
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    let (sender, mut receiver) = mpsc::channel(4);
    let total = send(using_stream(iter([1, 2, 3]), async |numbers| {
        let mut total = 0;
        while let Some(number) = numbers.next().await {
            sender.send(number).await.expect("it is received");
            total += number;
        }
        total
    }));
    let total = std::thread::scope(|s| s.spawn(|| foreign_block_on(total)).join().unwrap());
    assert_eq!((total, receiver.try_recv()), (6, Ok(1)));

    // What it waits for wakes it.
    let counter = Counter::new();
    let (sender, receiver) = mpsc::channel(1);
    let receiver = heist_sync::stream::wrappers::ReceiverStream::new(receiver);
    let mut one = pin!(using_stream(receiver, async |items| items.next().await));
    assert!(poll_once(one.as_mut(), &counter).is_pending());
    sender.try_send(7).expect("there is room");
    assert_eq!(counter.count(), 1);
    assert_eq!(poll_once(one.as_mut(), &counter), Poll::Ready(Some(7)));
}
