//! One `Set-Cookie` line ([RFC 6265, section 5.2], with the limits of 6265bis).
//!
//! [RFC 6265, section 5.2]: https://www.rfc-editor.org/rfc/rfc6265#section-5.2

use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::date;

/// The most bytes of name and value together; a longer cookie is ignored (6265bis).
const LONGEST_PAIR: usize = 4096;
/// The most bytes of an attribute's value; a longer attribute is ignored (6265bis).
const LONGEST_ATTRIBUTE: usize = 1024;

/// One cookie as a response sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) expires: Option<SystemTime>,
    pub(super) max_age: Option<MaxAge>,
    pub(super) domain: Option<&'a str>,
    pub(super) path: Option<&'a str>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: Option<SameSite>,
}

/// How long a cookie lives by its `Max-Age`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MaxAge {
    /// Zero or less: it is to be removed.
    Over,
    Lives(Duration),
}

/// The attribute `SameSite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Only with requests that a page of the same site makes.
    Strict,
    /// Also when a user follows a link from another site.
    Lax,
    /// With all requests.
    None,
}

impl<'a> Cookie<'a> {
    /// Parses the value of a `Set-Cookie` header; `None` if no cookie is to be made of it.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        if line
            .bytes()
            .any(|byte| byte != b'\t' && byte.is_ascii_control())
        {
            return None;
        }
        let mut parts = line.split(';');
        let pair = parts.next()?;
        // Without a `=` it is a value without a name.
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let (name, value) = (trim(name), trim(value));
        if (name.is_empty() && value.is_empty()) || name.len() + value.len() > LONGEST_PAIR {
            return None;
        }
        let mut cookie = Self {
            name,
            value,
            expires: None,
            max_age: None,
            domain: None,
            path: None,
            secure: false,
            http_only: false,
            same_site: None,
        };
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            cookie.set(trim(name), trim(value));
        }
        Some(cookie)
    }

    /// As [`parse`](Self::parse), for a header as it was received.
    pub(in crate::http) fn from_header(value: &'a HeaderValue) -> Option<Self> {
        Self::parse(std::str::from_utf8(value.as_bytes()).ok()?)
    }

    /// Takes an attribute; the last one of a name counts.
    fn set(&mut self, name: &str, value: &'a str) {
        if value.len() > LONGEST_ATTRIBUTE {
            return;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("expires") {
            self.expires = date::parse(value).or(self.expires);
        } else if is("max-age") {
            self.max_age = parse_max_age(value).or(self.max_age);
        } else if is("domain") {
            self.domain = Some(value.strip_prefix('.').unwrap_or(value));
        } else if is("path") {
            self.path = Some(value);
        } else if is("secure") {
            self.secure = true;
        } else if is("httponly") {
            self.http_only = true;
        } else if is("samesite") {
            self.same_site = parse_same_site(value);
        }
    }

    /// The name; empty for a line without one.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The value as it was sent; quotes are a part of it.
    #[must_use]
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// Whether scripts of a page must not see it.
    #[must_use]
    pub fn http_only(&self) -> bool {
        self.http_only
    }

    /// Whether it is for `https` only.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The attribute `SameSite`, if it has a known value.
    #[must_use]
    pub fn same_site(&self) -> Option<SameSite> {
        self.same_site
    }

    /// Whether `SameSite` is `Lax`.
    #[must_use]
    pub fn same_site_lax(&self) -> bool {
        self.same_site == Some(SameSite::Lax)
    }

    /// Whether `SameSite` is `Strict`.
    #[must_use]
    pub fn same_site_strict(&self) -> bool {
        self.same_site == Some(SameSite::Strict)
    }

    /// The path it is for, as the server wrote it.
    #[must_use]
    pub fn path(&self) -> Option<&'a str> {
        self.path
    }

    /// The domain it is for, as the server wrote it, without a dot in front.
    #[must_use]
    pub fn domain(&self) -> Option<&'a str> {
        self.domain.filter(|domain| !domain.is_empty())
    }

    /// How long it lives, from when it was received; zero for one that is to be removed.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age.map(|age| match age {
            MaxAge::Over => Duration::ZERO,
            MaxAge::Lives(age) => age,
        })
    }

    /// When it expires, unless there is a [`max_age`](Self::max_age), which comes first.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn parse_max_age(value: &str) -> Option<MaxAge> {
    let (negative, digits) = match value.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number that is too large for us is larger than any limit.
    let seconds = digits.parse().unwrap_or(u64::MAX);
    Some(if negative || seconds == 0 {
        MaxAge::Over
    } else {
        MaxAge::Lives(Duration::from_secs(seconds))
    })
}

fn parse_same_site(value: &str) -> Option<SameSite> {
    let is = |known: &str| value.eq_ignore_ascii_case(known);
    if is("strict") {
        Some(SameSite::Strict)
    } else if is("lax") {
        Some(SameSite::Lax)
    } else if is("none") {
        Some(SameSite::None)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        for (line, expected) in [
            ("a=b", Some(("a", "b"))),
            (" a\t=  b c ;x", Some(("a", "b c"))),
            ("a=b=c", Some(("a", "b=c"))),
            ("a=\"b\"", Some(("a", "\"b\""))),
            ("a=", Some(("a", ""))),
            ("value", Some(("", "value"))),
            ("=value", Some(("", "value"))),
            ("", None),
            (" = ;Path=/", None),
            (";a=b", None),
            ("a=b\x01", None),
            ("a=b; Path=/\x7f", None),
        ] {
            let cookie = Cookie::parse(line);
            assert_eq!(
                cookie.map(|cookie| (cookie.name, cookie.value)),
                expected,
                "{line:?}"
            );
        }
    }

    #[test]
    fn attributes() {
        let line = "a=b; PATH=/x; domain=.Example.com;Secure;HttpOnly=1; SameSite=lax; unknown=1; \
                    Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT";
        let cookie = Cookie::parse(line).unwrap();
        assert_eq!(cookie.path(), Some("/x"));
        assert_eq!(cookie.domain(), Some("Example.com"));
        assert!(cookie.secure() && cookie.http_only());
        assert!(cookie.same_site_lax() && !cookie.same_site_strict());
        assert_eq!(cookie.max_age(), Some(Duration::from_secs(60)));
        assert!(cookie.expires().is_some());
        // The last one counts, even if it is empty.
        let cookie = Cookie::parse("a=b; path=/x; path=; domain=a; domain=.").unwrap();
        assert_eq!((cookie.path(), cookie.domain()), (Some(""), None));
        let cookie = Cookie::parse("a=b; samesite=Strict; samesite=odd").unwrap();
        assert_eq!(cookie.same_site(), None);
        // What says nothing does not count.
        let cookie = Cookie::parse("a=b; max-age=5; max-age=x; max-age=; max-age=-").unwrap();
        assert_eq!(cookie.max_age(), Some(Duration::from_secs(5)));
        for line in ["a=b; max-age=0", "a=b; max-age=-5"] {
            assert_eq!(Cookie::parse(line).unwrap().max_age(), Some(Duration::ZERO));
        }
        let huge = Cookie::parse("a=b; max-age=99999999999999999999999").unwrap();
        assert_eq!(huge.max_age(), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn limits_are_exact() {
        let of = |length: usize| format!("name={}", "v".repeat(length - 4));
        assert!(Cookie::parse(&of(4096)).is_some());
        assert!(Cookie::parse(&of(4097)).is_none());
        let path = |length: usize| format!("a=b; path=/{}", "p".repeat(length - 1));
        assert!(Cookie::parse(&path(1024)).unwrap().path().is_some());
        assert!(Cookie::parse(&path(1025)).unwrap().path().is_none());
    }
}
