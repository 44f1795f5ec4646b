//! What the promise tests share.

#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod bystanders;

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::process::{Command, Output};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use heist::{Builder, RingProfile, Runtime};

/// The profiles that steal.
pub(crate) const STEALING: [RingProfile; 2] = [RingProfile::Defer, RingProfile::Coop];

/// The long version of a number when `HEIST_LONG` is set, else the short one.
pub(crate) fn scaled<T>(short: T, long: T) -> T {
    if std::env::var_os("HEIST_LONG").is_some() {
        long
    } else {
        short
    }
}

/// A runtime with this many workers.
pub(crate) fn runtime(workers: usize, profile: RingProfile) -> Runtime {
    builder(workers, profile).build().expect("a runtime")
}

/// A builder whose threads [`runtime_threads`] recognises.
pub(crate) fn builder(workers: usize, profile: RingProfile) -> Builder {
    Builder::new()
        .worker_threads(workers)
        .ring_profile(profile)
        .thread_name(THREAD_NAME)
}

const THREAD_NAME: &str = "promise-worker";

static ALONE: Mutex<()> = Mutex::new(());

/// Keeps the other tests of this program out, for tests that count what the whole process has.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Descriptors this process has open.
pub(crate) fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count() - 1
}

/// Threads of runtimes made by [`builder`] that are alive.
pub(crate) fn runtime_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.trim_end() == THREAD_NAME)
        .count()
}

/// Waits, at most 10 seconds, until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < limit, "never happened: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Kills the process when it is not dropped in time: a test that hangs fails and says which it was.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _disarm: mpsc::Sender<()>,
}

impl Watchdog {
    /// Allows `seconds`, in the long version twenty times as many.
    pub(crate) fn new(what: &'static str, seconds: u64) -> Self {
        let limit = Duration::from_secs(scaled(seconds, 20 * seconds));
        let (disarm, disarmed) = mpsc::channel();
        thread::spawn(move || {
            if disarmed.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{what}: hangs, nothing for {limit:?}");
                std::process::abort();
            }
        });
        Self { _disarm: disarm }
    }
}

/// A small generator of random numbers (xorshift), the same each run.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator with a start of its own.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 3
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Polls a future a limited number of times, whether it was woken or not, then gives it up.
#[derive(Debug)]
pub(crate) struct Polls<F> {
    future: Pin<Box<F>>,
    left: u64,
}

impl<F: Future> Polls<F> {
    /// Allows `count` polls.
    pub(crate) fn new(count: u64, future: F) -> Self {
        Self {
            future: Box::pin(future),
            left: count,
        }
    }
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.left.checked_sub(1) {
            None => Poll::Ready(None),
            Some(left) => {
                self.left = left;
                match self.future.as_mut().poll(cx) {
                    Poll::Ready(output) => Poll::Ready(Some(output)),
                    Poll::Pending if left == 0 => Poll::Ready(None),
                    Poll::Pending => {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                }
            }
        }
    }
}

/// The environment variable that tells a program started by [`child`] which part it plays.
const ROLE: &str = "HEIST_TEST_ROLE";

/// The part this process plays, when a test has started it.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// A command that runs the test `test` of this same program in the part `role`, under `wrapper`.
pub(crate) fn child(wrapper: &[&str], test: &str, role: &str) -> Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = match wrapper {
        [] => Command::new(&program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&program);
            command
        }
    };
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role);
    command
}

/// Runs `command` to its end, at most `limit`, and returns what it said.
pub(crate) fn finish_within(limit: Duration, command: &mut Command) -> Output {
    let (sender, receiver) = mpsc::channel();
    let child = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the child starts");
    let id = child.id();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(limit) {
        Ok(output) => output.expect("the child's output"),
        Err(_) => {
            let killed = Command::new("kill").args(["-9", &id.to_string()]).status();
            panic!("not done within {limit:?}; killed: {killed:?}; {command:?}");
        }
    }
}

/// What a child said, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
