//! Addresses out of sitemaps ([sitemaps.org]), plain or in gzip, while they arrive.
//!
//! [sitemaps.org]: https://www.sitemaps.org/protocol.html

use std::io::Write;

use flate2::write::MultiGzDecoder;

use crate::PageUrl;

/// Bytes of a sitemap, uncompressed, that are read. The protocol allows no more.
const LARGEST: usize = 50 << 20;

/// Addresses of a sitemap that are read. The protocol allows no more.
const MOST: usize = 50_000;

/// The longest text between two tags that is kept; a longer one is no address.
const LONGEST: usize = 4 * crate::MAX_URL_LENGTH;

/// Reads a sitemap, or an index of sitemaps, as its bytes arrive.
#[derive(Debug)]
pub(crate) struct SitemapReader {
    gzip: Option<MultiGzDecoder<Scanner>>,
    scanner: Scanner,
    started: bool,
    ended: bool,
}

impl SitemapReader {
    /// A reader, if a page with this address and type can be a sitemap.
    pub(crate) fn for_page(url: &PageUrl, content_type: &str) -> Option<Self> {
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let path = url.path().split('?').next().unwrap_or_default();
        let xml = matches!(&*essence, "text/xml" | "application/xml");
        let named = path.ends_with(".xml") || path.ends_with(".xml.gz");
        let other = matches!(&*essence, "text/html" | "application/xhtml+xml");
        ((xml || named) && !other).then(|| Self {
            gzip: None,
            scanner: Scanner::default(),
            started: false,
            ended: false,
        })
    }

    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        if !std::mem::replace(&mut self.started, true) && chunk.starts_with(b"\x1f") {
            self.gzip = Some(MultiGzDecoder::new(std::mem::take(&mut self.scanner)));
        }
        if self.ended {
            return;
        }
        // A file that is damaged, or has said enough, ends here; what it said before counts.
        let outcome = match &mut self.gzip {
            Some(gzip) => gzip.write_all(chunk),
            None => self.scanner.write_all(chunk),
        };
        self.ended = outcome.is_err();
    }

    /// The addresses, each once, if it was a sitemap.
    pub(crate) fn finish(mut self) -> Vec<PageUrl> {
        if let Some(gzip) = &mut self.gzip {
            let _ = gzip.try_finish();
            self.scanner = std::mem::take(gzip.get_mut());
        }
        let mut known = std::collections::HashSet::new();
        let mut urls = self.scanner.urls;
        urls.retain(|url| known.insert(url.clone()));
        urls
    }
}

/// Looks for `loc` elements. A sitemap holds no other text of interest, so no more of XML needs to be understood than
/// tags, comments, CDATA and references.
#[derive(Debug, Default)]
struct Scanner {
    read: usize,
    /// What is not decided yet: from the last tag on.
    rest: Vec<u8>,
    root: Option<bool>,
    urls: Vec<PageUrl>,
}

impl Write for Scanner {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let enough = self.read > LARGEST || self.urls.len() >= MOST || self.root == Some(false);
        if enough {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        self.read += bytes.len();
        self.rest.extend_from_slice(bytes);
        self.scan();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Scanner {
    fn scan(&mut self) {
        let mut done = 0;
        while let Some(end) = self.step(done) {
            done = end;
        }
        self.rest.drain(..done);
        // A tag or text without end is no address.
        if self.rest.len() > LONGEST {
            self.rest.clear();
        }
    }

    /// Reads the next tag behind `from`, with its text if it is an address, and says where it ends. `None` when more
    /// must arrive for that.
    fn step(&mut self, from: usize) -> Option<usize> {
        let start = from + memchr::memchr(b'<', &self.rest[from..])?;
        let tag = &self.rest[start..];
        if tag.starts_with(b"<!--") {
            return memchr::memmem::find(tag, b"-->").map(|end| start + end + 3);
        }
        let end = memchr::memchr(b'>', tag)?;
        let name = tag[1..end]
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        let behind = start + end + 1;
        if self.root.is_none() && !name.starts_with(b"?") && !name.starts_with(b"!") {
            self.root = Some(name == b"urlset" || name == b"sitemapindex");
        }
        if name != b"loc" || self.root != Some(true) {
            return Some(behind);
        }
        let length = memchr::memmem::find(&self.rest[behind..], b"</loc")?;
        if self.urls.len() < MOST {
            self.urls
                .extend(address(&self.rest[behind..behind + length]));
        }
        Some(behind + length)
    }
}

fn address(text: &[u8]) -> Option<PageUrl> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let text = match text.strip_prefix("<![CDATA[") {
        Some(text) => text.strip_suffix("]]>")?.trim().to_owned(),
        None => htmlize::unescape(text).into_owned(),
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- <urlset><loc>http://no/</loc> -->\n\
        <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\"><url>\n<loc> http://a.example/?x=1&amp;y=2 </loc>\
        <image:image><image:loc>http://a.example/picture.png</image:loc></image:image></url>\
        <url><loc><![CDATA[http://a.example/c?a&b]]></loc></url><url><loc>http://a.example/c?a&amp;b</loc></url>\
        <url><loc>nowhere</loc></url><url><loc>http://a.example/last</loc></url></urlset>";

    fn read(chunks: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
        let url = "http://a.example/sitemap.xml".parse().unwrap();
        let mut reader = SitemapReader::for_page(&url, "").unwrap();
        chunks.for_each(|chunk| reader.feed(chunk.as_ref()));
        reader.finish().iter().map(ToString::to_string).collect()
    }

    fn expected() -> Vec<&'static str> {
        vec![
            "http://a.example/?x=1&y=2",
            "http://a.example/c?a&b",
            "http://a.example/last",
        ]
    }

    #[test]
    fn addresses_are_found_at_any_split() {
        for size in [1, 2, 3, 7, 64, 10_000] {
            assert_eq!(
                read(MAP.as_bytes().chunks(size)),
                expected(),
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn gzip_is_seen_by_its_first_byte() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        gzip.write_all(MAP.as_bytes()).unwrap();
        let bytes = gzip.finish().unwrap();
        for size in [1, 5, 10_000] {
            assert_eq!(read(bytes.chunks(size)), expected(), "chunks of {size}");
        }
        // One that breaks off has said something all the same, and never panics.
        for end in 0..bytes.len() {
            read(bytes[..end].chunks(50));
        }
    }

    #[test]
    fn what_is_no_sitemap_names_nothing() {
        let rss = MAP.replace("urlset", "rss");
        assert_eq!(read(rss.as_bytes().chunks(100)), Vec::<String>::new());
        let url: PageUrl = "http://a.example/x".parse().unwrap();
        assert!(SitemapReader::for_page(&url, "text/html").is_none());
        assert!(SitemapReader::for_page(&url, "application/XML; charset=utf-8").is_some());
        let named: PageUrl = "http://a.example/map.xml.gz?v=2".parse().unwrap();
        assert!(SitemapReader::for_page(&named, "application/octet-stream").is_some());
        assert!(SitemapReader::for_page(&named, "text/html").is_none());
    }

    #[test]
    fn a_bomb_is_read_up_to_the_limit() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
        gzip.write_all(b"<urlset>").unwrap();
        for _ in 0..200 {
            gzip.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        let bytes = gzip.finish().unwrap();
        let url = "http://a.example/sitemap.xml".parse().unwrap();
        let mut reader = SitemapReader::for_page(&url, "").unwrap();
        for chunk in bytes.chunks(4096) {
            reader.feed(chunk);
            let scanner = reader.gzip.as_ref().unwrap().get_ref();
            assert!(scanner.rest.capacity() < 1 << 20 && scanner.read <= LARGEST + (1 << 20));
        }
        assert_eq!(reader.finish().len(), 0);
    }
}
