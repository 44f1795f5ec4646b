//! Resources, groups, scopes and timeouts under cancellation.
//!
//! What cancellation promises, and where it is tested (here, if no file is named):
//!
//! | Promise | Test |
//! |---|---|
//! | nested exits, innermost first | `nested_resources_close_innermost_first` |
//! | destructors between exits that await | runtime `scopes::cleanup_runs_innermost_first_with_destructors_between` |
//! | a timeout during the cleanup of another | `a_timeout_waits_for_cleanup_and_a_value_wins` |
//! | a shield delays, and a value wins | the same, and runtime `scopes::a_shield_delays_and_a_value_wins` |
//! | a second cancel, during cleanup too | `a_second_cancel_changes_nothing` |
//! | groups: errors, panics, their own cancel | `a_group_collects_errors_and_cancels_siblings` |
//! | groups three deep under an outer cancel | `an_outer_cancel_waits_for_groups_three_deep` |
//! | losers of `race` and `select!` | `race`, `select` |
//! | 200 futures in `FuturesUnordered` | `two_hundred_foreign_futures_unwind_with_their_scope`, runtime `scopes::cancellation_reaches_into_foreign_combinators` |
//! | stalled futures, and such as wake themselves | runtime `scopes::cleanup_that_takes_too_long_is_aborted_and_counted`, `scopes::a_future_that_wakes_itself_for_ever_is_dropped_in_the_end` |
//! | forgotten futures | runtime `forgotten`, `races::forgotten_futures_stay_sound` |
//! | panics in the body | `nested_resources_close_innermost_first`, `race::a_panic_wins_after_the_other_has_unwound` |
//! | panics in a close | runtime `scopes::a_panic_in_cleanup_replaces_the_cancellation_and_outer_cleanup_runs` |
//! | panics in a drop | facade `panics::in_the_drop_of_a_future` |
//! | aborts | runtime `scopes::an_abort_skips_and_counts`, `stress` |
//! | drops at every point | `every_point`, `stream_cancel` |
//! | operations on sockets in flight | facade `leaves::a_leaf_that_waits_ends_with_its_scope` |
//! | generators dropped half read | `stream_generate::a_stream_dropped_half_read_drops_its_body`, `stream_using` |
//! | every leaf keeps the rules | `leaves`, facade `leaves` |
//!
//! Negative controls, tried once each: a `using` without its eager guard leaves `a_using_that_is_never_polled_*` at zero; a
//! group whose wait does not hold its token lets `an_outer_cancel_*` end before the cleanups; a timeout that
//! drops instead of cancelling fails `a_timeout_waits_for_cleanup`; a group that does not cancel the siblings of a task
//! that failed, or whose tasks are not linked below it, waits for ever in `a_group_collects_errors_and_cancels_siblings`
//! or in `an_outer_cancel_*`.

use heist_runtime::scope::Reason;
use heist_runtime::{block_on, spawn, yield_now};
use heist_sync::cancel::{CancelToken, cancel_requested, cancel_scope, current_deadline, shield};
use heist_sync::group::{GroupError, JoinSet, OnError, task_group, task_group_with};
use heist_sync::resource::{AsyncClose, How, exit_stack, finally, on_cancel, try_using, using};
use heist_sync::time::{Instant, sleep, timeout};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

type Log = Arc<Mutex<Vec<String>>>;

fn taken(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().expect("no panic under it"))
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

struct Resource(&'static str, Log);

impl AsyncClose for Resource {
    async fn close(self, how: How) {
        sleep(ms(2)).await;
        self.1
            .lock()
            .expect("no panic under it")
            .push(format!("{} {how:?}", self.0));
    }
}

/// Closes are counted.
struct Counted(Arc<AtomicUsize>);

impl AsyncClose for Counted {
    async fn close(self, _how: How) {
        yield_now().await;
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn nested_resources_close_innermost_first() {
    block_on(async {
        let log = Log::default();
        let nest = |log: Log| async move {
            let inner = log.clone();
            using(Resource("outer", log), async move |_| {
                using(Resource("inner", inner), async |_| pending::<()>().await).await;
            })
            .await;
        };
        let task = spawn(nest(log.clone()));
        sleep(ms(2)).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(taken(&log), ["inner Cancelled", "outer Cancelled"]);
        assert!(timeout(ms(2), nest(log.clone())).await.is_err());
        assert_eq!(taken(&log), ["inner Cancelled", "outer Cancelled"]);
        let value = using(Resource("one", log.clone()), async |_| 5).await;
        assert_eq!((value, taken(&log)), (5, vec!["one Done".to_owned()]));
        let panicking = spawn(using(Resource("one", log.clone()), async |_| {
            panic!("body")
        }));
        let error: Result<(), _> = panicking.await;
        assert!(error.unwrap_err().is_panic());
        assert_eq!(taken(&log), ["one Panicked"]);
    });
}

#[test]
fn a_cancel_during_the_cleanup_changes_nothing() {
    struct Slow(Arc<AtomicUsize>, Arc<AtomicUsize>);
    impl AsyncClose for Slow {
        async fn close(self, how: How) {
            assert_eq!(how, How::Cancelled);
            self.0.fetch_add(1, Ordering::SeqCst);
            for _ in 0..10 {
                sleep(ms(1)).await;
                assert!(!cancel_requested());
            }
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
    block_on(async {
        let (begun, ended) = (Arc::default(), Arc::default());
        let slow = Slow(Arc::clone(&begun), Arc::clone(&ended));
        let task = spawn(using(slow, async |_| pending::<()>().await));
        yield_now().await;
        assert!(task.cancel() && !task.cancel(), "the first one only");
        while begun.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
        assert!(!task.cancel() && !task.abort_handle().cancel());
        assert_eq!(ended.load(Ordering::SeqCst), 0, "it is in its cleanup");
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(
            (begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst)),
            (1, 1)
        );
    });
}

#[test]
fn a_destructor_that_panics_while_unwinding_replaces_the_cancellation() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    block_on(async {
        let log = Log::default();
        let inner = log.clone();
        let task = spawn(using(Resource("outer", log.clone()), async move |_| {
            using(Resource("inner", inner), async |_| {
                let _bomb = Bomb;
                pending::<()>().await;
            })
            .await;
        }));
        sleep(ms(2)).await;
        assert!(task.cancel_and_join().await.unwrap_err().is_panic());
        assert_eq!(taken(&log), ["inner Panicked", "outer Panicked"]);
    });
}

#[test]
fn a_using_that_is_never_polled_or_dropped_half_way_closes() {
    block_on(async {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            async move {
                drop(using(Resource("never", log.clone()), async |_| ()));
                let inner = log.clone();
                let mut half = Box::pin(using(Resource("outer", log), async move |_| {
                    using(Resource("inner", inner), async |_| pending::<()>().await).await;
                }));
                let pending = poll_fn(|cx| Poll::Ready(half.as_mut().poll(cx).is_pending())).await;
                assert!(pending);
            }
        });
        task.await.unwrap();
        let mut log = taken(&log);
        assert_eq!(log.remove(0), "never Dropped");
        assert_eq!(log, ["inner Dropped", "outer Dropped"], "innermost first");
    });
}

#[test]
fn a_timeout_waits_for_cleanup_and_a_value_wins() {
    block_on(async {
        let log = Log::default();
        let body = async {
            finally(pending::<()>(), async |how| {
                sleep(ms(20)).await;
                log.lock().unwrap().push(format!("{how:?}"));
            })
            .await;
        };
        let start = Instant::now();
        assert!(timeout(ms(2), body).await.is_err());
        assert!(start.elapsed() >= ms(22));
        assert_eq!(taken(&log), ["Cancelled"]);
        // The value of what is shielded wins over the timeout that came meanwhile.
        let late = timeout(ms(1), async {
            shield(async {
                sleep(ms(5)).await;
                3
            })
            .await
        })
        .await;
        assert_eq!(late, Ok(3));
        // One timeout during the cleanup of another.
        let nested = timeout(ms(1), async {
            finally(pending::<()>(), async |_| {
                assert!(timeout(ms(2), pending::<()>()).await.is_err());
            })
            .await;
        });
        assert!(nested.await.is_err());
        assert_eq!(current_deadline(), None);
        let deadline = timeout(ms(500), async {
            timeout(ms(50_000), async { current_deadline() })
                .await
                .unwrap()
        });
        assert!(deadline.await.unwrap().unwrap() <= Instant::now() + ms(500));
    });
}

/// Cancelled again at once, and at each await of the cleanup: that goes on, and it is cancelled only once.
#[test]
fn a_second_cancel_changes_nothing() {
    block_on(async {
        let log = Log::default();
        let noting = log.clone();
        let task = spawn(async move {
            finally(pending::<()>(), async |how| {
                for step in 0..3 {
                    sleep(ms(2)).await;
                    noting.lock().unwrap().push(format!("{how:?} {step}"));
                }
            })
            .await;
        });
        let canceller = task.abort_handle();
        sleep(ms(2)).await;
        assert!(task.cancel());
        let cancelling = spawn(async move {
            let mut again = 0;
            while !canceller.is_finished() {
                again += usize::from(canceller.cancel());
                yield_now().await;
            }
            again
        });
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(taken(&log), ["Cancelled 0", "Cancelled 1", "Cancelled 2"]);
        assert_eq!(cancelling.await.unwrap(), 0, "it was cancelled before");
    });
}

/// Futures that know nothing of scopes stand between the scope and what has to unwind, and poll only what was
/// woken.
#[test]
fn two_hundred_foreign_futures_unwind_with_their_scope() {
    use futures_util::{StreamExt, stream::FuturesUnordered};
    block_on(async {
        let closed = Arc::new(AtomicUsize::new(0));
        let all = async {
            let mut all: FuturesUnordered<_> = (0..200)
                .map(|_| using(Counted(closed.clone()), async |_| pending::<()>().await))
                .collect();
            all.next().await;
        };
        assert!(timeout(ms(5), all).await.is_err());
        assert_eq!(closed.load(Ordering::SeqCst), 200);
    });
}

#[test]
fn a_leaf_can_be_awaited_again_after_a_timeout() {
    block_on(async {
        let mut pause = std::pin::pin!(sleep(ms(20)));
        assert!(timeout(ms(2), pause.as_mut()).await.is_err());
        pause.await;
    });
}

#[test]
fn a_scope_ends_by_itself_by_deadline_and_from_elsewhere() {
    block_on(async {
        let by_deadline = cancel_scope(async |scope| {
            scope.set_deadline(Instant::now() + ms(50_000));
            yield_now().await;
            scope.set_deadline(Instant::now() + ms(2));
            pending::<()>().await;
        });
        assert_eq!(by_deadline.await.unwrap_err().reason(), Reason::Timeout);
        let from_elsewhere = cancel_scope(async |scope| {
            let handle = scope.handle();
            spawn(async move { handle.cancel() });
            pending::<()>().await;
        });
        assert_eq!(from_elsewhere.await.unwrap_err().reason(), Reason::Explicit);
        let value = cancel_scope(async |scope| {
            scope.cancel();
            cancel_requested()
        });
        assert_eq!(value.await, Ok(true));
    });
}

#[test]
fn a_group_collects_errors_and_cancels_siblings() {
    block_on(async {
        let closed = Arc::new(AtomicUsize::new(0));
        let result: Result<(), GroupError<&str>> = task_group(async |group| {
            for _ in 0..10 {
                let resource = Counted(closed.clone());
                group.spawn(using(resource, async |_| pending::<Result<(), _>>().await));
            }
            group.spawn(async {
                sleep(ms(2)).await;
                Err::<(), _>("failed")
            });
            pending().await
        })
        .await;
        assert_eq!(result.unwrap_err().errors(), ["failed"]);
        assert_eq!(closed.load(Ordering::SeqCst), 10);

        let all = task_group_with(OnError::Collect, async |group| {
            for index in 0..5 {
                group.spawn(async move { if index % 2 == 0 { Err(index) } else { Ok(()) } });
            }
            Ok(())
        })
        .await;
        let mut errors = all.unwrap_err().into_errors();
        errors.sort_unstable();
        assert_eq!(errors, [0, 2, 4]);

        let panicked = task_group::<(), ()>(async |group| {
            group.spawn::<(), _>(async { panic!("a task") });
            pending().await
        });
        assert_eq!(panicked.await.unwrap_err().panics(), 1);

        let cancelled = task_group::<(), ()>(async |group| {
            group.spawn(pending::<Result<(), ()>>());
            group.cancel();
            pending().await
        });
        assert!(cancelled.await.unwrap_err().is_cancelled());

        let one = task_group::<_, ()>(async |group| {
            let task = group.spawn(pending::<Result<(), ()>>());
            assert!(task.cancel());
            Ok(task.await)
        });
        assert_eq!(one.await.unwrap(), None);
    });
}

#[test]
fn an_outer_cancel_waits_for_groups_three_deep() {
    fn deep(
        depth: u32,
        closed: Arc<AtomicUsize>,
    ) -> Pin<Box<dyn Future<Output = Result<(), ()>> + Send>> {
        Box::pin(async move {
            let result = task_group(async |group| {
                for _ in 0..3 {
                    let closed = closed.clone();
                    let resource = Counted(closed.clone());
                    group.spawn(using(resource, async move |_| {
                        if depth > 0 {
                            return deep(depth - 1, closed).await;
                        }
                        pending().await
                    }));
                }
                pending().await
            });
            result.await.map_err(drop)
        })
    }
    for round in 0..30 {
        block_on(async {
            let closed = Arc::new(AtomicUsize::new(0));
            let task = spawn(deep(2, closed.clone()));
            sleep(ms(5)).await;
            if round % 3 == 0 {
                // Foreign code drops it: the task's own scope waits.
                task.abort_handle().cancel();
            } else {
                task.cancel();
            }
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(closed.load(Ordering::SeqCst), 3 + 9 + 27);
        });
    }
}

#[test]
fn a_dropped_group_is_waited_for_by_the_scope_around() {
    block_on(async {
        let closed = Arc::new(AtomicUsize::new(0));
        let task = spawn({
            let closed = closed.clone();
            async move {
                let mut group = Box::pin(task_group::<(), ()>(async |group| {
                    for _ in 0..20 {
                        let resource = Counted(closed.clone());
                        group.spawn(using(resource, async |_| pending::<Result<(), ()>>().await));
                    }
                    sleep(ms(1)).await;
                    pending().await
                }));
                drop(timeout(ms(3), poll_fn(|cx| group.as_mut().poll(cx))).await);
            }
        });
        task.await.unwrap();
        assert_eq!(closed.load(Ordering::SeqCst), 20);
    });
}

#[test]
fn exit_stacks_on_cancel_and_try_using() {
    block_on(async {
        let log = Log::default();
        let task = spawn({
            let log = log.clone();
            async move {
                exit_stack(async |stack| {
                    stack.push(Resource("first", log.clone()));
                    let second = log.clone();
                    stack.defer(move |how| async move {
                        second.lock().unwrap().push(format!("second {how:?}"));
                    });
                    on_cancel(pending::<()>(), async || {
                        log.lock().unwrap().push("on_cancel".to_owned());
                    })
                    .await;
                })
                .await;
            }
        });
        sleep(ms(2)).await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(
            taken(&log),
            ["on_cancel", "second Cancelled", "first Cancelled"]
        );

        let refused = try_using(async { Err::<Resource, _>("refused") }, async |_| Ok(())).await;
        assert_eq!(refused, Err("refused"));
        let open = async { Ok(Resource("r", log.clone())) };
        assert_eq!(
            try_using(open, async |_| Err::<(), _>("body")).await,
            Err("body")
        );
        assert_eq!(taken(&log), ["r Done"]);
    });
}

#[test]
fn tokens_and_join_sets() {
    block_on(async {
        let token = CancelToken::new();
        let children: Vec<_> = (0..50).map(|_| token.child()).collect();
        let mut set = JoinSet::new();
        for child in &children {
            let child = child.clone();
            set.spawn(async move { child.child().cancelled().await });
        }
        yield_now().await;
        assert!(set.try_join_next().is_none());
        assert!(token.cancel() && !token.cancel());
        assert_eq!(set.join_all().await.len(), 50);
        assert!(token.child().is_cancelled() && children[7].is_cancelled());
        assert_eq!(token.run_until_cancelled(pending::<()>()).await, None);

        let closed = Arc::new(AtomicUsize::new(0));
        let mut set: JoinSet<()> = (0..20)
            .map(|_| using(Counted(closed.clone()), async |_| pending::<()>().await))
            .collect();
        sleep(ms(1)).await;
        set.shutdown().await;
        assert!(set.is_empty());
        assert_eq!(closed.load(Ordering::SeqCst), 20);
    });
}

/// Control, tried: with the id of another member the sum differs.
#[test]
fn a_set_says_which_task_has_completed() {
    block_on(async {
        let mut set = JoinSet::new();
        let handle = heist_runtime::Handle::current();
        let mut expected = Vec::new();
        for n in 0..10_u32 {
            expected.push((set.spawn_on(async move { n }, &handle).id(), n));
        }
        expected.push((set.spawn_blocking_on(|| 10, &handle).id(), 10));
        let mut completed = Vec::new();
        while let Some(output) = set.join_next_with_id().await {
            completed.push(output.expect("no panic"));
        }
        completed.sort_by_key(|&(_, n)| n);
        assert_eq!(completed, expected);
        assert!(set.try_join_next_with_id().is_none());
    });
}

#[test]
fn a_wait_for_a_token_may_own_it() {
    block_on(async {
        let token = CancelToken::new();
        let waits = spawn(token.clone().cancelled_owned());
        yield_now().await;
        assert!(!waits.is_finished());
        token.cancel();
        waits.await.expect("no panic");
        token.cancelled_owned().await;
    });
}

/// Control, tried: a group that spawns its tasks in another way than everybody does.
#[test]
fn tasks_of_groups_and_sets_inherit_task_local_values() {
    heist_runtime::task_local! {
        #[inherit]
        static USER: &'static str;
    }
    block_on(USER.scope("ada", async {
        let both = task_group(async |group| {
            let task = group.spawn(async { Ok::<_, ()>(USER.get()) });
            Ok((task.await, USER.get()))
        });
        assert_eq!(both.await.unwrap().1, "ada");
        let mut set = JoinSet::new();
        set.spawn(async { USER.get() });
        set.spawn_local(async { USER.get() });
        set.spawn_blocking(|| USER.get());
        assert_eq!(set.join_all().await, ["ada"; 3]);
    }));
}
