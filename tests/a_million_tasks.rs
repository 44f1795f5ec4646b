//! A million parked tasks fit into a GiB and are all woken; an empty task is one small allocation.
//!
//! Negative control: tasks that hold memory of their own exceed the bound.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "an allocator that counts")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use common::{STEALING, Watchdog, alone, runtime, scaled};
use heist::{RingProfile, spawn, yield_now};

/// Counts what is allocated and how often.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Memory of this process in bytes, as the kernel sees it.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// A gate that parked tasks wait at.
struct Gate {
    open: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
    passed: AtomicUsize,
}

impl Gate {
    fn new(count: usize) -> Self {
        Self {
            open: AtomicBool::new(false),
            // Room for the wakers beforehand, so that only the tasks themselves are measured.
            waiting: Mutex::new(Vec::with_capacity(count)),
            passed: AtomicUsize::new(0),
        }
    }

    async fn pass(&self) {
        let mut registered = false;
        poll_fn(|cx| {
            if self.open.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            assert!(!registered, "woken before the gate was opened");
            registered = true;
            self.waiting.lock().unwrap().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
        self.passed.fetch_add(1, Ordering::SeqCst);
    }
}

/// Parks `count` tasks with `extra` bytes each, wakes them, and yields the memory per task: as
/// allocated, and as the kernel saw it grow.
async fn park_and_wake(count: usize, extra: usize) -> (usize, usize) {
    let gate = Arc::new(Gate::new(count));
    let (allocated, before) = (BYTES.load(Ordering::SeqCst), resident());
    for _ in 0..count {
        let gate = gate.clone();
        drop(spawn(async move {
            let ballast = (extra > 0).then(|| vec![1_u8; extra]);
            gate.pass().await;
            drop(ballast);
        }));
    }
    while gate.waiting.lock().unwrap().len() < count {
        yield_now().await;
    }
    let allocated = BYTES.load(Ordering::SeqCst).saturating_sub(allocated);
    let grown = resident().saturating_sub(before);
    gate.open.store(true, Ordering::SeqCst);
    let wakers = std::mem::take(&mut *gate.waiting.lock().unwrap());
    // From a thread that is no worker, as a burst.
    std::thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
    while gate.passed.load(Ordering::SeqCst) < count {
        yield_now().await;
    }
    (allocated / count, grown / count)
}

/// A GiB for a million.
const BOUND: usize = (1 << 30) / 1_000_000;

#[test]
fn parked_tasks_are_small_and_all_woken() {
    let _alone = alone();
    let _watchdog = Watchdog::new("parked_tasks_are_small_and_all_woken", 90);
    let count = scaled(100_000, 1_000_000);
    for profile in STEALING {
        for workers in [1, 2] {
            let runtime = runtime(workers, profile);
            let (allocated, grown) = runtime.block_on(park_and_wake(count, 0));
            println!(
                "{profile:?}, {workers} workers: {allocated} bytes allocated, {grown} resident"
            );
            // What is resident grows less when memory of an earlier round is used again.
            assert!(allocated <= BOUND && grown <= BOUND, "{allocated}, {grown}");
        }
    }
}

#[test]
fn an_empty_task_is_one_small_allocation() {
    let _alone = alone();
    runtime(1, RingProfile::Defer).block_on(async {
        // The first one may grow a queue.
        for _ in 0..1000 {
            drop(spawn(async {}));
        }
        yield_now().await;
        // What those have left is used up by tasks that stay.
        for _ in 0..5000 {
            drop(spawn(std::future::pending::<()>()));
        }
        yield_now().await;
        LARGEST.store(0, Ordering::SeqCst);
        let before = CALLS.load(Ordering::SeqCst);
        let task = spawn(async {});
        let calls = CALLS.load(Ordering::SeqCst) - before;
        let size = LARGEST.load(Ordering::SeqCst);
        task.await.unwrap();
        println!("an empty task: {size} bytes in {calls} allocation");
        assert!(calls == 1 && size <= 192, "{calls} calls, {size} bytes");
    });
}

#[test]
#[should_panic(expected = "too large")]
fn control_large_tasks_exceed_the_bound() {
    let _alone = alone();
    let runtime = runtime(1, RingProfile::Defer);
    let (allocated, _) = runtime.block_on(park_and_wake(1000, 2 * BOUND));
    assert!(allocated <= BOUND, "too large");
}
