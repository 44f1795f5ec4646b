//! What a stretch of work cost the whole process.

use std::time::{Duration, Instant};

use nix::sys::{
    resource::{Resource, Usage, UsageWho, getrlimit, getrusage, setrlimit},
    time::TimeVal,
};

/// A stretch of work that is being measured.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    usage: Usage,
}

/// What it cost, every thread of the process included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Wall time.
    pub elapsed: Duration,
    /// Processor time, in user mode and in the kernel.
    pub cpu: Duration,
    /// Context switches, asked for and forced.
    pub switches: u64,
}

impl Meter {
    /// Begins to measure.
    #[must_use]
    pub fn start() -> Self {
        let usage = usage();
        Self {
            began: Instant::now(),
            usage,
        }
    }

    /// What it has cost since [`Meter::start`].
    #[must_use]
    pub fn stop(&self) -> Cost {
        let elapsed = self.began.elapsed();
        let usage = usage();
        Cost {
            elapsed,
            cpu: cpu(&usage).saturating_sub(cpu(&self.usage)),
            switches: switches(&usage).saturating_sub(switches(&self.usage)),
        }
    }
}

fn usage() -> Usage {
    getrusage(UsageWho::RUSAGE_SELF).expect("a process may read its own usage")
}

fn cpu(usage: &Usage) -> Duration {
    duration(usage.user_time()) + duration(usage.system_time())
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).expect("processor time is not negative");
    let micros = u64::try_from(time.tv_usec()).expect("processor time is not negative");
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

fn switches(usage: &Usage) -> u64 {
    let sum = usage.voluntary_context_switches() + usage.involuntary_context_switches();
    u64::try_from(sum).expect("a count is not negative")
}

/// Raises the limit of open descriptors as far as the process may: both ends of a thousand
/// connections live in it.
pub fn raise_descriptor_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where it fails, the scenario that needs more descriptors says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// How many descriptors this process may have open, once [`raise_descriptor_limit`] has done its work.
#[must_use]
pub fn descriptor_limit() -> usize {
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, most)| most);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Time that the host of this virtual machine has given to others although it was wanted here, summed
/// over all processors since the start; to a hundredth of a second. Zero where the kernel does not say.
#[must_use]
pub fn stolen() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    // proc(5): cpu user nice system idle iowait irq softirq steal
    let ticks = line.split_whitespace().nth(8);
    Duration::from_millis(10 * ticks.and_then(|n| n.parse().ok()).unwrap_or(0_u64))
}

/// The memory of this process that is resident and not shared with a file, in bytes.
///
/// # Panics
///
/// Panics where `/proc` is not mounted.
#[must_use]
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    let kib: u64 = kib
        .and_then(|n| n.parse().ok())
        .expect("proc(5) describes this line");
    kib * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinning_costs_what_it_lasts() {
        let meter = Meter::start();
        while meter.began.elapsed() < Duration::from_millis(50) {}
        let cost = meter.stop();
        assert!(cost.elapsed >= Duration::from_millis(50));
        assert!(cost.cpu >= Duration::from_millis(10), "{cost:?}");
    }

    #[test]
    fn memory_in_use_is_resident() {
        let before = resident();
        let block = std::hint::black_box(vec![1_u8; 8 << 20]);
        let after = resident();
        assert!(
            after >= before + (7 << 20),
            "{before} {after} {}",
            block.len()
        );
    }
}
