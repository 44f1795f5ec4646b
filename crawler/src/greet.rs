//! The first things that a crawl asks about a host: its address, and its `robots.txt`.

use std::net::IpAddr;
use std::time::Duration;

use heist::net::http::Response;
use heist::net::lookup_host;
use heist::time::sleep;
use url::Url;

use crate::fetch::{describe, header, retry_after};
use crate::hosts::{Outcome, Rules};
use crate::robots::MAX_ROBOTS;
use crate::wire::Wire;
use crate::{Failure, FailureKind, PageUrl, Robots};

/// Redirects of a `robots.txt` that are followed (RFC 9309, section 2.3.1.2).
const MAX_REDIRECTS: usize = 5;

/// Tries of a `robots.txt` that gets no answer: it stands for all pages of its host.
const TRIES: usize = 3;

/// Time between two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// The address that a host has first, if it has one. What has none fails when it is fetched from, and says why.
pub(crate) async fn locate(origin: &str) -> Option<IpAddr> {
    let url = Url::parse(origin).ok()?;
    let port = url.port_or_known_default()?;
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(name) => {
            let mut found = lookup_host((name, port)).await.ok()?;
            found.next().map(|address| address.ip())
        }
    }
}

/// What a host allows to `agent`, and how the last request for it ended.
pub(crate) async fn rules(wire: &Wire, origin: &str, agent: &str) -> (Rules, Outcome) {
    let mut tries = 0;
    loop {
        tries += 1;
        match robots(wire, origin, agent).await {
            Ok(answer) => return answer,
            Err(failure) if tries == TRIES => {
                let message = format!("robots.txt: {}", failure.message());
                let failure = Failure::new(failure.kind(), message);
                return (
                    rules_of(Robots::disallow_all(), Some(failure)),
                    Outcome::Failed,
                );
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

fn rules_of(robots: Robots, failure: Option<Failure>) -> Rules {
    Rules { robots, failure }
}

/// Fetches a `robots.txt`, and says what its absence means.
async fn robots(wire: &Wire, origin: &str, agent: &str) -> Result<(Rules, Outcome), Failure> {
    let mut url = format!("{origin}/robots.txt");
    for _ in 0..=MAX_REDIRECTS {
        let mut response = wire.get(&url, None).await?;
        let status = response.status();
        let busy = matches!(status.as_u16(), 429 | 503);
        let pause = header(&response, "retry-after").and_then(retry_after);
        let outcome = if busy {
            Outcome::Busy(pause)
        } else {
            Outcome::Fine
        };
        if status.is_success() {
            let file = read(&mut response).await?;
            return Ok((rules_of(Robots::parse(&file, agent), None), outcome));
        }
        if status.is_server_error() {
            // The server is out of order, so what it allows is not known (section 2.3.1.4).
            let message = format!(
                "robots.txt: {}, so nothing may be fetched",
                describe(status)
            );
            let failure = Failure::new(FailureKind::Robots, message);
            let outcome = if busy { outcome } else { Outcome::Failed };
            return Ok((rules_of(Robots::disallow_all(), Some(failure)), outcome));
        }
        let target = status
            .is_redirection()
            .then(|| target(&response, &url))
            .flatten();
        match target {
            Some(target) => url = target,
            // There is none (section 2.3.1.3).
            None => return Ok((rules_of(Robots::allow_all(), None), outcome)),
        }
    }
    // Too many redirects count as none.
    Ok((rules_of(Robots::allow_all(), None), Outcome::Fine))
}

fn target(response: &Response, from: &str) -> Option<String> {
    let location = header(response, "location")?;
    let target = Url::parse(from).ok()?.join(location).ok()?;
    Some(PageUrl::new(target).ok()?.to_string())
}

/// The body, as far as it is read.
async fn read(response: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut file = Vec::new();
    while file.len() < MAX_ROBOTS {
        match response.chunk().await {
            Ok(Some(chunk)) => file.extend_from_slice(&chunk),
            Ok(None) => break,
            // A file larger than any page may be is still one.
            Err(error) if error.is_limit() => break,
            Err(error) => return Err(Failure::from(&error)),
        }
    }
    Ok(file)
}
