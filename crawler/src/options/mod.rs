//! What a crawl is told before it starts; `build` makes it.

mod build;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use heist::net::http::cookie::Jar;
use heist::net::http::{ClientBuilder, Proxy};
#[cfg(feature = "tower")]
use heist::net::http::{Request, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use regex::Regex;

use crate::crawler::Limits;
use crate::fetch::{LinkHandler, PageHandler};
use crate::scope::Scope;
#[cfg(feature = "redis")]
use crate::shared::RedisFrontier;
#[cfg(feature = "tower")]
use crate::wire::{BoxError, FetchService};
use crate::{Frontier, Link, Page, PageUrl, Politeness, Reach, Store, UrlError};

/// How a crawler introduces itself unless told otherwise.
pub const USER_AGENT: &str = concat!(
    "heist-crawl/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);

/// Sets up a [`Crawler`](crate::Crawler).
///
/// ```no_run
/// use std::time::Duration;
/// use heist_crawler::{Crawler, Politeness};
///
/// let crawl = Crawler::builder()
///     .seed("https://example.org/docs/")?
///     .include(r"/docs/")?
///     .concurrency(16)
///     .max_pages(500)
///     .max_depth(4)
///     .timeout(Duration::from_secs(10))
///     .politeness(Politeness::new().delay(Duration::from_millis(250)))
///     .on_page(|page| println!("{} has {} links", page.url, page.links.len()))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "settings do nothing until the crawl is built"]
pub struct CrawlerBuilder {
    seeds: Vec<PageUrl>,
    scope: Scope,
    limits: Limits,
    per_host: u64,
    bytes: u64,
    max_body: u64,
    timeout: Duration,
    client: Option<ClientBuilder>,
    user_agent: String,
    headers: HeaderMap,
    cookies: Option<Arc<Jar>>,
    proxies: Option<Vec<Proxy>>,
    public_only: bool,
    compression: bool,
    unique_content: bool,
    politeness: Politeness,
    journal: Option<PathBuf>,
    frontier: Option<Box<dyn Frontier>>,
    #[cfg(feature = "redis")]
    shared: Option<RedisFrontier>,
    stores: Vec<Arc<dyn Store>>,
    on_page: Vec<PageHandler>,
    on_link: Vec<LinkHandler>,
    #[cfg(feature = "tower")]
    layers: Vec<crate::wire::Wrap>,
}

impl CrawlerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            seeds: Vec::new(),
            scope: Scope::default(),
            limits: Limits {
                concurrency: 64,
                pages: u64::MAX,
                depth: u32::MAX,
                time: None,
                retries: 2,
                agent: "".into(),
                sitemaps: false,
            },
            per_host: u64::MAX,
            bytes: u64::MAX,
            max_body: 64 << 20,
            timeout: Duration::from_secs(30),
            client: None,
            user_agent: USER_AGENT.to_owned(),
            headers: HeaderMap::new(),
            cookies: None,
            proxies: None,
            public_only: false,
            compression: true,
            unique_content: false,
            politeness: Politeness::new(),
            journal: None,
            frontier: None,
            #[cfg(feature = "redis")]
            shared: None,
            stores: Vec::new(),
            on_page: Vec::new(),
            on_link: Vec::new(),
            #[cfg(feature = "tower")]
            layers: Vec::new(),
        }
    }

    /// Adds a page to start from, and allows its host. It is fetched whatever the patterns are.
    ///
    /// # Errors
    ///
    /// [`UrlError`] when `url` is no `http` or `https` address.
    pub fn seed(mut self, url: impl AsRef<str>) -> Result<Self, UrlError> {
        self.seeds.push(url.as_ref().parse()?);
        Ok(self)
    }

    /// How far the crawl goes from its seeds. The default is [`Reach::Host`].
    pub fn reach(mut self, reach: Reach) -> Self {
        self.scope.reach = reach;
        self
    }

    /// Follows links only to addresses that this regular expression, or another one named in this way, finds a match
    /// in. Without any, all are followed.
    ///
    /// # Errors
    ///
    /// When it is no regular expression.
    pub fn include(mut self, pattern: &str) -> Result<Self, regex::Error> {
        self.scope.include.push(Regex::new(pattern)?);
        Ok(self)
    }

    /// Follows no links to addresses that this regular expression finds a match in.
    ///
    /// # Errors
    ///
    /// When it is no regular expression.
    pub fn exclude(mut self, pattern: &str) -> Result<Self, regex::Error> {
        self.scope.exclude.push(Regex::new(pattern)?);
        Ok(self)
    }

    /// At most this many fetches at a time, from one to a million. The default is 64.
    pub fn concurrency(mut self, fetches: usize) -> Self {
        self.limits.concurrency = fetches.clamp(1, 1_000_000);
        self
    }

    /// Fetches no page beyond this number. Failures and redirects count; `robots.txt` files, pages that those
    /// disallow, and second tries of a page do not. No limit by default.
    pub fn max_pages(mut self, pages: u64) -> Self {
        self.limits.pages = pages;
        self
    }

    /// Fetches no page beyond this number from any one host. No limit by default.
    pub fn max_pages_per_host(mut self, pages: u64) -> Self {
        self.per_host = pages;
        self
    }

    /// Follows no link from a page this many links away from its seed: 0 fetches the seeds only.
    /// No limit by default. With one, the crawl goes level by level, so that it finds every page within reach.
    pub fn max_depth(mut self, links: u32) -> Self {
        self.limits.depth = links;
        self
    }

    /// Ends the crawl when so many bytes of bodies, as they were sent, have been taken in, in the middle of a page if
    /// need be: the sum over all records is never more. No limit by default.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Ends the crawl after this time. What is in flight then is cancelled. No limit by default.
    pub fn max_time(mut self, time: Duration) -> Self {
        self.limits.time = Some(time);
        self
    }

    /// Gives up on a body larger than this number of bytes. The default is 64 MiB.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }

    /// Time for one page, from connecting to the last byte. The default is 30 seconds.
    pub fn timeout(mut self, per_page: Duration) -> Self {
        self.timeout = per_page;
        self
    }

    /// How often a page is asked for again whose server is busy (429 or 503), after the time that it asks for or a
    /// growing one. The default is twice.
    pub fn retries(mut self, times: u32) -> Self {
        self.limits.retries = times;
        self
    }

    /// How considerate the crawl is. The default is that of [`Politeness`].
    pub fn politeness(mut self, politeness: Politeness) -> Self {
        self.politeness = politeness;
        self
    }

    /// The `User-Agent` header, and with its first word the name that is looked for in `robots.txt`. The default is
    /// [`USER_AGENT`].
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// A header of every request, also to other hosts than those of the seeds if the crawl goes there. Named twice,
    /// the last one counts.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The value of the `Authorization` header of every request, such as `Basic dTpw`. It goes to every host of the
    /// crawl: use it with [`Reach::Host`] and seeds on one host.
    pub fn authorization(self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.header(AUTHORIZATION, value)
    }

    /// Keeps the cookies of responses in `jar`, and sends those that are in it. By default there are none.
    pub fn cookies(mut self, jar: Arc<Jar>) -> Self {
        self.cookies = Some(jar);
        self
    }

    /// What pages are asked for with: certificates to trust, time-outs of the parts of a request, limits of connections, and
    /// whatever else there is to say to a client. What is said here to the crawl comes on top of it, and redirects are
    /// pages of their own whatever it says.
    pub fn client(mut self, client: ClientBuilder) -> Self {
        self.client = Some(client);
        self
    }

    /// Adds a proxy. By default, those of the environment are used.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxies.get_or_insert_default().push(proxy);
        self
    }

    /// Uses no proxy, not even one of the environment.
    pub fn no_proxy(mut self) -> Self {
        self.proxies = Some(Vec::new());
        self
    }

    /// Refuses to connect to addresses of this machine and of private networks, whatever name or redirect leads
    /// there. For crawls whose seeds or links come from strangers. The default is false.
    pub fn block_private_addresses(mut self, block: bool) -> Self {
        self.public_only = block;
        self
    }

    /// Whether pages may be sent compressed. The default is true.
    pub fn compression(mut self, allow: bool) -> Self {
        self.compression = allow;
        self
    }

    /// Follows no links of a page whose content, byte by byte, is that of a page before. That ends many traps, and
    /// misses the pages that two equal pages in different folders link to by relative addresses. The default is false.
    pub fn unique_content(mut self, unique: bool) -> Self {
        self.unique_content = unique;
        self
    }

    /// Whether sitemaps are read: those that `robots.txt` files name where those are followed, and `/sitemap.xml` of
    /// the hosts of the seeds. A sitemap is a page like others, with a record; what it names is as deep as itself.
    /// The default is false.
    pub fn sitemaps(mut self, read: bool) -> Self {
        self.limits.sitemaps = read;
        self
    }

    /// Notes in this file what was found and done. If it exists, the crawl goes on from there.
    ///
    /// After whatever ended a crawl, kill -9 included, nothing is lost, and nothing is fetched twice but what was in
    /// flight. Pages, hosts and limits of pages count over all runs; time and bytes count anew.
    pub fn journal(mut self, path: impl Into<PathBuf>) -> Self {
        self.journal = Some(path.into());
        self
    }

    /// Uses this frontier in place of a [`QueueFrontier`](crate::QueueFrontier). What it holds already is crawled too.
    pub fn frontier(mut self, frontier: Box<dyn Frontier>) -> Self {
        self.frontier = Some(frontier);
        self
    }

    /// Shares the frontier with other crawlers, on other machines: what was found, who asks which host, and the limits
    /// of pages, bytes and depth. All of them should be given the same seeds, limits and scope.
    ///
    /// It takes the place of a [`frontier`](Self::frontier) and of a [`journal`](Self::journal): when all crawlers have
    /// ended, the next one goes on. A page is done when [`Crawler::next`](crate::Crawler::next) is called after its record was handed out, or
    /// the crawl has ended; if the process dies before, another crawler fetches the page, and its store has it once more.
    #[cfg(feature = "redis")]
    pub fn shared(mut self, frontier: RedisFrontier) -> Self {
        self.shared = Some(frontier);
        self
    }

    /// Gives every page to a store, behind those that were added before.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.stores.push(store);
        self
    }

    /// Calls a function for every page, failed ones included, before its record is handed out. It runs in the task
    /// that fetched the page, beside those of other pages; what takes long, or waits, is better a [`Store`].
    pub fn on_page(mut self, handler: impl Fn(&Page) + Send + Sync + 'static) -> Self {
        self.on_page.push(Box::new(handler));
        self
    }

    /// Calls a function for every link of every page, those that are not followed included. A link is followed if it
    /// is in the scope of the crawl and every such function says true.
    pub fn on_link(mut self, handler: impl Fn(Link<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.on_link.push(Box::new(handler));
        self
    }

    /// Puts a layer of tower's around the client, within those that were added before. Requests for pages and for
    /// `robots.txt` go through all of them, after politeness has let them go, and what a layer fails with is the failure
    /// of its page. What a layer waits counts as time of the page only in the record; layers that need the timers or
    /// tasks of tokio need its runtime.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use heist::net::http::Request;
    /// use heist_crawler::Crawler;
    /// use tower::limit::ConcurrencyLimitLayer;
    /// use tower::util::MapRequestLayer;
    ///
    /// let sign = MapRequestLayer::new(|mut request: Request| {
    ///     request.headers_mut().insert("x-signature", http::HeaderValue::from_static("..."));
    ///     request
    /// });
    /// let builder = Crawler::builder().layer(sign).layer(ConcurrencyLimitLayer::new(8));
    /// # let _ = builder;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tower")]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: tower::Layer<FetchService> + Send + 'static,
        L::Service: tower::Service<Request, Response = Response> + Clone + Send + Sync + 'static,
        <L::Service as tower::Service<Request>>::Error: Into<BoxError>,
        <L::Service as tower::Service<Request>>::Future: Send + 'static,
    {
        self.layers.push(crate::wire::wrap(layer));
        self
    }
}

impl fmt::Debug for CrawlerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets.
        f.debug_struct("CrawlerBuilder")
            .field("seeds", &self.seeds)
            .field("scope", &self.scope)
            .field("limits", &self.limits)
            .field("politeness", &self.politeness)
            .field("journal", &self.journal)
            .field("stores", &self.stores)
            .finish_non_exhaustive()
    }
}
