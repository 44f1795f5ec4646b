//! `race`, `race_all` and `try_join!`: who wins, and how the others end.

mod common;

use common::{Counter, block_on, poll_once};
use heist_runtime::scope::{Cleanup, Exit, Reason, Scope, cancel_requested, catch};
use heist_sync::time::{Duration, Instant, sleep, timeout};
use heist_sync::{AsyncClose, How, oneshot, race, race_all, try_join, try_join_all, using};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
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

/// Holds a resource for ever.
async fn holding(name: &'static str, log: &Log) {
    using(Resource(name, log.clone()), async |_: &mut Resource| {
        pending::<()>().await;
    })
    .await;
}

fn message(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("it panics");
    payload
        .downcast_ref::<&str>()
        .expect("a message")
        .to_string()
}

/// Control, tried: a `poll` that does not leave its waker with the branches is not woken.
#[test]
fn the_first_output_wins_without_any_runtime() {
    let (sender, receiver) = oneshot::channel();
    let counter = Counter::new();
    let mut both = pin!(race(pending(), async { receiver.await.unwrap() }));
    assert!(poll_once(both.as_mut(), &counter).is_pending());
    sender.send(7).unwrap();
    assert_eq!(counter.count(), 1);
    assert_eq!(poll_once(both.as_mut(), &counter), Poll::Ready(7));
}

/// Control, tried: a `chance::below` that returns 0.
#[test]
fn of_two_that_are_ready_each_wins_at_times() {
    let firsts = (0..1_000)
        .filter(|_| block_on(race(ready(true), ready(false))))
        .count();
    assert!((300..700).contains(&firsts), "{firsts}");
}

/// Controls, tried: without the cancel in `Body` this waits for ever; with a body that is ready at once the close is
/// called `Dropped`; with a decision that does not wait for the scope it comes after the return.
#[test]
fn the_cleanup_of_the_loser_is_awaited() {
    let log = Log::default();
    heist_runtime::block_on(async {
        let winner = async {
            sleep(SHORT).await;
            log.note("won");
        };
        race(holding("resource", &log), winner).await;
        log.note("returned");
    });
    assert_eq!(log.take(), ["won", "closed resource Cancelled", "returned"]);
}

/// Control, tried: with a `poll_unwinding` that polls every branch, as one would who does not `watch`, the receiver
/// takes the value with it.
#[test]
fn a_loser_that_only_waits_takes_nothing_along() {
    let log = Log::default();
    let polls = Cell::new(0);
    heist_runtime::block_on(async {
        let fails = async {
            heist_runtime::yield_now().await;
            Err::<(), _>("error")
        };
        // Would be given something at its second poll.
        let receives = poll_fn(|_| {
            polls.set(polls.get() + 1);
            if polls.get() == 1 {
                Poll::Pending
            } else {
                Poll::Ready(Ok(()))
            }
        });
        let unwinds = async {
            holding("resource", &log).await;
            Ok(())
        };
        assert_eq!(try_join!(biased; fails, receives, unwinds), Err("error"));
    });
    assert_eq!(polls.get(), 1);
    assert_eq!(log.take(), ["closed resource Cancelled"]);
}

/// Control, tried: a `poll_out` that catches nothing drops the other, whose close is then called `Dropped`.
#[test]
fn a_panic_wins_after_the_other_has_unwound() {
    let log = Log::default();
    let message = message(|| {
        heist_runtime::block_on(async {
            let panicking = async {
                sleep(SHORT).await;
                panic!("the winner");
            };
            race(holding("resource", &log), panicking).await;
        });
    });
    assert_eq!(message, "the winner");
    assert_eq!(log.take(), ["closed resource Cancelled"]);
}

/// Control, tried: a `panicked` that does nothing.
#[test]
fn a_panic_in_the_cleanup_of_the_loser_replaces_the_output() {
    struct Bad;
    impl AsyncClose for Bad {
        async fn close(self, _: How) {
            sleep(SHORT).await;
            panic!("in the cleanup");
        }
    }
    let message = message(|| {
        heist_runtime::block_on(async {
            let loser = using(Bad, async |_: &mut Bad| pending::<()>().await);
            race(loser, sleep(SHORT)).await;
        });
    });
    assert_eq!(message, "in the cleanup");
}

/// Control, tried: without `propagate` in `decide`.
#[test]
fn a_cancellation_from_outside_unwinds_both() {
    let log = Log::default();
    heist_runtime::block_on(async {
        let both = race(holding("a", &log), holding("b", &log));
        assert!(timeout(SHORT, both).await.is_err());
        log.note("returned");
    });
    let mut log = log.take();
    log[..2].sort();
    assert_eq!(
        log,
        ["closed a Cancelled", "closed b Cancelled", "returned"]
    );
}

/// An output that comes while a cancellation from outside unwinds the branches is returned.
///
/// Control, tried: a `decide` that propagates the cancellation of its scope although there is a decision.
#[test]
fn an_output_wins_over_a_cancellation_from_outside() {
    heist_runtime::block_on(async {
        let scope = Scope::new();
        let saves = async {
            let inner = catch(&Scope::new(), pending::<()>()).await;
            assert!(matches!(inner, Exit::Cancelled(_)));
            Cleanup::new(async { sleep(SHORT).await }).await;
            7
        };
        let body = async {
            let output = race(saves, async {
                holding("other", &Log::default()).await;
                8
            });
            let output = output.await;
            assert!(cancel_requested());
            output
        };
        let cancel = async {
            sleep(SHORT).await;
            scope.cancel(Reason::Explicit);
        };
        let (exit, ()) = heist_sync::join!(catch(&scope, body), cancel);
        assert!(matches!(exit, Exit::Value(7)), "{exit:?}");
    });
}

/// Control, tried: a guard of `using` that closes nothing when it is dropped.
#[test]
fn dropped_half_way_it_leaves_no_cleanup_behind() {
    let log = Log::default();
    heist_runtime::block_on(async {
        let scope = Scope::new();
        let body = async {
            let mut both = Box::pin(race(holding("a", &log), pending()));
            poll_fn(|cx| {
                assert!(both.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            drop(both);
        };
        assert!(matches!(catch(&scope, body).await, Exit::Value(())));
        log.note("returned");
    });
    assert_eq!(log.take(), ["closed a Dropped", "returned"]);
}

#[test]
fn all_that_succeed_are_a_tuple() {
    let outputs =
        block_on(async { try_join!(async { Ok::<_, ()>(1) }, ready(Ok("two")), biased_yield(3),) });
    assert_eq!(outputs, Ok((1, "two", 3)));
    let one = block_on(async { try_join!(biased; ready(Ok::<_, ()>(1))) });
    assert_eq!(one, Ok((1,)));
}

async fn biased_yield<T>(value: T) -> Result<T, ()> {
    heist_sync::checkpoint().await;
    Ok(value)
}

/// Control, tried: as for the race.
#[test]
fn the_first_error_is_returned_after_the_others_have_unwound() {
    let log = Log::default();
    let result = heist_runtime::block_on(async {
        let fails = async {
            sleep(SHORT).await;
            log.note("failed");
            Err::<(), _>("error")
        };
        let holds = async {
            holding("resource", &log).await;
            Ok(())
        };
        let done = ready(Ok(String::from("dropped")));
        let result = try_join!(done, holds, fails);
        log.note("returned");
        result
    });
    assert_eq!(result, Err("error"));
    assert_eq!(
        log.take(),
        ["failed", "closed resource Cancelled", "returned"]
    );
}

/// Control, tried: without the probe, which finds out that it is lent, the timeout within is unwound and panics.
#[test]
fn what_is_lent_goes_on_after_an_error() {
    let log = Log::default();
    heist_runtime::block_on(async {
        let started = Instant::now();
        let mut lent = pin!(async {
            let elapsed = timeout(4 * SHORT, pending::<()>()).await;
            assert!(elapsed.is_err());
            sleep(SHORT).await;
            Ok(7)
        });
        let fails = async {
            sleep(SHORT).await;
            Err::<(), ()>(())
        };
        let holds = async {
            holding("owned", &log).await;
            Ok(())
        };
        assert_eq!(try_join!(&mut lent, lent_too(fails), holds), Err(()));
        assert_eq!(lent.await, Ok(7));
        assert!(started.elapsed() >= 5 * SHORT);
    });
    assert_eq!(log.take(), ["closed owned Cancelled"]);
}

async fn lent_too<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    race(future.as_mut(), pending()).await
}

/// With nothing but lent futures there is no scope, and nothing ends.
#[test]
fn only_what_is_lent_needs_no_scope() {
    heist_runtime::block_on(async {
        let mut slow = pin!(async {
            timeout(4 * SHORT, pending::<()>()).await.unwrap_err();
            Ok::<_, &str>(1)
        });
        let mut fails = pin!(async {
            sleep(SHORT).await;
            Err::<(), _>("error")
        });
        assert_eq!(try_join!(slow.as_mut(), fails.as_mut()), Err("error"));
        assert_eq!(slow.await, Ok(1));
    });
}

/// Control, tried: as for the one that only waits.
#[test]
fn a_loser_that_was_never_polled_does_not_begin() {
    let begun = Cell::new(false);
    let result = block_on(async {
        try_join!(biased; ready(Err::<(), _>(1)), async {
            begun.set(true);
            Ok(())
        })
    });
    assert_eq!((result, begun.get()), (Err(1), false));
}

#[test]
fn they_may_borrow_and_change_threads() {
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    let text = String::from("borrowed");
    let length = send(async {
        let length = race(async { text.len() }, pending()).await;
        try_join!(async { Ok::<_, ()>(length) }, async { Ok(text.len()) })
    });
    let lengths = std::thread::scope(|s| s.spawn(|| block_on(length)).join().unwrap());
    assert_eq!(lengths, Ok((8, 8)));
    let here = RefCell::new(0);
    block_on(race(async { *here.borrow_mut() += 1 }, pending()));
    assert_eq!(here.into_inner(), 1);
}

/// Control, tried: with a `Slot::unwinds` that is never true, the resources are closed too late.
#[test]
fn try_join_all_returns_after_the_others_have_unwound() {
    for count in [2, 40] {
        let log = Log::default();
        let result = heist_runtime::block_on(async {
            let result = try_join_all((0..count).map(async |n| {
                if n == 1 {
                    sleep(SHORT).await;
                    return Err(n);
                }
                holding("resource", &log).await;
                Ok(())
            }));
            let result = result.await;
            log.note("returned");
            result
        });
        assert_eq!(result, Err(1));
        let log = log.take();
        assert_eq!(log.len(), count);
        assert_eq!(log[0], "closed resource Cancelled");
        assert_eq!(log[count - 1], "returned");
    }
}

/// On both sides of the number from which only those that were woken are polled.
const SIZES: [usize; 5] = [1, 2, 30, 31, 200];

#[test]
fn the_first_of_many_wins_without_any_runtime() {
    for size in SIZES {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..size).map(|_| oneshot::channel::<usize>()).unzip();
        let counter = Counter::new();
        let mut all = Box::pin(race_all(receivers));
        assert!(poll_once(all.as_mut(), &counter).is_pending());
        let winner = size / 2;
        for (n, sender) in senders.into_iter().enumerate() {
            if n == winner {
                sender.send(n).expect("it is received");
            } else {
                // Its end must not count as an output.
                std::mem::forget(sender);
            }
        }
        assert_eq!(counter.count(), 1);
        assert_eq!(poll_once(all.as_mut(), &counter), Poll::Ready(Ok(winner)));
    }
}

/// Control, tried: with 0 for the `first` of `poll_woken` it is always the same one; without the break there all are
/// polled.
#[test]
fn of_many_that_are_ready_each_wins_at_times() {
    for size in [5, 50] {
        let mut wins = vec![0; size];
        let polls = Cell::new(0);
        for round in 1..=200 * size {
            let futures = (0..size).map(async |n| {
                polls.set(polls.get() + 1);
                n
            });
            wins[block_on(race_all(futures))] += 1;
            assert_eq!(polls.get(), round);
        }
        assert!(wins.iter().all(|n| (100..320).contains(n)), "{wins:?}");
    }
}

/// Control, tried: with a `Slot::unwinds` that is never true, the resources are closed too late.
#[test]
fn race_all_returns_after_the_others_have_unwound() {
    for count in [2, 40] {
        let log = Log::default();
        let won = heist_runtime::block_on(async {
            let won = race_all((0..count).map(async |n| {
                if n == 1 {
                    sleep(SHORT).await;
                } else {
                    holding("resource", &log).await;
                }
                n
            }));
            let won = won.await;
            log.note("returned");
            won
        });
        assert_eq!(won, 1);
        let log = log.take();
        assert_eq!(log.len(), count);
        assert_eq!(log[0], "closed resource Cancelled");
        assert_eq!(log[count - 1], "returned");
    }
}

/// Control, tried: without the `watch` in `Children::poll_out` all losers are polled again.
#[test]
fn of_many_losers_only_those_are_polled_that_unwind() {
    for count in [3, 40] {
        let (log, polls) = (Log::default(), Cell::new(0));
        heist_runtime::block_on(race_all((0..count).map(async |n| match n {
            0 => sleep(SHORT).await,
            1 => holding("resource", &log).await,
            _ => {
                poll_fn(|_| {
                    polls.set(polls.get() + 1);
                    Poll::<()>::Pending
                })
                .await;
            }
        })));
        assert_eq!(log.take(), ["closed resource Cancelled"]);
        // Few are all polled whenever one of them is woken.
        let per_future = if count == 40 { 1 } else { 2 };
        assert!(polls.get() <= per_future * (count - 2), "{}", polls.get());
    }
}

/// Control, tried: a `poll_out` that catches nothing drops the others, whose closes are then called `Dropped`.
#[test]
fn a_panic_of_one_of_many_wins_after_the_others_have_unwound() {
    for count in [2, 40] {
        let log = Log::default();
        let message = message(|| {
            heist_runtime::block_on(race_all((0..count).map(async |n| {
                if n == 1 {
                    sleep(SHORT).await;
                    panic!("the winner");
                }
                holding("resource", &log).await;
            })));
        });
        assert_eq!(message, "the winner");
        assert_eq!(log.take(), vec!["closed resource Cancelled"; count - 1]);
    }
}

/// Control, tried: without `propagate` in `decide`.
#[test]
fn a_cancellation_from_outside_unwinds_all() {
    for count in [2, 40] {
        let log = Log::default();
        heist_runtime::block_on(async {
            let all = race_all((0..count).map(async |_| holding("one", &log).await));
            assert!(timeout(SHORT, all).await.is_err());
            log.note("returned");
        });
        let log = log.take();
        assert_eq!(log.len(), count + 1);
        assert_eq!(log[count], "returned");
        assert!(
            log[..count]
                .iter()
                .all(|line| line == "closed one Cancelled")
        );
    }
}

/// Control, tried: without the check.
#[test]
#[should_panic(expected = "a race of no futures has no winner")]
fn a_race_of_none_is_refused() {
    drop(race_all(std::iter::empty::<std::future::Ready<()>>()));
}
