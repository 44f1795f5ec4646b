//! Task-local values: where they are seen, and who inherits them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use heist_runtime::scope::{Cleanup, Exit, Reason, Scope, catch};
use heist_runtime::task::Builder;
use heist_runtime::{Runtime, block_on, spawn, spawn_blocking, spawn_local, task_local, yield_now};

task_local! {
    /// Nobody inherits it.
    static PLAIN: u32;

    /// Everybody does.
    #[inherit]
    #[allow(dead_code, reason = "other attributes stay")]
    pub(crate) static HANDED_ON: Arc<u32>;

    #[inherit] static TEXT: String
}

task_local!();

/// What a task sees of the keys.
fn seen() -> (Option<u32>, Option<u32>, Option<String>) {
    let handed_on = HANDED_ON.try_with(|value| **value).ok();
    (PLAIN.try_get().ok(), handed_on, TEXT.try_get().ok())
}

const NOTHING: (Option<u32>, Option<u32>, Option<String>) = (None, None, None);

/// Control, tried: without the exchange after a poll the value is still there at the end.
#[test]
fn scopes_nest_and_end() {
    block_on(async {
        assert_eq!(seen(), NOTHING);
        let inner = async {
            assert_eq!(PLAIN.get(), 2);
            yield_now().await;
            assert_eq!(PLAIN.with(|value| value + 1), 3);
            PLAIN.sync_scope(4, || assert_eq!(PLAIN.get(), 4));
            PLAIN.get()
        };
        let outer = PLAIN.scope(1, async {
            assert_eq!(PLAIN.scope(2, inner).await, 2);
            PLAIN.get()
        });
        assert_eq!(outer.await, 1);
        assert_eq!(seen(), NOTHING);
        let error = PLAIN.try_get().unwrap_err().to_string();
        assert!(error.contains("outside the `scope`"), "{error}");
    });
}

/// Control, tried: as for the scopes that nest.
#[test]
fn tasks_that_take_turns_see_their_own_values() {
    for workers in [1, 2] {
        let built = heist_runtime::Builder::new()
            .worker_threads(workers)
            .build();
        built.unwrap().block_on(async {
            let tasks: Vec<_> = (0..50)
                .map(|i| {
                    spawn(PLAIN.scope(
                        i,
                        TEXT.scope(i.to_string(), async move {
                            for _ in 0..20 {
                                assert_eq!(seen(), (Some(i), None, Some(i.to_string())));
                                yield_now().await;
                            }
                        }),
                    ))
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(seen(), NOTHING);
        });
    }
}

/// Control, tried: a spawn that captures nothing.
#[test]
fn what_is_spawned_inherits_what_is_said_to_be() {
    let expected = (None, Some(1), Some("text".to_owned()));
    block_on(HANDED_ON.scope(
        Arc::new(1),
        TEXT.scope(
            "text".into(),
            PLAIN.scope(2, async {
                assert_eq!(spawn(async { seen() }).await.unwrap(), expected);
                let handle = heist_runtime::Handle::current();
                assert_eq!(handle.spawn(async { seen() }).await.unwrap(), expected);
                assert_eq!(spawn_local(async { seen() }).await.unwrap(), expected);
                assert_eq!(spawn_blocking(seen).await.unwrap(), expected);
                let named = Builder::new()
                    .name("named")
                    .spawn(async { (heist_runtime::task::name(), seen()) });
                assert_eq!(named.name(), Some("named"));
                assert_eq!(
                    named.await.unwrap(),
                    (Some("named".to_owned()), expected.clone())
                );
                let grandchild = spawn(async {
                    yield_now().await;
                    spawn(async { seen() }).await.unwrap()
                });
                assert_eq!(grandchild.await.unwrap(), expected);
                // A value of its own goes before.
                let own = spawn(TEXT.scope("own".into(), async {
                    yield_now().await;
                    (seen().2, spawn(async { seen().2 }).await.unwrap())
                }));
                let own_text = Some("own".to_owned());
                assert_eq!(own.await.unwrap(), (own_text.clone(), own_text));
            }),
        ),
    ));
}

/// Control, tried: a spawn that captures nothing.
#[test]
fn a_task_inherits_what_there_is_when_it_is_spawned() {
    block_on(async {
        let task = TEXT.sync_scope("then".into(), || {
            let first = spawn(async { seen().2 });
            TEXT.sync_scope("later".into(), || (first, spawn(async { seen().2 })))
        });
        assert_eq!(task.0.await.unwrap().as_deref(), Some("then"));
        assert_eq!(task.1.await.unwrap().as_deref(), Some("later"));
        assert_eq!(spawn(async { seen() }).await.unwrap(), NOTHING);
    });
}

/// Also from outside the runtime.
#[test]
fn threads_hand_on_what_they_have_set() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let task = TEXT.sync_scope("thread".into(), || handle.spawn(async { seen().2 }));
    let other = handle.spawn(async { seen() });
    assert_eq!(runtime.block_on(task).unwrap().as_deref(), Some("thread"));
    assert_eq!(runtime.block_on(other).unwrap(), NOTHING);
}

/// Control, tried: with a `leave` in place of an `end` before the completion, the value stays as long as the task's
/// memory does.
#[test]
fn what_was_inherited_is_gone_when_the_task_is_joined() {
    block_on(async {
        let value = Arc::new(7);
        for round in 0..200 {
            let (finished, cancelled, aborted) = HANDED_ON.sync_scope(value.clone(), || {
                let finished = spawn(async { assert_eq!(*HANDED_ON.get(), 7) });
                (finished, spawn(pending::<()>()), spawn(pending::<()>()))
            });
            if round % 2 == 0 {
                yield_now().await;
            }
            let _memory = (
                finished.abort_handle(),
                cancelled.abort_handle(),
                aborted.abort_handle(),
            );
            finished.await.unwrap();
            cancelled.cancel_and_join().await.unwrap_err();
            aborted.abort();
            aborted.await.unwrap_err();
            assert_eq!(Arc::strong_count(&value), 1);
        }
    });
}

/// Notes what it sees when it is dropped.
struct Witness(Arc<Mutex<Vec<Option<String>>>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(TEXT.try_get().ok());
    }
}

/// Control, tried: without the `enter` in `abort`, in the `drop` of the future, or with an `end` before `set_stage`,
/// one of them sees nothing.
#[test]
fn destructors_see_the_values_of_their_task() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let witness = || Witness(log.clone());
    block_on(async {
        let (done, cancelled, aborted) = TEXT.sync_scope("inherited".into(), || {
            let (a, b, c) = (witness(), witness(), witness());
            let done = spawn(poll_fn(move |_| {
                let _ = &a;
                Poll::Ready(())
            }));
            let cancelled = spawn(async move {
                let _b = b;
                pending::<()>().await;
            });
            let aborted = spawn(async move {
                let _c = c;
                pending::<()>().await;
            });
            (done, cancelled, aborted)
        });
        yield_now().await;
        done.await.unwrap();
        cancelled.cancel_and_join().await.unwrap_err();
        aborted.abort();
        aborted.await.unwrap_err();

        let witness = witness();
        let mut scoped = Box::pin(TEXT.scope("scoped".into(), async move {
            let _witness = witness;
            pending::<()>().await;
        }));
        assert!(
            scoped
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        drop(scoped);
    });
    let log: Vec<_> = log.lock().unwrap().iter().flatten().cloned().collect();
    assert_eq!(log, ["inherited", "inherited", "inherited", "scoped"]);
}

/// A cleanup that is dropped half-way runs in the scope around, with the values it had.
///
/// Control, tried: an `adopt` that does not take them along.
#[test]
fn a_cleanup_that_is_taken_over_keeps_its_values() {
    let log = Arc::new(Mutex::new(Vec::new()));
    block_on(async {
        let noted = log.clone();
        let body = async {
            let inner = TEXT.scope("inner".into(), async {
                let mut cleanup = Cleanup::new(async move {
                    yield_now().await;
                    noted.lock().unwrap().push(seen().2);
                    // What it spawns inherits, too.
                    let spawned = spawn(async { seen().2 }).await.unwrap();
                    noted.lock().unwrap().push(spawned);
                });
                poll_fn(|cx| {
                    assert!(pin!(&mut cleanup).poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            });
            inner.await;
            assert_eq!(seen(), NOTHING);
        };
        assert!(matches!(catch(&Scope::new(), body).await, Exit::Value(())));
    });
    let inner = Some("inner".to_owned());
    assert_eq!(*log.lock().unwrap(), [inner.clone(), inner]);
}

/// Control, tried: an `unwind` that does not leave; the worker does not survive it.
#[test]
fn a_cancelled_task_unwinds_with_its_values() {
    block_on(async {
        let log = Arc::new(Mutex::new(Vec::new()));
        let noted = log.clone();
        let task = TEXT.sync_scope("task".into(), || {
            spawn(async move {
                let exit = catch(&Scope::new(), pending::<()>()).await;
                assert!(matches!(exit, Exit::Cancelled(Reason::Explicit)));
                let cleanup = async move {
                    for _ in 0..3 {
                        noted.lock().unwrap().push(seen().2);
                        yield_now().await;
                    }
                };
                Cleanup::new(cleanup).await;
                exit.propagate().await;
            })
        });
        yield_now().await;
        task.cancel();
        for _ in 0..5 {
            assert_eq!(spawn(async { seen() }).await.unwrap(), NOTHING);
        }
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(*log.lock().unwrap(), vec![Some("task".to_owned()); 3]);
    });
}

#[test]
fn a_value_can_be_taken_back() {
    block_on(async {
        let mut scoped = pin!(PLAIN.scope(5, async {
            let before = PLAIN.try_get().ok();
            yield_now().await;
            (before, PLAIN.try_get().ok())
        }));
        poll_fn(|cx| {
            assert!(scoped.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(scoped.as_mut().take_value(), Some(5));
        assert_eq!(scoped.as_mut().await, (Some(5), None));
        assert_eq!(scoped.take_value(), None);
    });
}

/// Values need not be `Sync`, and futures with them may change threads.
#[test]
fn a_value_may_be_a_cell() {
    task_local!(static COUNT: Cell<u32>);
    fn send<T: Send>(value: T) -> T {
        value
    }
    let counted = send(COUNT.scope(Cell::new(0), async {
        for _ in 0..3 {
            yield_now().await;
            COUNT.with(|count| count.set(count.get() + 1));
        }
        COUNT.with(Cell::get)
    }));
    assert_eq!(block_on(async { spawn(counted).await.unwrap() }), 3);
}

/// Control, tried: with a panic that goes on the worker is lost, and with it the program.
#[test]
fn a_task_that_cannot_have_its_values_panics_alone() {
    let runtime = heist_runtime::Builder::new()
        .worker_threads(1)
        .build()
        .unwrap();
    let handle = runtime.handle();
    let task = TEXT.sync_scope("text".into(), || handle.spawn(async { seen().2 }));
    TEXT.sync_scope("other".into(), || {
        TEXT.with(|_| {
            let error = runtime.block_on(task).unwrap_err();
            let message = error.into_panic();
            let message = message.downcast_ref::<&str>().unwrap();
            assert!(message.contains("inside `with`"), "{message}");
        });
    });
    assert_eq!(
        runtime.block_on(async { spawn(async { seen() }).await.unwrap() }),
        NOTHING
    );
}

/// Control, tried: a clone that is made after the task is allocated leaks it.
#[test]
fn a_clone_that_panics_spawns_nothing() {
    struct Bad(#[allow(dead_code, reason = "it is alive")] Arc<()>);
    impl Clone for Bad {
        fn clone(&self) -> Self {
            panic!("no clone")
        }
    }
    task_local!(#[inherit] static BAD: Bad);
    block_on(async {
        let alive = Arc::new(());
        let captured = alive.clone();
        let spawns = || {
            drop(spawn(async move {
                let _captured = captured;
                pending::<()>().await;
            }));
        };
        let panicked = BAD.sync_scope(Bad(alive.clone()), || {
            catch_unwind(AssertUnwindSafe(spawns))
        });
        assert!(panicked.is_err());
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(spawn(async { seen() }).await.unwrap(), NOTHING);
    });
}

/// A clone may look at the key, set others, and spawn.
#[test]
fn a_clone_may_do_anything() {
    thread_local!(static LOG: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) });
    struct Busy;
    impl Clone for Busy {
        fn clone(&self) -> Self {
            let text = TEXT.sync_scope("in a clone".into(), || TEXT.get());
            LOG.with_borrow_mut(|log| log.push(text.len() as u32));
            Self
        }
    }
    task_local!(#[inherit] static BUSY: Busy);
    block_on(BUSY.scope(Busy, async {
        let task = spawn(async { (BUSY.try_with(|_| ()).is_ok(), seen()) });
        assert_eq!(task.await.unwrap(), (true, NOTHING));
    }));
    assert_eq!(LOG.take(), [10]);
}

#[test]
#[should_panic(expected = "inside `with`")]
fn a_value_is_not_set_while_it_is_looked_at() {
    PLAIN.sync_scope(1, || PLAIN.with(|_| PLAIN.sync_scope(2, || ())));
}
