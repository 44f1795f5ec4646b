//! Streams that are dropped, and waits that are dropped, at every point where that can happen.

mod common;

use common::block_on;
use heist_sync::stream::{Stream, StreamExt, generate, iter};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
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

/// A number that counts how many there are.
struct Live<'a> {
    number: u32,
    live: &'a Cell<i32>,
}

impl<'a> Live<'a> {
    fn new(number: u32, live: &'a Cell<i32>) -> Self {
        live.set(live.get() + 1);
        Self { number, live }
    }

    /// Some time later.
    async fn later(self) -> Self {
        for _ in 0..self.number % 3 {
            yield_once().await;
        }
        self
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.live.set(self.live.get() - 1);
    }
}

type Boxed<'a> = Pin<Box<dyn Stream<Item = Live<'a>> + 'a>>;

const COUNT: u32 = 12;

fn source(live: &Cell<i32>) -> impl Stream<Item = Live<'_>> {
    generate(async move |y| {
        for number in 0..COUNT {
            if number % 2 == 0 {
                yield_once().await;
            }
            y.emit(Live::new(number, live)).await;
        }
    })
}

/// Every kind of stream, each of which gives all of the values below `COUNT`.
fn streams(live: &Cell<i32>) -> Vec<(&'static str, Boxed<'_>)> {
    let s = || source(live);
    let half = COUNT as usize / 2;
    vec![
        ("generate", Box::pin(s())),
        ("map", Box::pin(s().map(|v| v))),
        ("then", Box::pin(s().then(Live::later))),
        ("filter", Box::pin(s().filter(|_| true))),
        ("filter_map", Box::pin(s().filter_map(Some))),
        ("take", Box::pin(s().take(COUNT as usize))),
        ("take_while", Box::pin(s().take_while(|_| true))),
        ("skip", Box::pin(s().skip(0))),
        ("chain", Box::pin(s().take(half).chain(s().skip(half)))),
        ("enumerate", Box::pin(s().enumerate().map(|(_, v)| v))),
        ("fuse", Box::pin(s().fuse())),
        (
            "merge",
            Box::pin(
                s().filter(|v| v.number % 2 == 0)
                    .merge(s().filter(|v| v.number % 2 == 1)),
            ),
        ),
        ("buffered", Box::pin(s().map(Live::later).buffered(3))),
        (
            "buffer_unordered",
            Box::pin(s().map(Live::later).buffer_unordered(3)),
        ),
        (
            "chunks",
            Box::pin(generate(async move |y| {
                let mut chunks = pin!(source(live).chunks(5));
                while let Some(chunk) = chunks.next().await {
                    for value in chunk {
                        y.emit(value).await;
                    }
                }
            })),
        ),
    ]
}

/// Control, tried: a `Chunks` that forgets what it has read when it is dropped.
#[test]
fn a_stream_dropped_anywhere_drops_what_it_has_read() {
    let live = Cell::new(0);
    for kind in 0..streams(&live).len() {
        for polls in 0.. {
            let (name, mut stream) = streams(&live).swap_remove(kind);
            let mut ended = false;
            for _ in 0..polls {
                let item = stream
                    .as_mut()
                    .poll_next(&mut Context::from_waker(Waker::noop()));
                ended |= matches!(item, Poll::Ready(None));
            }
            drop(stream);
            assert_eq!(live.get(), 0, "{name} after {polls} polls");
            if ended {
                break;
            }
        }
    }
}

/// Waits for the next value with a new future for each poll, so each one is dropped after one.
///
/// Control: a `next` that takes the stream by value, or a combinator that keeps what it has read in
/// the future instead of the stream, cannot be written; a `Then` that drops its future when it is
/// pending loses values, which was tried.
#[test]
fn waits_dropped_at_every_poll_lose_nothing() {
    let live = Cell::new(0);
    for (name, mut stream) in streams(&live) {
        let mut numbers = Vec::new();
        loop {
            let mut next = pin!(stream.next());
            match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(value)) => numbers.push(value.number),
                Poll::Ready(None) => break,
                Poll::Pending => {}
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..COUNT).collect::<Vec<_>>(), "{name}");
        assert_eq!(live.get(), 0, "{name}");
    }
}

/// Control, tried: a `Fold` that forgets its accumulator when it is dropped.
#[test]
fn futures_over_streams_dropped_anywhere_drop_all() {
    type Step<'a> = Box<dyn Fn(&'a Cell<i32>) -> Pin<Box<dyn Future<Output = ()> + 'a>> + 'a>;
    let live = Cell::new(0);
    let futures: Vec<(&str, Step<'_>)> = vec![
        (
            "collect",
            Box::new(|live| Box::pin(async move { drop(source(live).collect::<Vec<_>>().await) })),
        ),
        (
            "fold",
            Box::new(|live| {
                let fold = source(live).fold(None, |last, value| last.or(Some(value)));
                Box::pin(async move { drop(fold.await) })
            }),
        ),
        (
            "for_each",
            Box::new(|live| Box::pin(source(live).for_each(async |v| drop(v.later().await)))),
        ),
        (
            "for_each_concurrent",
            Box::new(|live| {
                Box::pin(source(live).for_each_concurrent(4, async |v| drop(v.later().await)))
            }),
        ),
    ];
    for (name, make) in &futures {
        for polls in 0.. {
            let mut future = make(&live);
            let done = (0..polls).any(|_| {
                future
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_ready()
            });
            drop(future);
            assert_eq!(live.get(), 0, "{name} after {polls} polls");
            if done {
                break;
            }
        }
    }
}

/// What is behind a stream may be read on when a stream over a reference to it is dropped.
#[test]
fn a_borrowed_stream_stays() {
    let mut numbers = iter(0..6);
    assert_eq!(block_on((&mut numbers).take(2).collect::<Vec<_>>()), [0, 1]);
    assert_eq!(block_on(numbers.collect::<Vec<_>>()), [2, 3, 4, 5]);
}
