//! Addresses of pages: one spelling per resource, and which hosts a crawl may visit.
//!
//! A crawler that does not normalise fetches the same page under several names. Only changes
//! that RFC 3986 section 6.2.2 calls equivalence-preserving are made, plus three that hold for
//! `http` and `https`: the default port, the empty path, and the fragment, which never leaves
//! the client. Anything bolder (dropping `index.html`, sorting the query) merges pages that
//! differ on some server.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;

use url::Url;

/// Longest address that is accepted, in bytes.
///
/// Servers refuse request targets of about this length (RFC 9110 asks them to support 8000), so
/// a longer link is the mark of a page that nests its own address.
pub const MAX_URL_LENGTH: usize = 8192;

/// The normalised address of a page: `http` or `https`, without fragment and credentials.
///
/// Two addresses that differ only in spelling compare equal:
///
/// ```
/// use heist_crawler::PageUrl;
///
/// let plain: PageUrl = "http://example.org/~me/a".parse()?;
/// let noisy: PageUrl = "HTTP://Example.ORG:80/x/../%7eme/./a#top".parse()?;
/// assert_eq!(plain, noisy);
/// # Ok::<(), heist_crawler::UrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageUrl(Box<str>);

impl PageUrl {
    /// Normalises `url`.
    ///
    /// # Errors
    ///
    /// [`UrlError`] when the scheme is not `http` or `https`, or when the address is longer than
    /// [`MAX_URL_LENGTH`].
    pub fn new(mut url: Url) -> Result<Self, UrlError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::new(url.as_str(), Fault::Scheme));
        }
        url.set_fragment(None);
        // Both only fail for addresses without a host, which http and https always have.
        // Credentials belong to the user who typed them, never into records and referrers.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let path = normalise_escapes(url.path());
        if let Some(path) = path {
            url.set_path(&path);
        }
        let query = url.query().and_then(normalise_escapes);
        if let Some(query) = query {
            url.set_query(Some(&query));
        }
        if url.as_str().len() > MAX_URL_LENGTH {
            return Err(UrlError::new(url.as_str(), Fault::TooLong));
        }
        Ok(Self(String::from(url).into_boxed_str()))
    }

    /// An address that is known to be normal.
    pub(crate) fn from_normal(text: String) -> Self {
        debug_assert_eq!(
            text.parse::<Self>().ok().as_ref().map(Self::as_str),
            Some(&*text)
        );
        Self(text.into_boxed_str())
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port, as in `https://example.org` and `http://[::1]:8080`: whom a request goes to.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0[..self.path_start()]
    }

    /// Path and query, as a request names them.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0[self.path_start()..]
    }

    /// `http` and `https` addresses have a path, if only a slash, and no slash before it but those two.
    fn path_start(&self) -> usize {
        let host = self.0.find("://").map_or(0, |at| at + 3);
        let path = self.0[host..].find(['/', '?']);
        path.map_or(self.0.len(), |at| host + at)
    }

    /// The address taken apart again.
    ///
    /// # Panics
    ///
    /// Never: the text came out of a [`Url`], and such text parses.
    #[must_use]
    pub fn to_url(&self) -> Url {
        Url::parse(&self.0).expect("a serialised URL parses again")
    }
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for PageUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(|error| UrlError::new(text, Fault::Parse(error)))?;
        Self::new(url)
    }
}

/// Spells percent-escapes in one way (RFC 3986 6.2.2.1 and 6.2.2.2): upper-case digits, and
/// unreserved characters not escaped at all. `None` when the text is already like that.
///
/// What comes out is left as it is the next time. So a digit stays escaped where it would make an escape of a stray
/// percent sign: `%%341` is not `%41`, which is `A`.
pub(crate) fn normalise_escapes(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Where an escape could begin that is none.
    let mut stray = None;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let escape = rest.get(at + 1..at + 3).and_then(|digits| {
            // from_str_radix would also take a sign.
            let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
        });
        let digit_of_stray = |byte: u8| {
            byte.is_ascii_hexdigit() && stray.is_some_and(|at: usize| out.len() - at <= 2)
        };
        match escape {
            Some(byte)
                if (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
                    && !digit_of_stray(byte) =>
            {
                out.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            Some(byte) => {
                out.push_str(&format!("%{byte:02X}"));
                rest = &rest[at + 3..];
            }
            // A stray percent sign stays: servers see it as it was written.
            None => {
                stray = Some(out.len());
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    (out != text).then_some(out)
}

/// The hosts that a crawl may visit: those of its seeds.
///
/// Host and port decide. `http` and `https` on their default ports count as one host, because
/// sites move from one to the other by redirect; two servers on different ports do not.
#[derive(Debug, Clone, Default)]
pub struct HostScope {
    /// By name, so that a look-up needs no text of its own.
    hosts: HashMap<String, HashSet<Option<u16>>>,
}

impl HostScope {
    /// A scope that allows no host yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows the host of `url`.
    pub fn allow(&mut self, url: &Url) {
        if let Some((host, port)) = Self::key(url) {
            self.hosts.entry(host.to_owned()).or_default().insert(port);
        }
    }

    /// Whether the host of `url` may be visited.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        let ports = |(host, port)| Some(self.hosts.get(host)?.contains(&port));
        Self::key(url).and_then(ports).unwrap_or(false)
    }

    /// The same for the host of a page, without taking its address apart.
    pub(crate) fn allows_page(&self, page: &PageUrl) -> bool {
        let Some((scheme, rest)) = page.origin().split_once("://") else {
            return false;
        };
        debug_assert!(matches!(scheme, "http" | "https"));
        // A colon in brackets belongs to an IPv6 address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
            _ => (rest, None),
        };
        self.hosts
            .get(host)
            .is_some_and(|ports| ports.contains(&port))
    }

    /// `Url::port` is `None` for the scheme's default port, which is what makes the schemes equal.
    fn key(url: &Url) -> Option<(&str, Option<u16>)> {
        url.host_str().map(|host| (host, url.port()))
    }
}

/// An address that cannot be crawled.
#[derive(Debug, Clone)]
pub struct UrlError {
    text: String,
    fault: Fault,
}

#[derive(Debug, Clone)]
enum Fault {
    Parse(url::ParseError),
    Scheme,
    TooLong,
}

impl UrlError {
    fn new(text: &str, fault: Fault) -> Self {
        // A long address is quoted only as far as it helps to recognise it.
        let text = text.chars().take(80).collect();
        Self { text, fault }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match &self.fault {
            Fault::Parse(url::ParseError::RelativeUrlWithoutBase) => {
                write!(
                    f,
                    "`{text}` is no absolute URL; write it as `http://{text}`"
                )
            }
            Fault::Parse(error) => write!(f, "`{text}` is no URL: {error}"),
            Fault::Scheme => {
                write!(
                    f,
                    "`{text}` cannot be crawled; only http:// and https:// URLs can"
                )
            }
            Fault::TooLong => write!(f, "`{text}...` is longer than {MAX_URL_LENGTH} bytes"),
        }
    }
}

impl Error for UrlError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            Fault::Parse(error) => Some(error),
            Fault::Scheme | Fault::TooLong => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        text.parse::<PageUrl>().unwrap().to_string()
    }

    #[test]
    fn equivalent_spellings_become_one() {
        for (spelling, expected) in [
            ("HTTP://EXAMPLE.com", "http://example.com/"),
            ("http://example.com:80/", "http://example.com/"),
            ("https://example.com:443/a", "https://example.com/a"),
            ("http://example.com:443/a", "http://example.com:443/a"),
            ("http://example.com/a/./b/../c", "http://example.com/a/c"),
            ("http://example.com/%2e%2E/x", "http://example.com/x"),
            ("http://example.com/a#frag", "http://example.com/a"),
            ("http://example.com/a?#frag", "http://example.com/a?"),
            ("http://me:secret@example.com/a", "http://example.com/a"),
            (
                "http://example.com/%7Euser/%e2%82%ac",
                "http://example.com/~user/%E2%82%AC",
            ),
            ("http://example.com/?q=%2f%41", "http://example.com/?q=%2FA"),
            ("http://example.com/100%", "http://example.com/100%"),
            ("http://example.com/%+1%zz%4", "http://example.com/%+1%zz%4"),
            ("http://example.com/é", "http://example.com/%C3%A9"),
            ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ] {
            assert_eq!(normal(spelling), expected, "{spelling}");
            assert_eq!(normal(expected), expected, "{expected} is a fixed point");
        }
    }

    #[test]
    fn an_unescaped_escape_does_not_create_a_new_escape() {
        // %25 stays escaped, so that %2541 does not turn into %41 and then into A.
        assert_eq!(
            normal("http://example.com/%2541"),
            "http://example.com/%2541"
        );
    }

    /// A page is told from others by its address, which journals, queues on the disk and Redis hold as text. One that
    /// is read back as another is fetched again with each run, or never done. The negative control, tried: forget `stray`.
    #[test]
    fn what_is_normal_is_read_back_as_it_is() {
        assert_eq!(
            normal("http://example.com/%%341"),
            "http://example.com/%%341"
        );
        assert_eq!(
            normal("http://example.com/?%4%31"),
            "http://example.com/?%4%31"
        );
        assert_eq!(normal("http://example.com/%x%7e"), "http://example.com/%x~");
        let pieces = [
            "%", "%25", "%34", "%2e", "%2E", "4", "1", "e", ".", "/", "?", "%zz", "%61", "%7e",
            "\\",
        ];
        let mut next = crate::random::numbers();
        for _ in 0..20_000 {
            let path: String = (0..next(8)).map(|_| pieces[next(pieces.len())]).collect();
            let once = normal(&format!("http://example.com/{path}"));
            assert_eq!(normal(&once), once, "{path}");
        }
    }

    #[test]
    fn what_differs_stays_different() {
        assert_ne!(
            normal("http://example.com/a"),
            normal("http://example.com/a/")
        );
        assert_ne!(
            normal("http://example.com/A"),
            normal("http://example.com/a")
        );
        assert_ne!(
            normal("http://example.com/a%2Fb"),
            normal("http://example.com/a/b")
        );
        assert_ne!(
            normal("http://example.com/?b&a"),
            normal("http://example.com/?a&b")
        );
    }

    #[test]
    fn what_cannot_be_crawled_is_refused_with_a_reason() {
        let message = |text: &str| text.parse::<PageUrl>().unwrap_err().to_string();
        assert!(message("example.com/a").contains("http://example.com/a"));
        assert!(message("ftp://example.com/").contains("only http:// and https://"));
        assert!(message("mailto:me@example.com").contains("only http:// and https://"));
        assert!(message("http://[::1/").contains("is no URL"));
        let long = format!("http://example.com/{}", "x".repeat(MAX_URL_LENGTH));
        assert!(message(&long).contains("longer than"));
        assert!(message(&long).len() < 200);
    }

    #[test]
    fn an_address_is_an_origin_and_a_path() {
        for (text, origin, path) in [
            ("http://example.org", "http://example.org", "/"),
            (
                "https://[::1]:8080/a/b?c=/d",
                "https://[::1]:8080",
                "/a/b?c=/d",
            ),
            ("http://example.org?q", "http://example.org", "/?q"),
        ] {
            let url: PageUrl = text.parse().unwrap();
            assert_eq!((url.origin(), url.path()), (origin, path));
        }
    }

    #[test]
    fn the_scope_is_host_and_port() {
        let url = |text: &str| Url::parse(text).unwrap();
        let mut scope = HostScope::new();
        assert!(!scope.allows(&url("http://example.com/")));
        scope.allow(&url("http://example.com/"));
        scope.allow(&url("http://127.0.0.1:8080/"));
        assert!(scope.allows(&url("http://EXAMPLE.com:80/deep/page")));
        assert!(scope.allows(&url("https://example.com/")));
        assert!(scope.allows(&url("http://127.0.0.1:8080/x")));
        assert!(!scope.allows(&url("http://127.0.0.1:8081/")));
        assert!(!scope.allows(&url("http://127.0.0.1/")));
        assert!(!scope.allows(&url("http://www.example.com/")));
        assert!(!scope.allows(&url("http://example.com:8080/")));
        assert!(!scope.allows(&url("http://example.com.evil.net/")));
        scope.allow(&url("http://[::1]:81/"));
        for text in [
            "http://example.com/",
            "https://example.com/x?a:80",
            "http://127.0.0.1:8080/x",
            "http://127.0.0.1/x",
            "http://[::1]:81/",
            "http://[::1]/",
            "http://example.com:8080/",
        ] {
            let page: PageUrl = text.parse().unwrap();
            assert_eq!(scope.allows_page(&page), scope.allows(&url(text)), "{text}");
        }
    }
}
