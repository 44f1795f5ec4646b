//! The threads of a thread-per-core runtime: each has a runtime of its own, bound to a CPU, and takes
//! work that it then drives to the end.

use std::{
    fmt,
    future::{Future, poll_fn},
    sync::{Arc, Mutex, mpsc},
    task::Poll,
    thread::{self, JoinHandle},
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use super::Share;

/// A runtime that lives on one thread.
pub trait Core: Sized + 'static {
    /// What a runtime of its own name calls its threads.
    const NAME: &'static str;

    /// Starts the runtime on the calling thread.
    fn start() -> Self;

    /// Drives `future` to its end there.
    fn block_on<F: Future>(&mut self, future: F) -> F::Output;
}

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// The threads. Dropping it ends the runtimes.
pub struct Cores<C> {
    threads: Vec<(mpsc::Sender<Job<C>>, JoinHandle<()>)>,
}

impl<C> fmt::Debug for Cores<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cores").finish_non_exhaustive()
    }
}

impl<C: Core> Cores<C> {
    /// Starts as many threads, each bound to a CPU.
    ///
    /// # Panics
    ///
    /// Panics if that fails.
    #[must_use]
    pub fn start(workers: usize) -> Self {
        let cpus = cpus();
        let threads = (0..workers).zip(cpus.iter().cycle());
        let start = |(index, &cpu)| {
            let (sender, jobs) = mpsc::channel::<Job<C>>();
            let (ready, is_ready) = mpsc::channel();
            let thread = thread::Builder::new()
                .name(format!("{}-{index}", C::NAME))
                .spawn(move || {
                    bind(cpu);
                    let mut core = C::start();
                    ready.send(()).expect("the starter waits");
                    for job in jobs {
                        job(&mut core);
                    }
                })
                .expect("threads can be started");
            is_ready.recv().expect("the runtime starts");
            (sender, thread)
        };
        Self {
            threads: threads.map(start).collect(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Runs one future on each of the first `count` threads, and waits for all of them.
    ///
    /// # Panics
    ///
    /// Panics if one of them does.
    pub fn run<W, F>(&self, count: usize, work: W) -> Vec<F::Output>
    where
        W: Fn(Share) -> F + Send + Sync + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let work = Arc::new(work);
        let results: Vec<_> = (0..count)
            .map(|index| {
                let work = Arc::clone(&work);
                let (sender, result) = mpsc::channel();
                let job: Job<C> = Box::new(move |core| {
                    let share = Share { index, of: count };
                    let output = core.block_on(async move { work(share).await });
                    // A receiver that is gone has panicked, and says so.
                    let _ = sender.send(output);
                });
                let (jobs, _) = &self.threads[index];
                jobs.send(job).expect("the thread lives");
                result
            })
            .collect();
        results
            .into_iter()
            .map(|result| result.recv().expect("the work does not panic"))
            .collect()
    }
}

impl<C> Drop for Cores<C> {
    fn drop(&mut self) {
        for (jobs, thread) in self.threads.drain(..) {
            drop(jobs);
            // A thread that panicked has said so where its result was awaited.
            let _ = thread.join();
        }
    }
}

/// Work that is done by one share only.
#[derive(Debug)]
pub struct Once<F>(Mutex<Option<F>>);

impl<F> Once<F> {
    /// Such work.
    pub const fn new(work: F) -> Self {
        Self(Mutex::new(Some(work)))
    }

    /// The work, which is there for one.
    ///
    /// # Panics
    ///
    /// Panics the second time.
    pub fn take(&self) -> F {
        let mut work = self.0.lock().expect("nobody panics with it");
        work.take().expect("there is one share")
    }
}

/// The CPUs that this process may use.
///
/// # Panics
///
/// Panics if the kernel does not say.
#[must_use]
pub fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("a process may read its own affinity");
    (0..CpuSet::count())
        .filter(|&cpu| allowed.is_set(cpu).unwrap_or(false))
        .collect()
}

/// Binds the calling thread to a CPU.
fn bind(cpu: usize) {
    let mut only = CpuSet::new();
    only.set(cpu).expect("the number comes from such a set");
    sched_setaffinity(Pid::from_raw(0), &only).expect("the CPU is one of the allowed ones");
}

/// Lets the other tasks run, for runtimes that have no function of their own for it.
pub async fn yield_once() {
    let mut polled = false;
    poll_fn(|context| {
        if polled {
            return Poll::Ready(());
        }
        polled = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
