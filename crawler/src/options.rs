//! What a crawl is told before it starts.

use std::sync::Arc;
use std::time::Duration;

use heist::net::http::{self, Client};

use crate::crawl::Crawl;
use crate::fetch::Fetcher;
use crate::{Frontier, HostScope, Job, MemoryFrontier, Offer, PageUrl, UrlError};

/// How a crawler introduces itself unless told otherwise.
pub const USER_AGENT: &str = concat!(
    "heist-crawl/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);

/// Sets up a [`Crawl`].
///
/// ```no_run
/// use std::time::Duration;
/// use heist_crawler::Crawl;
///
/// let crawl = Crawl::builder()
///     .seed("https://example.org/docs/")?
///     .concurrency(16)
///     .max_pages(500)
///     .max_depth(4)
///     .timeout(Duration::from_secs(10))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CrawlBuilder {
    seeds: Vec<PageUrl>,
    concurrency: usize,
    max_pages: u64,
    max_depth: u32,
    max_body: u64,
    timeout: Duration,
    user_agent: String,
    frontier: Option<Box<dyn Frontier>>,
}

impl CrawlBuilder {
    pub(crate) fn new() -> Self {
        Self {
            seeds: Vec::new(),
            concurrency: 64,
            max_pages: u64::MAX,
            max_depth: u32::MAX,
            max_body: 64 << 20,
            timeout: Duration::from_secs(30),
            user_agent: USER_AGENT.to_owned(),
            frontier: None,
        }
    }

    /// Adds a page to start from, and allows its host.
    ///
    /// # Errors
    ///
    /// [`UrlError`] when `url` is no `http` or `https` address.
    pub fn seed(mut self, url: impl AsRef<str>) -> Result<Self, UrlError> {
        self.seeds.push(url.as_ref().parse()?);
        Ok(self)
    }

    /// At most this many fetches at a time, from one to a million. The default is 64.
    #[must_use]
    pub fn concurrency(mut self, fetches: usize) -> Self {
        self.concurrency = fetches.clamp(1, 1_000_000);
        self
    }

    /// Fetches no page beyond this number. Failures and redirects count. No limit by default.
    #[must_use]
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.max_pages = pages;
        self
    }

    /// Follows no link from a page this many links away from its seed: 0 fetches the seeds only.
    /// No limit by default.
    #[must_use]
    pub fn max_depth(mut self, links: u32) -> Self {
        self.max_depth = links;
        self
    }

    /// Gives up on a body larger than this number of bytes. The default is 64 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Time for one page, from connecting to the last byte. The default is 30 seconds.
    #[must_use]
    pub fn timeout(mut self, per_page: Duration) -> Self {
        self.timeout = per_page;
        self
    }

    /// The `User-Agent` header. The default is [`USER_AGENT`].
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Uses this frontier in place of a [`MemoryFrontier`]. What it holds already is crawled
    /// too, as far as it lies on the hosts of the seeds.
    #[must_use]
    pub fn frontier(mut self, frontier: Box<dyn Frontier>) -> Self {
        self.frontier = Some(frontier);
        self
    }

    /// Makes the crawl. It starts at the first [`Crawl::next`].
    ///
    /// # Errors
    ///
    /// The HTTP client's error when it cannot be set up, for instance because the user agent is
    /// no valid header value.
    pub fn build(self) -> Result<Crawl, http::Error> {
        let client = Client::builder()
            .user_agent(&self.user_agent)
            .timeout(self.timeout)
            // A connection for every fetch stays open between two pages.
            .pool_max_idle(self.concurrency)
            // A redirect is a page of its own here: it has a record and counts once.
            .redirect(http::Policy::none())
            .build()?;
        // One page more than can be fetched is remembered, to know that the limit was reached.
        let limit = self.max_pages.saturating_add(1);
        let mut frontier = self
            .frontier
            .unwrap_or_else(|| Box::new(MemoryFrontier::with_limit(limit)));
        let mut scope = HostScope::new();
        for seed in self.seeds {
            scope.allow(&seed.to_url());
            // A seed named twice is one page, and one beyond the limit is none.
            let (Offer::Queued | Offer::Known | Offer::Full) = frontier.offer(Job::seed(seed));
        }
        let fetcher = Arc::new(Fetcher::new(client, scope, self.max_body));
        Ok(Crawl::new(
            fetcher,
            frontier,
            self.concurrency,
            self.max_pages,
            self.max_depth,
        ))
    }
}
