//! What a connection and a request need to know of a URL.

use ::url::{Position, Url};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;

use super::error::{Cause, Error, Phase};

/// Anything that can be fetched: a [`Url`], or text that is parsed as one.
pub trait IntoUrl {
    /// Parses, without yet asking whether this client can fetch it.
    ///
    /// # Errors
    ///
    /// When it is not an absolute URL.
    fn into_url(self) -> Result<Url, Error>;
}

impl IntoUrl for Url {
    fn into_url(self) -> Result<Url, Error> {
        Ok(self)
    }
}

impl IntoUrl for &Url {
    fn into_url(self) -> Result<Url, Error> {
        Ok(self.clone())
    }
}

impl IntoUrl for &str {
    fn into_url(self) -> Result<Url, Error> {
        let remedy = "give an absolute URL such as http://host/path";
        Url::parse(self).map_err(|error| Error::source(Phase::Build, error).with_remedy(remedy))
    }
}

impl IntoUrl for String {
    fn into_url(self) -> Result<Url, Error> {
        self.as_str().into_url()
    }
}

impl IntoUrl for &String {
    fn into_url(self) -> Result<Url, Error> {
        self.as_str().into_url()
    }
}

/// Whether this build has a transport for the URL.
pub(super) fn check_scheme(url: &Url, phase: Phase) -> Result<(), Error> {
    let error = match url.scheme() {
        "https" if !cfg!(feature = "tls") => Error::new(phase, Cause::Scheme),
        "http" | "https" if url.has_host() => return Ok(()),
        "http" | "https" => Error::plain(phase, "the URL has no host"),
        _ => Error::plain(phase, "the URL's scheme is neither http nor https"),
    };
    Err(error.with_url(url))
}

/// What goes into the request line: path and query; never userinfo or the fragment.
pub(super) fn target(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

/// What goes into the request line for a proxy: all but userinfo, which a request's URL has not, and the fragment.
pub(super) fn absolute_target(url: &Url) -> &str {
    &url[..Position::AfterQuery]
}

/// Scheme, host and port as written in the URL, which has no userinfo by then. It names a place to connect to, and
/// costs nothing.
pub(super) fn origin(url: &Url) -> &str {
    &url[..Position::AfterPort]
}

/// Whether two URLs share scheme, host and port.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Takes the userinfo out of a URL and turns it into the value of an `Authorization` header.
pub(super) fn take_credentials(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let user = percent_decode(url.username());
    let password = percent_decode(url.password().unwrap_or_default());
    strip_credentials(url);
    Some(basic(&user, &password))
}

/// Takes the userinfo out of a URL and forgets it.
pub(super) fn strip_credentials(url: &mut Url) {
    // Both only fail for URLs without a host, which have no userinfo either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

/// The value of an `Authorization` header of the scheme Basic ([RFC 7617]).
///
/// [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
pub(super) fn basic(user: &[u8], password: &[u8]) -> HeaderValue {
    let text = format!(
        "Basic {}",
        BASE64_STANDARD.encode([user, b":", password].concat())
    );
    let mut value = HeaderValue::from_str(&text).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        let escaped = match (first, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        decoded.push(match escaped {
            Some((high, low)) => {
                rest = &behind[2..];
                (high << 4 | low) as u8
            }
            None => first,
        });
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_becomes_a_header_and_leaves_the_url() {
        let mut url = Url::parse("http://a%3Ab:c%2@h/p?q#f").unwrap();
        let value = take_credentials(&mut url).unwrap();
        assert_eq!(value, "Basic YTpiOmMlMg==");
        assert!(value.is_sensitive());
        assert_eq!(url.as_str(), "http://h/p?q#f");
        assert_eq!(take_credentials(&mut url), None);
    }

    #[test]
    fn parts_of_a_url() {
        let url = Url::parse("http://[::1]:8080/a/b?c=d#e").unwrap();
        assert_eq!(target(&url), "/a/b?c=d");
        assert_eq!(origin(&url), "http://[::1]:8080");
        let plain = Url::parse("http://h:80").unwrap();
        assert_eq!((target(&plain), origin(&plain)), ("/", "http://h"));
        let other = |text| same_origin(&plain, &Url::parse(text).unwrap());
        assert!(other("http://H/x") && !other("http://h:81/") && !other("https://h:80/"));
    }

    #[test]
    fn schemes() {
        let check = |text: &str| check_scheme(&Url::parse(text).unwrap(), Phase::Build);
        assert!(check("http://h").is_ok());
        if cfg!(feature = "tls") {
            assert!(check("https://h").is_ok());
        } else {
            let tls = check("https://h").unwrap_err();
            assert!(tls.is_unsupported_scheme() && tls.is_builder());
            assert!(tls.to_string().contains("TLS is not compiled in"));
        }
        assert!(check("ftp://h").unwrap_err().is_builder());
        assert!(check("data:x").unwrap_err().is_builder());
        assert!("/relative".into_url().unwrap_err().is_builder());
    }
}
