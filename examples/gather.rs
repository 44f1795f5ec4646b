//! Many things at once, a few at a time: `cargo run --example gather`.

use heist::sync::{Semaphore, join_all};
use heist::time::{Duration, Instant, sleep};

fn main() {
    heist::block_on(async {
        let start = Instant::now();
        let limit = Semaphore::new(10);
        let jobs = (0..100).map(async |number: u32| {
            let _permit = limit
                .acquire()
                .await
                .expect("the semaphore is never closed");
            sleep(Duration::from_millis(10)).await;
            number
        });
        let sum: u32 = join_all(jobs).await.into_iter().sum();
        println!(
            "the sum is {sum}, after {:?} (a hundred jobs of 10 ms, ten at a time)",
            start.elapsed()
        );
    });
}
