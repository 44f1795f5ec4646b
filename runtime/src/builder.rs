//! How a runtime is configured.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::blocking::{Hook, PoolConfig};
use crate::driver::buffers::BufferConfig;
use crate::driver::choice::Driver;
use crate::driver::ring::RingConfig;
use crate::driver::sys;
use crate::error::BuildError;
use crate::runtime::Runtime;
use crate::task::JoinError;
use crate::task::error::PanicHook;

/// How workers use their rings, and how an idle worker rescues a busy one's I/O.
///
/// ARCHITECTURE.md has the figures for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RingProfile {
    /// `SINGLE_ISSUER | DEFER_TASKRUN`: least CPU per message. A busy worker is interrupted by a signal
    /// (see [`Builder::rescue_signal`]).
    #[default]
    Defer,
    /// `COOP_TASKRUN`: a busy worker is interrupted by an expedited `membarrier(2)`; no signal is used.
    /// For programs that cannot lend one.
    Coop,
    /// As `Defer`, without work stealing and without rescue: each worker on its own. For programs that
    /// place their tasks themselves.
    Pinned,
}

/// A finished configuration.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) workers: usize,
    pub(crate) driver: Driver,
    pub(crate) profile: RingProfile,
    pub(crate) ring: RingConfig,
    pub(crate) steals: bool,
    pub(crate) watch_interval: Option<Duration>,
    pub(crate) timer_slack: Duration,
    pub(crate) rescue_signal: Option<i32>,
    pub(crate) buffers: BufferConfig,
    pub(crate) iowq: [u32; 2],
    pub(crate) blocking: PoolConfig,
    pub(crate) thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) affinity: bool,
    pub(crate) cleanup_grace: Option<Duration>,
    pub(crate) on_thread_start: Option<Hook>,
    pub(crate) on_thread_stop: Option<Hook>,
    pub(crate) on_unobserved_panic: Option<PanicHook>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("workers", &self.workers)
            .field("driver", &self.driver)
            .field("profile", &self.profile)
            .field("ring", &self.ring)
            .field("steals", &self.steals)
            .field("watch_interval", &self.watch_interval)
            .field("buffers", &self.buffers)
            .finish_non_exhaustive()
    }
}

/// Configures and builds a [`Runtime`].
///
/// # Examples
///
/// ```
/// use heist_runtime::{Builder, RingProfile};
///
/// let runtime = Builder::new()
///     .worker_threads(2)
///     .thread_name("my-server")
///     .ring_profile(RingProfile::Coop)
///     .build()?;
/// assert_eq!(runtime.block_on(async { 1 + 1 }), 2);
/// # Ok::<(), heist_runtime::BuildError>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    workers: Option<usize>,
    driver: Driver,
    profile: RingProfile,
    ring_entries: u32,
    completion_entries: Option<u32>,
    watch_interval: Option<Duration>,
    timer_slack: Duration,
    rescue_signal: i32,
    buffer_size: usize,
    initial_buffers: u32,
    max_buffers: u32,
    iowq: [u32; 2],
    max_blocking_threads: usize,
    blocking_keep_alive: Duration,
    thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    affinity: bool,
    cleanup_grace: Option<Duration>,
    on_thread_start: Option<Hook>,
    on_thread_stop: Option<Hook>,
    on_unobserved_panic: Option<PanicHook>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The defaults, which each method names.
    pub fn new() -> Self {
        Self {
            workers: None,
            driver: Driver::default(),
            profile: RingProfile::default(),
            ring_entries: 256,
            completion_entries: None,
            watch_interval: Some(Duration::from_micros(100)),
            timer_slack: Duration::from_micros(500),
            rescue_signal: libc::SIGURG,
            buffer_size: 16 * 1024,
            initial_buffers: 32,
            max_buffers: 1024,
            iowq: [64, 64],
            max_blocking_threads: 512,
            blocking_keep_alive: Duration::from_secs(10),
            thread_name: Arc::new(|| "heist-worker".to_owned()),
            affinity: false,
            cleanup_grace: Some(Duration::from_secs(30)),
            on_thread_start: None,
            on_thread_stop: None,
            on_unobserved_panic: None,
        }
    }

    /// How many workers run tasks. Worker 0 is the thread inside `block_on`; the others are threads of
    /// their own. Default: [`std::thread::available_parallelism`], which honours the CPU affinity and
    /// the cgroup quota of the process.
    pub fn worker_threads(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// What carries the I/O. Default: [`Driver::Auto`], which is io_uring where that can be had, and otherwise epoll.
    ///
    /// A program that leaves it at the default leaves it to the environment: `HEIST_DRIVER` may be `uring`, `poll` or
    /// `auto`. [`RuntimeMetrics::driver`](crate::RuntimeMetrics::driver) tells what a runtime has got.
    ///
    /// ```
    /// use heist_runtime::{Builder, Driver};
    ///
    /// let runtime = Builder::new().driver(Driver::Poll).build()?;
    /// assert_eq!(runtime.metrics().driver, Driver::Poll);
    /// # Ok::<(), heist_runtime::BuildError>(())
    /// ```
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// How rings are used. Default: [`RingProfile::Defer`]. Under [`Driver::Poll`] only whether it is
    /// [`RingProfile::Pinned`] matters.
    pub fn ring_profile(mut self, profile: RingProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Entries of each worker's submission queue. Default: 256. A full queue is submitted; it limits
    /// nothing but the batch.
    pub fn ring_entries(mut self, entries: u32) -> Self {
        self.ring_entries = entries;
        self
    }

    /// Entries of each worker's completion queue. Default: 16 times the submission queue. What does not
    /// fit waits in the kernel's memory, at some cost.
    pub fn completion_entries(mut self, entries: u32) -> Self {
        self.completion_entries = Some(entries);
        self
    }

    /// How often an idle worker looks after busy ones, `None` for never. Default: 100 microseconds.
    pub fn watch_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.watch_interval = interval.into();
        self
    }

    /// How late a timer may be at most for the sake of fewer wake-ups. Default: 500 microseconds.
    ///
    /// A worker that sleeps is not woken for every timer: a timer may be late by a sixteenth of its length,
    /// up to this slack, when others come soon after it and share the wake-up. A sleep of 1 ms is so at
    /// most 63 microseconds late, one of 8 ms or more 500. A worker that is awake fires every timer as
    /// soon as it is due. [`Duration::ZERO`] wakes for each timer. The kernel adds its own slack, see
    /// `PR_SET_TIMERSLACK` in `prctl(2)`; no timer is ever early.
    pub fn timer_slack(mut self, slack: Duration) -> Self {
        self.timer_slack = slack;
        self
    }

    /// The signal that interrupts a busy worker under [`RingProfile::Defer`]. Default: SIGURG.
    ///
    /// The handler is installed once per process with `SA_RESTART`, calls the handler that was there
    /// before, and is never removed. It is sent to worker threads only; system calls that `SA_RESTART`
    /// does not cover (`nanosleep`, `poll`, ... see `signal(7)`) made inside tasks may return `EINTR`.
    /// Choose another signal when the program uses SIGURG with `sigwait` or blocks it, or
    /// [`RingProfile::Coop`] to use none.
    pub fn rescue_signal(mut self, signal: i32) -> Self {
        self.rescue_signal = signal;
        self
    }

    /// Bytes of one receive buffer. Default: 16 KiB.
    pub fn receive_buffer_size(mut self, bytes: usize) -> Self {
        self.buffer_size = bytes;
        self
    }

    /// Receive buffers of each worker: how many circulate at first, and up to how many (rounded up to a
    /// power of two, at most 32768) when the kernel runs out of them. Default: 32 and 1024. Memory is
    /// used when a buffer is first written, and given back after a quiet time.
    pub fn receive_buffers(mut self, initial: u32, max: u32) -> Self {
        self.initial_buffers = initial;
        self.max_buffers = max;
        self
    }

    /// Kernel threads each ring may use for operations that block in the kernel: for files, and for
    /// everything else. Default: 64 and 64; 0 keeps the kernel's own limit.
    pub fn max_kernel_workers(mut self, files: u32, others: u32) -> Self {
        self.iowq = [files, others];
        self
    }

    /// Most threads of the blocking pool. Default: 512.
    pub fn max_blocking_threads(mut self, count: usize) -> Self {
        self.max_blocking_threads = count;
        self
    }

    /// How long an idle thread of the blocking pool waits for more work. Default: 10 seconds.
    pub fn thread_keep_alive(mut self, duration: Duration) -> Self {
        self.blocking_keep_alive = duration;
        self
    }

    /// The name of the runtime's threads. Default: `heist-worker`. The kernel shows 15 bytes.
    pub fn thread_name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.thread_name_fn(move || name.clone())
    }

    /// A function that names each of the runtime's threads.
    pub fn thread_name_fn(mut self, name: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.thread_name = Arc::new(name);
        self
    }

    /// Whether each worker thread is bound to a CPU of its own, as far as there are any. Worker 0 is the
    /// caller's thread and stays free. Default: no.
    pub fn core_affinity(mut self, bind: bool) -> Self {
        self.affinity = bind;
        self
    }

    /// A function that each of the runtime's threads calls before its first task.
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// A function that each of the runtime's threads calls after its last task.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// A function that is given the error of a task, or a closure of `spawn_blocking`, that panicked when nobody will
    /// see it: its [`JoinHandle`](crate::JoinHandle) was dropped, before or after, without having yielded it.
    /// Default: nobody is told, beyond what the panic hook of `std` has printed.
    ///
    /// It is called once for each, on the thread that ran the task or dropped the handle, and may end the process. A
    /// panic of its own is contained. tokio has `unhandled_panic`, which can only shut a runtime of one thread down.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (sender, unobserved) = mpsc::channel();
    /// let runtime = heist_runtime::Builder::new()
    ///     .on_unobserved_panic(move |error| drop(sender.send(error.to_string())))
    ///     .build()?;
    /// drop(runtime.spawn(async { panic!("nobody looks") }));
    /// runtime.block_on(async { heist_runtime::yield_now().await });
    /// assert!(unobserved.recv().unwrap().ends_with("panicked: nobody looks"));
    /// # Ok::<(), heist_runtime::BuildError>(())
    /// ```
    pub fn on_unobserved_panic(mut self, hook: impl Fn(JoinError) + Send + Sync + 'static) -> Self {
        self.on_unobserved_panic = Some(Arc::new(hook));
        self
    }

    /// How long the cleanup of something that was cancelled may take: 30 seconds by default, `None` for
    /// as long as it wants.
    ///
    /// A cleanup that waits for what never comes would keep its task, and all that wait for that, for
    /// ever. When the time is over, the tree of the task is logged (an event of `tracing`, or without that
    /// feature standard error), what is left is dropped as by an abort, and the skipped cleanups are
    /// counted.
    pub fn cleanup_grace(mut self, grace: Option<Duration>) -> Self {
        self.cleanup_grace = grace;
        self
    }

    fn workers(&self) -> Result<usize, BuildError> {
        match self.workers {
            Some(0) => Err(BuildError::setting(
                "worker_threads(0): at least one is needed".into(),
            )),
            Some(count) => Ok(count),
            None => Ok(std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)),
        }
    }

    fn buffers(&self) -> Result<BufferConfig, BuildError> {
        let setting = |what: &str| Err(BuildError::setting(what.to_owned()));
        if !(64..=1 << 24).contains(&self.buffer_size) {
            return setting("receive_buffer_size: between 64 bytes and 16 MiB");
        }
        if self.initial_buffers == 0 || !(1..=32768).contains(&self.max_buffers) {
            return setting("receive_buffers: at least 1, at most 32768");
        }
        let limit = self.max_buffers.next_power_of_two();
        let initial = self.initial_buffers.min(limit);
        Ok(BufferConfig {
            size: self.buffer_size,
            initial,
            limit,
        })
    }

    fn ring(&self) -> Result<RingConfig, BuildError> {
        if !(1..=32768).contains(&self.ring_entries) {
            let message = "ring_entries: between 1 and 32768".to_owned();
            return Err(BuildError::setting(message));
        }
        let flags = match self.profile {
            RingProfile::Defer | RingProfile::Pinned => {
                sys::SETUP_SINGLE_ISSUER | sys::SETUP_DEFER_TASKRUN | sys::SETUP_TASKRUN_FLAG
            }
            RingProfile::Coop => sys::SETUP_COOP_TASKRUN | sys::SETUP_TASKRUN_FLAG,
        };
        let cq_entries = self.completion_entries.unwrap_or(self.ring_entries * 16);
        let cq_entries = cq_entries.max(self.ring_entries).min(65536);
        Ok(RingConfig {
            sq_entries: self.ring_entries,
            cq_entries,
            flags,
            emulated: false,
        })
    }

    pub(crate) fn config(&self) -> Result<Config, BuildError> {
        let watches = self.profile != RingProfile::Pinned;
        Ok(Config {
            workers: self.workers()?,
            driver: self.driver.resolve()?,
            profile: self.profile,
            ring: self.ring()?,
            steals: watches,
            watch_interval: self.watch_interval.filter(|_| watches),
            timer_slack: self.timer_slack,
            rescue_signal: (self.profile == RingProfile::Defer).then_some(self.rescue_signal),
            buffers: self.buffers()?,
            iowq: self.iowq,
            blocking: PoolConfig {
                max_threads: self.max_blocking_threads.max(1),
                keep_alive: self.blocking_keep_alive,
                thread_name: self.thread_name.clone(),
                on_thread_start: self.on_blocking_thread_start(),
                on_thread_stop: self.on_thread_stop.clone(),
            },
            thread_name: self.thread_name.clone(),
            affinity: self.affinity,
            cleanup_grace: self.cleanup_grace,
            on_thread_start: self.on_thread_start.clone(),
            on_thread_stop: self.on_thread_stop.clone(),
            on_unobserved_panic: self.on_unobserved_panic.clone(),
        })
    }

    /// What a thread of the blocking pool does first: it learns the hook for panics, which a worker asks its
    /// runtime for.
    fn on_blocking_thread_start(&self) -> Option<Hook> {
        let start = self.on_thread_start.clone();
        let Some(hook) = self.on_unobserved_panic.clone() else {
            return start;
        };
        Some(Arc::new(move || {
            crate::context::set_panic_hook(hook.clone());
            if let Some(start) = &start {
                start();
            }
        }))
    }

    /// Builds the runtime: probes the kernel, opens a ring for each worker, and starts the threads.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when a limit is reached, or a setting makes no sense, or with [`Driver::Uring`] when io_uring is
    /// denied or too old. Its message names the remedy.
    pub fn build(&self) -> Result<Runtime, BuildError> {
        Runtime::start(self.config()?)
    }
}

/// An error of the operating system as a build error.
pub(crate) fn resource(what: &'static str) -> impl Fn(io::Error) -> BuildError {
    move |error| BuildError::resource(error, what)
}
