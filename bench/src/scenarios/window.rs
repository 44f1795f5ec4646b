//! What the scenarios with sockets share: a stretch of time that is measured after a warm-up, and the
//! connections that are busy during it.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    meter::{Cost, Meter},
    rt::{Contestant, Share, message},
    scenario::Scale,
    stats::Histogram,
};

/// How long the warm-up and the measured part last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) warm_up: Duration,
    pub(super) measured: Duration,
}

impl Window {
    pub(super) fn new(scale: Scale, measured: Duration) -> Self {
        Self {
            warm_up: Duration::from_millis(scale.pick(300, 10)),
            measured: scale.pick(measured, Duration::from_millis(50)),
        }
    }

    /// Waits for the warm-up and the measured part to pass, while the tasks that watch `phase` work.
    pub(super) async fn pass<R: Contestant>(self, phase: Arc<Phase>) -> Cost {
        R::sleep(self.warm_up).await;
        phase.begin();
        let meter = Meter::start();
        R::sleep(self.measured).await;
        phase.end();
        meter.stop()
    }

    /// The same for threads.
    pub(super) fn pass_blocking(self, phase: &Phase) -> Cost {
        thread::sleep(self.warm_up);
        phase.begin();
        let meter = Meter::start();
        thread::sleep(self.measured);
        phase.end();
        meter.stop()
    }

    /// Lets tasks work during the window. `set_up` spawns those of a share; they end when the phase is
    /// over. Yields the cost of the measured part, and what the tasks yield.
    pub(super) fn busy<R, W, F, T>(self, runtime: &R, set_up: W) -> (Cost, Vec<T>)
    where
        R: Contestant,
        W: Fn(Share, Arc<Phase>) -> F + Send + Sync + 'static,
        F: Future<Output = Vec<R::JoinHandle<T>>> + Send + 'static,
        T: Send + 'static,
    {
        let phase = Arc::new(Phase::default());
        let all_set_up = Arc::new(Barrier::new(runtime.shares()));
        let set_up = Arc::new(set_up);
        let shares = runtime.run_shares(move |share| {
            let (phase, set_up) = (Arc::clone(&phase), Arc::clone(&set_up));
            let all_set_up = Arc::clone(&all_set_up);
            async move {
                let tasks = set_up(share, Arc::clone(&phase)).await;
                // It blocks the thread, which with several shares nobody shares, or returns at once.
                all_set_up.wait();
                let cost = if share.is_first() {
                    Some(self.pass::<R>(phase).await)
                } else {
                    None
                };
                let mut outputs = Vec::with_capacity(tasks.len());
                for task in tasks {
                    outputs.push(task.await.expect("the task does not panic"));
                }
                (cost, outputs)
            }
        });
        let mut cost = Cost::default();
        let mut outputs = Vec::new();
        for (measured, of_share) in shares {
            cost = measured.unwrap_or(cost);
            outputs.extend(of_share);
        }
        (cost, outputs)
    }
}

const MEASURED: u8 = 1;
const OVER: u8 = 2;

/// Where in the window the work is. It publishes no other memory, so relaxed accesses do.
#[derive(Debug, Default)]
pub(super) struct Phase(AtomicU8);

impl Phase {
    /// Begins the measured part.
    pub(super) fn begin(&self) {
        self.0.store(MEASURED, Ordering::Relaxed);
    }

    /// Ends it, and the work.
    pub(super) fn end(&self) {
        self.0.store(OVER, Ordering::Relaxed);
    }

    /// Whether what happens now counts.
    pub(super) fn counts(&self) -> bool {
        self.0.load(Ordering::Relaxed) == MEASURED
    }

    /// Whether the work is to stop.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OVER
    }
}

/// Both ends of `count` connections. One is accepted before the next one connects, so that no
/// runtime's backlog overflows and no connection waits for a retransmission.
pub(super) async fn connections<R: Contestant>(count: usize) -> Vec<(R::Stream, R::Stream)> {
    let (mut listener, address) = R::listen().await;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let near = R::connect(address).await;
        pairs.push((near, R::accept(&mut listener).await));
    }
    pairs
}

/// Sends one message after the other until the window is over; yields how long those took that came
/// back in its measured part.
pub(super) async fn closed_loop<R: Contestant>(
    stream: &mut R::Stream,
    size: usize,
    phase: &Phase,
) -> Histogram {
    let mut buffer = vec![0; size];
    let mut latencies = Histogram::default();
    let mut sent = Instant::now();
    while !phase.is_over() {
        R::round_trip(stream, message(size), &mut buffer).await;
        let received = Instant::now();
        if phase.counts() {
            latencies.record(received - sent);
        }
        sent = received;
    }
    latencies
}

/// All latencies of several tasks.
pub(super) fn merged(all: impl IntoIterator<Item = Histogram>) -> Histogram {
    let mut sum = Histogram::default();
    for one in all {
        sum.add(&one);
    }
    sum
}
