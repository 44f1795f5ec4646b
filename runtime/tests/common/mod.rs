//! What the tests of faults share.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::future::{Future, poll_fn};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use heist_runtime::ops::SharedFd;
use heist_runtime::scope::{Cleanup, Scope, catch};
use heist_runtime::time::{Instant as Deadline, Timer};
use heist_runtime::{Builder, RingProfile, Runtime};

/// A runtime with this many workers.
pub(crate) fn runtime(workers: usize, profile: RingProfile) -> Runtime {
    let built = Builder::new()
        .worker_threads(workers)
        .ring_profile(profile)
        .build();
    built.expect("a runtime")
}

/// Kills the process when it is not dropped in time: a test that hangs fails and says which it was.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _disarm: mpsc::Sender<()>,
}

impl Watchdog {
    /// Allows half a minute, which is many times what any of these tests takes.
    pub(crate) fn new(what: &'static str) -> Self {
        let (disarm, disarmed) = mpsc::channel();
        thread::spawn(move || {
            let limit = Duration::from_secs(30);
            if disarmed.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what}: hangs, nothing for {limit:?}");
                std::process::abort();
            }
        });
        Self { _disarm: disarm }
    }
}

/// Waits, at most 10 seconds, until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < limit, "never happened: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Polls a future once, with the waker of the task that awaits this.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Polls a future once, with a waker that does nothing.
pub(crate) fn poll_without_waker<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A timer that ends after `duration`.
pub(crate) fn after(duration: Duration) -> Timer {
    Timer::new(Deadline::now() + duration)
}

/// A stream that nothing comes through until the far end writes.
pub(crate) fn pair() -> (SharedFd, UnixStream) {
    let (here, there) = UnixStream::pair().expect("a pair of sockets");
    (SharedFd::new(here.into()), there)
}

/// `finally`, as plain code over `catch`.
pub(crate) async fn finally<T>(
    body: impl Future<Output = T>,
    cleanup: impl Future<Output = ()> + Send + 'static,
) -> T {
    let exit = catch(&Scope::new(), body).await;
    Cleanup::new(cleanup).await;
    exit.propagate().await
}

/// Completes after so many milliseconds.
pub(crate) fn sleep(millis: u64) -> Timer {
    after(Duration::from_millis(millis))
}
