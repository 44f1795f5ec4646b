//! Which hosts and paths a cookie is for, and public suffixes.

use ::url::{Host, Url};

/// What matters of a URL: the host as it is compared, whether it is a name, the path, and whether the
/// connection is secure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) host: &'a str,
    pub(super) is_name: bool,
    pub(super) path: &'a str,
    pub(super) secure: bool,
}

impl<'a> Place<'a> {
    /// `None` for a URL without a host.
    pub(super) fn of(url: &'a Url) -> Option<Self> {
        Some(Self {
            // It is in lower case, and in Punycode.
            host: url.host_str()?,
            is_name: matches!(url.host(), Some(Host::Domain(_))),
            path: url.path(),
            secure: url.scheme() == "https",
        })
    }

    /// Whether this host is `domain` or, being a name, a part of it (RFC 6265, section 5.1.3).
    pub(super) fn is_in(&self, domain: &str) -> bool {
        domain_matches(self.host, domain, self.is_name)
    }

    /// The path of a cookie that names none (section 5.1.4): the folder of the request.
    pub(super) fn folder(&self) -> &'a str {
        match self.path.rfind('/') {
            Some(at) if at > 0 && self.path.starts_with('/') => &self.path[..at],
            _ => "/",
        }
    }

    /// The site: what is registered below a public suffix, or the host where there is no such thing.
    pub(super) fn site(&self) -> &'a str {
        if !self.is_name {
            return self.host;
        }
        psl::domain_str(self.host).unwrap_or(self.host)
    }
}

/// Whether `host` is `domain`, or a name below it.
pub(super) fn domain_matches(host: &str, domain: &str, is_name: bool) -> bool {
    match host.strip_suffix(domain) {
        Some("") => true,
        Some(front) => is_name && !domain.is_empty() && front.ends_with('.'),
        None => false,
    }
}

/// Whether a cookie's path covers a request's (section 5.1.4).
pub(super) fn path_matches(request: &str, cookie: &str) -> bool {
    match request.strip_prefix(cookie) {
        Some(rest) => rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

/// Whether everybody may register names below this one, so that no cookie may be for all of it.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain) == Some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for (host, domain, expected) in [
            ("a.b", "a.b", true),
            ("x.a.b", "a.b", true),
            ("xa.b", "a.b", false),
            ("a.b", "x.a.b", false),
            ("a.b", "", false),
        ] {
            assert_eq!(
                domain_matches(host, domain, true),
                expected,
                "{host} {domain}"
            );
        }
        assert!(!domain_matches("1.2.3.4", "3.4", false));
        assert!(domain_matches("1.2.3.4", "1.2.3.4", false));
    }

    #[test]
    fn paths() {
        for (request, cookie, expected) in [
            ("/", "/", true),
            ("/a", "/", true),
            ("/a", "/a", true),
            ("/a/b", "/a", true),
            ("/a/b", "/a/", true),
            ("/ab", "/a", false),
            ("/", "/a", false),
            ("/A", "/a", false),
        ] {
            assert_eq!(
                path_matches(request, cookie),
                expected,
                "{request} {cookie}"
            );
        }
        for (url, folder) in [
            ("http://h", "/"),
            ("http://h/a", "/"),
            ("http://h/a/", "/a"),
            ("http://h/a/b?c/d", "/a"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(Place::of(&url).unwrap().folder(), folder, "{url}");
        }
    }

    #[test]
    fn suffixes_and_sites() {
        for suffix in ["com", "co.uk", "github.io", "localhost", "unheard-of"] {
            assert!(is_public_suffix(suffix), "{suffix}");
        }
        for name in ["example.com", "bbc.co.uk", "a.github.io", "a.localhost"] {
            assert!(!is_public_suffix(name), "{name}");
        }
        for (url, site) in [
            ("http://a.b.example.co.uk/", "example.co.uk"),
            ("http://localhost/", "localhost"),
            ("http://127.0.0.1/", "127.0.0.1"),
            ("http://[::1]/", "[::1]"),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(Place::of(&url).unwrap().site(), site);
        }
    }
}
