//! "Semaphore and Concurrency Control", the fifth chapter of "Mastering asyncio", in Rust:
//! `cargo run --example asyncio_semaphore`. The Python is in `tests/chapters/asyncio_semaphore.py`.

use heist::sync::{AcquireError, Semaphore};
use heist::time::{Duration, sleep};
use heist::try_join_all;

#[derive(Debug, PartialEq)]
struct Response {
    url: String,
    status: u16,
}

/// Fetches a page when the semaphore lets it.
async fn fetch(url: &str, semaphore: &Semaphore) -> Result<Response, AcquireError> {
    // The permit goes back at the end of the function, however that ends.
    let _permit = semaphore.acquire().await?;
    sleep(Duration::from_millis(100)).await; // stands for an HTTP request
    Ok(Response {
        url: url.to_owned(),
        status: 200,
    })
}

/// Fetches all pages, so many at a time. They share the semaphore by reference: this is one task.
async fn crawl(urls: &[String], max_concurrent: usize) -> Result<Vec<Response>, AcquireError> {
    let semaphore = Semaphore::new(max_concurrent);
    try_join_all(urls.iter().map(|url| fetch(url, &semaphore))).await
}

#[heist::main]
async fn main() -> Result<(), AcquireError> {
    let urls: Vec<String> = (0..10)
        .map(|i| format!("https://example.com/page/{i}"))
        .collect();
    let results = crawl(&urls, 3).await?;
    println!("Done: {} pages", results.len());

    // They are in the order of the URLs, whichever was first.
    for (result, url) in results.into_iter().zip(urls) {
        assert_eq!(result, Response { url, status: 200 });
    }
    Ok(())
}
