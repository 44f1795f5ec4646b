//! What the attributes `main` and `test` expand to. Not for use by hand, and not stable.

use std::future::Future;

pub use crate::builder::{Builder, RingProfile};

/// Whether tests can pause the clock.
pub const TEST_UTIL: bool = cfg!(feature = "test-util");

/// What to do about it if they cannot.
pub const NEEDS_TEST_UTIL: &str = "`start_paused = true` needs the feature `test-util` of heist: add it under \
     [dev-dependencies]";

/// Runs `future` on a new runtime.
#[track_caller]
pub fn run<F: Future>(builder: Builder, future: F) -> F::Output {
    match builder.build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("{error}"),
    }
}

/// Runs a test, while no other one has the clock paused.
#[track_caller]
pub fn run_test<F: Future>(builder: Builder, future: F) -> F::Output {
    #[cfg(feature = "test-util")]
    let _running = crate::time::pause::running();
    run(builder, future)
}

/// Runs a test with the clock paused, while no other one runs.
#[track_caller]
pub fn run_paused<F: Future>(builder: Builder, future: F) -> F::Output {
    #[cfg(feature = "test-util")]
    {
        let _alone = crate::time::pause::alone();
        run(builder, async {
            let _paused = crate::time::pause::Paused::new();
            future.await
        })
    }
    #[cfg(not(feature = "test-util"))]
    {
        drop((builder, future));
        panic!("{NEEDS_TEST_UTIL}")
    }
}
