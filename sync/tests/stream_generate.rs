//! Generators: what they hand over, when their bodies run, and what a drop does to them. The controls named below
//! were tried once each.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::join_all;
use heist_sync::stream::{Emitter, Stream, StreamExt, generate};
use heist_sync::time::{Duration, sleep};
use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Pending once, with a wake-up.
async fn yield_once() {
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

fn poll_next<S: Stream>(stream: Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// Notes that it was dropped.
struct OnDrop<'a>(&'a Cell<bool>);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn values_come_in_order_and_then_the_end() {
    let squares = generate(async |y| {
        for i in 0..5 {
            yield_once().await;
            y.emit(i * i).await;
        }
    });
    assert_eq!(block_on(squares.collect::<Vec<_>>()), [0, 1, 4, 9, 16]);
}

/// Control: a body that is kept once it has returned panics when it is polled again.
#[test]
fn the_end_is_final() {
    let mut stream = pin!(generate(async |y| y.emit(1).await));
    assert_eq!(stream.size_hint(), (0, None));
    assert_eq!(poll_next(stream.as_mut()), Poll::Ready(Some(1)));
    for _ in 0..3 {
        assert_eq!(poll_next(stream.as_mut()), Poll::Ready(None));
        assert_eq!(stream.size_hint(), (0, Some(0)));
    }
    let mut empty = pin!(generate(async |_: &mut Emitter<u8>| {}));
    assert_eq!(poll_next(empty.as_mut()), Poll::Ready(None));
}

/// Control: an emit that is ready once its value lies in the slot lets the body run ahead, and
/// `steps` is one too many each time.
#[test]
fn the_body_runs_only_when_it_is_asked() {
    let steps = Cell::new(0);
    let mut stream = pin!(generate(async |y| {
        for i in 0..3 {
            steps.set(steps.get() + 1);
            y.emit(i).await;
        }
        steps.set(100);
    }));
    assert_eq!(steps.get(), 0);
    for i in 0..3 {
        assert_eq!(poll_next(stream.as_mut()), Poll::Ready(Some(i)));
        assert_eq!(steps.get(), i + 1);
    }
    assert_eq!(poll_next(stream.as_mut()), Poll::Ready(None));
    assert_eq!(steps.get(), 100);
}

/// Control: with the emitter in an `Rc` instead of an `Arc` this does not compile.
#[test]
fn it_is_send_if_its_body_is_and_crosses_threads() {
    let text = String::from("a b c");
    let stream = is_send(generate(async move |y| {
        for word in text.split(' ') {
            yield_once().await;
            y.emit(String::from(word)).await;
        }
    }));
    let mut stream = Box::pin(stream);
    for expected in ["a", "b", "c"] {
        let received;
        (stream, received) = std::thread::spawn(move || {
            let received = block_on(stream.next());
            (stream, received)
        })
        .join()
        .unwrap();
        assert_eq!(received.as_deref(), Some(expected));
    }
    assert_eq!(block_on(stream.next()), None);
    // One whose values are not is not, but works on its thread.
    let local = generate(async |y| y.emit(std::rc::Rc::new(1)).await);
    assert_eq!(*block_on(local.collect::<Vec<_>>())[0], 1);
}

#[test]
fn tasks_of_the_runtime_use_it() {
    let sum = heist_runtime::block_on(async {
        heist_runtime::spawn(async {
            let mut stream = pin!(generate(async |y| {
                for i in 1..=10 {
                    sleep(Duration::from_micros(50)).await;
                    y.emit(i).await;
                }
            }));
            let mut sum = 0;
            while let Some(i) = stream.next().await {
                sum += i;
            }
            sum
        })
        .await
        .unwrap()
    });
    assert_eq!(sum, 55);
}

/// An emitter can be lent to other functions, and a generator may recurse through boxes.
#[test]
fn a_body_lends_its_emitter() {
    async fn count_down(y: &mut Emitter<u32>, n: u32) {
        y.emit(n).await;
        if n > 0 {
            Box::pin(count_down(y, n - 1)).await;
        }
    }
    let stream = generate(async |y| count_down(y, 3).await);
    assert_eq!(block_on(stream.collect::<Vec<_>>()), [3, 2, 1, 0]);
}

/// Control: with the stream forgotten in place of the drop the body is not dropped.
#[test]
fn a_stream_dropped_half_read_drops_its_body() {
    let dropped = Cell::new(false);
    let mut stream = Box::pin(generate(async |y| {
        let _guard = OnDrop(&dropped);
        y.emit(1).await;
        y.emit(2).await;
    }));
    assert_eq!(poll_next(stream.as_mut()), Poll::Ready(Some(1)));
    assert!(!dropped.get());
    drop(stream);
    assert!(dropped.get());
}

/// Control: none with an async block as the body, which drops what it has captured when it returns.
#[test]
fn a_stream_that_has_ended_has_dropped_its_body() {
    let dropped = Cell::new(false);
    let guard = OnDrop(&dropped);
    let mut stream = Box::pin(generate(async move |y| {
        let _guard = &guard;
        y.emit(1).await;
    }));
    assert_eq!(block_on(stream.next()), Some(1));
    assert_eq!(block_on(stream.next()), None);
    assert!(dropped.get());
}

/// However a consumer drops its waits, it gets every value once.
#[test]
fn dropped_waits_lose_nothing() {
    let mut rng = Rng::new(7);
    let waker = Counter::new();
    for _ in 0..200 {
        let pauses: Vec<_> = (0..20).map(|_| rng.below(4)).collect();
        let mut stream = pin!(generate(async |y| {
            for (i, &pauses) in pauses.iter().enumerate() {
                for _ in 0..pauses {
                    yield_once().await;
                }
                y.emit(i).await;
            }
        }));
        let mut received = Vec::new();
        loop {
            let mut next = pin!(stream.next());
            let mut patience = rng.below(3);
            let item = loop {
                match poll_once(next.as_mut(), &waker) {
                    Poll::Pending if patience == 0 => break None,
                    Poll::Pending => patience -= 1,
                    Poll::Ready(item) => break Some(item),
                }
            };
            match item {
                Some(Some(i)) => received.push(i),
                Some(None) => break,
                None => {}
            }
        }
        assert_eq!(received, (0..20).collect::<Vec<_>>());
    }
}

/// The values of emits that were dropped after their first poll arrive, each before the next one.
///
/// Control: a `put` that does not look whether the slot is full loses the first value.
#[test]
fn an_emit_dropped_after_its_first_poll_hands_its_value_over() {
    let mut stream = pin!(generate(async |y| {
        for i in [1, 2] {
            let mut emit = Box::pin(y.emit(i));
            poll_fn(|cx| {
                assert!(emit.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        drop(y.emit(3));
        y.emit(4).await;
    }));
    let mut received = Vec::new();
    while let Poll::Ready(Some(i)) = poll_next(stream.as_mut()) {
        received.push(i);
    }
    assert_eq!(received, [1, 4]);
}

/// Futures with wakers of their own poll only what has been woken.
///
/// Control: without `Slot::note` this hangs after the first value.
#[test]
fn a_part_of_the_body_with_its_own_wakers_goes_on() {
    let shared = RefCell::new(Vec::new());
    let stream = generate(async |y| {
        let emitter = RefCell::new(Some(y));
        // More than 30, so that each of the futures has a waker of its own.
        join_all((0..40).map(async |i| {
            if i == 20 {
                let y = emitter.borrow_mut().take().unwrap();
                for value in 0..3 {
                    y.emit(value).await;
                }
            }
            shared.borrow_mut().push(i);
        }))
        .await;
    });
    assert_eq!(block_on(stream.collect::<Vec<_>>()), [0, 1, 2]);
    assert_eq!(shared.borrow().len(), 40);
}

#[test]
fn a_panic_of_the_body_goes_through() {
    let mut stream = Box::pin(generate(async |y| {
        y.emit(1).await;
        panic!("in the body");
    }));
    assert_eq!(block_on(stream.next()), Some(1));
    let panic = catch_unwind(AssertUnwindSafe(|| block_on(stream.next())));
    assert_eq!(
        panic.unwrap_err().downcast_ref::<&str>(),
        Some(&"in the body")
    );
}

/// Control: none that compiles, since a slot could keep a value only by a clone. With an `emit` that is ready once its
/// value lies in the slot, the second one overwrites it, which is noticed.
#[test]
fn no_value_is_kept() {
    let value = Arc::new(());
    let mut stream = Box::pin(generate(async |y| {
        y.emit(Arc::clone(&value)).await;
        ready(()).await;
        y.emit(Arc::clone(&value)).await;
    }));
    drop(block_on(stream.next()));
    assert_eq!(Arc::strong_count(&value), 1);
    drop(block_on(stream.next()));
    assert_eq!(Arc::strong_count(&value), 1);
    drop(stream);
    assert_eq!(Arc::strong_count(&value), 1);
}
