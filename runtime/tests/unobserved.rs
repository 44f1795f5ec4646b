//! Panics of tasks whose handles nobody asks. The controls named were tried once each.

mod common;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::sleep;
use heist_runtime::{Builder, Runtime, spawn, spawn_blocking};

/// A runtime, and what its hook is given.
fn observed() -> (Runtime, Receiver<String>) {
    let (sender, errors) = channel();
    let sender = Arc::new(Mutex::new(sender));
    let runtime = Builder::new()
        .worker_threads(2)
        .on_unobserved_panic(move |error| {
            let payload = error.into_panic();
            let text = payload.downcast_ref::<&str>().expect("a text");
            let sender = sender.lock().expect("no panic under it");
            drop(sender.send((*text).to_owned()));
        })
        .build();
    (runtime.expect("io_uring"), errors)
}

/// Control: without `note_seen` also the one that is awaited is told; with a hook that only workers know the
/// closure's is missing.
#[test]
fn the_hook_is_told_of_what_nobody_sees_and_of_nothing_else() {
    let (runtime, errors) = observed();
    runtime.block_on(async {
        let seen = spawn(async { panic!("seen") });
        let error: Result<(), _> = seen.await;
        assert!(error.expect_err("it panics").is_panic());
        drop(spawn(async { panic!("detached before") }));
        let late = spawn(async { panic!("detached after") });
        drop(spawn_blocking(|| panic!("a closure")));
        drop(spawn(async {}));
        while !late.is_finished() {
            sleep(1).await;
        }
        drop(late);
    });
    let limit = Duration::from_secs(10);
    let mut told: Vec<_> = (0..3)
        .map(|_| errors.recv_timeout(limit).expect("one is missing"))
        .collect();
    told.sort();
    assert_eq!(told, ["a closure", "detached after", "detached before"]);
    drop(runtime);
    assert!(errors.try_recv().is_err(), "{errors:?}");
}

/// A handle may outlive the runtime, and so does the hook.
#[test]
fn a_handle_that_outlives_its_runtime_tells_the_hook() {
    let (runtime, errors) = observed();
    let late = runtime.spawn(async { panic!("late") });
    runtime.block_on(async {
        while !late.is_finished() {
            sleep(1).await;
        }
    });
    drop(runtime);
    assert!(errors.try_recv().is_err());
    drop(late);
    assert_eq!(errors.recv().as_deref(), Ok("late"));
}

/// Control: a hook that is not contained aborts the process, if what contains the destructors of outputs (`contained` in
/// `task/cell`) does nothing either. One of the two is enough for this test.
#[test]
fn a_hook_that_panics_is_contained() {
    let runtime = Builder::new()
        .on_unobserved_panic(|error| panic!("{error}"))
        .build()
        .expect("io_uring");
    let before = runtime.metrics().contained_panics;
    runtime.block_on(async {
        drop(spawn(async { panic!("the first") }));
        while runtime.metrics().contained_panics == before {
            sleep(1).await;
        }
        assert_eq!(spawn(async { 7 }).await.expect("no panic"), 7);
    });
}
