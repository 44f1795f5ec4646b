//! A concurrent web crawler on the Heist runtime.
//!
//! The program `heist-crawl` is this library with a command line. Used as a library, a crawl is
//! something that hands out [`Record`]s:
//!
//! ```
//! use heist_crawler::{Crawl, End, Site, SiteServer};
//!
//! heist::block_on(async {
//!     // A site to crawl: 20 linked pages, served on loopback by Heist's own TCP.
//!     let site = Site::new(20, 7);
//!     let server = SiteServer::start("127.0.0.1:0", site.clone(), None).await?;
//!
//!     let mut crawl = Crawl::builder().seed(server.url())?.concurrency(4).build()?;
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
//! What it promises:
//!
//! - One record per page, whatever happens to it. A failure is a record with a [`Failure`] and
//!   never ends the crawl.
//! - No page is fetched twice: addresses are normalised ([`PageUrl`]) and remembered
//!   ([`Frontier`]).
//! - Limits are exact: never one page more than [`CrawlBuilder::max_pages`], never more fetches
//!   at a time than [`CrawlBuilder::concurrency`].
//! - It ends by itself, and [`StopHandle`] ends it sooner.
//! - It stays on the hosts of its seeds ([`HostScope`]), also across redirects.
//!
//! The parts, in reading order:
//!
//! | module | what it does |
//! |---|---|
//! | `page_url` | addresses: one spelling per page, and which hosts count |
//! | `frontier` | which page comes next, and which were seen |
//! | `links` | links out of HTML while it arrives |
//! | `record` | the outcome of one page |
//! | `summary` | the outcome of all |
//! | `options` | what a crawl is told before it starts |
//! | `fetch` | one page, from request to record |
//! | `mailbox` | the way from the fetches to the loop |
//! | `crawl` | the loop |
//! | `site` | the embedded site and its server |
//! | `output`, `progress`, `signals`, `args`, `program` | the command line |

#![forbid(unsafe_code)]

mod page_url;
mod frontier;
mod links;
mod record;
mod summary;
mod options;
mod fetch;
mod mailbox;
mod crawl;
mod site;
mod output;
mod progress;
mod signals;
mod args;
mod program;

pub use self::args::Args;
pub use self::crawl::{Crawl, StopHandle};
pub use self::frontier::{Frontier, Job, MemoryFrontier, Offer};
pub use self::links::{LinkExtractor, Links};
pub use self::options::{CrawlBuilder, USER_AGENT};
pub use self::output::JsonLines;
pub use self::page_url::{HostScope, MAX_URL_LENGTH, PageUrl, UrlError};
pub use self::program::run;
pub use self::progress::Progress;
pub use self::record::{Failure, FailureKind, Record, UnknownKind};
pub use self::site::{DelayRange, DelayRangeError, Site, SiteServer};
pub use self::summary::{End, Summary};
