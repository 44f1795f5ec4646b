//! A concurrent web crawler on the Heist runtime.
//!
//! The program `heist-crawl` is this library with a command line. Used as a library, a crawl is
//! something that hands out [`Record`]s:
//!
//! ```
//! use heist_crawler::{Crawler, End, Site, SiteServer};
//!
//! heist::block_on(async {
//!     // A site to crawl: 20 linked pages, served on loopback by Heist's own TCP.
//!     let site = Site::new(20, 7);
//!     let server = SiteServer::start("127.0.0.1:0", site.clone(), None).await?;
//!
//!     let mut crawl = Crawler::builder().seed(server.url())?.concurrency(4).build()?;
//!     let mut bytes = 0;
//!     while let Some(record) = crawl.next().await {
//!         assert_eq!(record.error, None);
//!         bytes += record.content_length;
//!     }
//!
//!     assert_eq!(crawl.summary().pages(), 20);
//!     assert_eq!(crawl.summary().end(), End::Finished);
//!     assert_eq!(bytes, (0..20).map(|page| site.page_length(page)).sum::<u64>());
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Crawler::run`] does the same for crawls whose work is done by handlers for pages and links
//! ([`CrawlerBuilder::on_page`], [`CrawlerBuilder::on_link`]) and by [`Store`]s.
//!
//! What it promises:
//!
//! - One record per page, whatever happens to it. A failure is a record with a [`Failure`] and
//!   never ends the crawl.
//! - No page is fetched twice: addresses are normalised ([`PageUrl`]) and remembered
//!   ([`Frontier`]).
//! - It is polite: `robots.txt` is followed ([`Robots`]), and no host or address is asked more often than
//!   [`Politeness`] says, or than the server can take.
//! - Limits are exact: never one page, byte or level more than the builder was told, never more fetches
//!   at a time than [`CrawlerBuilder::concurrency`].
//! - Memory is bounded: pages that wait go to the disk, and a page that was seen costs 10 to 16 bytes.
//! - Nothing is lost: with a [journal](CrawlerBuilder::journal) it goes on after kill -9.
//! - It runs on many machines, with the feature `redis`, which is on by default ([`CrawlerBuilder::shared`]).
//! - It ends by itself, and [`StopHandle`] ends it sooner.
//! - It stays on the hosts of its seeds ([`Reach`]), also across redirects.
//!
//! The parts, in reading order:
//!
//! | module | what it does |
//! |---|---|
//! | `page_url`, `scope` | addresses: one spelling per page, and which of them count |
//! | `frontier` | which page of a host comes next, and which were seen |
//! | `robots` | what a site allows |
//! | `links`, `sitemap` | links out of HTML, and addresses out of sitemaps, while they arrive |
//! | `record` | the outcome of one page |
//! | `summary` | the outcome of all |
//! | `page`, `store` | pages as handlers and stores see them |
//! | `warc` | a store: web archives |
//! | `hosts` | whose turn it is |
//! | `options` | what a crawl is told before it starts |
//! | `budget`, `wire`, `fetch` | one page, from request to record |
//! | `greet` | the first questions to a host |
//! | `journal` | what outlives the process |
//! | `mailbox` | the way from the fetches to the loop |
//! | `shared` | a frontier that many crawlers have together |
//! | `crawler` | the loop |
//! | `site` | the embedded site and its server |
//! | `report` | figures about a crawl, and a page of charts |
//! | `output`, `progress`, `signals`, `config`, `args`, `program` | the command line |

#![forbid(unsafe_code)]

mod page_url;
mod scope;
mod frontier;
mod robots;
mod links;
mod sitemap;
mod record;
mod summary;
mod page;
mod store;
mod warc;
mod hosts;
mod error;
mod options;
mod budget;
mod wire;
mod fetch;
mod greet;
mod journal;
mod mailbox;
#[cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "without Redis no frontier is shared")
)]
mod shared;
mod crawler;
mod site;
mod report;
mod output;
mod progress;
mod signals;
mod config;
mod args;
mod program;
#[cfg(test)]
mod random;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

pub use self::args::Args;
pub use self::crawler::{Crawler, StopHandle};
pub use self::error::BuildError;
pub use self::frontier::{Frontier, Job, Offer, QueueFrontier};
pub use self::hosts::Politeness;
pub use self::journal::journal_records;
pub use self::links::{LinkExtractor, Links};
pub use self::options::{CrawlerBuilder, USER_AGENT};
pub use self::output::JsonLines;
pub use self::page::Page;
pub use self::page_url::{HostScope, MAX_URL_LENGTH, PageUrl, UrlError};
pub use self::program::run;
pub use self::progress::Progress;
pub use self::record::{Failure, FailureKind, Record, UnknownKind};
pub use self::report::Statistics;
pub use self::robots::{MAX_ROBOTS, Robots};
pub use self::scope::Reach;
#[cfg(feature = "redis")]
pub use self::shared::RedisFrontier;
pub use self::site::{DelayRange, DelayRangeError, Site, SiteServer};
pub use self::store::{Link, Store, StoreFuture};
pub use self::summary::{End, Summary};
pub use self::warc::WarcStore;
#[cfg(feature = "tower")]
pub use self::wire::{BoxError, FetchService};
