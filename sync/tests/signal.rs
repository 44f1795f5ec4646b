//! Signals. They come to the whole process, so each test has some of its own.

#![cfg(feature = "signal")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::time::Duration;

use heist_runtime::{Builder, spawn};
use heist_sync::signal::{SignalKind, ctrl_c, signal};
use heist_sync::time::{sleep, timeout};
use signal_hook::low_level::raise;

const LONG: Duration = Duration::from_secs(10);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new().worker_threads(2).build().unwrap();
    runtime.block_on(future)
}

/// Control, tried: a `tell` for the first signal only.
#[test]
fn everybody_who_listens_is_told() {
    block_on(async {
        let kind = SignalKind::user_defined1();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let mut listener = signal(kind).unwrap();
                spawn(async move {
                    for _ in 0..3 {
                        timeout(LONG, listener.recv()).await.unwrap().unwrap();
                    }
                })
            })
            .collect();
        while !tasks.iter().all(|task| task.is_finished()) {
            raise(kind.as_raw_value()).unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// What comes while nobody waits is told by the next call, once. Control, tried: `Signal` with `mark_unchanged` in
/// `recv`.
#[test]
fn a_signal_that_comes_between_two_calls_is_kept() {
    block_on(async {
        let kind = SignalKind::user_defined2();
        let mut listener = signal(kind).unwrap();
        let mut other = signal(kind).unwrap();
        // A wait that is given up loses nothing either.
        timeout(Duration::from_millis(1), listener.recv())
            .await
            .unwrap_err();
        raise(kind.as_raw_value()).unwrap();
        timeout(LONG, other.recv()).await.unwrap().unwrap();
        timeout(LONG, listener.recv()).await.unwrap().unwrap();
        timeout(Duration::from_millis(20), listener.recv())
            .await
            .unwrap_err();
    });
}

/// Control, tried: without the handler the process ends here.
#[test]
fn ctrl_c_does_not_end_the_process() {
    block_on(async {
        let waiting = spawn(ctrl_c());
        while !waiting.is_finished() {
            sleep(Duration::from_millis(5)).await;
            // Not before somebody listens: it would end this process.
            let listens = signal(SignalKind::interrupt());
            listens.unwrap();
            raise(SignalKind::interrupt().as_raw_value()).unwrap();
        }
        waiting.await.unwrap().unwrap();
    });
}

/// Two runtimes, one after the other, and a third executor.
///
/// Control, tried: a `tell` for the first signal only.
#[test]
fn listeners_outlive_runtimes() {
    let kind = SignalKind::window_change();
    let mut listener = signal(kind).unwrap();
    for _ in 0..2 {
        raise(kind.as_raw_value()).unwrap();
        block_on(async { timeout(LONG, listener.recv()).await.unwrap().unwrap() });
    }
    raise(kind.as_raw_value()).unwrap();
    futures_util::future::FutureExt::now_or_never(listener.recv());
    std::thread::sleep(Duration::from_millis(50));
}

/// Control, tried: without the look at `FORBIDDEN`.
#[test]
fn what_cannot_be_handled_is_refused() {
    for number in [9, 19, 11, 0, -1, 1000] {
        let error = signal(SignalKind::from_raw(number)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}: {error}");
    }
}
