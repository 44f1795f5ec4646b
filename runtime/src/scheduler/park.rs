//! How a worker sleeps. `README.md` has the protocol.

use std::time::{Duration, Instant};

use crate::metrics::bump;
use crate::scheduler::shutdown::Phase;
use crate::scheduler::worker::{Root, Worker};
use crate::time;

/// How long a worker sleeps at most while the runtime ends.
const SHUTDOWN_LOOK: Duration = Duration::from_millis(5);

impl Worker {
    /// Sleeps until there may be something to do. Everything was submitted and reaped just before. Returns the time if it
    /// has slept.
    pub(crate) fn park(&self, root: &dyn Root) -> Option<Instant> {
        // Before the announcement: it takes a while, and whoever looks for a sleeper finds one that sleeps.
        let trimming = crate::memory::trim();
        let idle = &self.shared().idle;
        idle.announce(self.index());
        if self.has_reason_to_stay(root) {
            idle.leave(self.index());
            return None;
        }
        let timer = self.timers().next(time::Instant::just_read(self.last_io()));
        if timer == Some(Duration::ZERO) {
            idle.leave(self.index());
            return None;
        }
        let timer = timer.into_iter().chain(trimming).min();
        let watching = self.begin_watch();
        let timeout = match (timer, watching) {
            (Some(timer), Some(watch)) => Some(timer.min(watch)),
            (timer, watch) => timer.or(watch),
        };
        // During a shutdown somebody has to look at the deadline.
        let timeout = match self.shared().phase() {
            Phase::Running => timeout,
            _ => Some(timeout.unwrap_or(SHUTDOWN_LOOK).min(SHUTDOWN_LOOK)),
        };
        bump(&self.counters().parks);
        self.note_cpu();
        self.driver().enter(1, timeout);
        idle.leave(self.index());
        self.note_sleep();
        let now = Instant::now();
        self.forget_backlog(now);
        if let Some(interval) = watching {
            self.end_watch(now, interval);
        }
        Some(now)
    }

    /// The last look, after the announcement.
    ///
    /// That the kernel's flags speak of task work, or of completions that did not find room, is no reason: the call that
    /// sleeps begins with both, and returns if anything comes of it. To stay for it could be for ever. Who queues work in
    /// the kernel sets the flag afterwards, when this worker may have done that work already; then the flag stays as
    /// it is, however often the kernel is entered, until there is more.
    fn has_reason_to_stay(&self, root: &dyn Root) -> bool {
        root.is_woken()
            || self.has_task()
            || self.driver().remote().has_mail()
            || self.driver().ring().ready() > 0
            || self.driver().ring().unsubmitted() > 0
            || self.driver().has_unfinished_business()
            || self.work_is_visible()
            || self.shared().phase() != Phase::Running && self.must_continue_shutdown()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::sys::SQ_TASKRUN;
    use crate::time::{Instant, Timer};
    use crate::{Builder, context};

    /// Control, tried: the flag is a reason to stay, and the worker enters some ten thousand times.
    #[test]
    fn a_flag_that_stays_keeps_no_worker_awake() {
        let runtime = Builder::new().worker_threads(1).build().expect("a ring");
        runtime.block_on(async {
            let set =
                context::with_current_driver(|driver| driver.ring().publish_state(SQ_TASKRUN));
            assert!(set.is_some(), "worker 0 is here");
            Timer::new(Instant::now() + Duration::from_millis(50)).await;
        });
        let enters = runtime.metrics().total().enters;
        assert!(enters < 100, "{enters} enters for one sleep");
    }
}
