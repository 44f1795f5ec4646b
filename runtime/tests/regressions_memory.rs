//! A fault that was found once in what a runtime keeps, as the test that would have found it. It counts
//! the memory of the whole program, so it is alone here.

#![expect(unsafe_code, reason = "an allocator that counts")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::Duration;

use common::{Watchdog, after, eventually, runtime};
use heist_runtime::{RingProfile, spawn};

/// Bytes that are allocated now.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TASKS: usize = 1000;
/// What each task holds while it waits.
const BYTES: usize = 4096;

/// Tasks of worker 0 that ended on other workers kept their memory until the next `block_on`.
#[test]
fn tasks_that_end_while_nobody_is_in_block_on_are_freed() {
    let _watchdog = Watchdog::new("tasks_that_end_while_nobody_is_in_block_on_are_freed");
    for profile in [RingProfile::Defer, RingProfile::Coop] {
        let runtime = runtime(2, profile);
        runtime.block_on(async {
            spawn(async {}).await.expect("works");
        });
        let ended = Arc::new(AtomicUsize::new(0));
        let before = LIVE.load(Ordering::Relaxed);
        runtime.block_on(async {
            for _ in 0..TASKS {
                let ended = ended.clone();
                drop(spawn(async move {
                    let mut held = [1_u8; BYTES];
                    black_box(&mut held);
                    after(Duration::from_millis(100)).await;
                    black_box(&mut held);
                    ended.fetch_add(1, Ordering::Relaxed);
                }));
            }
            // Time for each to be polled first, most of them here.
            after(Duration::from_millis(20)).await;
        });
        let kept = LIVE.load(Ordering::Relaxed) - before;
        assert!(
            kept > (TASKS * BYTES) as isize,
            "{kept} bytes say that the tasks are not counted"
        );
        eventually("the tasks end", || ended.load(Ordering::Relaxed) == TASKS);
        eventually("what they held is freed", || {
            LIVE.load(Ordering::Relaxed) - before < (TASKS * BYTES / 10) as isize
        });
    }
}
