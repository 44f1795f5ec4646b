//! `join!` without any runtime. The controls named below were tried once each.

mod common;

use common::{Counter, block_on, poll_once};
use heist_sync::join;
use std::cell::{Cell, RefCell};
use std::future::{Future, IntoFuture, Ready, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

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

/// Control: with `list!` and the names in opposite orders this gives `(3, "two", 1)`.
#[test]
fn outputs_come_in_the_order_of_the_futures() {
    let (first, second, third) = block_on(async {
        join!(
            async {
                yield_times(5).await;
                1
            },
            ready("two"),
            async {
                yield_times(2).await;
                3
            },
        )
    });
    assert_eq!((first, second, third), (1, "two", 3));
}

#[test]
fn any_number_of_futures_will_do() {
    block_on(async {
        let () = join!();
        assert_eq!(join!(ready(1)), (1,));
        assert_eq!(join!(biased; ready(1), ready('b'),), (1, 'b'));
        let a = || ready(1);
        // More than a tuple has traits for.
        let sixteen = join!(
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            a(),
            ready(16)
        );
        assert_eq!(sixteen.15, 16);
    });
}

/// Control: with a `'static` bound on a branch not even the library compiles, whose `join` takes any future.
#[test]
fn futures_may_borrow_and_be_borrowed() {
    let total = Cell::new(0);
    let mut log = Vec::new();
    block_on(async {
        let mut named = pin!(async {
            yield_times(1).await;
            total.set(total.get() + 1);
        });
        join!(&mut named, async { total.set(total.get() + 2) }, async {
            log.push("mutably");
        });
    });
    assert_eq!((total.get(), log), (3, vec!["mutably"]));
}

#[test]
fn what_becomes_a_future_will_do() {
    struct Order;
    impl IntoFuture for Order {
        type Output = u8;
        type IntoFuture = Ready<u8>;
        fn into_future(self) -> Ready<u8> {
            ready(7)
        }
    }
    assert_eq!(block_on(async { join!(Order, Order) }), (7, 7));
}

/// A future that notes each of its polls and is done at the last of so many.
fn noting<'a>(log: &'a RefCell<String>, name: char, polls: usize) -> impl Future<Output = ()> + 'a {
    let mut left = polls;
    poll_fn(move |cx| {
        log.borrow_mut().push(name);
        left -= 1;
        if left == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Control: with a `start` that stays 0 the first log is that of the biased one.
#[test]
fn each_branch_is_the_first_in_its_turn() {
    let log = RefCell::new(String::new());
    let three = |polls| {
        (
            noting(&log, 'a', polls),
            noting(&log, 'b', polls),
            noting(&log, 'c', polls),
        )
    };
    let (a, b, c) = three(4);
    block_on(async { join!(a, b, c) });
    assert_eq!(log.take(), "abcbcacababc");
    let (a, b, c) = three(3);
    block_on(async { join!(biased; a, b, c) });
    assert_eq!(log.take(), "abcabcabc");
}

/// Control: a `Branch` that polls again what is done makes `poll_fn` panic on its counter.
#[test]
fn what_is_done_is_not_polled_again_and_is_dropped_at_once() {
    struct OnDrop<'a>(&'a Cell<bool>);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let log = RefCell::new(String::new());
    let dropped = Cell::new(false);
    let guard = OnDrop(&dropped);
    // It is the future itself that owns the guard, whether it is done or not.
    let quick = poll_fn(move |_| {
        let _guard = &guard;
        Poll::Ready(())
    });
    let slow = async {
        noting(&log, 's', 3).await;
        assert!(dropped.get(), "the other future outlives its output");
    };
    block_on(async { join!(quick, slow) });
    assert_eq!(log.take(), "sss");
}

#[test]
fn nothing_is_woken_while_all_wait() {
    let counter = Counter::new();
    let mut both = pin!(async { join!(pending::<()>(), pending::<()>()) });
    assert!(poll_once(both.as_mut(), &counter).is_pending());
    assert!(poll_once(both.as_mut(), &counter).is_pending());
    assert_eq!(counter.count(), 0);
}

#[test]
fn a_panic_goes_through_and_drops_the_others() {
    let log = RefCell::new(String::new());
    let panicking = async {
        yield_times(1).await;
        panic!("one of them");
    };
    let run = || block_on(async { join!(noting(&log, 'a', 9), panicking) });
    let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"one of them"));
    // The first of the second poll is the one that panics.
    assert_eq!(log.take(), "a");
}

/// It is `Send` if its futures are.
#[test]
fn it_may_change_threads() {
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    let both = send(async { join!(async { 1 }, yield_times(3)) });
    let output = std::thread::spawn(move || block_on(both)).join().unwrap();
    assert_eq!(output, (1, ()));
}

/// Names in the macro do not get into the way of those around it.
#[test]
fn names_of_the_caller_stay_theirs() {
    let output = 5;
    let outputs = block_on(async { join!(async { output }, async { output + 1 }) });
    assert_eq!(outputs, (5, 6));
}

/// The macro can be used in a temporary's lifetime, as any call.
#[test]
fn temporaries_live_until_the_end() {
    async fn length(text: &str) -> usize {
        yield_times(1).await;
        text.len()
    }
    let lengths = block_on(async { join!(length(&String::from("ab")), length(&format!("{}", 1))) });
    assert_eq!(lengths, (2, 1));
}
