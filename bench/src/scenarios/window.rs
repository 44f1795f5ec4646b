//! What the scenarios with sockets share: a stretch of time that is measured after a warm-up, and the
//! connections that are busy during it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    meter::{Cost, Meter},
    rt::Contestant,
    scenario::Scale,
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
            warm_up: Duration::from_millis(scale.pick(300, 20)),
            measured: scale.pick(measured, Duration::from_millis(100)),
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
}

impl Window {
    /// The same for threads.
    pub(super) fn pass_blocking(self, phase: &Phase) -> Cost {
        thread::sleep(self.warm_up);
        phase.begin();
        let meter = Meter::start();
        thread::sleep(self.measured);
        phase.end();
        meter.stop()
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
