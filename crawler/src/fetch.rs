//! One page: request, body, links, record. Whatever happens, a record comes out.

use std::time::Duration;

use heist::net::http::{Client, Response};
use heist::time::Instant;
use http::StatusCode;
use url::Url;

use crate::{Failure, FailureKind, HostScope, Job, LinkExtractor, Links, PageUrl, Record};

/// Redirects followed in a row; RFC 9110 leaves the number open, browsers stop at 20.
const MAX_REDIRECTS: u8 = 10;

/// What every fetch of a crawl shares.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    scope: HostScope,
    max_body: u64,
}

/// A page fetched, or failed: its record, and where to go from there.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) record: Record,
    /// Already limited to the hosts of the crawl.
    pub(crate) links: Links,
    /// The target of a redirect, also limited.
    pub(crate) redirect: Option<PageUrl>,
}

impl Fetcher {
    pub(crate) fn new(client: Client, scope: HostScope, max_body: u64) -> Self {
        Self {
            client,
            scope,
            max_body,
        }
    }

    /// Fetches a page. Dropping the future gives the page up; nothing else is affected.
    pub(crate) async fn fetch(&self, job: &Job) -> Fetched {
        let started = Instant::now();
        let mut fetched = Fetched {
            record: blank_record(job),
            links: Links {
                urls: Vec::new(),
                complete: true,
            },
            redirect: None,
        };
        if let Err(failure) = self.attempt(job, &mut fetched).await {
            fetched.record.error = Some(failure);
        }
        fetched.record.elapsed_ms = milliseconds(started.elapsed());
        fetched
    }

    async fn attempt(&self, job: &Job, fetched: &mut Fetched) -> Result<(), Failure> {
        let url = job.url.to_url();
        let mut response = self
            .client
            .get(job.url.as_str())
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.5")
            .send()
            .await
            .map_err(|error| Failure::from(&error))?;
        let status = response.status();
        fetched.record.status = Some(status.as_u16());

        let verdict = if status.is_success() {
            Ok(())
        } else {
            self.follow(job, &url, &response, fetched)
        };
        let extractor = verdict
            .is_ok()
            .then(|| header(&response, "content-type"))
            .flatten()
            .filter(|_| status.is_success())
            .and_then(|content_type| LinkExtractor::for_page(&url, content_type));
        // The body is read to its end even when nobody wants it: the connection is worth keeping.
        self.read(&mut response, extractor, fetched).await?;
        verdict
    }

    /// Decides what a status other than success means.
    fn follow(
        &self,
        job: &Job,
        url: &Url,
        response: &Response,
        fetched: &mut Fetched,
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
        fetched.record.redirect = Some(target.to_string());
        if job.redirects >= MAX_REDIRECTS {
            let message = format!("more than {MAX_REDIRECTS} redirects in a row");
            return Err(Failure::new(FailureKind::Redirect, message));
        }
        fetched.redirect = self.scope.allows(&target.to_url()).then_some(target);
        Ok(())
    }

    async fn read(
        &self,
        response: &mut Response,
        mut extractor: Option<LinkExtractor>,
        fetched: &mut Fetched,
    ) -> Result<(), Failure> {
        // A page may come compressed. Its record counts what was sent; the limit holds for what it is, too.
        let mut decoded = 0;
        let outcome = loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(body_failure(&error)),
            };
            decoded += chunk.len() as u64;
            fetched.record.content_length = response.received_bytes();
            if decoded.max(fetched.record.content_length) > self.max_body {
                let message = format!("the body is larger than {} bytes", self.max_body);
                break Err(Failure::new(FailureKind::TooLarge, message));
            }
            if let Some(extractor) = &mut extractor {
                extractor.feed(&chunk);
            }
        };
        // The links of a page that broke off lead to pages all the same.
        if let Some(extractor) = extractor {
            fetched.links = extractor.finish();
            fetched
                .links
                .urls
                .retain(|link| self.scope.allows(&link.to_url()));
        }
        outcome
    }
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
fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    std::str::from_utf8(response.header(name)?).ok()
}

fn describe(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}
