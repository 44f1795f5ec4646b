//! What Heist is to reach.
//!
//! A target is for the ratio to tokio's multi-thread scheduler in the same run, or for the figure itself.
//! Where a thread-per-core runtime does better than the target, the report takes what that one reaches as
//! the target.

/// What Heist has to reach in a measure of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the scenario.
    pub scenario: &'static str,
    /// The name of its measure, empty if that has none.
    pub measure: &'static str,
    /// What is to be reached.
    pub goal: Goal,
}

/// See [`Target`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Our figure divided by tokio's.
    Ratio(f64),
    /// Our figure itself.
    Figure(f64),
    /// Our figure divided by that of the loop without a runtime.
    OfByHand(f64),
}

/// Nothing that tokio has as well may be slower here.
const EVEN: Goal = Goal::Ratio(1.0);

const fn target(scenario: &'static str, measure: &'static str, goal: Goal) -> Target {
    Target {
        scenario,
        measure,
        goal,
    }
}

/// All targets, in the order of the report.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    target("spawn and join from one task", "", Goal::Ratio(0.15)),
    target("spawn from 1 thread outside an idle runtime", "", Goal::Ratio(0.40)),
    target("yield, 200 tasks", "", Goal::Ratio(0.55)),
    target("ping-pong, 1000 oneshot pairs", "", Goal::Ratio(0.24)),
    target("chained spawn, depth 1000", "", Goal::Ratio(0.13)),
    target("2000 uneven computations", "", Goal::Figure(1.03)),
    target("timeout around a ready future", "", Goal::Ratio(0.50)),
    target("timeout around a future pending once", "", Goal::Ratio(0.35)),
    target("100 k sleeps of 1-100 ms", "processor time", Goal::Ratio(0.50)),
    target("100 k sleeps of 1-100 ms", "p99 lateness", Goal::Figure(5.0)),
    target("64 low-rate timers", "p50 lateness", Goal::Figure(60.0)),
    target("64 low-rate timers", "processor time", Goal::Ratio(1.10)),
    target("semaphore(8), 64 tasks", "", Goal::Ratio(0.25)),
    target("mpsc(128), 64 senders", "", Goal::Ratio(0.40)),
    target("cached reads of 4 KiB, 64 in flight", "", Goal::Ratio(10.0)),
    target("echo, 1 connection, 64 B", "", Goal::Ratio(1.30)),
    target("echo, 64 connections, 64 B", "", Goal::Ratio(1.90)),
    target("echo, 512 connections, 64 B", "", Goal::Ratio(1.60)),
    target("echo, 64 connections, 16 KiB", "", Goal::Ratio(1.65)),
    target("echo, 64 connections, 64 B", "processor time", Goal::Ratio(0.60)),
    target("server, 64 connections from another process", "processor time", Goal::Ratio(0.75)),
    target("low rate, 8000 messages/s beside a spinning task", "p99 latency", Goal::Ratio(0.20)),
    target("low rate, 500 messages/s", "processor time", Goal::Ratio(0.90)),
    target("low rate, 8000 messages/s", "processor time", Goal::Ratio(0.90)),
    target("low rate, 8000 messages/s beside a long spin", "worst latency", Goal::Figure(1000.0)),
    target("8000 idle connections beside 64 busy ones", "memory", Goal::Figure(1.0)),
    target("echo, 64 connections, 64 B, rotating hotspot", "", Goal::Ratio(1.30)),
    target("echo, 1 connection, 64 B", "", Goal::OfByHand(0.85)),
    target("echo, 64 connections, 64 B", "", Goal::OfByHand(0.85)),
    target("echo, 512 connections, 64 B", "", Goal::OfByHand(0.85)),
    target("echo, 64 connections, 16 KiB", "", Goal::OfByHand(0.85)),
    #[cfg(feature = "http-clients")]
    target("HTTP/1.1 server, 64 connections", "throughput", Goal::Ratio(1.30)),
    #[cfg(feature = "http-clients")]
    target("HTTP/1.1 server, 64 connections", "p99 latency", EVEN),
    #[cfg(feature = "http-clients")]
    target("HTTP/2 server, 64 connections", "throughput", Goal::Ratio(1.30)),
    #[cfg(feature = "http-clients")]
    target("crawl, 5 at a time", "processor time", Goal::Ratio(0.45)),
    #[cfg(feature = "http-clients")]
    target("crawl, 5 at a time", "processor time", Goal::OfByHand(1.0)),
    #[cfg(feature = "http-clients")]
    target("crawl, 5 at a time", "peak memory", Goal::Ratio(0.50)),
    #[cfg(feature = "http-clients")]
    target("crawl, 64 at a time", "processor time", Goal::Ratio(0.45)),
    #[cfg(feature = "http-clients")]
    target("crawl, 64 at a time", "processor time", Goal::OfByHand(1.0)),
    #[cfg(feature = "http-clients")]
    target("crawl, 64 at a time", "throughput", Goal::Ratio(1.40)),
    #[cfg(feature = "http-clients")]
    target("crawl, 64 at a time", "peak memory", Goal::Ratio(0.50)),
    #[cfg(feature = "http-clients")]
    target("crawl, 512 at a time", "processor time", Goal::Ratio(0.45)),
    #[cfg(feature = "http-clients")]
    target("crawl, 512 at a time", "processor time", Goal::OfByHand(1.0)),
    #[cfg(feature = "http-clients")]
    target("crawl, 512 at a time", "throughput", Goal::Ratio(1.40)),
    #[cfg(feature = "http-clients")]
    target("crawl, 512 at a time", "peak memory", Goal::Ratio(0.50)),
    #[cfg(feature = "http-clients")]
    target("10 k slow pages, 1000 at a time", "elapsed of ideal", Goal::Figure(1.02)),
    #[cfg(feature = "http-clients")]
    target("10 k slow pages, 1000 at a time", "processor time", Goal::Ratio(0.30)),
    target("join set of 1000", "", EVEN),
    target("task group of 1000", "", EVEN),
    target("mutex, 64 tasks", "", EVEN),
    target("mutex, 64 tasks that yield with it", "", EVEN),
    target("oneshot, within one task", "", EVEN),
    target("notify, 32 pairs in turn", "", EVEN),
    target("notify, 64 at a time", "", EVEN),
    target("watch, 64 receivers", "", EVEN),
    target("broadcast, 64 receivers", "", EVEN),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scenario::Scale, scenarios};

    #[test]
    fn every_target_is_of_a_measure() {
        crate::meter::raise_descriptor_limit();
        let scenarios = scenarios::all(Scale::Full);
        for target in TARGETS {
            let found = scenarios.iter().find(|one| one.name() == target.scenario);
            let scenario = found.unwrap_or_else(|| panic!("there is no {}", target.scenario));
            let measures = scenario.measures();
            assert!(
                measures.iter().any(|one| one.name == target.measure),
                "{} has no {}",
                target.scenario,
                target.measure
            );
        }
    }
}
