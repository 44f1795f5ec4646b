//! What waits allocates nothing, and a scope at most once. It counts what the whole program allocates, so it
//! is one test.
//!
//! Negative control, tried once: a wait that is boxed is noticed (`control`).

#![expect(unsafe_code, reason = "an allocator that counts")]

use heist_runtime::scope::{Scope, catch};
use heist_runtime::{Builder, yield_now};
use heist_sync::time::timeout;
use heist_sync::{
    Barrier, CancelToken, Event, Mutex, Notify, OnceCell, Queue, RwLock, Semaphore, SetOnce,
    broadcast, mpsc, oneshot, watch,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How often something was allocated.
static CALLS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: as the caller vouches.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller vouches.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TIMES: usize = 100;
const LONG: Duration = Duration::from_secs(600);

/// Waits, is given what it waits for, and gets it. Returns what it has got.
fn waits<T>(wait: impl Future<Output = T>, give: impl FnOnce()) -> T {
    let mut wait = pin!(wait);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(wait.as_mut().poll(&mut cx).is_pending());
    give();
    let Poll::Ready(value) = wait.as_mut().poll(&mut cx) else {
        panic!("it was given what it waits for");
    };
    value
}

/// How much is allocated by doing it many times, after some more.
fn allocated(mut run: impl FnMut()) -> usize {
    (0..3).for_each(|_| run());
    let before = CALLS.load(Relaxed);
    (0..TIMES).for_each(|_| run());
    CALLS.load(Relaxed) - before
}

fn locks() -> Vec<(&'static str, usize)> {
    let semaphore = Semaphore::new(1);
    let mutex = Mutex::new(());
    let lock = RwLock::new(());
    let (notify, event, barrier) = (Notify::new(), Event::new(), Barrier::new(2));
    vec![
        (
            "semaphore",
            allocated(|| {
                let held = semaphore.try_acquire();
                drop(waits(semaphore.acquire(), || drop(held)));
            }),
        ),
        (
            "mutex",
            allocated(|| {
                let held = mutex.try_lock();
                drop(waits(mutex.lock(), || drop(held)));
            }),
        ),
        (
            "read",
            allocated(|| {
                let held = lock.try_write();
                drop(waits(lock.read(), || drop(held)));
            }),
        ),
        (
            "write",
            allocated(|| {
                let held = lock.try_read();
                drop(waits(lock.write(), || drop(held)));
            }),
        ),
        (
            "notify",
            allocated(|| waits(notify.notified(), || notify.notify_one())),
        ),
        (
            "event",
            allocated(|| {
                event.clear();
                waits(event.wait(), || event.set());
            }),
        ),
        (
            "barrier",
            allocated(|| {
                let second = || {
                    let mut second = pin!(barrier.wait());
                    let mut cx = Context::from_waker(Waker::noop());
                    assert!(second.as_mut().poll(&mut cx).is_ready());
                };
                waits(barrier.wait(), second);
            }),
        ),
        (
            "once cell",
            allocated(|| {
                let (cell, event) = (OnceCell::new(), Event::new());
                waits(cell.get_or_init(|| event.wait()), || event.set());
            }),
        ),
        (
            "set once",
            allocated(|| {
                let cell = SetOnce::new();
                waits(cell.wait(), || cell.set(()).expect("the first"));
            }),
        ),
    ]
}

fn channels() -> Vec<(&'static str, usize)> {
    let (tx, mut rx) = mpsc::channel(1);
    let (watched, mut watching) = watch::channel(0);
    let (cast, mut listening) = broadcast::channel(1);
    let queue = Queue::new(1);
    let mut full = None;
    let mut counts = vec![
        (
            "mpsc, receive",
            allocated(|| {
                waits(rx.recv(), || tx.try_send(()).expect("room")).expect("open");
            }),
        ),
        (
            "watch",
            allocated(|| {
                waits(watching.changed(), || _ = watched.send(1)).expect("open");
            }),
        ),
        (
            "broadcast",
            allocated(|| {
                waits(listening.recv(), || _ = cast.send(())).expect("open");
            }),
        ),
        (
            "queue, get",
            allocated(|| {
                waits(queue.get(), || queue.try_put(()).expect("room")).expect("open");
            }),
        ),
        (
            "queue, put",
            allocated(|| {
                full.get_or_insert_with(|| queue.try_put(()).expect("room"));
                waits(queue.put(()), || _ = queue.try_get()).expect("open");
            }),
        ),
    ];
    // The channel itself is one.
    let of_oneshot = allocated(|| {
        let (tx, rx) = oneshot::channel();
        waits(rx, || tx.send(()).expect("heard")).expect("sent");
    });
    counts.push(("oneshot", of_oneshot - TIMES));
    let of_token = allocated(|| {
        let token = CancelToken::new();
        waits(token.cancelled(), || assert!(token.cancel()));
    });
    println!("a token: {} allocations", of_token as f64 / TIMES as f64);
    counts
}

/// Many scopes within each other, each as long as its future is pending.
async fn nested(depth: usize) {
    if depth > 0 {
        let inner = Box::pin(nested(depth - 1));
        drop(catch(&Scope::new(), inner).await);
    } else {
        yield_now().await;
    }
}

fn control() {
    let event = Event::new();
    let boxed = allocated(|| {
        event.clear();
        waits(Box::pin(event.wait()), || event.set());
    });
    assert_eq!(boxed, TIMES);
}

#[test]
fn nothing_is_allocated_by_waiting_and_little_by_scopes() {
    control();
    for (what, count) in [locks(), channels()].concat() {
        // A channel for many items grows by a block of them, once.
        assert!(
            count <= usize::from(what.starts_with("mpsc")),
            "{what}: {count}"
        );
    }
    let runtime = Builder::new().worker_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        // Each of these is a box of the test's, and a scope.
        nested(10).await;
        let before = CALLS.load(Relaxed);
        nested(TIMES).await;
        let count = CALLS.load(Relaxed) - before - TIMES;
        println!(
            "a nested scope: {} allocations",
            count as f64 / TIMES as f64
        );
        assert!(count <= TIMES, "{count} for {TIMES} nested scopes");

        for _ in 0..3 {
            timeout(LONG, yield_now()).await.expect("in time");
        }
        let before = CALLS.load(Relaxed);
        for _ in 0..TIMES {
            timeout(LONG, ready(())).await.expect("in time");
        }
        assert_eq!(
            CALLS.load(Relaxed) - before,
            0,
            "a timeout around what is ready"
        );
        let before = CALLS.load(Relaxed);
        for _ in 0..TIMES {
            timeout(LONG, yield_now()).await.expect("in time");
        }
        let count = CALLS.load(Relaxed) - before;
        println!("a timeout: {} allocations", count as f64 / TIMES as f64);
        assert!(count <= 2 * TIMES, "{count} for {TIMES} timeouts");

        // Polls of a task that has no scope but its own.
        let task = heist_runtime::spawn(async {
            yield_now().await;
            let before = CALLS.load(Relaxed);
            for _ in 0..TIMES {
                yield_now().await;
            }
            CALLS.load(Relaxed) - before
        });
        assert_eq!(task.await.expect("no panic"), 0, "a poll");
    });
}
