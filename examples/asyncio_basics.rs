//! "async/await Basics", the first chapter of "Mastering asyncio", in Rust:
//! `cargo run --example asyncio_basics`. The Python is in `tests/chapters/asyncio_basics.py`.

use heist::join_all;
use heist::time::{Duration, Instant, sleep};

/// Blocks its thread, as any ordinary function may.
#[expect(
    dead_code,
    reason = "the chapter shows it for comparison, and calls it nowhere"
)]
fn sync_sleep(name: &str, delay: f64) {
    println!("[Sync] {name} start");
    std::thread::sleep(Duration::from_secs_f64(delay));
    println!("[Sync] {name} done");
}

/// Lets others have the thread while it waits.
async fn async_sleep(name: &str, delay: f64) -> String {
    println!("[Async] {name} start");
    sleep(Duration::from_secs_f64(delay)).await;
    println!("[Async] {name} done");
    format!("{name} result")
}

/// One after the other: an `await` in a row is no concurrency.
async fn sequential() {
    let result1 = async_sleep("Task A", 1.0).await;
    let result2 = async_sleep("Task B", 0.5).await;
    println!("Results: {result1}, {result2}");
}

/// At the same time, within one task (`asyncio.gather`).
async fn concurrent() {
    let start = Instant::now();
    let results = join_all([
        async_sleep("A", 1.0),
        async_sleep("B", 0.5),
        async_sleep("C", 1.5),
    ])
    .await;
    let elapsed = start.elapsed().as_secs_f64();
    println!("Concurrent results: ['{}']", results.join("', '"));
    println!("Elapsed: {elapsed:.2}s (sequential would be 3s)");
}

#[heist::main]
async fn main() {
    sequential().await;
    concurrent().await;
}
