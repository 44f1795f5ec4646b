//! The limits of unwinding that the docs name, and what is skipped, counted exactly.
//!
//! A program of its own whose tests take turns, so that the counts are those of one of them at a time.
//!
//! Negative control, tried once: a `finally` whose `Lost` does not count fails the first test. (With a grace that
//! never ends, the third one would not end either.)

use heist_runtime::scope::cleanup_counts;
use heist_runtime::{Builder, Runtime, block_on, spawn};
use heist_sync::Mutex;
use heist_sync::resource::{AsyncClose, How, finally, using};
use heist_sync::time::{Instant, sleep};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

type Log = Arc<std::sync::Mutex<Vec<&'static str>>>;

fn note(log: &Log, what: &'static str) {
    log.lock().expect("no panic under it").push(what);
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One test at a time, and how many cleanups had been skipped before it.
fn alone() -> (MutexGuard<'static, ()>, u64) {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    (guard, cleanup_counts().skipped)
}

fn with_grace(grace: Duration) -> Runtime {
    let builder = Builder::new().worker_threads(2).cleanup_grace(Some(grace));
    builder.build().expect("a runtime")
}

/// Polls it once, and drops it as a foreign `select!` does.
async fn drop_half_way(future: impl Future<Output = ()>) {
    let mut future = Box::pin(future);
    let is_pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending);
}

/// Writes down when it is dropped or closed.
struct Resource(Log, &'static str);

impl AsyncClose for Resource {
    async fn close(self, _how: How) {
        sleep(ms(1)).await;
        note(&self.0, self.1);
    }
}

struct Local(Log, &'static str);

impl Drop for Local {
    fn drop(&mut self) {
        note(&self.0, self.1);
    }
}

#[test]
fn a_finally_that_is_dropped_half_way_is_skipped_and_counted() {
    let (_alone, before) = alone();
    block_on(async {
        let log = Log::default();
        drop_half_way(finally(pending(), async |_| note(&log, "cleanup"))).await;
        assert!(log.lock().expect("no panic under it").is_empty());
        // A cancellation skips nothing.
        let task = spawn({
            let log = log.clone();
            async move { finally(pending::<()>(), async |_| note(&log, "cleanup")).await }
        });
        sleep(ms(2)).await;
        assert!(task.cancel_and_join().await.unwrap_err().is_cancelled());
        assert_eq!(*log.lock().expect("no panic under it"), ["cleanup"]);
    });
    assert_eq!(cleanup_counts().skipped - before, 1);
}

#[test]
fn locals_outside_are_dropped_before_an_adopted_close_runs() {
    let (_alone, before) = alone();
    block_on(async {
        let log = Log::default();
        let adopted = cleanup_counts().adopted;
        let task = spawn({
            let log = log.clone();
            drop_half_way(async move {
                let _local = Local(log.clone(), "local");
                using(Resource(log, "close"), async |_| pending::<()>().await).await;
            })
        });
        task.await.expect("no panic");
        assert_eq!(
            *log.lock().expect("no panic under it"),
            ["local", "close"],
            "and the task has waited for it"
        );
        assert_eq!(cleanup_counts().adopted - adopted, 1);
    });
    assert_eq!(cleanup_counts().skipped, before);
}

#[test]
fn a_cleanup_that_needs_what_its_frame_holds_waits_for_the_grace() {
    struct NeedsLock(Arc<Mutex<()>>);
    impl AsyncClose for NeedsLock {
        async fn close(self, _how: How) {
            drop(self.0.lock().await);
        }
    }

    let (_alone, before) = alone();
    with_grace(ms(30)).block_on(async {
        let mutex = Arc::new(Mutex::new(()));
        let task = spawn({
            let mutex = Arc::clone(&mutex);
            async move {
                let _held = mutex.lock().await;
                using(NeedsLock(Arc::clone(&mutex)), async |_| {
                    pending::<()>().await
                })
                .await;
            }
        });
        sleep(ms(2)).await;
        let start = Instant::now();
        assert!(task.cancel_and_join().await.unwrap_err().is_cancelled());
        assert!(start.elapsed() >= ms(30), "nobody could give it the lock");
        assert!(mutex.try_lock().is_ok());
    });
    assert_eq!(cleanup_counts().skipped - before, 1);
}

#[test]
fn what_an_abort_and_a_shutdown_skip_is_counted() {
    type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;
    struct Endless;
    impl AsyncClose for Endless {
        async fn close(self, _how: How) {
            pending().await
        }
    }
    /// So many resources within each other.
    fn nested(depth: u32) -> Boxed {
        Box::pin(using(Endless, async move |_| match depth {
            0 => pending().await,
            _ => nested(depth - 1).await,
        }))
    }

    let (_alone, before) = alone();
    let runtime = with_grace(Duration::from_secs(600));
    runtime.block_on(async {
        let task = spawn(nested(4));
        sleep(ms(2)).await;
        task.abort();
        assert!(task.await.unwrap_err().is_aborted());
        assert_eq!(cleanup_counts().skipped - before, 5);
        drop(spawn(nested(2)));
        sleep(ms(2)).await;
    });
    let report = runtime.shutdown(ms(30));
    assert_eq!(report.skipped_cleanups, 3, "{report:?}");
    assert!(!report.is_clean());
    assert_eq!(cleanup_counts().skipped - before, 5 + 3);
}
