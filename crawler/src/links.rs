//! Links out of HTML, found while the page is still arriving.
//!
//! The parser sees each chunk once and keeps only what it needs to finish the token at the
//! chunk's end, so memory does not grow with the page, and the task that fetches the page hands
//! the worker back between chunks.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use lol_html::html_content::Element;
use lol_html::send::{ElementContentHandlers, HtmlRewriter, SendHandlerTypes, Settings};
use lol_html::{AsciiCompatibleEncoding, MemorySettings, OutputSink, Selector};
use url::Url;

use crate::PageUrl;

/// What the parser may hold at once: one token, so one attribute of a `data:` link.
const PARSER_MEMORY: usize = 8 << 20;

/// Bytes of the longest byte order mark.
const LONGEST_MARK: usize = 3;

/// The elements that lead to other pages, the one that says where they lead from, and the one that says whether
/// they are to be followed.
static LINKING: LazyLock<Selector> = LazyLock::new(|| {
    "a[href], area[href], link[href][rel], iframe[src], frame[src], base[href], meta[name][content]"
        .parse()
        .expect("the selector is constant and well-formed")
});

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
    found: Arc<Mutex<Found>>,
    /// What the header says.
    encoding: &'static Encoding,
    /// The first bytes, until there are enough to see a byte order mark; then nothing any more.
    start: Option<Vec<u8>>,
    /// Turns UTF-16 and the like into UTF-8, which the parser needs to recognise a tag.
    decoder: Option<Decoder>,
    /// Gone after the parser gave up: it may not be fed again.
    parser: Option<HtmlRewriter<'static, Discard>>,
    complete: bool,
}

/// The links of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// Where they lead, in the order of the page, each once.
    pub urls: Vec<PageUrl>,
    /// Whether the whole page was read. The parser gives up on a single tag of several
    /// megabytes; the links before it are kept.
    pub complete: bool,
    /// What the page says its address is.
    pub canonical: Option<PageUrl>,
    /// Whether the page asks not to be put into an index.
    pub noindex: bool,
}

/// What the handlers gather. Links are resolved at the end, when the base is known for sure.
#[derive(Default)]
struct Found {
    base: Option<String>,
    hrefs: Vec<String>,
    canonical: Option<String>,
    nofollow: bool,
    noindex: bool,
}

impl LinkExtractor {
    /// An extractor for the page at `page`, or `None` when `content_type`, the value of that
    /// header, is not HTML or XHTML.
    #[must_use]
    pub fn for_page(page: &Url, content_type: &str) -> Option<Self> {
        let encoding = html_encoding(content_type)?;
        Some(Self {
            page: page.clone(),
            found: Arc::default(),
            encoding,
            start: Some(Vec::new()),
            decoder: None,
            parser: None,
            complete: true,
        })
    }

    /// Makes the parser, once the encoding is known.
    fn begin(&mut self, encoding: &'static Encoding) {
        let (decoder, parsed_as) = match AsciiCompatibleEncoding::new(encoding) {
            Some(encoding) => (None, encoding),
            None => (
                Some(encoding.new_decoder()),
                AsciiCompatibleEncoding::utf_8(),
            ),
        };
        let sink = Arc::clone(&self.found);
        let handlers = ElementContentHandlers::default().element(
            move |element: &mut Element<'_, '_, SendHandlerTypes>| {
                sink.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .note(element);
                Ok(())
            },
        );
        let settings = Settings::new_send()
            .append_element_content_handler((std::borrow::Cow::Borrowed(&*LINKING), handlers))
            .with_encoding(parsed_as)
            // After transcoding, what a meta tag says is wrong.
            .with_adjust_charset_on_meta_tag(decoder.is_none())
            .with_memory_settings(
                MemorySettings::new().with_max_allowed_memory_usage(PARSER_MEMORY),
            )
            // A tag in an odd place is no reason to lose a page.
            .with_strict(false);
        self.parser = Some(HtmlRewriter::new(settings, Discard));
        self.decoder = decoder;
    }

    /// Reads the next bytes of the page. They may break off anywhere.
    pub fn feed(&mut self, chunk: &[u8]) {
        let Some(mut start) = self.start.take() else {
            return self.read(chunk);
        };
        // Most pages come in chunks of kilobytes, which need no copy.
        if start.is_empty() && chunk.len() >= LONGEST_MARK {
            self.begin(Encoding::for_bom(chunk).map_or(self.encoding, |(found, _)| found));
            return self.read(chunk);
        }
        start.extend_from_slice(chunk);
        if start.len() < LONGEST_MARK {
            self.start = Some(start);
            return;
        }
        self.begin(Encoding::for_bom(&start).map_or(self.encoding, |(found, _)| found));
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

    /// Ends the page and resolves its links.
    #[must_use]
    pub fn finish(mut self) -> Links {
        if let Some(start) = self.start.take() {
            self.begin(Encoding::for_bom(&start).map_or(self.encoding, |(found, _)| found));
            self.read(&start);
        }
        if let Some(mut decoder) = self.decoder.take() {
            self.transcode(&mut decoder, b"", true);
        }
        if let Some(parser) = self.parser.take() {
            self.complete &= parser.end().is_ok();
        }
        let found = std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner));
        let base = found.base.and_then(|base| self.page.join(&base).ok());
        // A base such as data: or about: cannot be joined with; browsers ignore it as well.
        let base = base
            .filter(|base| !base.cannot_be_a_base())
            .unwrap_or(self.page);
        let resolve = |href: &String| PageUrl::new(base.join(href).ok()?).ok();
        let mut known = HashSet::new();
        let followed = if found.nofollow {
            &[]
        } else {
            &found.hrefs[..]
        };
        let urls = followed
            .iter()
            .filter_map(resolve)
            .filter(|url| known.insert(url.clone()))
            .collect();
        Links {
            urls,
            complete: self.complete,
            canonical: found.canonical.as_ref().and_then(resolve),
            noindex: found.noindex,
        }
    }

    fn parse(&mut self, bytes: &[u8]) {
        let Some(parser) = &mut self.parser else {
            return;
        };
        if parser.write(bytes).is_err() {
            self.parser = None;
            self.complete = false;
        }
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
}

impl fmt::Debug for LinkExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkExtractor")
            .field("page", &self.page.as_str())
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

impl Found {
    fn note(&mut self, element: &Element<'_, '_, SendHandlerTypes>) {
        // Attribute values come as they stand in the source, character references and all.
        let value = |name| {
            element
                .get_attribute(name)
                .map(|raw| htmlize::unescape_attribute(raw).into_owned())
        };
        let rel = |word| {
            element
                .get_attribute("rel")
                .is_some_and(|rel| has_word(&rel, word))
        };
        match element.tag_name().as_str() {
            // Only the first base counts.
            "base" => self.base = self.base.take().or_else(|| value("href")),
            "a" | "area" if !rel("nofollow") => self.hrefs.extend(value("href")),
            "link" if rel("canonical") => {
                let href = value("href");
                self.canonical = self.canonical.take().or_else(|| href.clone());
                self.hrefs.extend(href);
            }
            "meta"
                if value("name").is_some_and(|name| name.trim().eq_ignore_ascii_case("robots")) =>
            {
                let (nofollow, noindex) = directives(&value("content").unwrap_or_default());
                self.nofollow |= nofollow;
                self.noindex |= noindex;
            }
            "iframe" | "frame" => self.hrefs.extend(value("src")),
            _ => {}
        }
    }
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

/// The character encoding that a `Content-Type` names for HTML; `None` for other types.
fn html_encoding(content_type: &str) -> Option<&'static Encoding> {
    let essence = content_type.split(';').next()?.trim();
    let html = essence.eq_ignore_ascii_case("text/html")
        || essence.eq_ignore_ascii_case("application/xhtml+xml");
    html.then(|| crate::page::charset(content_type).unwrap_or(UTF_8))
}

/// The rewriter copies its input to its output; nobody wants it here.
struct Discard;

impl OutputSink for Discard {
    fn handle_chunk(&mut self, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "http://example.org/dir/page.html";

    fn extract<'a>(content_type: &str, chunks: impl IntoIterator<Item = &'a [u8]>) -> Links {
        let page = Url::parse(PAGE).unwrap();
        let mut links = LinkExtractor::for_page(&page, content_type).unwrap();
        for chunk in chunks {
            links.feed(chunk);
        }
        links.finish()
    }

    fn urls(html: &str) -> Vec<String> {
        let links = extract("text/html", [html.as_bytes()]);
        assert!(links.complete);
        links.urls.iter().map(ToString::to_string).collect()
    }

    const MIXED: &str = r##"<!doctype html><html><head><title>a > b</title>
        <link rel="stylesheet" href="style.css"><link rel="CANONICAL other" href="/canonical">
        </head><body><!-- <a href="comment"> --><script>"<a href='script'>"</script>
        <a class=x href = "one.html?a=1&amp;b=2&lt=3">1</a><a href='../two'>2</a>
        <A HREF=three>3</A><a name=nothing>no</a><a rel="noopener NoFollow" href=secret>no</a>
        <map><area href="/four"></map><iframe src="//example.net/five"></iframe>
        <a href="#top">here</a><a href="mailto:me@example.org">mail</a><a href="javascript:x()">js</a>
        <a href=" /six
 6 ">6</a><a href="&#x2F;seven">7</a><a href="one.html?a=1&b=2&lt=3#again">1 again</a>
        <a href="/caf&eacute;">8</a><a href="http://[bad">bad</a><img src=picture.png>
        <textarea><a href="text"></textarea></body></html>"##;

    fn mixed() -> Vec<&'static str> {
        vec![
            "http://example.org/canonical",
            "http://example.org/dir/one.html?a=1&b=2&lt=3",
            "http://example.org/two",
            "http://example.org/dir/three",
            "http://example.org/four",
            "http://example.net/five",
            "http://example.org/dir/page.html",
            "http://example.org/six%206",
            "http://example.org/seven",
            "http://example.org/caf%C3%A9",
        ]
    }

    #[test]
    fn the_links_of_a_page_and_nothing_else() {
        assert_eq!(urls(MIXED), mixed());
    }

    #[test]
    fn a_split_at_any_byte_changes_nothing() {
        let whole = extract("text/html", [MIXED.as_bytes()]);
        for at in 0..=MIXED.len() {
            let (head, tail) = MIXED.as_bytes().split_at(at);
            assert_eq!(extract("text/html", [head, tail]), whole, "split at {at}");
        }
        assert_eq!(extract("text/html", MIXED.as_bytes().chunks(1)), whole);
    }

    #[test]
    fn a_page_that_breaks_off_keeps_its_complete_links() {
        assert_eq!(
            urls("<a href=x>x</a><a href='unfinished"),
            ["http://example.org/dir/x"]
        );
        assert_eq!(urls(""), Vec::<String>::new());
    }

    #[test]
    fn the_first_base_counts_for_the_whole_page() {
        let html = "<a href=early>x</a><base target=_top><base href='/base/'><base href=/no/>\
                    <a href=late>x</a>";
        assert_eq!(
            urls(html),
            [
                "http://example.org/base/early",
                "http://example.org/base/late"
            ]
        );
        assert_eq!(
            urls("<base href='data:,x'><a href=y>y</a>"),
            ["http://example.org/dir/y"]
        );
        assert_eq!(
            urls("<base href='https://cdn.example/x/'><a href=y>y</a>"),
            ["https://cdn.example/x/y"]
        );
    }

    #[test]
    fn legacy_encodings_are_read_as_what_they_are() {
        let latin: &[u8] = b"<a href=/caf\xe9>x</a>";
        let expected = "http://example.org/caf%C3%A9";
        let url = |links: Links| links.urls[0].to_string();
        assert_eq!(
            url(extract("text/html; charset=ISO-8859-1", [latin])),
            expected
        );
        assert_eq!(
            url(extract("Text/HTML;x=y; Charset=\"latin1\"", [latin])),
            expected
        );
        let meta: &[u8] = b"<meta charset=latin1><a href=/caf\xe9>x</a>";
        assert_eq!(url(extract("text/html", [meta])), expected);
    }

    #[test]
    fn utf_16_is_transcoded_at_any_split() {
        let html = "<meta charset=utf-16><p>\u{1F980}</p><a href='/caf\u{e9}'>x</a>";
        let bytes: Vec<u8> = html.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let links = extract("text/html; charset=utf-16le", [head, tail]);
            assert_eq!(links.urls.len(), 1, "split at {at}");
            assert_eq!(links.urls[0].as_str(), "http://example.org/caf%C3%A9");
        }
        // More text than the transcoding buffer holds.
        let long = format!("{}<a href=end>", "\u{20ac}".repeat(20_000));
        let bytes: Vec<u8> = long.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(
            extract("text/html; charset=utf-16be", [&bytes[..]])
                .urls
                .len(),
            1
        );
    }

    #[test]
    fn a_byte_order_mark_outweighs_the_header() {
        let html = "\u{feff}<a href='/caf\u{e9}'>x</a>";
        let utf_16: Vec<u8> = html.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [utf_16.as_slice(), html.as_bytes()] {
            for size in [1, 2, 3, 1000] {
                let links = extract("text/html; charset=iso-8859-1", bytes.chunks(size));
                let urls: Vec<_> = links.urls.iter().map(PageUrl::as_str).collect();
                assert_eq!(urls, ["http://example.org/caf%C3%A9"], "chunks of {size}");
            }
        }
        assert_eq!(extract("text/html", [&b"ab"[..]]).urls.len(), 0);
    }

    #[test]
    fn a_page_may_say_that_its_links_are_not_to_be_followed() {
        let html = |content: &str| {
            format!(
                "<link rel=canonical href=/c><meta name=Robots content='{content}'><a href=x>x</a>"
            )
        };
        for (content, links, noindex) in [
            ("index, follow", 2, false),
            ("NOFOLLOW", 0, false),
            ("noindex,nofollow", 0, true),
            ("noindex", 2, true),
            ("none", 0, true),
            ("nofollowing", 2, false),
        ] {
            let found = extract("text/html", [html(content).as_bytes()]);
            assert_eq!(
                (found.urls.len(), found.noindex),
                (links, noindex),
                "{content}"
            );
            assert_eq!(found.canonical.unwrap().as_str(), "http://example.org/c");
        }
        assert_eq!(
            urls("<meta name=description content=nofollow><a href=x>x</a>").len(),
            1
        );
    }

    #[test]
    fn only_html_is_read() {
        let page = Url::parse(PAGE).unwrap();
        for html in [
            "text/html",
            "TEXT/HTML ; charset=x-unknown",
            "application/xhtml+xml",
        ] {
            assert!(LinkExtractor::for_page(&page, html).is_some(), "{html}");
        }
        for other in [
            "text/plain",
            "image/png",
            "text/htmlx",
            "application/json",
            "",
        ] {
            assert!(LinkExtractor::for_page(&page, other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_monstrous_tag_ends_the_extraction_but_not_more() {
        let mut html = b"<a href=before>x</a><a href='data:,".to_vec();
        html.resize(html.len() + PARSER_MEMORY + 1024, b'x');
        html.extend_from_slice(b"'>y</a><a href=after>z</a>");
        let links = extract("text/html", html.chunks(64 << 10));
        assert!(!links.complete);
        assert_eq!(links.urls.len(), 1);
        assert_eq!(links.urls[0].as_str(), "http://example.org/dir/before");
    }

    #[test]
    fn extractors_travel_between_workers() {
        fn assert_send<T: Send>() {}
        assert_send::<LinkExtractor>();
    }
}
