//! "Task — Background Execution", the second chapter of "Mastering asyncio", in Rust:
//! `cargo run --example asyncio_tasks`. The Python is in `tests/chapters/asyncio_tasks.py`.

use std::convert::Infallible;
use std::error::Error;

use heist::group::GroupError;
use heist::time::{Duration, sleep};
use heist::{JoinError, spawn, task_group};

async fn background_task(name: &str, delay: f64) -> String {
    sleep(Duration::from_secs_f64(delay)).await;
    format!("{name} done")
}

/// A spawned task runs without being awaited (`asyncio.create_task`).
async fn background() -> Result<(), JoinError> {
    let task1 = spawn(background_task("Task-1", 1.0));
    let task2 = spawn(background_task("Task-2", 0.5));

    println!("Tasks created, doing other work...");
    sleep(Duration::from_millis(100)).await;
    println!("Other work complete");

    // A handle gives the value, or says that the task panicked or was cancelled.
    let result1 = task1.await?;
    let result2 = task2.await?;
    println!("{result1}, {result2}");
    Ok(())
}

/// No task outlives its group (`asyncio.TaskGroup`), whose first error would cancel the others.
async fn grouped() -> Result<(), GroupError<Infallible>> {
    let (task1, task2, task3) = task_group(async |group| {
        // These tasks cannot fail; the type of their error says so.
        let start =
            |name, delay| group.spawn(async move { Ok(background_task(name, delay).await) });
        Ok((start("A", 1.0), start("B", 0.5), start("C", 1.5)))
    })
    .await?;

    // All of them have completed, so that none of these waits.
    if let (Some(a), Some(b), Some(c)) = (task1.await, task2.await, task3.await) {
        println!("{a} {b} {c}");
    }
    Ok(())
}

#[heist::main]
async fn main() -> Result<(), Box<dyn Error>> {
    background().await?;
    grouped().await?;
    Ok(())
}
