//! Links out of HTML, found while the page is still arriving.
//!
//! The parser sees each byte once and keeps only what it needs to finish the token at a chunk's end, so memory
//! does not grow with the page, and the task that fetches the page hands the worker back between chunks.
//!
//! | module | what it does |
//! |---|---|
//! | `elements` | which elements matter, and how |
//! | `attributes` | what their tags say |
//! | `tags` | finds their tags |
//! | `resolve` | what an address on the page means |

mod elements;
mod attributes;
mod tags;
mod resolve;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use url::Url;

use self::attributes::{Attribute, Tag};
use self::elements::Kind;
use self::resolve::Base;
use self::tags::Tags;
use crate::PageUrl;

/// Bytes that the addresses of one page may take: more than a hundred thousand of them.
const MOST_BYTES: usize = 8 << 20;

/// Bytes of the longest byte order mark.
const LONGEST_MARK: usize = 3;

/// Finds the links of one HTML page as its bytes arrive.
///
/// Followed are `a` and `area` (unless marked `rel=nofollow`), `iframe`, `frame`, and
/// `link rel=canonical`. `base href` counts for the whole page wherever it stands, as browsers
/// do it. Links inside comments, scripts and plain text are none.
///
/// ```
/// use heist_crawler::LinkExtractor;
/// use url::Url;
///
/// let page = Url::parse("http://example.org/docs/index.html")?;
/// let mut links = LinkExtractor::for_page(&page, "text/html; charset=utf-8").expect("HTML");
/// links.feed(b"<p>See <a href='guide.ht");
/// links.feed(b"ml?a=1&amp;b=2#top'>the guide</a>.");
/// let found = links.finish();
/// assert_eq!(found.urls[0].as_str(), "http://example.org/docs/guide.html?a=1&b=2");
/// # Ok::<(), url::ParseError>(())
/// ```
pub struct LinkExtractor {
    page: Url,
    /// What the header says.
    encoding: Option<&'static Encoding>,
    /// The first bytes, until there are enough to see a byte order mark; then nothing any more.
    start: Option<Vec<u8>>,
    /// Turns UTF-16 and the like into UTF-8, in which a tag can be recognised.
    decoder: Option<Decoder>,
    tags: Tags,
    found: Found,
}

/// The links of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// Where they lead, in the order of the page, each once.
    pub urls: Vec<PageUrl>,
    /// Whether these are all. A page is allowed eight megabytes of different addresses, and what is beyond them
    /// is left out.
    pub complete: bool,
    /// What the page says its address is.
    pub canonical: Option<PageUrl>,
    /// Whether the page asks not to be put into an index.
    pub noindex: bool,
}

/// What the tags say, as it stands there: the encoding and the base are known for sure at the end only.
#[derive(Default)]
struct Found {
    base: Option<Vec<u8>>,
    addresses: Addresses,
    canonical: Option<Vec<u8>>,
    encoding: Option<&'static Encoding>,
    nofollow: bool,
    noindex: bool,
}

/// Addresses in the order of the page, each spelling once.
///
/// Most links of most pages lead to where another one does, or to another part of the same page. Those that are
/// spelled alike are one here, without a look at what they mean.
#[derive(Default)]
struct Addresses {
    known: HashSet<Arc<[u8]>>,
    in_order: Vec<Arc<[u8]>>,
    bytes: usize,
    /// Whether there were too many.
    cut: bool,
}

impl Addresses {
    fn add(&mut self, address: &[u8]) {
        let address = without_fragment(address);
        if self.known.contains(address) {
            return;
        }
        if self.bytes + address.len() > MOST_BYTES {
            self.cut = true;
            return;
        }
        // What the two tables take for each.
        self.bytes += address.len() + 64;
        let address: Arc<[u8]> = address.into();
        self.known.insert(Arc::clone(&address));
        self.in_order.push(address);
    }
}

/// Cuts the fragment off, where that is sure to change nothing else: a space before it would no longer be part of
/// the address, and the sign may be that of a character reference.
fn without_fragment(address: &[u8]) -> &[u8] {
    match memchr::memchr2(b'#', b'&', address) {
        Some(at) if address[at] == b'#' && (at == 0 || address[at - 1] > b' ') => &address[..at],
        _ => address,
    }
}

impl LinkExtractor {
    /// An extractor for the page at `page`, or `None` when `content_type`, the value of that
    /// header, is not HTML or XHTML.
    #[must_use]
    pub fn for_page(page: &Url, content_type: &str) -> Option<Self> {
        is_html(content_type).then(|| Self {
            page: page.clone(),
            encoding: crate::page::charset(content_type),
            start: Some(Vec::new()),
            decoder: None,
            tags: Tags::new(),
            found: Found::default(),
        })
    }

    /// Looks at the beginning of the page for what outweighs the header.
    fn begin(&mut self, start: &[u8]) {
        if let Some((encoding, _)) = Encoding::for_bom(start) {
            self.encoding = Some(encoding);
        }
        self.decoder = self
            .encoding
            .filter(|encoding| !encoding.is_ascii_compatible())
            .map(Encoding::new_decoder);
    }

    /// Reads the next bytes of the page. They may break off anywhere.
    pub fn feed(&mut self, chunk: &[u8]) {
        let Some(mut start) = self.start.take() else {
            return self.read(chunk);
        };
        // Most pages come in chunks of kilobytes, which need no copy.
        if start.is_empty() && chunk.len() >= LONGEST_MARK {
            self.begin(chunk);
            return self.read(chunk);
        }
        start.extend_from_slice(chunk);
        if start.len() < LONGEST_MARK {
            self.start = Some(start);
            return;
        }
        self.begin(&start);
        self.read(&start);
    }

    fn read(&mut self, chunk: &[u8]) {
        match self.decoder.take() {
            None => self.parse(chunk),
            Some(mut decoder) => {
                self.transcode(&mut decoder, chunk, false);
                self.decoder = Some(decoder);
            }
        }
    }

    fn parse(&mut self, bytes: &[u8]) {
        let found = &mut self.found;
        self.tags.feed(bytes, |tag| found.note(tag));
    }

    fn transcode(&mut self, decoder: &mut Decoder, mut bytes: &[u8], last: bool) {
        let mut text = String::with_capacity(4096);
        loop {
            let (result, read, _) = decoder.decode_to_string(bytes, &mut text, last);
            self.parse(text.as_bytes());
            text.clear();
            bytes = &bytes[read..];
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }

    /// Ends the page and resolves its links.
    #[must_use]
    pub fn finish(mut self) -> Links {
        if let Some(start) = self.start.take() {
            self.begin(&start);
            self.read(&start);
        }
        let transcoded = self.decoder.is_some();
        if let Some(mut decoder) = self.decoder.take() {
            self.transcode(&mut decoder, b"", true);
        }
        let found = self.found;
        let encoding = match self.encoding.or(found.encoding) {
            Some(encoding) if !transcoded => encoding,
            _ => UTF_8,
        };
        let base = found
            .base
            .and_then(|base| self.page.join(&text(&base, encoding)).ok());
        // A base such as data: or about: cannot be joined with; browsers ignore it as well.
        let base = base
            .filter(|base| !base.cannot_be_a_base())
            .unwrap_or(self.page);
        let base = Base::new(base);
        let resolve = |address: &[u8]| base.resolve(&text(address, encoding));
        let mut urls = Vec::new();
        if !found.nofollow {
            urls.extend(
                found
                    .addresses
                    .in_order
                    .iter()
                    .filter_map(|address| resolve(address)),
            );
            keep_first(&mut urls);
        }
        Links {
            urls,
            complete: !found.addresses.cut,
            canonical: found.canonical.and_then(|address| resolve(&address)),
            noindex: found.noindex,
        }
    }
}

impl fmt::Debug for LinkExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkExtractor")
            .field("page", &self.page.as_str())
            .finish_non_exhaustive()
    }
}

/// Of addresses that are the same keeps the first.
fn keep_first(urls: &mut Vec<PageUrl>) {
    let mut known = HashSet::with_capacity(urls.len());
    let new: Vec<bool> = urls.iter().map(|url| known.insert(url.as_str())).collect();
    drop(known);
    let mut new = new.into_iter();
    urls.retain(|_| new.next().unwrap_or(true));
}

/// The value of an attribute: decoded, with its character references resolved.
fn text<'v>(value: &'v [u8], encoding: &'static Encoding) -> Cow<'v, str> {
    match encoding.decode_without_bom_handling(value).0 {
        Cow::Borrowed(text) => htmlize::unescape_attribute(text),
        Cow::Owned(text) => Cow::Owned(htmlize::unescape_attribute(&*text).into_owned()),
    }
}

/// The value of an attribute that means something in ASCII only.
fn ascii(value: Option<&[u8]>) -> Cow<'_, str> {
    text(value.unwrap_or_default(), UTF_8)
}

impl Found {
    fn note(&mut self, tag: &Tag<'_>) {
        let href = tag.get(Attribute::Href);
        let rel = |word| has_word(&ascii(tag.get(Attribute::Rel)), word);
        match tag.kind {
            // Only the first base counts.
            Kind::Base => {
                if let (None, Some(href)) = (&self.base, href) {
                    self.base = Some(href.to_owned());
                }
            }
            Kind::A | Kind::Area => {
                if let Some(href) = href.filter(|_| !rel("nofollow")) {
                    self.addresses.add(href);
                }
            }
            Kind::Link => {
                if let Some(href) = href.filter(|_| rel("canonical")) {
                    self.canonical.get_or_insert_with(|| href.to_owned());
                    self.addresses.add(href);
                }
            }
            Kind::Iframe | Kind::Frame => {
                if let Some(source) = tag.get(Attribute::Src) {
                    self.addresses.add(source);
                }
            }
            Kind::Meta => self.note_meta(tag),
            _ => {}
        }
    }

    fn note_meta(&mut self, tag: &Tag<'_>) {
        if self.encoding.is_none() {
            self.encoding = declared(tag);
        }
        if ascii(tag.get(Attribute::Name))
            .trim()
            .eq_ignore_ascii_case("robots")
        {
            let (nofollow, noindex) = directives(&ascii(tag.get(Attribute::Content)));
            self.nofollow |= nofollow;
            self.noindex |= noindex;
        }
    }
}

/// The encoding that a `meta` element declares, in either form.
fn declared(tag: &Tag<'_>) -> Option<&'static Encoding> {
    let encoding = match tag.get(Attribute::Charset) {
        Some(label) => Encoding::for_label(label),
        None => {
            let name = ascii(tag.get(Attribute::HttpEquiv));
            let says_type = name.eq_ignore_ascii_case("content-type");
            says_type.then(|| crate::page::charset(&ascii(tag.get(Attribute::Content))))?
        }
    };
    // A page whose `meta` could be read as ASCII is no UTF-16, whatever it says.
    encoding.map(Encoding::output_encoding)
}

/// Whether a list of directives, of `meta name=robots` or `X-Robots-Tag`, says `nofollow`, and `noindex`.
pub(crate) fn directives(list: &str) -> (bool, bool) {
    let says = |word: &str| {
        list.split(',').any(|entry| {
            let entry = entry.trim();
            entry.eq_ignore_ascii_case(word) || entry.eq_ignore_ascii_case("none")
        })
    };
    (says("nofollow"), says("noindex"))
}

fn has_word(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace()
        .any(|entry| entry.eq_ignore_ascii_case(word))
}

fn is_html(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/html")
        || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod syntax;
