//! Locks: they are free again afterwards.

use super::Entry;
use crate::World;
use heist_sync::{
    Barrier, Condition, Event, Mutex, Notify, OnceCell, OwnedMutexGuard, OwnedRwLockWriteGuard,
    OwnedSemaphorePermit, RwLock, Semaphore, SetOnce,
};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

type MutexState = (Arc<Mutex<()>>, RefCell<Option<OwnedMutexGuard<()>>>);
type RwState = (Arc<RwLock<()>>, RefCell<Option<OwnedRwLockWriteGuard<()>>>);
type Permits = (Arc<Semaphore>, RefCell<Option<OwnedSemaphorePermit>>);

fn mutex<F: Future<Output = ()> + 'static>(wait: fn(Arc<Mutex<()>>) -> F) -> World {
    let mutex = Arc::new(Mutex::new(()));
    let guard = Arc::clone(&mutex).try_lock_owned().expect("it is free");
    let state: (MutexState, _) = ((mutex, RefCell::new(Some(guard))), wait);
    World::new(
        state,
        |state| (state.1)(Arc::clone(&state.0.0)),
        |state| drop(state.0.1.take()),
        |state| state.0.0.try_lock().is_ok(),
    )
}

fn rwlock<F: Future<Output = ()> + 'static>(wait: fn(Arc<RwLock<()>>) -> F) -> World {
    let lock = Arc::new(RwLock::new(()));
    let guard = Arc::clone(&lock).try_write_owned().expect("it is free");
    let state: (RwState, _) = ((lock, RefCell::new(Some(guard))), wait);
    World::new(
        state,
        |state| (state.1)(Arc::clone(&state.0.0)),
        |state| drop(state.0.1.take()),
        |state| state.0.0.try_write().is_ok(),
    )
}

fn semaphore<F: Future<Output = ()> + 'static>(wait: fn(Arc<Semaphore>) -> F) -> World {
    let semaphore = Arc::new(Semaphore::new(2));
    let permit = Arc::clone(&semaphore).try_acquire_many_owned(2);
    let permit = permit.expect("they are free");
    let state: (Permits, _) = ((semaphore, RefCell::new(Some(permit))), wait);
    World::new(
        state,
        |state| (state.1)(Arc::clone(&state.0.0)),
        // One by one.
        |state| {
            let held = state.0.1.take();
            let rest = held.filter(|held| held.num_permits() > 1);
            let rest = rest.and_then(|mut held| held.split(1));
            state.0.1.replace(rest);
        },
        |state| {
            state.0.1.take();
            state.0.0.available_permits() == 2
        },
    )
}

fn notify<F: Future<Output = ()> + 'static>(wait: fn(Arc<Notify>) -> F) -> World {
    World::new(
        (Arc::new(Notify::new()), wait),
        |state| (state.1)(Arc::clone(&state.0)),
        |state| state.0.notify_one(),
        |state| format!("{:?}", state.0).contains("waited_for: false"),
    )
}

fn event() -> World {
    World::new(
        Event::new(),
        |event| async move { event.wait().await },
        Event::set,
        |_| true,
    )
}

type Partner = Pin<Box<dyn Future<Output = ()>>>;

fn barrier() -> World {
    World::new(
        (Arc::new(Barrier::new(2)), RefCell::new(None::<Partner>)),
        |state| async move {
            state.0.wait().await;
        },
        // Somebody else comes, or is seen off.
        |state| {
            let mut partner = state.1.take().unwrap_or_else(|| {
                let barrier = Arc::clone(&state.0);
                Box::pin(async move {
                    barrier.wait().await;
                })
            });
            let mut cx = Context::from_waker(Waker::noop());
            if partner.as_mut().poll(&mut cx).is_pending() {
                state.1.replace(Some(partner));
            }
        },
        |state| {
            state.1.take();
            format!("{:?}", state.0).contains("arrived: 0")
        },
    )
}

type Conditional = (Mutex<u32>, Condition);

fn condition_is_good(state: &Conditional) -> bool {
    state.0.try_lock().is_ok()
}

fn condition_wait() -> World {
    World::new(
        (Mutex::new(0), Condition::new()),
        |state: std::rc::Rc<Conditional>| async move {
            let guard = state.0.lock().await;
            drop(state.1.wait(guard).await);
        },
        |state| state.1.notify(1),
        condition_is_good,
    )
}

fn condition_wait_for() -> World {
    World::new(
        (Mutex::new(0), Condition::new()),
        |state: std::rc::Rc<Conditional>| async move {
            let guard = state.0.lock().await;
            drop(state.1.wait_for(guard, |value| *value > 0).await);
        },
        |state| {
            if let Ok(mut value) = state.0.try_lock() {
                *value += 1;
            }
            state.1.notify_all();
        },
        condition_is_good,
    )
}

type Once = (OnceCell<u32>, Event);

fn once_cell<F: Future<Output = ()> + 'static>(wait: fn(std::rc::Rc<Once>) -> F) -> World {
    World::new(
        (OnceCell::new(), Event::new()),
        wait,
        |state| state.1.set(),
        |state| state.0.get() == Some(&7),
    )
}

pub(super) fn all() -> Vec<Entry> {
    vec![
        ("mutex/mod.rs::lock", || {
            mutex(|mutex| async move { drop(mutex.lock().await) })
        }),
        ("mutex/mod.rs::lock_owned", || {
            mutex(|mutex| async { drop(mutex.lock_owned().await) })
        }),
        ("rwlock/mod.rs::read", || {
            rwlock(|lock| async move { drop(lock.read().await) })
        }),
        ("rwlock/mod.rs::write", || {
            rwlock(|lock| async move { drop(lock.write().await) })
        }),
        ("rwlock/mod.rs::read_owned", || {
            rwlock(|lock| async { drop(lock.read_owned().await) })
        }),
        ("rwlock/mod.rs::write_owned", || {
            rwlock(|lock| async { drop(lock.write_owned().await) })
        }),
        ("semaphore/mod.rs::acquire", || {
            semaphore(|semaphore| async move { drop(semaphore.acquire().await) })
        }),
        ("semaphore/mod.rs::acquire_many", || {
            semaphore(|semaphore| async move { drop(semaphore.acquire_many(2).await) })
        }),
        ("semaphore/mod.rs::acquire_owned", || {
            semaphore(|semaphore| async { drop(semaphore.acquire_owned().await) })
        }),
        ("semaphore/mod.rs::acquire_many_owned", || {
            semaphore(|semaphore| async { drop(semaphore.acquire_many_owned(2).await) })
        }),
        ("notify/mod.rs::notified", || {
            notify(|notify| async move { notify.notified().await })
        }),
        ("notify/mod.rs::notified_owned", || {
            notify(|notify| async { notify.notified_owned().await })
        }),
        ("event.rs::wait", event),
        ("set_once.rs::wait", || {
            World::new(
                SetOnce::new(),
                |cell| async move { assert_eq!(cell.wait().await, &7) },
                |cell| {
                    let _set: Result<(), _> = cell.set(7);
                },
                |cell| cell.get() == Some(&7),
            )
        }),
        ("barrier.rs::wait", barrier),
        ("condition.rs::wait", condition_wait),
        ("condition.rs::wait_for", condition_wait_for),
        ("once_cell.rs::get_or_init", || {
            once_cell(|state| async move {
                let make = async || {
                    state.1.wait().await;
                    7
                };
                assert_eq!(state.0.get_or_init(make).await, &7);
            })
        }),
        ("once_cell.rs::get_or_try_init", || {
            once_cell(|state| async move {
                let make = async || {
                    state.1.wait().await;
                    Ok::<_, ()>(7)
                };
                assert_eq!(state.0.get_or_try_init(make).await, Ok(&7));
            })
        }),
    ]
}
