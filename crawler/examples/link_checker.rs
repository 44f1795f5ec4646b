//! Checks the links of a site, also those that lead elsewhere, and says on which pages the broken ones are.
//!
//! ```console
//! cargo run --release -p heist-crawler --example link_checker -- https://example.org/
//! ```
//!
//! Links within the site are followed. Each address elsewhere is asked for once, without its body, and nothing there is
//! followed. The exit status is 1 when a link is broken.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heist::net::http::Client;
use heist::sync::Semaphore;
use heist::task::JoinSet;
use heist_crawler::{Crawler, USER_AGENT};

/// Requests to other sites at a time. Each address is asked for once, so most hosts see one or two.
const ELSEWHERE: usize = 16;

/// Pages by what they link to.
type Links = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

#[heist::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(site) = std::env::args().nth(1) else {
        eprintln!("usage: link_checker URL");
        return Ok(ExitCode::from(2));
    };
    let within = Links::default();
    let elsewhere = Links::default();
    let (inner, outer) = (Arc::clone(&within), Arc::clone(&elsewhere));
    let mut crawl = Crawler::builder()
        .seed(&site)?
        .on_link(move |link| {
            let links = if link.in_scope { &inner } else { &outer };
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            links
                .entry(link.to.to_string())
                .or_default()
                .push(link.from.to_string());
            true
        })
        .build()?;

    let mut broken = Vec::new();
    while let Some(record) = crawl.next().await {
        if let Some(failure) = record.error {
            broken.push((record.url, failure.to_string()));
        }
    }
    let addresses: Vec<_> = lock(&elsewhere).keys().cloned().collect();
    broken.extend(check_elsewhere(addresses).await?);

    broken.sort();
    for (url, why) in &broken {
        println!("{url}\n    {why}");
        for links in [&within, &elsewhere] {
            for page in lock(links).get(url).into_iter().flatten() {
                println!("    on {page}");
            }
        }
    }
    let pages = crawl.summary().pages();
    println!("{pages} pages, {} broken links", broken.len());
    Ok(ExitCode::from(u8::from(!broken.is_empty())))
}

fn lock(links: &Links) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<String>>> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for each address once, and returns those that are broken.
async fn check_elsewhere(
    addresses: Vec<String>,
) -> Result<Vec<(String, String)>, heist::net::http::Error> {
    let client = Client::builder()
        .user_agent(USER_AGENT)
        .timeout(Duration::from_secs(20))
        .build()?;
    let places = Arc::new(Semaphore::new(ELSEWHERE));
    let mut tasks = JoinSet::new();
    for url in addresses {
        let (client, places) = (client.clone(), Arc::clone(&places));
        tasks.spawn(async move {
            let _place = places.acquire_owned().await;
            let outcome = client
                .head(&*url)
                .send()
                .await
                .and_then(|answer| answer.error_for_status());
            // Some servers do not know HEAD: that is no broken link.
            let fine = |error: &heist::net::http::Error| {
                error.status().is_some_and(|status| status.as_u16() == 405)
            };
            outcome
                .err()
                .filter(|error| !fine(error))
                .map(|error| (url, error.to_string()))
        });
    }
    let mut broken = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        broken.extend(outcome.ok().flatten());
    }
    Ok(broken)
}
