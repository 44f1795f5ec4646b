//! "Timeouts and Cancellation", the third chapter of "Mastering asyncio", in Rust:
//! `cargo run --example asyncio_cancellation`. The Python is in `tests/chapters/asyncio_cancellation.py`.

use heist::time::{Duration, sleep, timeout};
use heist::{on_cancel, shield, spawn};

async fn slow_operation() -> &'static str {
    sleep(Duration::from_secs(10)).await;
    "done"
}

/// `wait_for`: the operation is cancelled, and this goes on when it has unwound.
async fn time_limit() {
    if timeout(Duration::from_secs(2), slow_operation())
        .await
        .is_err()
    {
        println!("Timed out!");
    }
}

/// What `asyncio.shield` does: only the wait is cancelled, and the task goes on alone. Here that is
/// what a handle does anyway: waiting for a task is one thing, cancelling it another.
async fn detached() {
    let mut task = spawn(slow_operation());
    if timeout(Duration::from_secs(1), &mut task).await.is_err() {
        println!("Shield timed out — inner task keeps running");
        task.cancel();
    }
}

/// What `heist::shield` does: the timeout waits until the part that must not be torn is done.
///
/// asyncio's returns at once, and leaves the part running with nobody to await it: whoever thinks it
/// is over may close what it still uses, its error is lost, and the loop may end in the middle of it.
/// Ours never lets go. So it can borrow, as here, and what comes after it can rely on it.
async fn waits() {
    let mut balances = [100, 0];
    let transfer = shield(async {
        balances[0] -= 40;
        sleep(Duration::from_millis(50)).await;
        balances[1] += 40;
    });
    // The value wins: the work was done, though later than wished.
    assert_eq!(timeout(Duration::from_millis(10), transfer).await, Ok(()));
    assert_eq!(balances, [60, 40]);
}

/// `except CancelledError`, without a `raise` that could be forgotten: a cancellation is no value, and
/// goes on by itself after the cleanup.
async fn cancellable() {
    on_cancel(sleep(Duration::from_secs(100)), async || {
        println!("Cancelled! Cleaning up...");
    })
    .await;
}

async fn cancelled() {
    let task = spawn(cancellable());
    sleep(Duration::from_millis(100)).await;
    task.cancel();
    if task.await.is_err_and(|error| error.is_cancelled()) {
        println!("Task cancellation confirmed");
    }
}

#[heist::main]
async fn main() {
    time_limit().await;
    detached().await;
    waits().await;
    cancelled().await;
}
