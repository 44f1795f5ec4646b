//! Futures that hold their scope up, and are polled no more once they have begun to unwind: code that polls
//! a future by hand and then waits for something else.
//!
//! Control, tried once: a scope that asks for another round by the waker it was polled with, instead of
//! `NodeRef::wake`, waits for the grace. (`sync/tests/stress.rs` has the cases that need threads: `wake`
//! and `spread` without `note_woken`, `goes_on` without `overtake_cancel`.)

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use heist_runtime::scope::{Cleanup, Reason, Scope, catch};
use heist_runtime::time::{Instant, Timer};
use heist_runtime::{block_on, spawn, yield_now};

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

fn sleep(millis: u64) -> Timer {
    Timer::new(Instant::now() + Duration::from_millis(millis))
}

/// A cleanup that takes its time, unless it yields all the time.
fn slow(closed: &Arc<AtomicUsize>, yields: usize) -> impl Future<Output = ()> + Send + use<> {
    let closed = closed.clone();
    async move {
        if yields == 0 {
            sleep(2).await;
        }
        for _ in 0..yields {
            yield_now().await;
        }
        closed.fetch_add(1, SeqCst);
    }
}

/// The cleanup runs in any case, even when this is dropped.
fn guarded(
    body: impl Future<Output = ()> + Send,
    cleanup: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send {
    let cleanup = Cleanup::new(cleanup);
    async {
        let exit = catch(&Scope::new(), body).await;
        cleanup.await;
        exit.propagate().await
    }
}

/// Polls it so often, and then waits without it.
async fn forget(future: impl Future<Output = ()>, polls: usize) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        poll_fn(|cx| {
            let _: Poll<()> = future.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
        pending_once().await;
    }
    pending::<()>().await;
}

/// Unlike `yield_now` no leaf: it goes on in a cancelled scope.
async fn pending_once() {
    let mut polled = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Has a task forget what `make` makes: it is cancelled after some polls and, cancelled, polls it some more.
fn forgotten(make: fn(&Arc<AtomicUsize>) -> Boxed, cleanups: usize) {
    for (before, after) in (0..6).flat_map(|before| (0..12).map(move |after| (before, after))) {
        block_on(async {
            let closed = Arc::new(AtomicUsize::new(0));
            let of_task = closed.clone();
            let task = spawn(async move {
                let mut future = make(&of_task);
                for poll in 0..before + after {
                    if poll == before {
                        let own = Scope::current().expect("a task has one");
                        own.cancel(Reason::Explicit);
                    }
                    poll_fn(|cx| {
                        let _: Poll<()> = future.as_mut().poll(cx);
                        Poll::Ready(())
                    })
                    .await;
                    pending_once().await;
                }
                forget(future, 0).await;
            });
            sleep(1).await;
            let start = Instant::now();
            task.cancel();
            assert!(task.await.expect_err("cancelled").is_cancelled());
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{before} and {after} polls"
            );
            assert_eq!(closed.load(SeqCst), cleanups, "{before} and {after} polls");
        });
    }
}

#[test]
fn a_cleanup() {
    forgotten(|closed| Box::pin(guarded(pending(), slow(closed, 0))), 1);
    forgotten(|closed| Box::pin(guarded(pending(), slow(closed, 5))), 1);
}

#[test]
fn a_scope_that_has_adopted() {
    forgotten(
        |closed| {
            let cleanup = Cleanup::new(slow(closed, 0));
            Box::pin(async move {
                let exit = catch(&Scope::new(), async {
                    drop(cleanup);
                    pending::<()>().await;
                });
                exit.await.propagate().await
            })
        },
        1,
    );
}

/// The round that it asks for does not come.
#[test]
fn a_scope_that_needs_another_round() {
    forgotten(
        |closed| {
            let inner = guarded(pending(), slow(closed, 30));
            Box::pin(guarded(forget(inner, 4), slow(closed, 0)))
        },
        2,
    );
}

#[test]
fn scopes_that_forget_each_other() {
    forgotten(
        |closed| {
            let inner = guarded(pending(), slow(closed, 0));
            let middle = guarded(forget(inner, 4), slow(closed, 0));
            Box::pin(guarded(forget(middle, 4), slow(closed, 0)))
        },
        3,
    );
}

/// A body that is held up by an adopted cleanup is not mistaken for one that leads nowhere, however often
/// that yields: dropped by force, it would end in the wrong order.
///
/// Control, tried once: a `judge` that excuses no cleanups drops the body after 64 rounds.
#[test]
fn a_cleanup_that_yields_often_forces_nothing() {
    struct Note {
        closed: Arc<AtomicUsize>,
        at_drop: Arc<AtomicUsize>,
    }
    impl Drop for Note {
        fn drop(&mut self) {
            self.at_drop.store(self.closed.load(SeqCst), SeqCst);
        }
    }
    block_on(async {
        let closed = Arc::new(AtomicUsize::new(0));
        let at_drop = Arc::new(AtomicUsize::new(9));
        let note = Note {
            closed: closed.clone(),
            at_drop: at_drop.clone(),
        };
        let task = spawn(async move {
            let inner = guarded(pending(), slow(&note.closed, 0));
            drop(Cleanup::new(async {
                for _ in 0..3_000 {
                    yield_now().await;
                }
            }));
            inner.await;
            drop(note);
        });
        yield_now().await;
        task.cancel();
        assert!(task.await.expect_err("cancelled").is_cancelled());
        assert_eq!(at_drop.load(SeqCst), 1, "the body outlives what is in it");
    });
}
