//! What an address on a page means.

use url::Url;

use crate::{MAX_URL_LENGTH, PageUrl};

/// What the addresses of a page are relative to.
#[derive(Debug)]
pub(super) struct Base {
    url: Url,
    /// Where its path begins, and where its last segment does, if nothing in them needs a second look.
    plain: Option<(usize, usize)>,
}

impl Base {
    pub(super) fn new(url: Url) -> Self {
        let simple = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && !url.path().contains('%');
        let plain = simple.then(|| {
            let path = url[..url::Position::BeforePath].len();
            let folder = url.path().rfind('/').map_or(0, |at| at + 1);
            (path, path + folder)
        });
        Self { url, plain }
    }

    /// The page at `address`, if it is one.
    pub(super) fn resolve(&self, address: &str) -> Option<PageUrl> {
        self.resolve_plain(address)
            .or_else(|| PageUrl::new(self.url.join(address).ok()?).ok())
    }

    /// The same for addresses that are a path as it should be written, as most are, which needs no parser.
    fn resolve_plain(&self, address: &str) -> Option<PageUrl> {
        let (path, folder) = self.plain?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if address.is_empty() || address.starts_with("//") || !address.bytes().all(plain) {
            return None;
        }
        let (start, rest) = match address.strip_prefix('/') {
            Some(rest) => (path + 1, rest),
            None => (folder, address),
        };
        let mut text = String::with_capacity(start + rest.len());
        text.push_str(&self.url.as_str()[..start]);
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "." => {}
                ".." => leave_folder(&mut text, path + 1),
                _ => {
                    text.push_str(segment);
                    if segments.peek().is_some() {
                        text.push('/');
                    }
                }
            }
        }
        (text.len() <= MAX_URL_LENGTH).then(|| PageUrl::from_normal(text))
    }
}

/// Takes the last folder off a path that ends with one, unless it is the `root`.
fn leave_folder(text: &mut String, root: usize) {
    if text.len() > root {
        text.pop();
        let above = text.rfind('/').map_or(root, |at| at + 1);
        text.truncate(above.max(root));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::numbers;

    /// The negative control, tried: let `leave_folder` forget the root.
    #[test]
    fn the_short_way_leads_where_the_long_one_does() {
        let bases = [
            "http://example.org/",
            "http://example.org/a",
            "https://example.org:8080/a/b/c.html?q=/x/#y",
            "http://[::1]/a//b/",
            "http://me:secret@example.org/a/",
            "http://example.org/%7euser/%2e/x",
        ];
        let pieces = [
            "a", "..", ".", "/", "x.html", "...", "-~_", "?q", "%41", "b:", "#f", "A", " ", "\\",
        ];
        let mut next = numbers();
        let mut short = 0;
        for base in bases {
            let base = Base::new(Url::parse(base).unwrap());
            for _ in 0..5000 {
                // Rarely one of those at the end, for which there is no short way.
                let usual = if next(4) == 0 { pieces.len() } else { 7 };
                let address: String = (0..next(10)).map(|_| pieces[next(usual)]).collect();
                let long = base
                    .url
                    .join(&address)
                    .ok()
                    .and_then(|url| PageUrl::new(url).ok());
                assert_eq!(base.resolve(&address), long, "{address:?} on {}", base.url);
                if let Some(found) = base.resolve_plain(&address) {
                    short += 1;
                    assert_eq!(Some(found), long);
                }
            }
        }
        assert!(short > 5000, "{short}");
    }

    #[test]
    fn what_is_too_long_is_no_address() {
        let base = Base::new(Url::parse("http://example.org/").unwrap());
        let longest = "x".repeat(MAX_URL_LENGTH - "http://example.org/".len());
        assert!(base.resolve(&longest).is_some());
        assert!(base.resolve(&(longest + "x")).is_none());
    }
}
