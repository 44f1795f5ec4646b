//! "Real-World Example: Async Web Scraper", the last chapter of "Mastering asyncio", in Rust:
//! `cargo run --example asyncio_scraper`. The Python is in `tests/chapters/asyncio_scraper.py`.
//!
//! It downloads nothing, like the original; `heist::net::http` is for those who do.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use heist::sync::Semaphore;
use heist::time::{Duration, Instant, sleep};
use heist::{JoinError, spawn, try_join_all};

#[derive(Default)]
struct Page {
    url: String,
    status: u16,
    content_length: u64,
    elapsed: Duration,
    error: String,
}

/// A random number: the standard library seeds its hashes by one.
fn random(range: RangeInclusive<u64>) -> u64 {
    let (low, high) = range.into_inner();
    low + RandomState::new().hash_one(()) % (high - low + 1)
}

/// Stands for a request; the length of what came.
async fn download(_url: &str) -> io::Result<u64> {
    sleep(Duration::from_millis(random(100..=500))).await;
    Ok(random(1_000..=50_000))
}

async fn fetch_page(url: String, semaphore: Arc<Semaphore>) -> Page {
    let start = Instant::now();
    let _permit = semaphore.acquire().await.expect("nobody closes it");
    let downloaded = download(&url).await;
    let page = Page {
        url,
        elapsed: start.elapsed(),
        ..Page::default()
    };
    match downloaded {
        Ok(content_length) => Page {
            status: 200,
            content_length,
            ..page
        },
        Err(error) => Page {
            error: error.to_string(),
            ..page
        },
    }
}

/// A task for each page, on all processors; a few of them at a time go past the semaphore.
async fn scrape(urls: Vec<String>, max_concurrent: usize) -> Result<Vec<Page>, JoinError> {
    let semaphore = Arc::new(Semaphore::new(max_concurrent));
    let start = |url| spawn(fetch_page(url, Arc::clone(&semaphore)));
    let tasks: Vec<_> = urls.into_iter().map(start).collect();
    try_join_all(tasks).await
}

#[heist::main]
async fn main() -> Result<(), JoinError> {
    let urls = (0..20)
        .map(|i| format!("https://example.com/article/{i}"))
        .collect();

    let start = Instant::now();
    let pages = scrape(urls, 5).await?;
    let elapsed = start.elapsed().as_secs_f64();

    let (success, failed): (Vec<_>, Vec<_>) = pages.iter().partition(|page| page.status == 200);
    println!(
        "Done: {}/{}, elapsed: {elapsed:.2}s",
        success.len(),
        pages.len()
    );
    let size: u64 = success.iter().map(|page| page.content_length).sum();
    let average = size as f64 / success.len() as f64;
    println!("Average size: {average:.0} bytes");
    for page in failed {
        eprintln!("{} after {:?}: {}", page.url, page.elapsed, page.error);
    }
    Ok(())
}
