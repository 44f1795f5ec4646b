//! Tasks and the scheduler, through the public API.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant as StdInstant};

use heist_runtime::time::{Instant, Timer};
use heist_runtime::{Builder, RingProfile, Runtime, spawn, spawn_blocking, spawn_local, yield_now};

const PROFILES: [RingProfile; 3] = [RingProfile::Defer, RingProfile::Coop, RingProfile::Pinned];

fn runtime(workers: usize, profile: RingProfile) -> Runtime {
    Builder::new()
        .worker_threads(workers)
        .ring_profile(profile)
        .build()
        .unwrap()
}

fn on_all(test: impl Fn(&Runtime)) {
    for profile in PROFILES {
        for workers in [1, 2, 4] {
            test(&runtime(workers, profile));
        }
    }
}

#[test]
fn values_come_back() {
    on_all(|runtime| {
        let sum: u64 = runtime.block_on(async {
            let tasks: Vec<_> = (0..1000u64).map(|i| spawn(async move { i })).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 499_500);
    });
}

#[test]
fn a_task_spawned_from_outside_runs() {
    let runtime = runtime(2, RingProfile::Defer);
    let handle = runtime.handle();
    let task = std::thread::spawn(move || handle.spawn(async { 7 }))
        .join()
        .unwrap();
    assert_eq!(runtime.block_on(task).unwrap(), 7);
}

#[test]
fn tasks_outlive_block_on_on_other_workers() {
    let runtime = runtime(2, RingProfile::Defer);
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.block_on(async {
        spawn(async move {
            for _ in 0..20 {
                Timer::new(Instant::now() + Duration::from_millis(2)).await;
            }
            sender.send(()).unwrap();
        });
        yield_now().await;
    });
    receiver
        .recv_timeout(Duration::from_secs(5))
        .expect("the task went on without block_on");
}

#[test]
fn timers_are_never_early() {
    on_all(|runtime| {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..50u64)
                .map(|i| {
                    spawn(async move {
                        let wait = Duration::from_micros(i * 311);
                        let start = StdInstant::now();
                        Timer::new(Instant::now() + wait).await;
                        assert!(start.elapsed() >= wait);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn a_panic_reaches_the_joiner_and_nobody_else() {
    on_all(|runtime| {
        runtime.block_on(async {
            let bad = spawn(async { panic!("on purpose") });
            let good = spawn(async { 1 });
            let error = bad.await.unwrap_err();
            assert!(error.is_panic());
            assert!(error.to_string().contains("on purpose"));
            assert_eq!(good.await.unwrap(), 1);
        });
    });
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn cancel_drops_the_future_and_tells_the_joiner() {
    on_all(|runtime| {
        let dropped = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            let guard = OnDrop(dropped.clone());
            let task = spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            yield_now().await;
            assert!(task.cancel());
            assert!(!task.cancel());
            let error = task.await.unwrap_err();
            assert!(error.is_cancelled() && !error.is_aborted());
        });
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn shutdown_drops_what_never_ends() {
    for profile in PROFILES {
        let dropped = Arc::new(AtomicUsize::new(0));
        let runtime = runtime(3, profile);
        runtime.block_on(async {
            for _ in 0..500 {
                let guard = OnDrop(dropped.clone());
                spawn(async move {
                    let _guard = guard;
                    std::future::pending::<()>().await;
                });
                let guard = OnDrop(dropped.clone());
                spawn(async move {
                    let _guard = guard;
                    Timer::new(Instant::now() + Duration::from_secs(3600)).await;
                });
            }
            yield_now().await;
        });
        let report = runtime.shutdown(Duration::from_secs(2));
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(dropped.load(Ordering::SeqCst), 1000);
    }
}

#[test]
fn local_tasks_stay_on_their_thread() {
    on_all(|runtime| {
        runtime.block_on(async {
            let thread = std::thread::current().id();
            let local = std::rc::Rc::new(5);
            let tasks: Vec<_> = (0..20)
                .map(|_| {
                    let local = local.clone();
                    spawn_local(async move {
                        for _ in 0..20 {
                            yield_now().await;
                            Timer::new(Instant::now() + Duration::from_micros(50)).await;
                            assert_eq!(std::thread::current().id(), thread);
                        }
                        *local
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 5);
            }
        });
    });
}

#[test]
fn local_tasks_end_with_block_on() {
    let runtime = runtime(2, RingProfile::Defer);
    let alive = std::rc::Rc::new(());
    runtime.block_on(async {
        let alive = alive.clone();
        spawn_local(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        yield_now().await;
    });
    assert_eq!(std::rc::Rc::strong_count(&alive), 1);
}

#[test]
fn blocking_closures_run_elsewhere() {
    on_all(|runtime| {
        runtime.block_on(async {
            let here = std::thread::current().id();
            let there = spawn_blocking(|| std::thread::current().id())
                .await
                .unwrap();
            assert_ne!(here, there);
            let error = spawn_blocking(|| panic!("in a closure")).await.unwrap_err();
            assert!(error.is_panic());
        });
    });
}

#[test]
#[should_panic(expected = "block_on was called inside a Heist runtime")]
fn nested_block_on_is_refused() {
    heist_runtime::block_on(async {
        heist_runtime::block_on(async {});
    });
}

#[test]
fn two_runtimes_and_guests() {
    let first = runtime(2, RingProfile::Defer);
    let second = runtime(2, RingProfile::Coop);
    let task = second.spawn(async { 3 });
    assert_eq!(first.block_on(task).unwrap(), 3);
    // A second thread inside block_on of the same runtime is a guest.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                first.block_on(async {
                    let task = spawn(async { 9 });
                    Timer::new(Instant::now() + Duration::from_millis(5)).await;
                    assert_eq!(task.await.unwrap(), 9);
                });
            });
        }
    });
}

#[test]
fn a_stolen_task_keeps_its_timer() {
    // One worker is stuck; what it had is done by the other.
    for profile in [RingProfile::Defer, RingProfile::Coop] {
        let runtime = runtime(2, profile);
        runtime.block_on(async {
            let done = Arc::new(AtomicUsize::new(0));
            for _ in 0..100 {
                let done = done.clone();
                spawn(async move {
                    yield_now().await;
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
            let start = StdInstant::now();
            while done.load(Ordering::SeqCst) < 100 {
                assert!(
                    start.elapsed() < Duration::from_secs(5),
                    "nobody stole from the stuck worker"
                );
                std::thread::yield_now();
            }
        });
    }
}

#[test]
fn wakes_across_threads_are_not_lost() {
    let rounds = if std::env::var_os("HEIST_LONG").is_some() {
        2_000_000
    } else {
        100_000
    };
    for profile in [RingProfile::Defer, RingProfile::Coop] {
        let runtime = runtime(2, profile);
        runtime.block_on(async move {
            let (to, from): (Arc<Cell>, Arc<Cell>) =
                (Arc::new(Cell::default()), Arc::new(Cell::default()));
            let (to2, from2) = (to.clone(), from.clone());
            let other = spawn(async move {
                for i in 0..rounds {
                    assert_eq!(to2.take().await, i);
                    from2.put(i);
                }
            });
            for i in 0..rounds {
                to.put(i);
                assert_eq!(from.take().await, i);
            }
            other.await.unwrap();
        });
    }
}

/// A channel for one value at a time.
#[derive(Default)]
struct Cell {
    state: std::sync::Mutex<(Option<u32>, Option<std::task::Waker>)>,
}

impl Cell {
    fn put(&self, value: u32) {
        let waker = {
            let mut state = self.state.lock().unwrap();
            state.0 = Some(value);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn take(&self) -> u32 {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            match state.0.take() {
                Some(value) => std::task::Poll::Ready(value),
                None => {
                    state.1 = Some(cx.waker().clone());
                    std::task::Poll::Pending
                }
            }
        })
        .await
    }
}

/// The one-shot operations from a socket to an echo, and what the metrics say of the tasks.
#[test]
fn sockets_can_be_set_up_by_operations_alone() {
    use heist_runtime::ops::{self, Domain, SockAddr, Type};
    use std::net::{Ipv4Addr, SocketAddr};

    let runtime = Builder::new().worker_threads(1).build().expect("io_uring");
    runtime.block_on(async {
        let any = SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = ops::socket(Domain::IPV4, Type::STREAM, None).expect("a socket");
        ops::bind(&listener, &any).expect("a free port");
        ops::listen(&listener, 8).expect("it is bound");
        let address = socket2::SockRef::from(&listener)
            .local_addr()
            .expect("bound");
        let server = spawn(async move {
            let peer = ops::SharedFd::new(ops::accept(&listener).await.expect("a connection"));
            let (count, buffer) = ops::recv(&peer, vec![0; 16], 0).await;
            assert_eq!(count.expect("bytes"), 5);
            ops::send(&peer, buffer, 0, 0).await.0.expect("it is open");
            // Dropped in flight: nothing is left behind that could take a connection.
            let mut next = std::pin::pin!(ops::accept(&listener));
            std::future::poll_fn(|cx| {
                assert!(next.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        });
        let client = ops::socket(Domain::IPV4, Type::STREAM, None).expect("a socket");
        ops::connect(&client, address).await.expect("it listens");
        ops::send(&client, b"hello".to_vec(), 0, 0)
            .await
            .0
            .expect("open");
        let (count, buffer) = ops::recv(&client, vec![0; 16], 0).await;
        assert!(count.expect("an answer") >= 5);
        assert!(buffer.starts_with(b"hello"));
        server.await.expect("works");
    });
    let total = runtime.metrics().total();
    assert!(total.local() > 0 && total.local() <= total.polls);
}

/// Controls, tried: with a guest that polls only once this waits for ever; one that enters no handle has no timer; one
/// that does not ask whether it may block is not refused.
#[test]
fn a_handle_runs_a_future_on_a_thread_that_is_no_worker() {
    let runtime = runtime(2, RingProfile::Defer);
    let handle = runtime.handle();
    let thread = std::thread::spawn(move || {
        let text = String::from("borrowed");
        let length = handle.block_on(async {
            Timer::new(Instant::now() + Duration::from_millis(2)).await;
            spawn(async { yield_now().await }).await.unwrap();
            text.len()
        });
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            handle.block_on(async { panic!("the future") })
        }));
        assert!(panicked.is_err());
        length
    });
    assert_eq!(thread.join().unwrap(), 8);
    let inside = runtime.handle();
    let refused = runtime.block_on(async {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inside.block_on(async {})))
    });
    assert!(refused.is_err(), "it would block a worker");
}

/// Control, tried: a `spawn_on` that asks for the current runtime panics, and a `spawn_blocking` that forgets the scope
/// is not withdrawn.
#[test]
fn a_builder_spawns_elsewhere_and_on_the_pool() {
    use heist_runtime::scope::{Reason, Scope};
    use heist_runtime::task;
    let runtime = Builder::new()
        .worker_threads(2)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let handle = runtime.handle();
    let builder = || task::Builder::new().name("elsewhere");
    let task = builder().spawn_on(async { task::name() }, &handle);
    assert_eq!(
        runtime.block_on(task).unwrap().as_deref(),
        Some("elsewhere")
    );
    runtime.block_on(async {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let first = builder().spawn_blocking(move || wait.recv().is_ok());
        assert_eq!(first.name(), Some("elsewhere"));
        let scope = Scope::new();
        let never = builder()
            .scope(&scope)
            .spawn_blocking_on(|| unreachable!(), &handle);
        scope.cancel(Reason::Explicit);
        // The only thread is busy still: it ends without one.
        let never: Result<(), _> = never.await;
        assert!(never.unwrap_err().is_cancelled());
        drop(release);
        first.await.unwrap();
    });
}

/// Controls, tried: with `end` in place of `end_in_background` it waits for the task; with a background that ends nothing
/// the task is never dropped.
#[test]
fn a_shutdown_in_the_background_waits_for_nothing_and_ends_the_tasks() {
    let runtime = runtime(2, RingProfile::Defer);
    let (ends, ended) = std::sync::mpsc::channel();
    let (begins, begun) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let _ends: std::sync::mpsc::Sender<()> = ends;
        begins.send(()).unwrap();
        // Nobody can end this before it is over.
        std::thread::sleep(Duration::from_millis(300));
        std::future::pending::<()>().await;
    });
    begun.recv().unwrap();
    let start = StdInstant::now();
    runtime.shutdown_background();
    assert!(
        start.elapsed() < Duration::from_millis(250),
        "it has waited"
    );
    let ended = ended.recv_timeout(Duration::from_secs(10));
    assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
}
