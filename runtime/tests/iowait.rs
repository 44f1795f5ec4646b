//! A worker that sleeps is idle: a machine with nothing to do must not look as if it waited for a disk.

use std::fs;
use std::thread;
use std::time::Duration;

use heist_runtime::Builder;

/// Ticks, a hundredth of a second each, that all processors together have spent waiting for I/O: `proc_stat(5)`.
fn waited() -> u64 {
    let stat = fs::read_to_string("/proc/stat").expect("/proc/stat");
    let all = stat.lines().next().expect("the line of all processors");
    let iowait = all.split_whitespace().nth(5).expect("its fifth figure");
    iowait.parse().expect("a number")
}

/// Whether the kernel can tell the two apart: Linux 6.15.
fn kernel_can() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("its release");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0_u32);
    (next(), next()) >= (6, 15)
}

/// A processor that has something to do never counts as waiting, so this tells nothing on a machine that is busy.
///
/// Control, tried on one that was not: an enter without `IORING_ENTER_NO_IOWAIT`. 30 to 60 ticks of each round.
#[test]
fn an_idle_worker_does_not_wait_for_io() {
    const ROUNDS: usize = 10;
    const ROUND: Duration = Duration::from_millis(300);
    if !kernel_can() {
        eprintln!("skipped: before Linux 6.15 every sleep on a ring counts as a wait for I/O");
        return;
    }
    let runtime = Builder::new().worker_threads(2).build().expect("a runtime");
    let idle = runtime.spawn(std::future::pending::<()>());
    // Others may well wait for a disk meanwhile; not in each of the rounds.
    let least = (0..ROUNDS).map(|_| {
        let before = waited();
        thread::sleep(ROUND);
        waited().saturating_sub(before)
    });
    let least = least.min().expect("rounds");
    idle.abort();
    assert!(least < 10, "{least} ticks of {ROUND:?} wait for I/O");
}
