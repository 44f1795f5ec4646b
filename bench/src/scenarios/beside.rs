//! Computing tasks that the connections of a scenario have beside them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{uneven::spin, window::Phase};
use crate::{
    rt::{Contestant, Share},
    stats::Histogram,
};

/// What runs beside the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing.
    Nothing,
    /// A task that spins for 2 ms and sleeps for 2 ms, over and over.
    Spinner,
    /// Tasks that spin for 1 ms each and come at random, at a rate that takes so many percent of a CPU.
    Bursts(u32),
    /// A task that spins once, for so many milliseconds.
    LongSpin(u64),
}

/// What the spinner spins for, and sleeps for in turn.
const HALF: Duration = Duration::from_millis(2);
/// What a task of the bursts spins for.
const BURST: Duration = Duration::from_millis(1);

impl Beside {
    /// How the name of a scenario ends.
    pub(super) fn name(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Spinner => " beside a spinning task".into(),
            Self::Bursts(percent) => format!(" beside bursts of 1 ms, load {percent} %"),
            Self::LongSpin(_) => " beside a long spin".into(),
        }
    }

    /// Spawns the tasks of a share, which yield nothing and end when the phase is over.
    pub(super) fn spawn<R: Contestant>(
        self,
        share: Share,
        phase: &Arc<Phase>,
    ) -> Option<R::JoinHandle<Histogram>> {
        let phase = Arc::clone(phase);
        match self {
            Self::Spinner if share.is_first() => Some(R::spawn(spinner::<R>(phase))),
            Self::LongSpin(millis) if share.is_first() => {
                Some(R::spawn(long_spin::<R>(millis, phase)))
            }
            Self::Bursts(percent) => {
                let mean = BURST * 100 * share.of as u32 / percent;
                Some(R::spawn(bursts::<R>(mean, share.index as u64, phase)))
            }
            _ => None,
        }
    }
}

async fn spinner<R: Contestant>(phase: Arc<Phase>) -> Histogram {
    while !phase.is_over() {
        spin(HALF);
        R::sleep(HALF).await;
    }
    Histogram::default()
}

async fn long_spin<R: Contestant>(millis: u64, phase: Arc<Phase>) -> Histogram {
    while !phase.counts() && !phase.is_over() {
        R::sleep(Duration::from_millis(1)).await;
    }
    spin(Duration::from_millis(millis));
    Histogram::default()
}

/// A Poisson process: the distances are distributed exponentially around `mean`.
async fn bursts<R: Contestant>(mean: Duration, seed: u64, phase: Arc<Phase>) -> Histogram {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut next = Instant::now();
    while !phase.is_over() {
        next += mean.mul_f64(-(1.0 - random.f64()).ln());
        let wait = next.saturating_duration_since(Instant::now());
        if wait > Duration::ZERO {
            R::sleep(wait).await;
        }
        drop(R::spawn(async { spin(BURST) }));
    }
    Histogram::default()
}
