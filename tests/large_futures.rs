//! Futures of a hundred kilobytes on the stack of a small thread. This package is built without optimisation for tests, as
//! the programs of users are while they work on them, and such code copies a value for each function that passes it on.
//!
//! Control, tried: without the boxes of `runtime/src/large.rs` these overflow the stack, which ends the whole program.

use std::thread;

const LARGE: usize = 100 << 10;

/// A future that has `LARGE` bytes across an await.
async fn large() -> u64 {
    let bytes = [1_u8; LARGE];
    heist::task::yield_now().await;
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

/// Runs `test` with 800 KiB of stack. With the boxes they need less than 600, without them 1,200 at least.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(800 << 10)
        .spawn(test)
        .expect("a thread")
        .join()
        .expect("the test has passed");
}

#[test]
fn block_on_takes_one() {
    on_a_small_stack(|| assert_eq!(heist::block_on(large()), LARGE as u64));
}

#[test]
fn block_on_of_a_handle_takes_one() {
    let runtime = heist::Builder::new()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let handle = runtime.handle();
    on_a_small_stack(move || assert_eq!(handle.block_on(large()), LARGE as u64));
}

#[test]
fn they_are_spawned() {
    on_a_small_stack(|| {
        heist::block_on(async {
            let here = heist::spawn(large());
            let named = heist::task::Builder::new().name("large").spawn(large());
            let local = heist::spawn_local(large());
            for task in [here, named, local] {
                assert_eq!(task.await.expect("no panic"), LARGE as u64);
            }
        });
    });
}
