//! `finally`: cleanup that borrows from its surroundings.

use super::How;
use heist_runtime::scope::{Exit, Scope, catch, count_skipped, shield};
use std::future::Future;

/// Counts a cleanup that a drop has skipped.
struct Lost(bool);

impl Drop for Lost {
    fn drop(&mut self) {
        if self.0 {
            count_skipped(1);
        }
    }
}

/// Runs `body`, then `cleanup`, which is told how the body ended, whether it returned, panicked or was
/// cancelled (`try`/`finally`).
///
/// The cleanup may borrow, so nobody can run it when foreign code drops the future half-way: then it is
/// skipped and counted, see [`cleanup_counts`](heist_runtime::scope::cleanup_counts). Own what you clean up,
/// with [`using`](super::using()), where that must not happen.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::resource::{How, finally};
///
/// let mut log = Vec::new();
/// let value = finally(async { 7 }, async |how| log.push(how)).await;
/// assert_eq!((value, log), (7, vec![How::Done]));
/// # });
/// ```
///
/// # Panics
///
/// With the panic of the body, or of the cleanup, which replaces it.
///
/// # Cancel safety
///
/// Dropping the future skips the cleanup. A cancellation does not.
pub async fn finally<T>(body: impl Future<Output = T>, cleanup: impl AsyncFnOnce(How)) -> T {
    let mut lost = Lost(true);
    let exit = catch(&Scope::named("finally"), body).await;
    shield(cleanup(How::of(&exit))).await;
    lost.0 = false;
    exit.propagate().await
}

/// Runs `body`, and `cleanup` if it is cancelled (`except CancelledError`). The cancellation goes on
/// afterwards: nothing can swallow it.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::resource::on_cancel;
///
/// let task = heist_runtime::spawn(on_cancel(std::future::pending::<()>(), async || {
///     println!("Cancelled! Cleaning up...");
/// }));
/// heist_runtime::yield_now().await;
/// assert!(task.cancel_and_join().await.unwrap_err().is_cancelled());
/// # });
/// ```
///
/// # Panics
///
/// With the panic of the body or of the cleanup.
///
/// # Cancel safety
///
/// Dropping the future is no cancellation, and runs no cleanup.
pub async fn on_cancel<T>(body: impl Future<Output = T>, cleanup: impl AsyncFnOnce()) -> T {
    let exit = catch(&Scope::named("on_cancel"), body).await;
    if matches!(exit, Exit::Cancelled(_)) {
        let mut lost = Lost(true);
        shield(cleanup()).await;
        lost.0 = false;
    }
    exit.propagate().await
}
