//! `join_all` and `try_join_all` without any runtime.
//!
//! The controls named below were tried once each.

mod common;

use common::{Counter, Rng, block_on, poll_once};
use heist_sync::{Semaphore, join_all, try_join_all};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::task::{Poll, Waker};

/// Sizes on both sides of the change of method, and far beyond it.
const SIZES: [usize; 7] = [0, 1, 2, 30, 31, 64, 1_000];

/// Yields to the executor so many times.
async fn yield_times(n: usize) {
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

/// Control: outputs that are put in the next free place instead of that of their future.
#[test]
fn outputs_come_in_the_order_of_the_futures() {
    for size in SIZES {
        let delays = |n: usize| (size - n) % 7;
        let outputs = block_on(join_all((0..size).map(async |n| {
            yield_times(delays(n)).await;
            n
        })));
        assert_eq!(outputs, (0..size).collect::<Vec<_>>());
    }
}

#[test]
fn futures_may_borrow() {
    let total = Cell::new(0);
    let numbers: Vec<i32> = (0..100).collect();
    block_on(join_all(numbers.iter().map(async |n| {
        yield_times(1).await;
        total.set(total.get() + n);
    })));
    assert_eq!(total.get(), 4_950);
}

/// Control: a `poll_woken` that polls all of them whenever it is polled.
#[test]
fn only_those_woken_are_polled() {
    const COUNT: usize = 500;
    let polls: Vec<Cell<usize>> = (0..COUNT).map(|_| Cell::new(0)).collect();
    let wakers: Vec<RefCell<Option<Waker>>> = (0..COUNT).map(|_| RefCell::new(None)).collect();
    let waker = Counter::new();
    let mut all = join_all((0..COUNT).map(|n| {
        let (polls, slot) = (&polls[n], &wakers[n]);
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            *slot.borrow_mut() = Some(cx.waker().clone());
            if polls.get() == 3 {
                Poll::Ready(n)
            } else {
                Poll::Pending
            }
        })
    }));
    let mut all = pin!(&mut all);
    assert!(poll_once(all.as_mut(), &waker).is_pending());
    assert!(polls.iter().all(|polls| polls.get() == 1));
    let wake = |n: usize| wakers[n].borrow().as_ref().unwrap().wake_by_ref();

    // Twice the same, and another: the task is woken once, and only these are polled.
    wake(7);
    wake(7);
    wake(450);
    assert_eq!(waker.count(), 1);
    assert!(poll_once(all.as_mut(), &waker).is_pending());
    assert_eq!(polls.iter().map(Cell::get).sum::<usize>(), COUNT + 2);
    assert!(poll_once(all.as_mut(), &waker).is_pending());
    assert_eq!(
        polls.iter().map(Cell::get).sum::<usize>(),
        COUNT + 2,
        "a poll for nothing"
    );

    for _ in 0..2 {
        (0..COUNT).for_each(wake);
        if poll_once(all.as_mut(), &waker).is_ready() {
            assert!(polls.iter().all(|polls| polls.get() == 3));
            // Late wake-ups of a finished join harm nobody.
            (0..COUNT).for_each(wake);
            return;
        }
    }
    panic!("all were polled three times");
}

/// A future of another thread's to complete: its number, its waker, and what to set first.
type Remote = (u64, Waker, Arc<AtomicBool>);

/// Completes when another thread says so.
fn remote(n: u64, to: &Sender<Remote>) -> impl Future<Output = u64> {
    let (to, done) = (to.clone(), Arc::new(AtomicBool::new(false)));
    let mut sent = false;
    poll_fn(move |cx| {
        if done.load(Relaxed) {
            return Poll::Ready(n);
        }
        if !sent {
            sent = true;
            to.send((n, cx.waker().clone(), Arc::clone(&done)))
                .expect("the threads listen");
        }
        Poll::Pending
    })
}

/// Control: with `queued` cleared after the poll of a future and not before it, this waits for ever.
#[test]
fn wake_ups_from_other_threads_are_not_lost() {
    for round in 0..300 {
        let count = if round % 2 == 0 { 200 } else { 20 };
        let (sender, receiver) = channel::<Remote>();
        let receiver = Arc::new(std::sync::Mutex::new(receiver));
        let wakers: Vec<_> = (0..3)
            .map(|seed| {
                let receiver = Arc::clone(&receiver);
                std::thread::spawn(move || {
                    let mut rng = Rng::new(seed + round);
                    loop {
                        let Ok((_, waker, done)) = receiver.lock().unwrap().recv() else {
                            return;
                        };
                        if rng.below(10) == 0 {
                            waker.wake_by_ref();
                        }
                        done.store(true, Relaxed);
                        waker.wake();
                    }
                })
            })
            .collect();
        let outputs = block_on(join_all((0..count).map(|n| remote(n, &sender))));
        assert_eq!(outputs, (0..count).collect::<Vec<_>>());
        drop(sender);
        for thread in wakers {
            thread.join().unwrap();
        }
    }
}

#[test]
fn dropping_it_at_any_poll_drops_everything_once() {
    for size in SIZES {
        let polls_needed = 6;
        for polls in 0..=polls_needed {
            let alive = Rc::new(());
            let waker = Counter::new();
            let mut all = Box::pin(join_all((0..size).map(|n| {
                let guard = Rc::clone(&alive);
                async move {
                    yield_times(n % polls_needed).await;
                    guard
                }
            })));
            let mut outputs = None;
            for _ in 0..polls {
                if let Poll::Ready(done) = poll_once(all.as_mut(), &waker) {
                    outputs = Some(done);
                    break;
                }
            }
            drop(all);
            let kept = outputs.as_ref().map_or(0, Vec::len);
            assert_eq!(Rc::strong_count(&alive), 1 + kept);
            drop(outputs);
            assert_eq!(Rc::strong_count(&alive), 1);
            assert_eq!(
                Arc::strong_count(&waker),
                1,
                "no waker of the task is left behind"
            );
        }
    }
}

#[test]
fn the_first_error_drops_the_others_first() {
    for size in [2, 30, 31, 200] {
        let alive = Rc::new(());
        let result = block_on(try_join_all((0..size).map(|n| {
            let guard = Rc::clone(&alive);
            async move {
                yield_times(n % 3).await;
                if n == size / 2 {
                    return Err((n, Rc::strong_count(&guard)));
                }
                if n % 3 != 0 {
                    pending::<()>().await;
                }
                Ok(guard)
            }
        })));
        let (n, _) = result.unwrap_err();
        assert_eq!(n, size / 2);
        assert_eq!(Rc::strong_count(&alive), 1);
    }
}

#[test]
fn all_well_is_all_outputs() {
    for size in SIZES {
        let result: Result<Vec<usize>, ()> = block_on(try_join_all((0..size).map(async |n| {
            yield_times(n % 4).await;
            Ok(n)
        })));
        assert_eq!(result, Ok((0..size).collect()));
    }
}

/// Control: a `take_outputs` that does not note that it has given them away.
#[test]
#[should_panic(expected = "polled again after it was done")]
fn polling_it_again_panics() {
    let waker = Counter::new();
    let mut all = pin!(join_all([ready(1)]));
    assert!(poll_once(all.as_mut(), &waker).is_ready());
    let _ = poll_once(all.as_mut(), &waker);
}

#[test]
fn a_panic_goes_through_and_the_rest_is_dropped() {
    for size in [5, 100] {
        let alive = Rc::new(());
        let run = || {
            block_on(join_all((0..size).map(|n| {
                let guard = Rc::clone(&alive);
                async move {
                    yield_times(1).await;
                    if n == 3 {
                        std::panic::resume_unwind(Box::new("three"));
                    }
                    drop(guard);
                }
            })))
        };
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"three"));
        assert_eq!(Rc::strong_count(&alive), 1);
    }
}

#[test]
fn with_a_semaphore_inside_at_most_so_many_run() {
    let semaphore = Semaphore::new(4);
    let (running, most) = (Cell::new(0), Cell::new(0));
    block_on(join_all((0..200).map(async |n| {
        let _permit = semaphore.acquire().await.unwrap();
        running.set(running.get() + 1);
        most.set(most.get().max(running.get()));
        yield_times(n % 5).await;
        running.set(running.get() - 1);
    })));
    assert_eq!(most.get(), 4);
    assert_eq!(semaphore.available_permits(), 4);
}

#[test]
fn it_is_send_if_the_futures_are() {
    fn check<T: Send + Unpin>(_: T) {}
    check(join_all([ready(1)]));
    check(Box::pin(try_join_all([ready(Ok::<(), ()>(()))])));
}
