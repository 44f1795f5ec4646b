//! What scopes cost: one around a future that is ready or pending once, a resource, a group of a thousand
//! tasks beside tokio's `JoinSet` of as many, a timeout beside tokio's.

use criterion::{BenchmarkId, Criterion};
use heist::resource::{AsyncClose, How, using};
use heist::scope::{Scope, catch};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Operations a sample does at a time, within one task.
const TIMES: u32 = 1_000;
const TASKS: usize = 1_000;

struct Nothing;

impl AsyncClose for Nothing {
    async fn close(self, how: How) {
        black_box(how);
    }
}

/// Runs `one` again and again in a task of its own, `TIMES` for each iteration.
fn in_task<R, F>(run: R, one: impl Fn() -> F + Send + Clone + 'static, iterations: u64) -> Duration
where
    R: Fn(std::pin::Pin<Box<dyn Future<Output = Duration> + Send>>) -> Duration,
    F: Future<Output = ()> + Send,
{
    run(Box::pin(async move {
        let start = Instant::now();
        for _ in 0..iterations * u64::from(TIMES) {
            one().await;
        }
        start.elapsed() / TIMES
    }))
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let heist = heist::Builder::new()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let on_heist = |future| heist.block_on(async { heist::spawn(future).await.expect("no panic") });
    let mut group = criterion.benchmark_group("scopes");
    group.bench_function(BenchmarkId::new("scope, ready", "heist"), |bencher| {
        bencher.iter_custom(|iterations| {
            let one = || async {
                drop(catch(&Scope::new(), std::future::ready(1)).await);
            };
            in_task(on_heist, one, iterations)
        });
    });
    group.bench_function(
        BenchmarkId::new("scope, pending once", "heist"),
        |bencher| {
            bencher.iter_custom(|iterations| {
                let one = || async { drop(catch(&Scope::new(), heist::yield_now()).await) };
                in_task(on_heist, one, iterations)
            });
        },
    );
    group.bench_function(BenchmarkId::new("using", "heist"), |bencher| {
        bencher.iter_custom(|iterations| {
            let one = || async { using(Nothing, async |_| black_box(())).await };
            in_task(on_heist, one, iterations)
        });
    });
    group.bench_function(BenchmarkId::new("timeout, ready", "heist"), |bencher| {
        bencher.iter_custom(|iterations| {
            let one = || async {
                let limit = Duration::from_secs(9);
                black_box(
                    heist::time::timeout(limit, std::future::ready(1))
                        .await
                        .is_ok(),
                );
            };
            in_task(on_heist, one, iterations)
        });
    });
    group.bench_function(BenchmarkId::new("task group of 1000", "heist"), |bencher| {
        bencher.iter(|| {
            let whole = heist::task_group(async |group| {
                for _ in 0..TASKS {
                    group.spawn(async { Ok::<_, ()>(()) });
                }
                Ok(())
            });
            heist.block_on(async { heist::spawn(whole).await.expect("no panic") })
        });
    });
    #[cfg(feature = "tokio")]
    on_tokio(&mut group);
    group.finish();
    criterion.final_summary();
}

#[cfg(feature = "tokio")]
fn on_tokio(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    group.bench_function(BenchmarkId::new("timeout, ready", "tokio"), |bencher| {
        bencher.iter_custom(|iterations| {
            let one = || async {
                let limit = Duration::from_secs(9);
                black_box(
                    tokio::time::timeout(limit, std::future::ready(1))
                        .await
                        .is_ok(),
                );
            };
            in_task(
                |future| tokio.block_on(async { tokio::spawn(future).await.expect("no panic") }),
                one,
                iterations,
            )
        });
    });
    group.bench_function(BenchmarkId::new("task group of 1000", "tokio"), |bencher| {
        bencher.iter(|| {
            let whole = async {
                let mut set = tokio::task::JoinSet::new();
                for _ in 0..TASKS {
                    set.spawn(async { Ok::<_, ()>(()) });
                }
                while set.join_next().await.is_some() {}
            };
            tokio.block_on(async { tokio::spawn(whole).await.expect("no panic") });
        });
    });
}
