//! Path patterns: `*` stands for anything, `$` at the end for the end (RFC 9309, sections 2.2.2 and 2.2.3).

/// A pattern of an `Allow` or `Disallow` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The text between the stars, in the one spelling of escapes that addresses have here too.
    parts: Vec<String>,
    /// Whether it ends with `$`.
    to_the_end: bool,
    /// Bytes of the pattern: the longest one that matches decides.
    length: usize,
}

impl Pattern {
    /// `None` for an empty pattern, which is no rule.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let text = spell(text);
        let length = text.len();
        let (body, to_the_end) = match text.strip_suffix('$') {
            Some(body) => (body, true),
            None => (&*text, false),
        };
        // What does not begin with a slash can match no path, except through a star. Most crawlers read it as if
        // the slash had been forgotten, and so does this one.
        let body = if body.starts_with(['/', '*']) {
            body.to_owned()
        } else {
            format!("/{body}")
        };
        Some(Self {
            parts: body.split('*').map(str::to_owned).collect(),
            to_the_end,
            length,
        })
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether the pattern matches the beginning of `path`, or all of it when it ends with `$`.
    ///
    /// Each part is looked for behind the one before it, as early as possible, which leaves the most room for
    /// the next. No second try is needed, so a hostile pattern costs at most its length times that of the path.
    pub(super) fn matches(&self, path: &str) -> bool {
        let (first, rest) = self
            .parts
            .split_first()
            .expect("splitting gives one part at least");
        let Some(mut left) = path.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some((last, middle)) = rest.split_last() else {
            return !self.to_the_end || left.is_empty();
        };
        for part in middle {
            let Some(at) = left.find(part.as_str()) else {
                return false;
            };
            left = &left[at + part.len()..];
        }
        if self.to_the_end {
            left.ends_with(last.as_str())
        } else {
            left.contains(last.as_str())
        }
    }
}

/// Spells a pattern as addresses are: escapes in upper case, unreserved characters without, other than ASCII with.
fn spell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_graphic() {
            out.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    crate::page_url::normalise_escapes(&out).unwrap_or(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(path)
    }

    #[test]
    fn stars_ends_and_prefixes() {
        for (pattern, yes, no) in [
            ("/", vec!["/", "/a"], vec![]),
            (
                "/fish",
                vec!["/fish", "/fish.html", "/fishheads/x", "/fish?id=1"],
                vec!["/Fish", "/catfish", "/fis"],
            ),
            (
                "/fish*",
                vec!["/fish", "/fish.html"],
                vec!["/Fish.asp", "/desert/fish"],
            ),
            (
                "/fish/",
                vec!["/fish/", "/fish/salmon"],
                vec!["/fish", "/fish.html"],
            ),
            (
                "/*.php",
                vec!["/index.php", "/a/b.php?x", "/php.php5"],
                vec!["/", "/windows.PHP"],
            ),
            (
                "/*.php$",
                vec!["/index.php", "/a.php/b.php"],
                vec!["/index.php?x", "/a.php/", "/php"],
            ),
            (
                "/fish*.php",
                vec!["/fish.php", "/fishheads/cat.php?x"],
                vec!["/Fish.PHP"],
            ),
            ("/$", vec!["/"], vec!["/a"]),
            ("*", vec!["/", "/x"], vec![]),
            ("*/x$", vec!["/x", "/a/x"], vec!["/x/"]),
            ("/a*b*c", vec!["/abc", "/a1b2c3"], vec!["/acb"]),
            ("/a*a$", vec!["/aa", "/a/a"], vec!["/a"]),
            ("/a$b", vec!["/a$b"], vec!["/a"]),
            ("private", vec!["/private/x"], vec!["/x/private"]),
            ("/%7euser", vec!["/~user/x"], vec!["/user"]),
            ("/caf\u{e9}", vec!["/caf%C3%A9"], vec!["/cafe"]),
            ("/a%2fb", vec!["/a%2Fb"], vec!["/a/b"]),
        ] {
            for path in yes {
                assert!(matches(pattern, path), "{pattern} must match {path}");
            }
            for path in no {
                assert!(!matches(pattern, path), "{pattern} must not match {path}");
            }
        }
        assert_eq!(Pattern::new(""), None);
    }

    #[test]
    fn a_hostile_pattern_costs_little() {
        let pattern = Pattern::new(&format!("/{}$", "*a".repeat(4000))).unwrap();
        let path = format!("/{}b", "a".repeat(8000));
        let started = std::time::Instant::now();
        assert!(!pattern.matches(&path));
        // Backtracking would take longer than anybody lives.
        assert!(started.elapsed().as_secs() < 2);
    }
}
