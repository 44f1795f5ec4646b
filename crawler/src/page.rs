//! A page as handlers and stores see it.

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::{PageUrl, Record};

/// Bytes at the beginning of a page in which its encoding must be declared (HTML, section 4.2.5.4).
const DECLARED_WITHIN: usize = 1024;

/// A page that was fetched, or failed, with all that is known about it.
#[non_exhaustive]
pub struct Page {
    /// Where it is.
    pub url: PageUrl,
    /// Its line of the output.
    pub record: Record,
    /// The headers of the response; empty when there was none.
    pub headers: HeaderMap,
    /// The body without its content coding, as far as it arrived. Empty unless a handler for pages or a store
    /// wants bodies.
    pub body: Bytes,
    /// The addresses that it links to, in the order of the page, each once, whether the crawl goes there or not.
    pub links: Vec<PageUrl>,
    /// What the page says its address is (`link rel=canonical`).
    pub canonical: Option<PageUrl>,
    /// Whether it asks not to be put into an index (`X-Robots-Tag`, `meta name=robots`).
    pub noindex: bool,
    /// When the request was made.
    pub at: SystemTime,
    /// The server that was connected to.
    pub server: Option<SocketAddr>,
}

impl Page {
    /// The media type without parameters, in lower case: `text/html`. Empty when the response names none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let value = self.content_type().split(';').next().unwrap_or_default();
        value.trim().to_ascii_lowercase()
    }

    /// The body as text. Its encoding is, in this order, the one of a byte order mark, of the header, of a `meta`
    /// element, UTF-8 if it is that, and else what the bytes look like.
    #[must_use]
    pub fn text(&self) -> String {
        let encoding = detect(&self.body, self.content_type());
        // Looks for a mark once more, and removes it.
        encoding.decode(&self.body).0.into_owned()
    }

    fn content_type(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("record", &self.record)
            .field("body", &self.body.len())
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

/// The encoding of a text.
pub(crate) fn detect(body: &[u8], content_type: &str) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(body) {
        return encoding;
    }
    if let Some(encoding) = charset(content_type).or_else(|| declared(body)) {
        return encoding;
    }
    if std::str::from_utf8(body).is_ok() {
        return UTF_8;
    }
    let mut detector = chardetng::EncodingDetector::new();
    detector.feed(body, true);
    // A page without a word about it that is no UTF-8 was written before that was common.
    detector.guess(None, false)
}

/// The encoding that a `Content-Type` names.
pub(crate) fn charset(content_type: &str) -> Option<&'static Encoding> {
    let mut parameters = content_type
        .split(';')
        .skip(1)
        .filter_map(|text| text.split_once('='));
    let (_, label) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Encoding::for_label(label.trim().trim_matches('"').as_bytes())
}

/// The encoding that a `meta` element names, in either form. Looked for as text: what is before it is ASCII.
fn declared(body: &[u8]) -> Option<&'static Encoding> {
    let head = body[..body.len().min(DECLARED_WITHIN)].to_ascii_lowercase();
    let mut rest = &head[..];
    while let Some(at) = memchr::memmem::find(rest, b"<meta") {
        rest = &rest[at + 5..];
        let end = memchr::memchr(b'>', rest)?;
        let element = &rest[..end];
        if let Some(at) = memchr::memmem::find(element, b"charset") {
            let value = element[at + 7..].trim_ascii_start().strip_prefix(b"=");
            let value = value.unwrap_or_default().trim_ascii_start();
            let value = value.trim_ascii_start();
            let value = match value.first() {
                Some(b'"' | b'\'') => &value[1..],
                _ => value,
            };
            let end = value.iter().position(|byte| b"\"'; \t\n/".contains(byte));
            let label = &value[..end.unwrap_or(value.len())];
            let encoding = Encoding::for_label(label);
            // A page whose `meta` could be read as ASCII is no UTF-16, whatever it says.
            return encoding.map(|found| found.output_encoding());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_found_in_the_order_of_the_standard() {
        let name = |body: &[u8], header: &str| detect(body, header).name();
        assert_eq!(name(b"\xff\xfea\0", "text/html; charset=utf-8"), "UTF-16LE");
        assert_eq!(
            name(b"<meta charset=koi8-r>", "text/html; charset=latin1"),
            "windows-1252"
        );
        assert_eq!(name(b"<META CharSet = 'koi8-r'>", "text/html"), "KOI8-R");
        let long =
            b"<meta name=x><meta http-equiv=content-type content=\"text/html; charset=shift_jis\">";
        assert_eq!(name(long, ""), "Shift_JIS");
        assert_eq!(name(b"<meta charset=utf-16>", ""), "UTF-8");
        assert_eq!(name("caf\u{e9}".as_bytes(), "text/html"), "UTF-8");
        let russian = encoding_rs::WINDOWS_1251
            .encode("Здравствуйте, это обычный русский текст")
            .0;
        assert_eq!(name(&russian, "text/html"), "windows-1251");
        assert_eq!(name(b"", ""), "UTF-8");
        assert_eq!(name(b"<meta charset", ""), "UTF-8");
    }
}
