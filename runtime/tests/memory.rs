//! What ended tasks leave is kept for those to come, and given up when none come. It counts the memory of
//! the whole program, so it is alone here.
//!
//! Negative controls, tried once each: without the `trim` in `park` the memory stays; with `memory` giving
//! every block to the allocator the second burst allocates as much as the first.

#![expect(unsafe_code, reason = "an allocator that counts")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{Watchdog, after, eventually, runtime};
use heist_runtime::{Handle, RingProfile, spawn};

/// Bytes that are allocated now, and how often something was.
static LIVE: AtomicIsize = AtomicIsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TASKS: usize = 20_000;

/// Spawns many tasks that are all there at once. Returns how many allocations it took.
async fn burst() -> usize {
    let mut tasks = Vec::with_capacity(TASKS);
    let before = CALLS.load(Ordering::Relaxed);
    tasks.extend((0..TASKS).map(|_| spawn(async {})));
    for task in tasks {
        task.await.expect("works");
    }
    CALLS.load(Ordering::Relaxed) - before
}

#[test]
fn memory_of_tasks_is_used_again_and_given_up_in_the_end() {
    let _watchdog = Watchdog::new("memory_of_tasks_is_used_again_and_given_up_in_the_end");
    let runtime = runtime(2, RingProfile::Defer);
    let before = LIVE.load(Ordering::Relaxed);
    runtime.block_on(async {
        let first = spawn(burst()).await.expect("works");
        assert!(
            first >= TASKS,
            "{first} allocations say that they are not counted"
        );
        // What the sibling has freed and keeps is missing here.
        let second = spawn(burst()).await.expect("works");
        assert!(second < TASKS / 10, "{second} allocations");
        let kept = LIVE.load(Ordering::Relaxed) - before;
        assert!(kept > (TASKS * 100) as isize, "{kept} bytes are kept");
        // The workers sleep, but for the timer of this.
        while LIVE.load(Ordering::Relaxed) - before > kept / 10 {
            after(Duration::from_millis(200)).await;
        }
    });
    spawning_from_outside_costs_no_allocation(&runtime.handle());
    drop(runtime);
    eventually("everything is given up", || {
        LIVE.load(Ordering::Relaxed) - before < 100_000
    });
}

/// The blocks that the workers free come back to the thread that spawns.
fn spawning_from_outside_costs_no_allocation(handle: &Handle) {
    let rounds = |count: usize| {
        for _ in 0..count {
            let tasks: Vec<_> = (0..1000).map(|_| handle.spawn(async {})).collect();
            eventually("they end", || tasks.iter().all(|task| task.is_finished()));
        }
    };
    let calls = thread::scope(|threads| {
        let other = threads.spawn(|| {
            rounds(10);
            let before = CALLS.load(Ordering::Relaxed);
            rounds(10);
            CALLS.load(Ordering::Relaxed) - before
        });
        other.join().expect("it does not panic")
    });
    assert!(calls < 2000, "{calls} allocations for 10,000 tasks");
}
