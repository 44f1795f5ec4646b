//! Cancellation that unwinds, with what the runtime itself has: scopes, shields, cleanups, leaves. Who is below
//! whom is in `scope_tree`, closures that block in `scopes_blocking`, and what other threads do in `scopes_threads`.
//!
//! Negative controls, tried once each: without `Verdict::Busy` in `drive` the cleanups are dropped half-way
//! (`cleanup_runs_*`); without `adopt_above` in `Cleanup`'s drop, or the look at `is_touched` when a task's future
//! is done, `a_dropped_cleanup_*` finds fewer closed than opened.

mod common;

use std::future::{Future, pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use common::{finally, sleep};
use heist_runtime::scope::{
    Cleanup, Exit, LeafToken, Reason, Scope, cancel_requested, catch, cleanup_counts, shield,
};
use heist_runtime::time::{Instant, Timer};
use heist_runtime::{Builder, block_on, spawn, yield_now};

type Log = Arc<Mutex<Vec<&'static str>>>;

fn note(log: &Log, what: &'static str) {
    log.lock().expect("no panic under it").push(what);
}

fn taken(log: &Log) -> Vec<&'static str> {
    std::mem::take(&mut *log.lock().expect("no panic under it"))
}

struct OnDrop(Log, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        note(&self.0, self.1);
    }
}

#[test]
fn cleanup_runs_innermost_first_with_destructors_between() {
    block_on(async {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            async move {
                let _outermost = OnDrop(log.clone(), "drop outermost");
                let (a, b, c) = (log.clone(), log.clone(), log.clone());
                finally(
                    async move {
                        let _middle = OnDrop(a.clone(), "drop middle");
                        finally(
                            async move {
                                let _inner = OnDrop(b, "drop inner");
                                pending::<()>().await;
                            },
                            async move {
                                sleep(2).await;
                                note(&a, "close inner");
                            },
                        )
                        .await;
                    },
                    async move {
                        // One that yields often is not stuck: dropped by force, it would come last.
                        for _ in 0..200 {
                            yield_now().await;
                        }
                        note(&c, "close outer");
                    },
                )
                .await;
            }
        });
        sleep(2).await;
        assert!(task.cancel());
        let error = task.await.expect_err("cancelled");
        assert_eq!(error.reason(), Some(Reason::Explicit));
        let expected = [
            "drop inner",
            "close inner",
            "drop middle",
            "close outer",
            "drop outermost",
        ];
        assert_eq!(taken(&log), expected);
    });
}

#[test]
fn a_shield_delays_and_a_value_wins() {
    block_on(async {
        let task = spawn(async {
            let shielded = shield(async {
                sleep(5).await;
                assert!(!cancel_requested());
                7
            })
            .await;
            // No checkpoint after it: the value wins.
            shielded + i32::from(cancel_requested())
        });
        sleep(1).await;
        task.cancel();
        assert_eq!(task.await.expect("the value wins"), 8);

        let task = spawn(async {
            shield(sleep(3)).await;
            yield_now().await;
            unreachable!("a checkpoint of a cancelled task")
        });
        sleep(1).await;
        task.cancel();
        let error: Result<(), _> = task.await;
        assert!(error.expect_err("unwound").is_cancelled());
    });
}

#[test]
fn a_task_that_has_not_begun_never_begins() {
    block_on(async {
        let task = spawn(async { unreachable!("it never begins") });
        task.cancel();
        let error: Result<(), _> = task.await;
        assert!(error.expect_err("cancelled").is_cancelled());
    });
}

#[test]
fn the_inner_scope_catches_its_own_cancellation_only() {
    block_on(async {
        let inner = Scope::new();
        let exit = catch(&inner, async {
            inner.cancel(Reason::Timeout);
            yield_now().await;
        });
        assert!(matches!(exit.await, Exit::Cancelled(Reason::Timeout)));
        yield_now().await; // the scope around is not touched

        let outer = Scope::new();
        let exit = catch(&outer, async {
            let inner = Scope::new();
            let exit = catch(&inner, async {
                outer.cancel(Reason::Race);
                pending::<()>().await;
            })
            .await;
            assert!(matches!(exit, Exit::Cancelled(Reason::Race)) && inner.reason().is_none());
            exit.propagate().await;
            unreachable!("it was not meant for it")
        });
        let exit: Exit<()> = exit.await;
        assert!(matches!(exit, Exit::Cancelled(Reason::Race)));
    });
}

#[test]
fn a_panic_in_cleanup_replaces_the_cancellation_and_outer_cleanup_runs() {
    block_on(async {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            async move {
                let outer = log.clone();
                finally(
                    async {
                        finally(pending::<()>(), async { panic!("in cleanup") }).await;
                    },
                    async move { note(&outer, "outer") },
                )
                .await;
            }
        });
        sleep(1).await;
        task.cancel();
        assert!(task.await.expect_err("panicked").is_panic());
        assert_eq!(taken(&log), ["outer"]);
    });
}

/// A combinator with wakers of its own, which polls only who was woken.
#[test]
fn cancellation_reaches_into_foreign_combinators() {
    type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
    struct Branches(Vec<(Option<Boxed>, Arc<Woken>)>);
    struct Woken(AtomicUsize, Mutex<Option<std::task::Waker>>);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(1, Ordering::SeqCst);
            if let Some(waker) = self.1.lock().expect("plain").clone() {
                waker.wake();
            }
        }
    }
    impl Future for Branches {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            for (branch, woken) in &mut self.0 {
                *woken.1.lock().expect("plain") = Some(cx.waker().clone());
                if woken.0.swap(0, Ordering::SeqCst) == 1
                    && let Some(future) = branch
                {
                    let waker = woken.clone().into();
                    if future
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_ready()
                    {
                        *branch = None;
                    }
                }
            }
            if self.0.iter().all(|(branch, _)| branch.is_none()) {
                return Poll::Ready(());
            }
            Poll::Pending
        }
    }
    block_on(async {
        let closed = Arc::new(AtomicUsize::new(0));
        let task = spawn({
            let closed = closed.clone();
            async move {
                let branches = (0..200).map(|index| {
                    let closed = closed.clone();
                    let branch = finally(pending::<()>(), async move {
                        sleep(index % 5).await;
                        closed.fetch_add(1, Ordering::SeqCst);
                    });
                    let woken = Arc::new(Woken(AtomicUsize::new(1), Mutex::default()));
                    (Some(Box::pin(branch) as Boxed), woken)
                });
                Branches(branches.collect()).await;
            }
        });
        sleep(2).await;
        task.cancel();
        assert!(task.await.expect_err("cancelled").is_cancelled());
        assert_eq!(closed.load(Ordering::SeqCst), 200);
    });
}

#[test]
fn a_dropped_cleanup_is_adopted_and_its_task_waits_for_it() {
    block_on(async {
        let closed = Arc::new(AtomicUsize::new(0));
        let task = spawn({
            let closed = closed.clone();
            async move {
                let mut cleanup = Box::pin(finally(async {}, async move {
                    sleep(5).await;
                    closed.fetch_add(1, Ordering::SeqCst);
                }));
                // Half-way: then a foreign `select!` drops it.
                let pending =
                    poll_fn(|cx| Poll::Ready(cleanup.as_mut().poll(cx).is_pending())).await;
                assert!(pending);
                drop(cleanup);
                "value"
            }
        });
        assert_eq!(task.await.expect("no cancel"), "value");
        assert_eq!(
            closed.load(Ordering::SeqCst),
            1,
            "the task ended before the cleanup"
        );
    });
    // The same for the future of `block_on`.
    let closed = Arc::new(AtomicUsize::new(0));
    block_on(async {
        let closed = closed.clone();
        drop(Cleanup::new(async move {
            sleep(5).await;
            closed.fetch_add(1, Ordering::SeqCst);
        }));
    });
    assert_eq!(closed.load(Ordering::SeqCst), 1);
}

/// The scope waited for ever for a token that an adopted cleanup had given back in the scope's own poll.
#[test]
fn a_body_that_is_held_up_by_an_adopted_cleanup_unwinds_after_it() {
    block_on(async {
        let task = spawn(async {
            drop(Cleanup::new(async { sleep(10).await }));
            pending::<()>().await;
        });
        sleep(2).await;
        let start = Instant::now();
        task.cancel();
        assert!(task.await.expect_err("cancelled").is_cancelled());
        assert!(start.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn a_future_that_wakes_itself_for_ever_is_dropped_in_the_end() {
    block_on(async {
        let task = spawn(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        sleep(1).await;
        task.cancel();
        assert!(task.await.expect_err("dropped").is_cancelled());
    });
}

#[test]
fn a_token_holds_the_scope_and_a_late_value_is_delivered() {
    block_on(async {
        let task = spawn(async {
            let mut token = LeafToken::new();
            let mut answer = pin!(Timer::masked(Instant::now() + Duration::from_millis(10)));
            poll_fn(move |cx| {
                if answer.as_mut().poll(cx).is_ready() {
                    token.release();
                    return Poll::Ready("late");
                }
                token.hold();
                Poll::Pending
            })
            .await
        });
        sleep(1).await;
        task.cancel();
        assert_eq!(task.await.expect("what the kernel did anyway"), "late");
    });
}

#[test]
fn cleanup_that_takes_too_long_is_aborted_and_counted() {
    let runtime = Builder::new()
        .worker_threads(2)
        .cleanup_grace(Some(Duration::from_millis(30)));
    let runtime = runtime.build().expect("a runtime");
    runtime.block_on(async {
        let before = cleanup_counts().skipped;
        let task = spawn(finally(pending::<()>(), pending()));
        sleep(1).await;
        let start = Instant::now();
        task.cancel();
        assert!(task.await.expect_err("aborted").is_cancelled());
        assert!(start.elapsed() < Duration::from_secs(5));
        // Other tests of this program skip some, too; `sync/tests/limits.rs` counts exactly.
        assert!(cleanup_counts().skipped > before);
    });
}

#[test]
fn an_abort_skips_and_counts() {
    block_on(async {
        let log = Log::default();
        let before = cleanup_counts().skipped;
        let task = spawn({
            let log = log.clone();
            async move {
                let _guard = OnDrop(log.clone(), "dropped");
                finally(async {}, async move {
                    pending::<()>().await;
                    note(&log, "never");
                })
                .await;
            }
        });
        sleep(1).await;
        task.abort();
        assert!(task.await.expect_err("aborted").is_aborted());
        assert_eq!(taken(&log), ["dropped"]);
        assert!(cleanup_counts().skipped > before);
    });
}

#[test]
fn an_unwound_future_that_is_polled_again_panics_with_the_cause() {
    block_on(async {
        let mut future = Box::pin(finally(pending::<()>(), async {}));
        let scope = Scope::new();
        scope.cancel(Reason::Timeout);
        assert!(matches!(
            catch(&scope, future.as_mut()).await,
            Exit::Cancelled(_)
        ));
        let again = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let _: Poll<()> = future.as_mut().poll(&mut cx);
        }));
        let payload = again.expect_err("it panics");
        let text = payload.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(text.contains("polled again"), "{text}");
    });
}

/// Control, tried: a `count_skipped` that counts nothing for the runtime calls the second end clean.
#[test]
fn shutdown_drives_cleanup_within_the_grace() {
    let closed = Arc::new(AtomicUsize::new(0));
    let runtime = Builder::new().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..100 {
            let closed = closed.clone();
            spawn(finally(pending::<()>(), async move {
                sleep(10).await;
                closed.fetch_add(1, Ordering::SeqCst);
            }));
        }
        sleep(2).await;
    });
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    assert_eq!(closed.load(Ordering::SeqCst), 100);

    let runtime = Builder::new().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        spawn(finally(pending::<()>(), pending()));
        sleep(2).await;
    });
    let start = Instant::now();
    let report = runtime.shutdown(Duration::from_millis(50));
    assert_eq!(report.skipped_cleanups, 1, "{report:?}");
    assert!(!report.is_clean(), "a cleanup was not run");
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// What someone aborts while a runtime ends is not the doing of its grace.
///
/// Control, tried: counting from the beginning of the shutdown reports one cleanup.
#[test]
fn a_shutdown_does_not_answer_for_what_others_abort() {
    let runtime = Builder::new().worker_threads(2).build().expect("a runtime");
    let before = cleanup_counts().skipped;
    runtime.block_on(async {
        let aborted = spawn(finally(pending::<()>(), pending())).abort_handle();
        spawn(finally(pending::<()>(), async move {
            sleep(10).await;
            aborted.abort();
        }));
        sleep(2).await;
    });
    let report = runtime.shutdown(Duration::from_secs(20));
    assert!(cleanup_counts().skipped > before, "it is skipped");
    assert!(report.is_clean(), "{report:?}");
}
