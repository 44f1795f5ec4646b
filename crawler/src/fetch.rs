//! One page: request, body, links, record. Whatever happens, a record comes out.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use heist::CancelToken;
use heist::net::http::Response;
use heist::time::Instant;
use http::{HeaderMap, StatusCode};
use url::Url;

use crate::budget::ByteBudget;
use crate::frontier::{Recent, Seen};
use crate::hosts::Outcome;
use crate::links::directives;
use crate::scope::Scope;
use crate::sitemap::SitemapReader;
use crate::store::{Link, Store};
use crate::wire::Wire;
use crate::{Failure, FailureKind, Job, LinkExtractor, Links, Page, PageUrl, Record};

/// Redirects followed in a row; RFC 9110 leaves the number open, browsers stop at 20.
const MAX_REDIRECTS: u8 = 10;

/// What a page is best sent as.
const ACCEPT: &str = "text/html,application/xhtml+xml,*/*;q=0.5";

pub(crate) type PageHandler = Box<dyn Fn(&Page) + Send + Sync>;
pub(crate) type LinkHandler = Box<dyn Fn(Link<'_>) -> bool + Send + Sync>;

/// What every fetch of a crawl shares.
pub(crate) struct Fetcher {
    pub(crate) wire: Wire,
    pub(crate) scope: Scope,
    pub(crate) max_body: u64,
    pub(crate) budget: Arc<ByteBudget>,
    /// Cancelled when it is spent.
    pub(crate) spent: CancelToken,
    pub(crate) stores: Vec<Arc<dyn Store>>,
    pub(crate) on_page: Vec<PageHandler>,
    pub(crate) on_link: Vec<LinkHandler>,
    /// Hashes of the pages so far, when pages that equal another are told apart.
    pub(crate) contents: Option<Contents>,
    pub(crate) sitemaps: bool,
    /// Pages that are not to be reported again, if that is of no use.
    pub(crate) recent: Option<Recent>,
}

/// The pages that a crawl has seen, by a keyed hash: whoever makes pages cannot make them collide.
#[derive(Debug)]
pub(crate) struct Contents {
    key: RandomState,
    seen: Mutex<Seen>,
}

impl Contents {
    pub(crate) fn new() -> Self {
        Self {
            key: RandomState::new(),
            seen: Mutex::new(Seen::new()),
        }
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// A page fetched, or failed: its record, and where to go from there.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) record: Record,
    /// Those that the crawl follows.
    pub(crate) links: Vec<PageUrl>,
    pub(crate) links_complete: bool,
    /// The target of a redirect, also limited.
    pub(crate) redirect: Option<PageUrl>,
    pub(crate) outcome: Outcome,
    /// Whether its content is that of a page before.
    pub(crate) duplicate: bool,
    /// Whether it is a sitemap, whose links are as deep as itself.
    pub(crate) sitemap: bool,
    /// Why the result of the crawl has a hole.
    pub(crate) fault: Option<io::Error>,
}

/// What a fetch gathers besides the record.
#[derive(Default)]
struct Draft {
    headers: HeaderMap,
    body: BytesMut,
    links: Links,
    redirect: Option<PageUrl>,
    server: Option<std::net::SocketAddr>,
    busy: bool,
    retry_after: Option<Duration>,
    nofollow: bool,
    noindex: bool,
    hash: Option<u64>,
    sitemap: bool,
}

/// What reads a page for its links.
enum Reader {
    Html(LinkExtractor),
    Sitemap(SitemapReader),
    Nothing,
}

fn out_of_bytes() -> Failure {
    let message = "the crawl has received all the bytes that it may";
    Failure::new(FailureKind::Limit, message)
}

impl Fetcher {
    /// Fetches a page. Dropping the future gives the page up; nothing else is affected. Unless it is the `last`
    /// attempt, a server that is busy is no result: nobody is told.
    pub(crate) async fn fetch(&self, job: &Job, last: bool) -> Fetched {
        let (started, at) = (Instant::now(), SystemTime::now());
        let mut record = blank_record(job);
        let mut draft = Draft::default();
        draft.links.complete = true;
        let attempted = heist::select! {
            biased;
            outcome = self.attempt(job, &mut record, &mut draft) => outcome,
            () = self.spent.cancelled() => Err(out_of_bytes()),
        };
        if let Err(failure) = attempted {
            record.error = Some(failure);
        }
        record.elapsed_ms = milliseconds(started.elapsed());
        let outcome = outcome(&record, &draft);
        let mut fetched = Fetched {
            record,
            links: Vec::new(),
            links_complete: draft.links.complete,
            redirect: draft.redirect.take(),
            outcome,
            duplicate: false,
            sitemap: draft.sitemap,
            fault: None,
        };
        if matches!(outcome, Outcome::Busy(_)) && !last {
            return fetched;
        }
        fetched.duplicate = self.is_duplicate(draft.hash);
        if !fetched.duplicate && !draft.nofollow {
            // Whoever sees the page sees all of its links.
            let links = if self.shows_pages() {
                draft.links.urls.clone()
            } else {
                std::mem::take(&mut draft.links.urls)
            };
            fetched.links = self.choose(job, links);
        }
        self.tell(job, &mut fetched, draft, at).await;
        fetched
    }

    async fn attempt(
        &self,
        job: &Job,
        record: &mut Record,
        draft: &mut Draft,
    ) -> Result<(), Failure> {
        let url = job.url.to_url();
        let mut response = self.wire.get(job.url.as_str(), Some(ACCEPT)).await?;
        let status = response.status();
        record.status = Some(status.as_u16());
        draft.server = response.remote_addr();
        self.read_head(&response, draft);

        let verdict = if status.is_success() {
            Ok(())
        } else {
            self.follow(job, &url, &response, record, draft)
        };
        let reader = match header(&response, "content-type") {
            content_type if status.is_success() => {
                self.reader(job, &url, content_type.unwrap_or_default())
            }
            _ => Reader::Nothing,
        };
        // The body is read to its end even when nobody wants it: the connection is worth keeping.
        self.read(&mut response, reader, record, draft).await?;
        verdict
    }

    fn reader(&self, job: &Job, url: &Url, content_type: &str) -> Reader {
        if let Some(links) = LinkExtractor::for_page(url, content_type) {
            return Reader::Html(links);
        }
        let sitemap = self
            .sitemaps
            .then(|| SitemapReader::for_page(&job.url, content_type));
        sitemap.flatten().map_or(Reader::Nothing, Reader::Sitemap)
    }

    /// What the head says to a crawler.
    fn read_head(&self, response: &Response, draft: &mut Draft) {
        if matches!(response.status().as_u16(), 429 | 503) {
            draft.busy = true;
            draft.retry_after = header(response, "retry-after").and_then(retry_after);
        }
        if let Some(list) = header(response, "x-robots-tag") {
            // A directive may be meant for one crawler only: `name: nofollow`. Those are for others.
            (draft.nofollow, draft.noindex) = directives(list);
        }
        if self.shows_pages() {
            draft.headers = response.headers().clone();
        }
    }

    /// Decides what a status other than success means.
    fn follow(
        &self,
        job: &Job,
        url: &Url,
        response: &Response,
        record: &mut Record,
        draft: &mut Draft,
    ) -> Result<(), Failure> {
        let status = response.status();
        let moved = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = header(response, "location").filter(|_| moved) else {
            return Err(Failure::new(FailureKind::Status, describe(status)));
        };
        let target = url
            .join(location)
            .ok()
            .and_then(|target| PageUrl::new(target).ok());
        let Some(target) = target else {
            let message = format!(
                "{} to `{location}`, which is no web address",
                describe(status)
            );
            return Err(Failure::new(FailureKind::Redirect, message));
        };
        record.redirect = Some(target.to_string());
        if job.redirects >= MAX_REDIRECTS {
            let message = format!("more than {MAX_REDIRECTS} redirects in a row");
            return Err(Failure::new(FailureKind::Redirect, message));
        }
        draft.redirect = self.scope.allows(&target).then_some(target);
        Ok(())
    }

    async fn read(
        &self,
        response: &mut Response,
        mut reader: Reader,
        record: &mut Record,
        draft: &mut Draft,
    ) -> Result<(), Failure> {
        let keep = !self.on_page.is_empty() || self.stores.iter().any(|store| store.wants_bodies());
        let mut hasher = self
            .contents
            .as_ref()
            .map(|contents| contents.key.build_hasher());
        // A page may come compressed. Its record counts what was sent; the limit holds for what it is, too.
        let mut decoded = 0;
        let outcome = loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(body_failure(&error)),
            };
            decoded += chunk.len() as u64;
            if let Err(failure) = self.count(response.received_bytes(), record).await {
                break Err(failure);
            }
            if decoded.max(record.content_length) > self.max_body {
                let message = format!("the body is larger than {} bytes", self.max_body);
                break Err(Failure::new(FailureKind::TooLarge, message));
            }
            match &mut reader {
                Reader::Html(links) => links.feed(&chunk),
                Reader::Sitemap(sitemap) => sitemap.feed(&chunk),
                Reader::Nothing => {}
            }
            if let Some(hasher) = &mut hasher {
                hasher.write(&chunk);
            }
            if keep {
                draft.body.extend_from_slice(&chunk);
            }
        };
        // The links of a page that broke off lead to pages all the same.
        match reader {
            Reader::Html(links) => {
                draft.links = links.finish();
                draft.noindex |= draft.links.noindex;
                draft.hash = hasher
                    .filter(|_| outcome.is_ok())
                    .map(|hasher| hasher.finish());
            }
            Reader::Sitemap(sitemap) => {
                draft.links.urls = sitemap.finish();
                draft.sitemap = true;
            }
            Reader::Nothing => {}
        }
        outcome
    }

    /// Counts what has arrived, as far as the crawl may have it.
    async fn count(&self, received: u64, record: &mut Record) -> Result<(), Failure> {
        let more = received.saturating_sub(record.content_length);
        let granted = self.budget.draw(more).await;
        record.content_length += granted;
        if granted < more {
            return Err(out_of_bytes());
        }
        Ok(())
    }

    fn is_duplicate(&self, hash: Option<u64>) -> bool {
        let (Some(contents), Some(hash)) = (&self.contents, hash) else {
            return false;
        };
        !contents
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hash)
    }

    /// The links that are followed, as far as the frontier may not know them, after every handler has seen every link.
    fn choose(&self, job: &Job, mut links: Vec<PageUrl>) -> Vec<PageUrl> {
        links.retain(|to| {
            let known = self.recent.as_ref().is_some_and(|recent| recent.has(to));
            if known && self.on_link.is_empty() {
                return false;
            }
            let in_scope = self.scope.allows(to);
            let link = Link {
                from: &job.url,
                to,
                depth: job.depth.saturating_add(1),
                in_scope,
            };
            let mut wanted = in_scope;
            for handler in &self.on_link {
                wanted &= handler(link);
            }
            wanted && !known
        });
        links
    }

    fn shows_pages(&self) -> bool {
        !self.stores.is_empty() || !self.on_page.is_empty()
    }

    /// Shows the page to whoever wants to see it.
    async fn tell(&self, job: &Job, fetched: &mut Fetched, draft: Draft, at: SystemTime) {
        if !self.shows_pages() {
            return;
        }
        let page = Page {
            url: job.url.clone(),
            record: fetched.record.clone(),
            headers: draft.headers,
            body: Bytes::from(draft.body),
            links: draft.links.urls,
            canonical: draft.links.canonical,
            noindex: draft.noindex,
            at,
            server: draft.server,
        };
        for handler in &self.on_page {
            handler(&page);
        }
        for store in &self.stores {
            if let Err(error) = store.store(&page).await {
                fetched.fault = Some(error);
                return;
            }
        }
    }
}

/// What the fate of the page says about its host.
fn outcome(record: &Record, draft: &Draft) -> Outcome {
    if draft.busy {
        return Outcome::Busy(draft.retry_after);
    }
    match record.error.as_ref().map(Failure::kind) {
        None | Some(FailureKind::Redirect | FailureKind::TooLarge | FailureKind::Request) => {
            Outcome::Fine
        }
        Some(FailureKind::Status) if record.status.is_some_and(|status| status < 500) => {
            Outcome::Fine
        }
        Some(FailureKind::Limit | FailureKind::Cancelled | FailureKind::Robots) => {
            Outcome::Abandoned
        }
        Some(_) => Outcome::Failed,
    }
}

/// The value of `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Whatever goes wrong after the head has arrived is the body's failure, or a lack of time.
fn body_failure(error: &heist::net::http::Error) -> Failure {
    let failure = Failure::from(error);
    match failure.kind() {
        FailureKind::Timeout => failure,
        _ if error.is_limit() => Failure::new(FailureKind::TooLarge, failure.message()),
        _ => Failure::new(FailureKind::Body, failure.message()),
    }
}

/// A record of `job` that says nothing yet.
pub(crate) fn blank_record(job: &Job) -> Record {
    Record {
        url: job.url.to_string(),
        status: None,
        content_length: 0,
        elapsed_ms: 0.0,
        error: None,
        depth: job.depth,
        referrer: job.referrer.as_deref().map(str::to_owned),
        redirect: None,
    }
}

/// Milliseconds with microsecond digits: more would be noise in every line of the output.
pub(crate) fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_micros() as f64 / 1000.0
}

/// A header as text. Read from the head as it arrived: making a map of all headers for the sake
/// of one would cost more than the rest of the parsing.
pub(crate) fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    std::str::from_utf8(response.header(name)?).ok()
}

pub(crate) fn describe(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}
