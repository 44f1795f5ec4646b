//! When an idle worker is called to a queue of short tasks.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Watchdog, runtime};
use heist_runtime::{RingProfile, spawn, yield_now};

/// Tasks that are ready all the time. So few, that the time to work them off calls nobody, even if a poll in
/// between takes a few microseconds because the thread has lost its CPU.
const TASKS: usize = 20;

/// They run on both workers before long.
///
/// Control: none that always fails. With a `LASTING` of an hour it passed three times out of three on a busy machine,
/// where polls that lose their CPU make the queue look long. What the rule is worth shows `notify, 32 pairs in turn` of
/// the bench: 1.67 of tokio's time without it.
#[test]
fn a_queue_that_does_not_end_is_divided() {
    let _watchdog = Watchdog::new("a queue that does not end");
    let runtime = runtime(2, RingProfile::Defer);
    let stop = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let stop = stop.clone();
                spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        yield_now().await;
                    }
                })
            })
            .collect();
        let begin = Instant::now();
        let divided = loop {
            let counters = runtime.metrics().workers;
            if counters.iter().all(|worker| worker.polls > 100_000) {
                break true;
            }
            if begin.elapsed() > Duration::from_secs(10) {
                break false;
            }
            yield_now().await;
        };
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.expect("no panic");
        }
        assert!(divided, "one worker has everything");
    });
}
