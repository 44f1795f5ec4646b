//! What runs other futures: all of them are gone afterwards, and what was opened is closed.

use super::Entry;
use crate::World;
use heist_runtime::yield_now;
use heist_sync::cancel::{CancelToken, cancel_scope};
use heist_sync::group::{JoinSet, OnError, task_group, task_group_with};
use heist_sync::resource::{AsyncClose, How, exit_stack, finally, on_cancel, try_using, using};
use heist_sync::stream::{StreamExt, generate, using_stream};
use heist_sync::time::{Instant, interval, sleep, sleep_until, timeout, timeout_at};
use heist_sync::{Event, Mutex, join_all, race, race_all, try_join_all};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// What the futures within wait for, and how many of them there are.
#[derive(Default)]
struct State {
    event: Arc<Event>,
    alive: Arc<()>,
    opened: AtomicUsize,
    closed: Arc<AtomicUsize>,
}

impl State {
    fn part(&self) -> impl Future<Output = ()> + Send + use<> {
        let (event, alive) = (Arc::clone(&self.event), Arc::clone(&self.alive));
        async move {
            event.wait().await;
            drop(alive);
        }
    }

    fn open(&self) -> Resource {
        self.opened.fetch_add(1, SeqCst);
        Resource(Arc::clone(&self.closed))
    }

    fn is_good(&self) -> bool {
        let closed = self.opened.load(SeqCst) == self.closed.load(SeqCst);
        closed && Arc::strong_count(&self.alive) == 1
    }
}

struct Resource(Arc<AtomicUsize>);

impl AsyncClose for Resource {
    async fn close(self, _how: How) {
        yield_now().await;
        self.0.fetch_add(1, SeqCst);
    }
}

fn state<F: Future<Output = ()> + 'static>(wait: fn(Rc<State>) -> F) -> World {
    World::new(
        State::default(),
        wait,
        |state| state.event.set(),
        State::is_good,
    )
}

/// For what time alone ends.
fn timed<F: Future<Output = ()> + 'static>(wait: fn(Rc<State>) -> F) -> World {
    let pass = |_: &State| std::thread::sleep(Duration::from_micros(50));
    World::new(State::default(), wait, pass, State::is_good)
}

const SHORT: Duration = Duration::from_micros(80);

fn tick() -> World {
    World::new(
        Mutex::new(interval(SHORT)),
        |state| async move {
            state.lock().await.tick().await;
        },
        |_| std::thread::sleep(Duration::from_micros(50)),
        |state| state.try_lock().is_ok(),
    )
}

fn join_next(with_id: bool) -> World {
    let inner = State::default();
    let mut set = JoinSet::new();
    for _ in 0..3 {
        set.spawn(inner.part());
    }
    World::new(
        (inner, Mutex::new(set), AtomicUsize::new(0), with_id),
        |state| async move {
            let mut set = state.1.lock().await;
            let joined = if state.3 {
                set.join_next_with_id().await.is_some()
            } else {
                set.join_next().await.is_some()
            };
            state.2.fetch_add(usize::from(joined), SeqCst);
        },
        |state| state.0.event.set(),
        |state| {
            let left = state.1.try_lock().map_or(0, |set| set.len());
            state.2.load(SeqCst) + left == 3 && state.0.is_good()
        },
    )
}

fn token<F: Future<Output = ()> + 'static>(wait: fn(Rc<(CancelToken, State)>) -> F) -> World {
    World::new(
        (CancelToken::new(), State::default()),
        wait,
        |state| {
            state.0.cancel();
        },
        |state| state.1.is_good(),
    )
}

fn groups() -> Vec<Entry> {
    vec![
        ("group/join_set.rs::join_next", || join_next(false)),
        ("group/join_set.rs::join_next_with_id", || join_next(true)),
        ("group/join_set.rs::join_all", || {
            state(|state| async move {
                let set: JoinSet<()> = (0..2).map(|_| state.part()).collect();
                set.join_all().await;
            })
        }),
        ("group/join_set.rs::shutdown", || {
            state(|state| async move {
                let mut set: JoinSet<()> = (0..2).map(|_| state.part()).collect();
                set.shutdown().await;
            })
        }),
        ("group/task_group.rs::task_group", || {
            state(|state| async move {
                let group = task_group(async |group| {
                    for _ in 0..2 {
                        let (part, resource) = (state.part(), state.open());
                        group.spawn(using(resource, async |_| {
                            part.await;
                            Ok::<(), ()>(())
                        }));
                    }
                    Ok(())
                });
                drop(group.await);
            })
        }),
        ("group/task_group.rs::task_group_with", || {
            state(|state| async move {
                let group = task_group_with(OnError::Collect, async |group| {
                    let part = state.part();
                    group.spawn(async {
                        part.await;
                        Err::<(), ()>(())
                    });
                    Ok(())
                });
                drop(group.await);
            })
        }),
        ("branches/race.rs::race", || {
            state(|state| async move { race(state.part(), state.part()).await })
        }),
        ("branches/race_all.rs::race_all", || {
            state(|state| async move { race_all([state.part(), state.part()]).await })
        }),
        ("branches/join_all.rs::join_all", || {
            state(|state| async move { drop(join_all([state.part(), state.part()]).await) })
        }),
        ("branches/join_all.rs::try_join_all", || {
            state(|state| async move {
                let parts = [state.part(), state.part()];
                let parts = parts.map(async |part| {
                    part.await;
                    Err::<(), ()>(())
                });
                assert!(try_join_all(parts).await.is_err());
            })
        }),
    ]
}

fn resources() -> Vec<Entry> {
    vec![
        ("resource/using.rs::using", || {
            state(|state| async move { using(state.open(), async |_| state.part().await).await })
        }),
        ("resource/using.rs::try_using", || {
            state(|state| async move {
                let open = async {
                    state.part().await;
                    Ok(state.open())
                };
                let body = async |_: &mut Resource| {
                    state.part().await;
                    Err::<(), ()>(())
                };
                assert!(try_using(open, body).await.is_err());
            })
        }),
        ("resource/finally.rs::finally", || {
            state(|state| async move {
                finally(state.part(), async |_| yield_now().await).await;
            })
        }),
        ("resource/finally.rs::on_cancel", || {
            state(|state| async move {
                on_cancel(state.part(), async || yield_now().await).await;
            })
        }),
        ("resource/stack.rs::exit_stack", || {
            state(|state| async move {
                exit_stack(async |stack| {
                    stack.push(state.open());
                    stack.push(state.open());
                    state.part().await;
                })
                .await;
            })
        }),
        ("stream/using.rs::using_stream", || {
            state(|state| async move {
                let inner = Rc::clone(&state);
                let stream = generate(async move |emitter| {
                    using(inner.open(), async |_| {
                        emitter.emit(1).await;
                        inner.part().await;
                        emitter.emit(2).await;
                    })
                    .await;
                });
                using_stream(stream, async |numbers| {
                    assert_eq!(numbers.next().await, Some(1));
                    assert_eq!(numbers.next().await, Some(2));
                })
                .await;
            })
        }),
        ("cancel/scope.rs::cancel_scope", || {
            state(|state| async move {
                assert!(cancel_scope(async |_| state.part().await).await.is_ok())
            })
        }),
        ("cancel/token.rs::cancelled", || {
            token(|state| async move { state.0.cancelled().await })
        }),
        ("cancel/token.rs::cancelled_owned", || {
            token(|state| async move { state.0.clone().cancelled_owned().await })
        }),
        ("cancel/token.rs::run_until_cancelled", || {
            token(|state| async move {
                assert!(state.0.run_until_cancelled(state.1.part()).await.is_none())
            })
        }),
    ]
}

pub(super) fn all() -> Vec<Entry> {
    let times: Vec<Entry> = vec![
        ("time/sleep.rs::sleep", || {
            timed(|_| async { sleep(SHORT).await })
        }),
        ("time/sleep.rs::sleep_until", || {
            timed(|_| async { sleep_until(Instant::now() + SHORT).await })
        }),
        ("time/timeout.rs::timeout", || {
            timed(|state| async move {
                let within = using(state.open(), async |_| state.part().await);
                let _elapsed: Result<(), _> = timeout(SHORT, within).await;
            })
        }),
        ("time/timeout.rs::timeout_at", || {
            timed(|state| async move {
                let deadline = Instant::now() + SHORT;
                let _elapsed: Result<(), _> = timeout_at(deadline, state.part()).await;
            })
        }),
        ("time/interval.rs::tick", tick),
    ];
    [groups(), resources(), times].concat()
}
