//! Heist in programs that have other runtimes, or several of its own.

use std::future::Future;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use heist::net::{TcpListener, TcpStream};
use heist::time::{Instant, sleep, timeout};
use heist::{Builder, Runtime};

mod common;

use common::Watchdog;

const LONG: Duration = Duration::from_secs(20);

fn runtime(workers: usize) -> Runtime {
    let built = Builder::new().worker_threads(workers).build();
    built.expect("a runtime")
}

fn tokio() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let built = builder.worker_threads(2).enable_all().build();
    built.expect("a runtime of tokio's")
}

/// Something with sockets, timers and tasks.
async fn some_work() -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = heist::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut count = 0;
        while let Some(bytes) = stream.recv().await.expect("bytes") {
            stream.write_all(&bytes).await.expect("room");
            count += bytes.len();
        }
        count
    });
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let mut back = [0; 4];
    for _ in 0..20 {
        stream.write_all(b"ping").await.expect("room");
        stream.read_exact(&mut back).await.expect("an echo");
        sleep(Duration::from_micros(50)).await;
    }
    drop(stream);
    server.await.expect("it ends")
}

/// Ours under tokio: tasks of ours are spawned by a handle and awaited by tokio's, whose worker polls them.
#[test]
fn inside_a_tokio_program() {
    let _watchdog = Watchdog::new("inside_a_tokio_program", 60);
    let (ours, theirs) = (runtime(2), tokio());
    let handle = ours.handle();
    let totals = theirs.block_on(async {
        let mut tasks = Vec::new();
        for _ in 0..10 {
            let handle = handle.clone();
            tasks.push(tokio::spawn(async move {
                let task = handle.spawn(some_work());
                // A timer of tokio's beside.
                tokio::time::sleep(Duration::from_millis(1)).await;
                task.await.expect("it ends")
            }));
        }
        let mut totals = Vec::new();
        for task in tasks {
            totals.push(task.await.expect("it ends"));
        }
        totals
    });
    assert_eq!(totals, [80; 10]);
    assert!(ours.shutdown(LONG).is_clean());
}

/// Futures of ours that tokio's workers poll themselves, in an entered runtime.
#[test]
fn polled_by_tokio() {
    let _watchdog = Watchdog::new("polled_by_tokio", 60);
    let (ours, theirs) = (runtime(2), tokio());
    let handle = ours.handle();
    let began = Instant::now();
    let total = theirs.block_on(async {
        let mut work = Box::pin(some_work());
        std::future::poll_fn(|cx| {
            let _entered = handle.enter();
            work.as_mut().poll(cx)
        })
        .await
    });
    assert_eq!(total, 80);
    assert!(began.elapsed() >= Duration::from_millis(1));
    assert!(ours.shutdown(LONG).is_clean());
}

/// tokio's under ours: a runtime on threads of its own, whose tasks we await; and one inside `spawn_blocking`.
#[test]
fn a_tokio_runtime_inside() {
    let _watchdog = Watchdog::new("a_tokio_runtime_inside", 60);
    let (ours, theirs) = (runtime(2), tokio());
    let work = || async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        tokio::spawn(async { 7 }).await.expect("it ends")
    };
    let sum = ours.block_on(async {
        let spawned = theirs.spawn(work());
        let blocking = heist::spawn_blocking(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let inner = builder.enable_all().build().expect("a runtime of tokio's");
            inner.block_on(work())
        });
        let ours = some_work().await;
        ours + spawned.await.expect("it ends") + blocking.await.expect("it ends")
    });
    assert_eq!(sum, 80 + 7 + 7);
    // A task of ours that waits for one of tokio's can be cancelled, and that goes on.
    let (tell, told) = mpsc::channel();
    ours.block_on(async {
        let theirs = theirs.handle().clone();
        let waiting = heist::spawn(async move {
            theirs
                .spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let _ = tell.send("finished");
                })
                .await
        });
        sleep(Duration::from_millis(5)).await;
        assert!(waiting.cancel_and_join().await.is_err());
    });
    assert_eq!(told.recv_timeout(LONG), Ok("finished"));
    assert!(ours.shutdown(LONG).is_clean());
}

/// Several of ours at once, which await each other's tasks, and end one after another.
#[test]
fn several_runtimes() {
    let _watchdog = Watchdog::new("several_runtimes", 60);
    let runtimes: Vec<_> = [1, 2, 2].map(runtime).into();
    let handles: Vec<_> = runtimes[1..].iter().map(Runtime::handle).collect();
    let totals = runtimes[0].block_on(async {
        let tasks: Vec<_> = (0..12).map(|n| handles[n % 2].spawn(some_work())).collect();
        let here = some_work().await;
        let mut totals = vec![here];
        for task in tasks {
            totals.push(task.await.expect("it ends"));
        }
        totals
    });
    assert_eq!(totals, [80; 13]);
    // A task belongs to the runtime that it was spawned in, wherever that was.
    let [first, second] = [0, 1].map(|n| handles[n].clone());
    let inner = second.clone();
    let task = first.spawn(async move { inner.spawn(async { heist::task::name() }).await });
    assert!(task_ends(&runtimes[0], task));
    for runtime in runtimes {
        assert!(runtime.shutdown(LONG).is_clean());
    }
    // What is spawned in a runtime that has ended is cancelled at once.
    let rest = runtime(1);
    let late = rest.block_on(timeout(LONG, second.spawn(async {})));
    assert!(
        late.expect("it does not hang")
            .is_err_and(|error| error.is_cancelled())
    );
}

fn task_ends<T: Send + 'static>(
    runtime: &Runtime,
    task: impl Future<Output = Result<T, heist::JoinError>>,
) -> bool {
    runtime
        .block_on(timeout(LONG, task))
        .is_ok_and(|output| output.is_ok())
}

/// `Handle::block_on` on threads that are no workers, many at a time, also on those of tokio's pool for blocking.
#[test]
fn block_on_from_foreign_threads() {
    let _watchdog = Watchdog::new("block_on_from_foreign_threads", 60);
    let (ours, theirs) = (runtime(2), tokio());
    let handle = ours.handle();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| handle.block_on(some_work())))
            .collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), 80);
        }
    });
    let inside = handle.clone();
    let blocking = theirs.spawn_blocking(move || inside.block_on(some_work()));
    assert_eq!(theirs.block_on(blocking).expect("no panic"), 80);
    // On a worker it would block everything, and says so.
    let inner = handle.clone();
    let wrong = handle.spawn(async move { inner.block_on(async {}) });
    let error = handle.block_on(wrong).expect_err("it panics");
    assert!(error.is_panic());
    assert!(ours.shutdown(LONG).is_clean());
}
