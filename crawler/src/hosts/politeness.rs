//! What a host may be asked, and how often.

use std::time::Duration;

use url::{Host, Url};

/// Longest wait that a server can bring about, with `Retry-After` or by saying "busy" again and again.
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(600);

/// The first wait after a server has said that it is busy.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// How considerate a crawl is.
///
/// What is not said has two defaults. Servers of others get the polite one. Servers on loopback, which are on the
/// machine of whoever runs the crawl and nobody else's, get none: no delay, as many connections as the crawl has
/// fetches, and their `robots.txt` is not asked for. Naming a value makes it hold for both.
///
/// ```
/// use std::time::Duration;
/// use heist_crawler::Politeness;
///
/// let gentle = Politeness::new().delay(Duration::from_secs(5)).per_address(1);
/// # let _ = gentle;
/// ```
#[derive(Debug, Clone)]
pub struct Politeness {
    delay: Option<Duration>,
    per_host: Option<usize>,
    per_address: Option<usize>,
    address_delay: Duration,
    robots: Option<bool>,
    pub(super) most_crawl_delay: Duration,
    pub(super) error_budget: u32,
}

/// The rules for one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manners {
    pub(super) delay: Duration,
    pub(super) per_host: usize,
    pub(super) per_address: usize,
    pub(super) address_delay: Duration,
    pub(super) robots: bool,
}

impl Politeness {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            delay: None,
            per_host: None,
            per_address: None,
            address_delay: Duration::ZERO,
            robots: None,
            most_crawl_delay: Duration::from_secs(60),
            error_budget: 25,
        }
    }

    /// The time from the end of a response to the next request to the same host (scheme, name and port). With
    /// such a time there is one request at a time. Default: one second, and none on loopback.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// The most requests to one host at a time, where there is no delay. Default: 2, and no limit on loopback.
    #[must_use]
    pub fn per_host(mut self, requests: usize) -> Self {
        self.per_host = Some(requests.max(1));
        self
    }

    /// The most requests at a time to one IP address, whatever the names of the hosts there. Default: 8, and no
    /// limit on loopback. Without effect where a proxy is asked, as it is the proxy that knows the address.
    #[must_use]
    pub fn per_address(mut self, requests: usize) -> Self {
        self.per_address = Some(requests.max(1));
        self
    }

    /// The time from the end of a response to the next request to the same IP address. With such
    /// a time there is one request at a time. Default: none.
    #[must_use]
    pub fn address_delay(mut self, delay: Duration) -> Self {
        self.address_delay = delay;
        self
    }

    /// Whether `robots.txt` is followed ([RFC 9309]). Default: true, and false on loopback.
    ///
    /// [RFC 9309]: https://www.rfc-editor.org/rfc/rfc9309
    #[must_use]
    pub fn robots(mut self, follow: bool) -> Self {
        self.robots = Some(follow);
        self
    }

    /// The longest `Crawl-delay` that a `robots.txt` can ask for; zero to pay no attention to it. Default: a minute.
    #[must_use]
    pub fn most_crawl_delay(mut self, delay: Duration) -> Self {
        self.most_crawl_delay = delay;
        self
    }

    /// A host is given up after so many failures in a row (no connection, no answer in time, a broken one, or a
    /// status of 500 and above). Default: 25.
    #[must_use]
    pub fn error_budget(mut self, failures: u32) -> Self {
        self.error_budget = failures.max(1);
        self
    }

    /// The rules for the host of `url`.
    pub(super) fn manners(&self, url: &Url) -> Manners {
        let ours = is_loopback(url);
        let of =
            |value: Option<usize>, others| value.unwrap_or(if ours { usize::MAX } else { others });
        Manners {
            delay: self.delay.unwrap_or(if ours {
                Duration::ZERO
            } else {
                Duration::from_secs(1)
            }),
            per_host: of(self.per_host, 2),
            per_address: if self.address_delay.is_zero() {
                of(self.per_address, 8)
            } else {
                1
            },
            address_delay: self.address_delay,
            robots: self.robots.unwrap_or(!ours),
        }
    }
}

impl Default for Politeness {
    fn default() -> Self {
        Self::new()
    }
}

/// Only what says so by itself: a name that a name server leads here may lead elsewhere tomorrow.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manners(politeness: &Politeness, url: &str) -> Manners {
        politeness.manners(&Url::parse(url).unwrap())
    }

    #[test]
    fn others_are_treated_better_than_oneself() {
        let default = Politeness::new();
        for ours in [
            "http://127.0.0.1:80/",
            "http://127.9.9.9/",
            "http://[::1]:8080/",
            "http://localhost/",
        ] {
            let manners = manners(&default, ours);
            assert!(!manners.robots && manners.delay.is_zero(), "{ours}");
            assert_eq!(
                (manners.per_host, manners.per_address),
                (usize::MAX, usize::MAX)
            );
        }
        for theirs in [
            "http://example.org/",
            "http://10.0.0.1/",
            "http://localhost.example/",
            "http://[::2]/",
        ] {
            let manners = manners(&default, theirs);
            assert!(
                manners.robots && manners.delay == Duration::from_secs(1),
                "{theirs}"
            );
            assert_eq!((manners.per_host, manners.per_address), (2, 8));
        }
    }

    #[test]
    fn what_is_said_holds_for_all() {
        let said = Politeness::new()
            .delay(Duration::ZERO)
            .per_host(0)
            .per_address(3)
            .robots(true);
        for url in ["http://127.0.0.1/", "http://example.org/"] {
            let manners = manners(&said, url);
            assert!(manners.robots && manners.delay.is_zero());
            assert_eq!((manners.per_host, manners.per_address), (1, 3));
        }
    }
}
