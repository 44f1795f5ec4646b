//! Which of the addresses that are found are a crawl's business.

use regex::Regex;

use crate::{HostScope, PageUrl};

/// How far a crawl goes from its seeds.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// The hosts of the seeds, and their ports.
    #[default]
    Host,
    /// All hosts whose registrable domain a seed has, as `example.co.uk` of `www.example.co.uk`.
    ///
    /// An address without a name is its own domain.
    Domain,
    /// Everywhere. Set a limit.
    Any,
}

/// The hosts and patterns of a crawl.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) reach: Reach,
    pub(crate) hosts: HostScope,
    pub(crate) domains: Vec<String>,
    pub(crate) include: Vec<Regex>,
    pub(crate) exclude: Vec<Regex>,
}

impl Scope {
    pub(crate) fn allow_seed(&mut self, seed: &PageUrl) {
        let url = seed.to_url();
        self.hosts.allow(&url);
        if let Some(domain) = domain(url.host_str().unwrap_or_default())
            && !self.domains.iter().any(|known| known == domain)
        {
            self.domains.push(domain.to_owned());
        }
    }

    pub(crate) fn allows(&self, page: &PageUrl) -> bool {
        let near = match self.reach {
            Reach::Any => true,
            Reach::Host => self.hosts.allows_page(page),
            Reach::Domain => {
                let url = page.to_url();
                let domain = domain(url.host_str().unwrap_or_default());
                domain.is_some_and(|domain| self.domains.iter().any(|known| known == domain))
            }
        };
        let text = page.as_str();
        near && (self.include.is_empty()
            || self.include.iter().any(|pattern| pattern.is_match(text)))
            && !self.exclude.iter().any(|pattern| pattern.is_match(text))
    }
}

/// The registrable domain of a name, or the address itself.
fn domain(host: &str) -> Option<&str> {
    let address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    if address {
        return Some(host);
    }
    // A name of one part, as in a local network, is a domain too.
    psl::domain_str(host)
        .or(Some(host))
        .filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(reach: Reach) -> Scope {
        let mut scope = Scope {
            reach,
            ..Scope::default()
        };
        for seed in [
            "http://www.example.co.uk/a",
            "http://127.0.0.1:8080/",
            "http://intranet/",
        ] {
            scope.allow_seed(&seed.parse().unwrap());
        }
        scope
    }

    fn allows(scope: &Scope, url: &str) -> bool {
        scope.allows(&url.parse().unwrap())
    }

    #[test]
    fn how_far_it_goes() {
        for (url, host, domain) in [
            ("http://www.example.co.uk/b", true, true),
            ("https://www.example.co.uk/b", true, true),
            ("http://cdn.example.co.uk/", false, true),
            ("http://other.co.uk/", false, false),
            ("http://127.0.0.1:8080/x", true, true),
            ("http://127.0.0.1:8081/x", false, true),
            ("http://127.0.0.2:8080/x", false, false),
            ("http://intranet/x", true, true),
            ("http://extranet/x", false, false),
        ] {
            assert_eq!(allows(&scope(Reach::Host), url), host, "{url}");
            assert_eq!(allows(&scope(Reach::Domain), url), domain, "{url}");
            assert!(allows(&scope(Reach::Any), url));
        }
    }

    #[test]
    fn patterns_narrow_it() {
        let mut scope = scope(Reach::Host);
        scope.include = vec![
            Regex::new("/docs/").unwrap(),
            Regex::new(r"\.html$").unwrap(),
        ];
        scope.exclude = vec![Regex::new("[?&]sort=").unwrap()];
        for (path, expected) in [
            ("docs/x", true),
            ("a.html", true),
            ("a.html?x", false),
            ("docs/x?sort=up", false),
            ("images/x.png", false),
        ] {
            assert_eq!(
                allows(&scope, &format!("http://intranet/{path}")),
                expected,
                "{path}"
            );
        }
    }
}
