//! What a stretch of work cost the whole process.

use std::{
    fs,
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{Resource, Usage, UsageWho, getrlimit, getrusage, setrlimit},
    time::TimeVal,
};
use perf_event::{Builder, Counter, events::Tracepoint};
use serde::{Deserialize, Serialize};

/// A stretch of work that is being measured.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    usage: Usage,
    syscalls: Option<u64>,
}

/// What it cost, every thread of the process included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Wall time.
    pub elapsed: Duration,
    /// Processor time, in user mode and in the kernel.
    pub cpu: Duration,
    /// Context switches, asked for and forced.
    pub switches: u64,
    /// System calls, where [`count_syscalls`] has been called.
    pub syscalls: Option<u64>,
}

impl Meter {
    /// Begins to measure.
    #[must_use]
    pub fn start() -> Self {
        let (usage, syscalls) = (usage(), syscalls());
        Self {
            began: Instant::now(),
            usage,
            syscalls,
        }
    }

    /// What it has cost since [`Meter::start`].
    #[must_use]
    pub fn stop(&self) -> Cost {
        let elapsed = self.began.elapsed();
        let (usage, syscalls) = (usage(), syscalls());
        Cost {
            elapsed,
            cpu: cpu(&usage).saturating_sub(cpu(&self.usage)),
            switches: switches(&usage).saturating_sub(switches(&self.usage)),
            syscalls: syscalls
                .zip(self.syscalls)
                .map(|(after, before)| after.saturating_sub(before)),
        }
    }
}

static SYSCALLS: OnceLock<Option<Mutex<Counter>>> = OnceLock::new();

/// Counts the system calls of the threads that are started from now on, and of the calling one. It costs
/// each call some time, so this is for runs whose times do not matter. The kernel has to permit it: it
/// takes root or the capability `CAP_PERFMON`, and a mounted tracefs; otherwise costs have no count.
pub fn count_syscalls() {
    SYSCALLS.get_or_init(|| {
        let mut counter = Builder::new(Tracepoint::with_id(syscall_tracepoint()?))
            .include_kernel()
            .inherit(true)
            .build()
            .ok()?;
        counter.enable().ok()?;
        Some(Mutex::new(counter))
    });
}

/// The number of the tracepoint that every system call passes, from where tracefs is mounted (since Linux 4.1 mostly
/// in a place of its own).
fn syscall_tracepoint() -> Option<u64> {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .iter()
        .find_map(|mounted| {
            let file = format!("{mounted}/events/raw_syscalls/sys_enter/id");
            fs::read_to_string(file).ok()?.trim_end().parse().ok()
        })
}

fn syscalls() -> Option<u64> {
    let mut counter = SYSCALLS.get()?.as_ref()?.lock().ok()?;
    counter.read().ok()
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
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
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
    status("RssAnon:")
}

/// The most memory that this process ever had resident, in bytes.
///
/// # Panics
///
/// Panics where `/proc` is not mounted.
#[must_use]
pub fn peak_resident() -> u64 {
    status("VmHWM:")
}

/// A line of `/proc/self/status` that is in KiB, in bytes.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
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
