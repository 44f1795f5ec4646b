//! A panic stays where it belongs: in a poll, in the drop of a future or an output, in a waker, in a
//! blocking closure, in a hook, in the drop of a panic's own payload. Bystanders finish, nothing aborts,
//! nothing hangs, and the runtime shuts down clean.
//!
//! An abort would end the test program, a hang its watchdog.

mod common;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use common::bystanders::{beside_others, bystander, is_sound};
use common::{STEALING, Watchdog, builder, eventually};
use heist::time::sleep;
use heist::{spawn, spawn_blocking, spawn_local, yield_now};

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        // While another panic unwinds, a second one would abort: that is Rust's rule, not the runtime's.
        if !std::thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

#[test]
fn in_a_poll() {
    beside_others("in_a_poll", || async {
        let at_once = spawn(async { panic!("at once") });
        let later = spawn(async {
            sleep(Duration::from_micros(200)).await;
            panic!("later");
        });
        let detached = spawn(async { panic!("detached") });
        drop(detached);
        let local = spawn_local(async { panic!("local") });
        for task in [at_once, later, local] {
            assert!(task.await.unwrap_err().is_panic());
        }
    });
}

#[test]
fn in_the_drop_of_a_future() {
    beside_others("in_the_drop_of_a_future", || async {
        let finished = spawn(async {
            let _bomb = Bomb("at the end of a future");
            yield_now().await;
        });
        assert!(finished.await.unwrap_err().is_panic());

        let cancelled = spawn(async {
            let _bomb = Bomb("in a cancelled future");
            std::future::pending::<()>().await;
        });
        let unpolled = {
            let bomb = Bomb("in a future that was never polled");
            spawn(async move {
                let _bomb = bomb;
                std::future::pending::<()>().await;
            })
        };
        unpolled.cancel();
        yield_now().await;
        cancelled.cancel();
        assert!(cancelled.await.is_err());
        assert!(unpolled.await.is_err());

        let bomb = Bomb("in a cancelled, detached future");
        let detached = spawn(async move {
            let _bomb = bomb;
            sleep(Duration::from_secs(3600)).await;
        });
        detached.abort();
        drop(detached);
    });
}

#[test]
fn in_futures_that_the_shutdown_drops() {
    let _watchdog = Watchdog::new("in_futures_that_the_shutdown_drops", 60);
    for profile in STEALING {
        for workers in [1, 2, 4] {
            let dropped = Arc::new(AtomicUsize::new(0));
            let runtime = builder(workers, profile).build().unwrap();
            runtime.block_on(async {
                for i in 0..100 {
                    let bomb = (i % 2 == 0).then(|| Bomb("at the shutdown"));
                    let count = CountDrop(dropped.clone());
                    drop(spawn(async move {
                        let _both = (bomb, count);
                        std::future::pending::<()>().await;
                    }));
                }
                yield_now().await;
            });
            let report = runtime.shutdown(Duration::from_secs(5));
            assert!(report.is_clean(), "{report:?}");
            assert_eq!(dropped.load(Ordering::SeqCst), 100);
        }
    }
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn in_the_drop_of_an_output() {
    beside_others("in_the_drop_of_an_output", || async {
        // Dropped by the worker, as nobody wants it.
        drop(spawn(async {
            yield_now().await;
            Bomb("an output nobody wants")
        }));
        // Dropped with the handle, after completion; whether the panic is told is not promised.
        let task = spawn(async { Bomb("an output in its handle") });
        while !task.is_finished() {
            yield_now().await;
        }
        drop(catch_unwind(AssertUnwindSafe(|| drop(task))));
        // Dropped by the joiner.
        let output = spawn(async { Bomb("an output in the joiner's hands") }).await;
        assert!(catch_unwind(AssertUnwindSafe(|| drop(output))).is_err());
    });
}

#[test]
fn in_the_drop_of_a_panic_payload() {
    beside_others("in_the_drop_of_a_panic_payload", || async {
        drop(spawn(async { panic_any(Bomb("a payload nobody wants")) }));
        let task = spawn(async { panic_any(Bomb("a payload in its handle")) });
        while !task.is_finished() {
            yield_now().await;
        }
        drop(catch_unwind(AssertUnwindSafe(|| drop(task))));
        yield_now().await;
    });
}

#[test]
fn in_a_blocking_closure() {
    beside_others("in_a_blocking_closure", || async {
        let bad: Vec<_> = (0..5)
            .map(|_| spawn_blocking(|| panic!("in a closure")))
            .collect();
        drop(spawn_blocking(|| panic!("in a closure nobody awaits")));
        drop(spawn_blocking(|| Bomb("the output of a closure")));
        let good = spawn_blocking(|| 5);
        for task in bad {
            assert!(task.await.unwrap_err().is_panic());
        }
        assert_eq!(good.await.unwrap(), 5);
    });
}

#[test]
fn in_block_on_itself() {
    let _watchdog = Watchdog::new("in_block_on_itself", 60);
    for profile in STEALING {
        for workers in [1, 2, 4] {
            let runtime = builder(workers, profile).build().unwrap();
            for _ in 0..3 {
                let others = AssertUnwindSafe(|| {
                    runtime.block_on(async {
                        for _ in 0..4 {
                            drop(spawn(bystander(3)));
                        }
                        sleep(Duration::from_micros(500)).await;
                        panic!("in block_on");
                    });
                });
                assert!(catch_unwind(others).is_err());
            }
            is_sound(runtime, workers);
        }
    }
}

#[test]
fn in_the_start_and_stop_hooks() {
    let _watchdog = Watchdog::new("in_the_start_and_stop_hooks", 60);
    for profile in STEALING {
        let calls = Arc::new(AtomicUsize::new(0));
        let stop_calls = calls.clone();
        let first = AtomicBool::new(true);
        let built = builder(3, profile)
            .on_thread_start(move || {
                if first.swap(false, Ordering::SeqCst) {
                    panic!("a start hook on purpose");
                }
            })
            .on_thread_stop(move || {
                stop_calls.fetch_add(1, Ordering::SeqCst);
                panic!("a stop hook on purpose");
            })
            .build();
        // An error would do as well; a runtime has to work.
        if let Ok(runtime) = built {
            runtime.block_on(async {
                assert_eq!(spawn_blocking(|| 5).await.unwrap(), 5);
            });
            is_sound(runtime, 3);
            eventually("the stop hooks", || calls.load(Ordering::SeqCst) > 0);
        }
    }
}

#[test]
fn a_wake_in_a_destructor_is_no_trouble() {
    // No panic, but the same paths: wakers and destructors that call back into the runtime.
    beside_others("a_wake_in_a_destructor_is_no_trouble", || async {
        struct SpawnsOnDrop;
        impl Drop for SpawnsOnDrop {
            fn drop(&mut self) {
                drop(spawn(async { yield_now().await }));
            }
        }
        let guard = SpawnsOnDrop;
        let task = spawn(async move {
            let _guard = guard;
            poll_fn(|_| Poll::<()>::Pending).await;
        });
        yield_now().await;
        task.cancel();
        assert!(task.await.is_err());
    });
}
