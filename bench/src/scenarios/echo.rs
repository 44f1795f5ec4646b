//! TCP echo over loopback in a closed loop: each client sends its next message when the last one
//! has come back. Clients and servers are tasks of the same runtime.
//!
//! Where tasks stay on their threads, connections are divided among them, both ends on the same one. Two
//! scenarios show what that costs when the load is not as even: all connections are on one thread, or
//! a quarter of them at a time is busy, all on the same thread, and the next quarter 20 ms later.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    beside::Beside,
    echo_by_hand,
    window::{Phase, Window, closed_loop, connections, merged},
};
use crate::{
    meter::Cost,
    rt::{Contestant, Share, message},
    scenario::{AnyScenario, Measure, Others, Outcome, Point, Scale, Scenario},
    stats::{Histogram, micros},
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    connections: usize,
    size: usize,
    load: Load,
    beside: Beside,
    workers: Option<usize>,
    window: Window,
}

/// How the messages are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// Over all connections, which are divided among the workers.
    Even,
    /// Over all connections, which are on one worker if they stay where they are.
    OneWorker,
    /// Over a group of the connections at a time.
    Hotspot,
}

/// The groups of connections that are busy in turn.
const GROUPS: usize = 4;
/// How long each is.
const TURN: Duration = Duration::from_millis(20);

/// The scenarios of this module.
#[must_use]
pub fn list(scale: Scale) -> Vec<Box<dyn AnyScenario>> {
    let window = Window::new(scale, Duration::from_secs(1));
    let echo = |connections, size| Echo {
        connections,
        size,
        load: Load::Even,
        beside: Beside::Nothing,
        workers: None,
        window,
    };
    let mut all: Vec<Echo> = [
        (1, 64),
        (8, 64),
        (64, 64),
        (512, 64),
        (1, 4 << 10),
        (64, 4 << 10),
        (512, 4 << 10),
        (1, 16 << 10),
        (64, 16 << 10),
        (512, 16 << 10),
    ]
    .map(|(connections, size)| echo(connections, size))
    .into();
    all.extend([1, 2, 4].map(|workers| Echo {
        workers: Some(workers),
        ..echo(64, 64)
    }));
    all.extend([Load::OneWorker, Load::Hotspot].map(|load| Echo {
        load,
        ..echo(64, 64)
    }));
    all.push(Echo {
        beside: Beside::Spinner,
        ..echo(64, 64)
    });
    all.into_iter()
        .map(|one| Box::new(one) as Box<dyn AnyScenario>)
        .collect()
}

impl Scenario for Echo {
    fn name(&self) -> String {
        let Self {
            connections, size, ..
        } = self;
        let plural = if *connections == 1 { "" } else { "s" };
        let size = match size {
            1024.. => format!("{} KiB", size >> 10),
            _ => format!("{size} B"),
        };
        let load = match self.load {
            Load::Even => "",
            Load::OneWorker => ", all on one worker",
            Load::Hotspot => ", rotating hotspot",
        };
        let workers = match self.workers {
            None => String::new(),
            Some(1) => ", 1 worker".into(),
            Some(workers) => format!(", {workers} workers"),
        };
        let beside = self.beside.name();
        format!("echo, {connections} connection{plural}, {size}{load}{workers}{beside}")
    }

    fn measures(&self) -> Vec<Measure> {
        vec![
            Measure::more("", "messages/s"),
            Measure::less("processor time", "us/message"),
        ]
    }

    fn others(&self) -> Others {
        let plain = self.load == Load::Even && self.beside == Beside::Nothing;
        Others {
            coop: plain && self.workers.is_none(),
            by_hand: plain,
        }
    }

    fn workers(&self) -> Option<usize> {
        self.workers
    }

    fn points(&self) -> Vec<Point> {
        if self.load != Load::Even || self.beside != Beside::Nothing {
            return Vec::new();
        }
        match (self.size, self.workers) {
            (64, None) => vec![Point {
                curve: ("echo, 64 B", "connections"),
                x: self.connections,
            }],
            (64, Some(workers)) => vec![Point {
                curve: ("echo, 64 connections, 64 B", "workers"),
                x: workers,
            }],
            _ => Vec::new(),
        }
    }

    fn repeats(&self) -> usize {
        1
    }

    fn run<R: Contestant>(&self, runtime: &R) -> Outcome {
        let Self {
            connections: count,
            size,
            load,
            beside,
            window,
            ..
        } = *self;
        let began = Instant::now();
        let (cost, latencies) = window.busy(runtime, move |share, phase| async move {
            let count = match load {
                Load::OneWorker if share.is_first() => count,
                Load::OneWorker => 0,
                Load::Even | Load::Hotspot => share.part(count),
            };
            let pairs = connections::<R>(count).await;
            let mut tasks: Vec<_> = pairs
                .into_iter()
                .enumerate()
                .map(|(index, (mut near, far))| {
                    drop(R::spawn(R::echo(far, size.max(4096))));
                    let phase = Arc::clone(&phase);
                    R::spawn(async move {
                        match load {
                            Load::Hotspot => {
                                let turns = Turns::new(share, index, began);
                                in_turns::<R>(&mut near, size, &phase, turns).await
                            }
                            _ => closed_loop::<R>(&mut near, size, &phase).await,
                        }
                    })
                })
                .collect();
            tasks.extend(beside.spawn::<R>(share, &phase));
            tasks
        });
        outcome(cost, &merged(latencies))
    }

    fn run_by_hand(&self, threads: usize) -> Option<Outcome> {
        let Self {
            connections,
            size,
            window,
            ..
        } = *self;
        let (cost, latencies) = echo_by_hand::run(threads, connections, size, window)
            .expect("the loopback interface works");
        Some(outcome(cost, &latencies))
    }
}

fn outcome(cost: Cost, latencies: &Histogram) -> Outcome {
    let messages = latencies.count();
    let each = 1.0 / messages.max(1) as f64;
    // Criterion is shown the time of a thousand messages.
    let time = cost.elapsed.mul_f64(1000.0 * each);
    let rate = messages as f64 / cost.elapsed.as_secs_f64();
    let values = vec![rate, micros(cost.cpu) * each];
    Outcome::new(time, values, cost, messages).with_latency(latencies)
}

/// When a connection is busy.
#[derive(Clone, Copy, Debug)]
struct Turns {
    began: Instant,
    group: u128,
}

impl Turns {
    /// The turns of a connection of a share: its group is one of those that are on the share's worker.
    fn new(share: Share, index: usize, began: Instant) -> Self {
        let on_this_worker = GROUPS.div_ceil(share.of);
        let group = share.index + share.of * (index % on_this_worker);
        Self {
            began,
            group: (group % GROUPS) as u128,
        }
    }

    /// How long it is until this connection's turn; nothing during it.
    fn wait(self) -> Option<Duration> {
        let elapsed = self.began.elapsed().as_nanos();
        let (turn, groups) = (TURN.as_nanos(), GROUPS as u128);
        let now = elapsed / turn;
        let ahead = (self.group + groups - now % groups) % groups;
        let wait = (ahead > 0).then(|| (now + ahead) * turn - elapsed)?;
        Some(Duration::from_nanos(
            u64::try_from(wait).unwrap_or(u64::MAX),
        ))
    }
}

/// As [`closed_loop`], but only when it is this connection's turn.
async fn in_turns<R: Contestant>(
    stream: &mut R::Stream,
    size: usize,
    phase: &Phase,
    turns: Turns,
) -> Histogram {
    let mut buffer = vec![0; size];
    let mut latencies = Histogram::default();
    while !phase.is_over() {
        if let Some(wait) = turns.wait() {
            R::sleep(wait).await;
            continue;
        }
        let sent = Instant::now();
        R::round_trip(stream, message(size), &mut buffer).await;
        if phase.counts() {
            latencies.record(sent.elapsed());
        }
    }
    latencies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_its_turn_and_a_worker() {
        let began = Instant::now();
        for of in [1, 2, 3, 4] {
            let mut groups: Vec<_> = (0..of)
                .flat_map(|index| {
                    let share = Share { index, of };
                    (0..share.part(64)).map(move |k| Turns::new(share, k, began).group)
                })
                .collect();
            groups.sort_unstable();
            groups.dedup();
            assert_eq!(groups, [0, 1, 2, 3], "{of} shares");
        }
    }

    #[test]
    fn a_turn_comes_within_a_round() {
        let turns = Turns {
            began: Instant::now(),
            group: 3,
        };
        let wait = turns.wait().expect("the first one has its turn");
        assert!(wait <= 3 * TURN, "{wait:?}");
    }
}
