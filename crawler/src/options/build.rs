//! Making a crawl of what it was told.

use std::sync::Arc;
use std::time::Duration;

use heist::net::http::{Client, ClientBuilder, Policy};

use super::CrawlerBuilder;
use crate::budget::ByteBudget;
use crate::crawler::Crawler;
use crate::fetch::{Contents, Fetcher};
use crate::frontier::Recent;
use crate::hosts::Hosts;
use crate::wire::Wire;
use crate::{BuildError, Job, QueueFrontier};

impl CrawlerBuilder {
    /// Makes the crawl. It starts at the first [`Crawler::next`]. A journal is read here, which blocks.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when the HTTP client cannot be set up, for instance because the user agent is no valid header
    /// value, or the journal cannot be used.
    pub fn build(mut self) -> Result<Crawler, BuildError> {
        #[cfg(feature = "redis")]
        let membership = self.membership()?;
        let wire = self.wire()?;
        let mut politeness = self.politeness.clone();
        if self
            .proxies
            .as_ref()
            .is_some_and(|proxies| !proxies.is_empty())
        {
            // The proxy knows the address of a host, and nobody here does.
            politeness = politeness
                .per_address(usize::MAX)
                .address_delay(Duration::ZERO);
        }
        for seed in &self.seeds {
            self.scope.allow_seed(seed);
        }
        let is_shared = self.is_shared();
        let frontier = self
            .frontier
            .unwrap_or_else(|| Box::new(QueueFrontier::new()));
        let budget = if is_shared {
            ByteBudget::part_of(self.bytes)
        } else {
            ByteBudget::new(self.bytes)
        };
        let fetcher = Fetcher {
            wire,
            scope: self.scope,
            max_body: self.max_body,
            budget: Arc::new(budget),
            spent: heist::CancelToken::new(),
            stores: self.stores,
            on_page: self.on_page,
            on_link: self.on_link,
            contents: self.unique_content.then(Contents::new),
            sitemaps: self.limits.sitemaps,
            recent: (!is_shared && !frontier.wants_repeats()).then(Recent::new),
        };
        let hosts = Hosts::new(politeness, self.per_host);
        self.limits.agent = self.user_agent.into();
        let sitemaps = self.limits.sitemaps;
        let mut crawl = Crawler::new(Arc::new(fetcher), frontier, hosts, self.limits);
        #[cfg(feature = "redis")]
        if let Some(membership) = membership {
            crawl.join(membership);
        }
        crawl.adopt();
        if let Some(path) = self.journal {
            crawl
                .resume(&path)
                .map_err(|error| BuildError::journal(path, error))?;
        }
        for seed in self.seeds {
            let map = sitemaps.then(|| format!("{}/sitemap.xml", seed.origin()));
            crawl.offer(Job::seed(seed));
            if let Some(Ok(map)) = map.map(|map| map.parse()) {
                crawl.offer(Job::seed(map));
            }
        }
        Ok(crawl)
    }

    fn is_shared(&self) -> bool {
        #[cfg(feature = "redis")]
        let shared = self.shared.is_some();
        #[cfg(not(feature = "redis"))]
        let shared = false;
        shared
    }

    /// What it takes to share a frontier, if it does. The limits of pages are then not for this crawler alone, so it
    /// does not look at them.
    #[cfg(feature = "redis")]
    fn membership(&mut self) -> Result<Option<crate::shared::Membership>, BuildError> {
        let Some(shared) = self.shared.clone() else {
            return Ok(None);
        };
        if self.journal.is_some() {
            return Err(BuildError::frontier(
                "a crawl that shares its frontier has no journal: the frontier keeps what was found and done",
            ));
        }
        if self.frontier.is_some() {
            return Err(BuildError::frontier(
                "a crawl has one frontier: its own, or one that it shares",
            ));
        }
        let set = |limit: u64| (limit < u64::MAX).then_some(limit);
        let depth = self.limits.depth;
        let limits = [
            set(self.limits.pages),
            set(self.per_host),
            set(self.bytes),
            (depth < u32::MAX).then_some(depth.into()),
        ];
        self.limits.pages = u64::MAX;
        self.per_host = u64::MAX;
        Ok(Some(shared.membership(limits)))
    }

    /// The client, and what is around it.
    fn wire(&mut self) -> Result<Wire, BuildError> {
        let wire = Wire::new(self.make_client()?);
        #[cfg(feature = "tower")]
        let wire = wire.layered(std::mem::take(&mut self.layers));
        Ok(wire)
    }

    fn make_client(&mut self) -> Result<Client, BuildError> {
        let client = self.client.take();
        let mut client = client
            .unwrap_or_else(Client::builder)
            .user_agent(&self.user_agent)
            .default_headers(self.headers.clone())
            .timeout(self.timeout)
            // A connection for every fetch stays open between two pages.
            .pool_max_idle(self.limits.concurrency)
            // A redirect is a page of its own here: it has a record and counts once.
            .redirect(Policy::none());
        if self.public_only {
            client = client.block_private_addresses(true);
        }
        if !self.compression {
            client = uncompressed(client);
        }
        if let Some(jar) = &self.cookies {
            client = client.cookie_provider(Arc::clone(jar));
        }
        if let Some(proxies) = &self.proxies {
            client = proxies
                .iter()
                .cloned()
                .fold(client.no_proxy(), ClientBuilder::proxy);
        }
        client.build().map_err(BuildError::client)
    }
}

fn uncompressed(client: ClientBuilder) -> ClientBuilder {
    client.no_gzip().no_brotli().no_zstd().no_deflate()
}
