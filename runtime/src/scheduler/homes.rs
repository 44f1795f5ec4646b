//! Few connections need few workers: which workers are homes of connections, and which rest.
//!
//! Two rings each wake for a part of a burst, and two workers that share their CPUs with other processes
//! wait for each other. So receives leave a worker that *rests* for one that does not (see
//! [`follow`](super::follow)); it sleeps then, unless a backlog or a stuck sibling calls it. Resting concerns
//! connections only: tasks are stolen, timers fire and new operations start on any worker.
//!
//! Every [`LOOK`] one worker reads how much CPU time each of them has had and how many completions. That
//! drives one state machine for the runtime:
//!
//! ```text
//!            fits into one worker less, or might
//!          ┌────────────────────────────────────► Settling(Fewer) ──► Measuring(Fewer) ──┐
//!   Steady ┤                                                                            ├─► Steady
//!          └────────────────────────────────────► Settling(More) ───► Measuring(More) ───┘
//!            a home is busy all the time
//! ```
//!
//! - *Settling*: connections move. One worker rests more, or less; those that receive move within
//!   some receives of theirs.
//! - *Measuring*: completions per second decide whether the change stays. A load that is [low](FITS) is not
//!   judged. Otherwise they may fall by a little, but one worker fewer that leaves a home [busy](BUSY) has to
//!   bring more of them: what comes at a rate of its own waits longer at a busy home, and no rate shows it.
//!
//! A change that is taken back makes the wait for the next attempt longer, up to [`LONGEST_HOLD`]. When more
//! workers have got less done, other processes have the CPUs; siblings are then called, and steal, only for
//! a [long backlog](CROWDED_BACKLOG).

#![expect(unsafe_code, reason = "reading the CPU clocks of threads")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::scheduler::shared::{Peer, Shared};
use crate::trace;

/// Time between two looks at what the workers do.
const LOOK: Duration = Duration::from_millis(20);
/// CPUs that one worker less may have had for the load to fit without a trial.
const FITS: f64 = 0.6;
/// The same for a trial: all that the workers get is one CPU less, and the watch beside it.
const MIGHT_FIT: f64 = 1.1;
/// CPUs that all workers together have had below which nobody competes for them.
const LOW: f64 = 0.3;
/// Of a CPU: a home that has had so much is busy all the time.
const BUSY: f64 = 0.85;
/// Completions per second below which a place for them is not worth thinking about.
const QUIET: f64 = 500.0;
/// Throughput that a change has to keep.
const KEEPS: f64 = 0.97;
/// Throughput that one worker less has to bring if a home is busy then.
const GAINS: f64 = 1.05;
/// Throughput with the smaller number of workers over that with the larger from which the larger did harm.
const HARM: f64 = 1.15;
/// Connections that have not moved after this long stay where they are.
const SETTLES: Duration = Duration::from_millis(400);
/// How long nothing is tried after a change, at least and at most.
const SHORTEST_HOLD: Duration = Duration::from_millis(100);
const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// The time to work off a queue from which siblings help while the CPUs are crowded.
pub(crate) const CROWDED_BACKLOG: Duration = Duration::from_micros(2400);

/// The part of the policy that the workers share.
#[derive(Debug)]
pub(crate) struct Homes {
    born: Instant,
    /// When the next look is due, in nanoseconds since `born`.
    next_look: AtomicU64,
    /// More workers get less done.
    crowded: AtomicBool,
    /// Only ever tried: somebody looks already.
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    at: Instant,
    /// CPU nanoseconds and completions of each worker at the last look.
    seen: Box<[(u64, u64)]>,
    readings: Box<[Reading]>,
    governor: Governor,
}

/// What a worker has done since the last look.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    /// Whether a thread runs it.
    present: bool,
    /// Part of a CPU that it has had.
    cores: f64,
    /// Completions per second.
    rate: f64,
}

impl Homes {
    pub(crate) fn new(workers: usize, steals: bool) -> Self {
        let now = Instant::now();
        let first = if workers > 1 && steals {
            LOOK.as_nanos() as u64
        } else {
            u64::MAX
        };
        Self {
            born: now,
            next_look: AtomicU64::new(first),
            crowded: AtomicBool::new(false),
            books: Mutex::new(Books {
                at: now,
                seen: vec![(0, 0); workers].into(),
                readings: vec![Reading::default(); workers].into(),
                governor: Governor::new(workers),
            }),
        }
    }

    /// Whether other processes have the CPUs, so that more workers get less done.
    #[inline]
    pub(crate) fn are_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Called by every worker that is awake, often.
    #[inline]
    pub(crate) fn look_if_due(&self, shared: &Shared, now: Instant) {
        let age = now.duration_since(self.born).as_nanos() as u64;
        if age >= self.next_look.load(Ordering::Relaxed) {
            self.look(shared, now, age);
        }
    }

    #[cold]
    fn look(&self, shared: &Shared, now: Instant, age: u64) {
        let change = {
            // Whoever holds it does the same; nobody panics with it.
            let Ok(mut books) = self.books.try_lock() else {
                return;
            };
            self.next_look
                .store(age + LOOK.as_nanos() as u64, Ordering::Relaxed);
            books.read(&shared.peers, now);
            let Books {
                readings, governor, ..
            } = &mut *books;
            let change = governor.look(readings, now.duration_since(self.born));
            self.crowded.store(governor.crowded, Ordering::Relaxed);
            if let Some((worker, rests)) = change {
                shared.peers[worker].remote.set_resting(rests);
            }
            change
        };
        if let Some((worker, rests)) = change {
            trace::worker_rests(worker, rests);
        }
    }
}

impl Books {
    fn read(&mut self, peers: &[Peer], now: Instant) {
        let passed = now.duration_since(self.at).as_secs_f64().max(1e-6);
        self.at = now;
        let places = self.seen.iter_mut().zip(&mut self.readings);
        for ((seen, reading), peer) in places.zip(peers) {
            // A worker whose thread has changed reads as idle for once.
            let cpu = cpu_time(peer.remote.thread.load(Ordering::Relaxed)).unwrap_or(seen.0);
            let completions = peer.remote.counters.completions.load(Ordering::Relaxed);
            *reading = Reading {
                present: peer.present.load(Ordering::Relaxed),
                cores: cpu.saturating_sub(seen.0) as f64 / 1e9 / passed,
                rate: completions.saturating_sub(seen.1) as f64 / passed,
            };
            *seen = (cpu, completions);
        }
    }
}

/// Nanoseconds of CPU time that a thread of this process has had.
fn cpu_time(thread: i32) -> Option<u64> {
    if thread == 0 {
        return None;
    }
    // The kernel's encoding of a thread's clock, which pthread_getcpuclockid(3) computes too:
    // CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED.
    let clock = !thread << 3 | 6;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer leads to a `timespec`; a thread that has gone is an error.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (result == 0).then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// A change of the number of homes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Fewer,
    More,
}

/// A change that has to prove itself.
#[derive(Debug, Clone, Copy)]
struct Trial {
    change: Change,
    /// Who rests since then, or no longer does.
    worker: usize,
    /// Completions per second before; 0 if the change is not judged.
    before: f64,
    since: Duration,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Steady,
    Settling(Trial),
    Measuring(Trial),
}

/// The policy, without the clocks. Times are since the start.
#[derive(Debug)]
struct Governor {
    state: State,
    resting: Box<[bool]>,
    crowded: bool,
    /// Of all workers at the last look.
    last_rate: f64,
    hold: Duration,
    hold_until: Duration,
}

impl Governor {
    fn new(workers: usize) -> Self {
        Self {
            state: State::Steady,
            resting: vec![false; workers].into(),
            crowded: false,
            last_rate: 0.0,
            hold: SHORTEST_HOLD,
            hold_until: 2 * LOOK,
        }
    }

    /// Returns the worker whose part changes, and whether it rests from now on.
    fn look(&mut self, readings: &[Reading], now: Duration) -> Option<(usize, bool)> {
        let rate: f64 = readings.iter().map(|reading| reading.rate).sum();
        let last = std::mem::replace(&mut self.last_rate, rate);
        // What was true of a load that has gone says nothing about the next one.
        self.crowded &= readings.iter().map(|reading| reading.cores).sum::<f64>() >= LOW;
        if !self.homes(readings).any(|_| true) {
            // The last home has left, as worker 0 does at the end of `block_on`.
            self.state = State::Steady;
            return self.wake(readings);
        }
        match self.state {
            State::Steady if now < self.hold_until => None,
            // The lower one of two, so that a short burst is no measure.
            State::Steady => self.try_change(readings, rate.min(last), now),
            State::Settling(trial) => self.settle(trial, readings, rate, now),
            State::Measuring(trial) => self.judge(trial, readings, rate, now),
        }
    }

    fn homes(&self, readings: &[Reading]) -> impl Iterator<Item = usize> {
        let is_home =
            |&(index, reading): &(usize, &Reading)| reading.present && !self.resting[index];
        readings
            .iter()
            .enumerate()
            .filter(is_home)
            .map(|(index, _)| index)
    }

    fn set(&mut self, worker: usize, rests: bool) -> Option<(usize, bool)> {
        self.resting[worker] = rests;
        Some((worker, rests))
    }

    fn wake(&mut self, readings: &[Reading]) -> Option<(usize, bool)> {
        let resting = readings.iter().zip(&self.resting);
        let worker = { resting }.position(|(reading, rests)| reading.present && *rests)?;
        self.set(worker, false)
    }

    fn try_change(
        &mut self,
        readings: &[Reading],
        rate: f64,
        now: Duration,
    ) -> Option<(usize, bool)> {
        let cores: f64 = readings.iter().map(|reading| reading.cores).sum();
        let others = self.homes(readings).count() as f64 - 1.0;
        if others > 0.0 && rate > QUIET && cores < MIGHT_FIT * others {
            // The one with the least to move, which is also the one that connections flee from.
            let rates = |a: &usize, b: &usize| readings[*a].rate.total_cmp(&readings[*b].rate);
            let worker = self.homes(readings).min_by(rates)?;
            self.state = State::Settling(Trial {
                change: Change::Fewer,
                worker,
                before: if cores < FITS * others { 0.0 } else { rate },
                since: now,
            });
            return self.set(worker, true);
        }
        if self.homes(readings).any(|home| readings[home].cores > BUSY) {
            let changed = self.wake(readings)?;
            self.state = State::Settling(Trial {
                change: Change::More,
                worker: changed.0,
                before: rate,
                since: now,
            });
            return Some(changed);
        }
        None
    }

    fn settle(
        &mut self,
        trial: Trial,
        readings: &[Reading],
        rate: f64,
        now: Duration,
    ) -> Option<(usize, bool)> {
        let passed = now.saturating_sub(trial.since);
        let settled = match trial.change {
            Change::Fewer => readings[trial.worker].rate < rate / 8.0,
            Change::More => passed >= 2 * LOOK,
        };
        // No need to wait for the end of what does harm at once.
        if trial.change == Change::More && rate * HARM < trial.before {
            return self.judge(trial, readings, rate, now);
        }
        if settled {
            self.state = State::Measuring(trial);
        } else if passed > SETTLES {
            return self.conclude(trial, false, now);
        }
        None
    }

    fn judge(
        &mut self,
        trial: Trial,
        readings: &[Reading],
        rate: f64,
        now: Duration,
    ) -> Option<(usize, bool)> {
        let Trial { change, before, .. } = trial;
        let busy = self.homes(readings).any(|home| readings[home].cores > BUSY);
        let (stays, harm) = match change {
            Change::Fewer => {
                let least = if busy { GAINS } else { KEEPS };
                (rate >= before * least, before > 0.0 && rate > before * HARM)
            }
            Change::More => (rate >= before * KEEPS, rate * HARM < before),
        };
        self.crowded = harm;
        let changed = self.conclude(trial, stays, now);
        if harm && change == Change::Fewer {
            // As good as a trial of more workers that failed.
            self.put_off(now);
        }
        changed
    }

    fn conclude(&mut self, trial: Trial, stays: bool, now: Duration) -> Option<(usize, bool)> {
        self.state = State::Steady;
        if stays {
            self.hold = SHORTEST_HOLD;
            self.hold_until = now + self.hold;
            return None;
        }
        self.put_off(now);
        self.set(trial.worker, trial.change == Change::More)
    }

    fn put_off(&mut self, now: Duration) {
        self.hold = (4 * self.hold).min(LONGEST_HOLD);
        self.hold_until = now + self.hold;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A runtime of two workers whose load answers to the number of homes.
    struct Model {
        governor: Governor,
        now: Duration,
        present: [bool; 2],
        /// CPUs in all, and completions per second, with one home and with two.
        cores: [f64; 2],
        rates: [f64; 2],
    }

    impl Model {
        fn new(cores: [f64; 2], rates: [f64; 2]) -> Self {
            Self {
                governor: Governor::new(2),
                now: Duration::ZERO,
                present: [true; 2],
                cores,
                rates,
            }
        }

        fn homes(&self) -> usize {
            self.governor
                .resting
                .iter()
                .filter(|rests| !**rests)
                .count()
        }

        /// Passes time; returns the part of it, in hundredths, with one home only.
        fn pass(&mut self, time: Duration) -> u32 {
            let looks = (time.as_nanos() / LOOK.as_nanos()) as u32;
            let mut with_one = 0;
            for _ in 0..looks {
                self.now += LOOK;
                let homes = self.homes().max(1);
                let part = 1.0 / homes as f64;
                let readings = [0, 1].map(|worker| {
                    let part = if self.governor.resting[worker] {
                        0.0
                    } else {
                        part
                    };
                    Reading {
                        present: self.present[worker],
                        cores: self.cores[homes - 1] * part,
                        rate: self.rates[homes - 1] * part,
                    }
                });
                self.governor.look(&readings, self.now);
                with_one += u32::from(self.homes() == 1);
            }
            with_one * 100 / looks
        }
    }

    #[test]
    fn a_low_load_stays_on_one_worker() {
        let mut model = Model::new([0.2, 0.25], [6000.0, 6000.0]);
        assert!(model.pass(Duration::from_secs(10)) > 98);
        assert!(!model.governor.crowded);
    }

    #[test]
    fn a_load_for_two_cpus_stays_on_two_workers() {
        let mut model = Model::new([1.0, 2.0], [100_000.0, 190_000.0]);
        assert_eq!(model.pass(Duration::from_secs(10)), 0);
    }

    #[test]
    fn a_load_that_grows_spreads() {
        let mut model = Model::new([0.2, 0.25], [6000.0, 6000.0]);
        model.pass(Duration::from_secs(1));
        model.cores = [1.0, 1.4];
        model.rates = [100_000.0, 140_000.0];
        model.pass(Duration::from_millis(200));
        assert_eq!(model.homes(), 2);
        assert_eq!(model.pass(Duration::from_secs(10)), 0);
    }

    #[test]
    fn where_others_have_the_cpus_one_worker_does_more() {
        let mut model = Model::new([1.0, 0.9], [180_000.0, 110_000.0]);
        model.pass(Duration::from_millis(300));
        assert!(model.governor.crowded);
        assert!(model.pass(Duration::from_secs(20)) > 97);
        // The others have gone: it is noticed, if late.
        model.cores = [1.0, 1.8];
        model.rates = [180_000.0, 320_000.0];
        model.pass(LONGEST_HOLD + Duration::from_secs(1));
        assert_eq!((model.homes(), model.governor.crowded), (2, false));
    }

    #[test]
    fn one_worker_that_does_less_is_not_left_alone() {
        let mut model = Model::new([0.9, 1.0], [80_000.0, 100_000.0]);
        assert!(model.pass(Duration::from_secs(20)) < 5);
    }

    #[test]
    fn a_load_of_its_own_rate_does_not_wait_at_a_busy_home() {
        // The rate is the same with both; only the latency would differ.
        let mut model = Model::new([0.95, 1.0], [80_000.0, 80_000.0]);
        assert!(model.pass(Duration::from_secs(20)) < 5);
        // Nor when it has grown from a low one.
        let mut model = Model::new([0.2, 0.25], [6000.0, 6000.0]);
        model.pass(Duration::from_secs(1));
        model.cores = [0.95, 1.0];
        model.rates = [80_000.0, 80_000.0];
        model.pass(Duration::from_millis(200));
        assert!(model.pass(Duration::from_secs(20)) < 5);
    }

    #[test]
    fn crowds_are_forgotten_with_their_load() {
        let mut model = Model::new([1.0, 0.9], [180_000.0, 110_000.0]);
        model.pass(Duration::from_millis(300));
        assert!(model.governor.crowded);
        model.cores = [0.01, 0.01];
        model.rates = [100.0, 100.0];
        model.pass(LOOK);
        assert!(!model.governor.crowded);
    }

    #[test]
    fn a_home_that_leaves_is_replaced() {
        let mut model = Model::new([0.2, 0.25], [6000.0, 6000.0]);
        model.pass(Duration::from_secs(1));
        let home = usize::from(model.governor.resting[0]);
        model.present[home] = false;
        model.pass(LOOK);
        assert!(!model.governor.resting[1 - home]);
    }

    #[test]
    fn threads_have_clocks() {
        // SAFETY: the call takes no arguments.
        let thread = unsafe { libc::gettid() };
        let before = cpu_time(thread).expect("this thread");
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(20) {}
        assert!(cpu_time(thread).expect("this thread") > before);
        assert_eq!(cpu_time(0), None);
    }
}
