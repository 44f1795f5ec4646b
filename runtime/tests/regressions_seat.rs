//! Faults that were found once around the place of worker 0 and the end of a runtime, each as the test
//! that would have found it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::future::{Future, pending, poll_fn};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{Watchdog, after, eventually, pair, poll_once, poll_without_waker, runtime};
use heist_runtime::ops::{self, Receiver, SharedFd};
use heist_runtime::{Builder, RingProfile, Runtime, spawn_blocking, spawn_local, yield_now};

/// Runs `test` while another thread is worker 0.
fn beside_the_seat(runtime: &Runtime, test: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let (sender, seated) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(async {
                sender.send(()).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    after(Duration::from_millis(2)).await;
                }
            });
        });
        seated.recv().unwrap();
        test();
        stop.store(true, Ordering::Relaxed);
    });
}

/// A watcher took the completion that was to end worker 0's sleep, and `block_on` never returned.
#[test]
fn a_wake_from_outside_ends_block_on_after_an_operation_was_left() {
    let _watchdog = Watchdog::new("a_wake_from_outside_ends_block_on_after_an_operation_was_left");
    let runtime = runtime(2, RingProfile::Defer);
    for _ in 0..500 {
        let (fd, _there) = pair();
        let mut receive = ops::recv(&fd, vec![0; 16], 0);
        runtime.block_on(async {
            assert!(poll_once(&mut receive).await.is_none());
            // Stuck for a moment, which makes the watcher alert.
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(300) {}
        });
        runtime.block_on(async {
            let slept = spawn_blocking(|| thread::sleep(Duration::from_micros(300)));
            slept.await.unwrap();
        });
    }
}

/// A second thread inside `block_on` was not told that the place of the only worker had come free.
#[test]
fn a_guest_takes_over_the_only_worker() {
    let _watchdog = Watchdog::new("a_guest_takes_over_the_only_worker");
    let runtime = runtime(1, RingProfile::Defer);
    thread::scope(|scope| {
        let (sender, seated) = mpsc::channel();
        let runtime = &runtime;
        scope.spawn(move || {
            runtime.block_on(async move {
                sender.send(()).unwrap();
                after(Duration::from_millis(30)).await;
            });
        });
        seated.recv().unwrap();
        runtime.block_on(after(Duration::from_millis(60)));
    });
}

/// A guest's future that was woken in its poll slept for ever when something in the poll used up the
/// token that the thread had been given.
#[test]
fn a_guest_keeps_a_wake_that_comes_while_its_poll_parks_the_thread() {
    let _watchdog =
        Watchdog::new("a_guest_keeps_a_wake_that_comes_while_its_poll_parks_the_thread");
    let runtime = runtime(2, RingProfile::Defer);
    beside_the_seat(&runtime, || {
        let mut polls = 0;
        runtime.block_on(poll_fn(|cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                sender.send(()).unwrap();
            });
            // Parks the thread, and takes the token.
            receiver.recv().unwrap();
            Poll::Pending
        }));
    });
}

/// A cancel that a guest asked for did not reach the task that runs its operation.
#[test]
fn a_guest_can_cancel_its_operation() {
    let _watchdog = Watchdog::new("a_guest_can_cancel_its_operation");
    let runtime = runtime(2, RingProfile::Defer);
    let (fd, _there) = pair();
    beside_the_seat(&runtime, || {
        let (result, _) = runtime.block_on(async {
            let mut receive = ops::recv(&fd, vec![0; 16], 0);
            assert!(poll_once(&mut receive).await.is_none());
            thread::sleep(Duration::from_millis(20));
            receive.request_cancel();
            receive.await
        });
        assert_eq!(
            result.unwrap_err().raw_os_error(),
            Some(libc::ECANCELED),
            "nothing was received, so it was cancelled"
        );
    });
}

/// A shutdown waited for a worker that does not return from a poll, for as long as that took.
#[test]
fn a_shutdown_does_not_wait_for_a_stuck_worker() {
    let _watchdog = Watchdog::new("a_shutdown_does_not_wait_for_a_stuck_worker");
    let built = Builder::new()
        .worker_threads(2)
        .watch_interval(None)
        .build();
    let runtime = built.unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (sender, started) = mpsc::channel();
    runtime.spawn(async move {
        sender.send(()).unwrap();
        assert!(released.recv().is_err(), "released by a drop");
    });
    started.recv().unwrap();
    let start = Instant::now();
    let report = runtime.shutdown(Duration::from_millis(100));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(report.stuck_workers, 1);
    drop(release);
}

/// A timer polled outside the workers panicked when it was polled after its runtime had ended.
#[test]
fn a_timer_of_a_runtime_that_has_ended_stays_pending() {
    let runtime = runtime(2, RingProfile::Defer);
    let handle = runtime.handle();
    let _entered = handle.enter();
    let mut timer = after(Duration::from_secs(100));
    assert!(poll_without_waker(&mut timer).is_pending());
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    for _ in 0..3 {
        assert!(poll_without_waker(&mut timer).is_pending());
    }
}

/// Spawns, when it is woken, a task that may not leave the thread.
struct SpawnsLocally(mpsc::Sender<(thread::ThreadId, thread::ThreadId)>);

/// Tells on which thread it was made and on which it was dropped.
struct Bound {
    born: thread::ThreadId,
    ends: mpsc::Sender<(thread::ThreadId, thread::ThreadId)>,
    /// Must not leave the thread.
    _local: Rc<()>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.ends.send((self.born, thread::current().id())).unwrap();
    }
}

impl Wake for SpawnsLocally {
    fn wake(self: Arc<Self>) {
        let bound = Bound {
            born: thread::current().id(),
            ends: self.0.clone(),
            _local: Rc::new(()),
        };
        spawn_local(async move {
            let _bound = bound;
            pending::<()>().await;
        });
    }
}

/// A task bound to the thread of worker 0, spawned by a waker called as the thread left, ran on the next
/// thread.
#[test]
fn a_local_task_spawned_on_leaving_ends_on_its_thread() {
    let _watchdog = Watchdog::new("a_local_task_spawned_on_leaving_ends_on_its_thread");
    let runtime = runtime(1, RingProfile::Defer);
    let (sender, ends) = mpsc::channel();
    let mut timer = after(Duration::from_secs(1000));
    runtime.block_on(async {
        let waker = Waker::from(Arc::new(SpawnsLocally(sender)));
        let polled = Pin::new(&mut timer).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(async {
                for _ in 0..10 {
                    yield_now().await;
                }
            });
        });
    });
    let (born, ended) = ends.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(born, thread::current().id());
    assert_eq!(ended, born);
}

/// Echoes what comes through one connection, and counts from the far end.
fn echo_through(runtime: &Runtime, stop: &Arc<AtomicBool>) -> (Arc<AtomicU64>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    let fd = SharedFd::new(OwnedFd::from(near));
    runtime.spawn(async move {
        let mut receiver = Receiver::new(fd.clone());
        while let Ok(Some(bytes)) = receiver.recv().await {
            let bytes = bytes.to_vec();
            if ops::send(&fd, bytes, 0, 0).await.0.is_err() {
                return;
            }
        }
    });
    let count = Arc::new(AtomicU64::new(0));
    let (counter, stop) = (count.clone(), stop.clone());
    let closer = far.try_clone().unwrap();
    thread::spawn(move || {
        let mut bytes = [7; 64];
        while !stop.load(Ordering::Relaxed) {
            if far.write_all(&bytes).is_err() || far.read_exact(&mut bytes).is_err() {
                return;
            }
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (count, closer)
}

/// A task sent to worker 0 as its thread left stayed in a mailbox that nobody read.
#[test]
fn connections_go_on_while_nobody_is_in_block_on() {
    let _watchdog = Watchdog::new("connections_go_on_while_nobody_is_in_block_on");
    let runtime = runtime(2, RingProfile::Defer);
    let stop = Arc::new(AtomicBool::new(false));
    let connections: Vec<_> = (0..16).map(|_| echo_through(&runtime, &stop)).collect();
    for _ in 0..100 {
        runtime.block_on(after(Duration::from_millis(3)));
        let before: Vec<_> = connections
            .iter()
            .map(|(count, _)| count.load(Ordering::Relaxed))
            .collect();
        for ((count, _), before) in connections.iter().zip(before) {
            eventually("an echo while nobody is in block_on", || {
                count.load(Ordering::Relaxed) > before + 1
            });
        }
    }
    stop.store(true, Ordering::Relaxed);
    for (_, connection) in connections {
        connection.shutdown(std::net::Shutdown::Both).ok();
    }
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
}
