//! A `robots.txt`, from bytes to the rules for one crawler.

use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use super::pattern::{STEPS, matches, spell};

/// Bytes of a file that are read. More are ignored; [RFC 9309, section 2.5] asks for this many at least.
///
/// [RFC 9309, section 2.5]: https://www.rfc-editor.org/rfc/rfc9309#section-2.5
pub const MAX_ROBOTS: usize = 500 << 10;

/// The rules of a site for one crawler.
///
/// ```
/// use heist_crawler::Robots;
///
/// let file = b"User-agent: *\nDisallow: /private/\nAllow: /private/tour$\nCrawl-delay: 2\n";
/// let robots = Robots::parse(file, "my-crawler/1.0 (+https://example.org)");
/// assert!(robots.allows("/public"));
/// assert!(!robots.allows("/private/diary"));
/// assert!(robots.allows("/private/tour"));
/// assert_eq!(robots.crawl_delay(), Some(std::time::Duration::from_secs(2)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robots {
    /// The patterns of the rules, one behind the other: they are kept for each host, and may be many thousands.
    patterns: Box<str>,
    /// The longest pattern first, and of equally long ones those that allow: the first that matches decides.
    rules: Box<[Rule]>,
    crawl_delay: Option<Duration>,
    sitemaps: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    /// Where its pattern ends. It begins where that of the rule before it ends.
    end: u32,
    allow: bool,
}

/// The lines of all groups that name the same crawler.
#[derive(Debug, Default)]
struct Group {
    named: bool,
    /// Patterns, and whether they allow.
    rules: Vec<(Rc<str>, bool)>,
    crawl_delay: Option<Duration>,
}

impl Robots {
    /// Everything is allowed: what a site without a `robots.txt` says.
    #[must_use]
    pub fn allow_all() -> Self {
        Self::new(&[], None, Vec::new())
    }

    /// Nothing is allowed: what a site says whose `robots.txt` cannot be had.
    #[must_use]
    pub fn disallow_all() -> Self {
        Self::new(&[("/".into(), false)], None, Vec::new())
    }

    /// Of rules in the order in which they decide.
    fn new(
        rules: &[(Rc<str>, bool)],
        crawl_delay: Option<Duration>,
        sitemaps: Vec<String>,
    ) -> Self {
        let mut patterns = String::with_capacity(rules.iter().map(|(text, _)| text.len()).sum());
        let place = |(text, allow): &(Rc<str>, bool)| {
            patterns.push_str(text);
            // A file has half a megabyte, of which a byte is nine at most when it is spelled out.
            let end = u32::try_from(patterns.len()).unwrap_or(u32::MAX);
            let allow = *allow;
            Rule { end, allow }
        };
        Self {
            rules: rules.iter().map(place).collect(),
            patterns: patterns.into_boxed_str(),
            crawl_delay,
            sitemaps,
        }
    }

    /// Reads a file. `user_agent` is how the crawler introduces itself; its product token, which is the part
    /// before a slash or space, is looked for in the file. Groups that name it are taken together, and those
    /// for `*` if none does. Lines that are no rules are passed over.
    #[must_use]
    pub fn parse(file: &[u8], user_agent: &str) -> Self {
        let file = &file[..file.len().min(MAX_ROBOTS)];
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let text = String::from_utf8_lossy(file);
        let us = product_token(user_agent);
        let (mut ours, mut others) = (Group::default(), Group::default());
        let mut sitemaps = Vec::new();
        // Whom the lines that follow are for, and whether the names of a group are complete.
        let (mut for_us, mut for_all, mut naming) = (false, false, false);
        for (key, value) in text.split(['\r', '\n']).filter_map(key_and_value) {
            if key.eq_ignore_ascii_case("user-agent") {
                if !naming {
                    (for_us, for_all, naming) = (false, false, true);
                }
                for_us |= !us.is_empty() && product_token(value).eq_ignore_ascii_case(us);
                for_all |= value.starts_with('*');
                ours.named |= for_us;
                continue;
            }
            let rule = if key.eq_ignore_ascii_case("allow") {
                Some(true)
            } else if key.eq_ignore_ascii_case("disallow") {
                Some(false)
            } else {
                None
            };
            if let Some(allow) = rule {
                naming = false;
                let Some(pattern) = spell(value).map(Rc::from) else {
                    continue;
                };
                for (group, named) in [(&mut ours, for_us), (&mut others, for_all)] {
                    if named {
                        group.rules.push((Rc::clone(&pattern), allow));
                    }
                }
            } else if key.eq_ignore_ascii_case("crawl-delay") {
                // No part of the RFC, so it does not end the names of a group.
                for (group, named) in [(&mut ours, for_us), (&mut others, for_all)] {
                    if named && group.crawl_delay.is_none() {
                        group.crawl_delay = seconds(value);
                    }
                }
            } else if key.eq_ignore_ascii_case("sitemap") {
                // For everybody, wherever it stands.
                sitemaps.push(value.to_owned());
            }
        }
        let mut group = if ours.named { ours } else { others };
        let order = |(pattern, allow): &(Rc<str>, bool)| {
            let length = Reverse(pattern.len());
            (length, !allow, Rc::clone(pattern))
        };
        group.rules.sort_by_cached_key(order);
        group.rules.dedup();
        Self::new(&group.rules, group.crawl_delay, sitemaps)
    }

    /// Whether an address may be fetched. `path` is its path with the query, as in a request.
    ///
    /// Nothing is allowed that cannot be decided in a bounded number of steps: with a thousand patterns with stars that is an
    /// address of more than 4,000 bytes, with ten thousand one of more than 350.
    #[must_use]
    pub fn allows(&self, path: &str) -> bool {
        let (mut begin, mut steps) = (0, STEPS);
        for &Rule { end, allow } in &self.rules {
            let end = end as usize;
            match matches(&self.patterns[begin..end], path, &mut steps) {
                Some(false) => begin = end,
                Some(true) => return allow || path == "/robots.txt",
                None => return path == "/robots.txt",
            }
        }
        true
    }

    /// The time that the site wants between two requests. It is no part of the RFC, and may be anything: cap it.
    #[must_use]
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    /// The sitemaps that the file names, as they are written there.
    #[must_use]
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }

    /// Drops the sitemaps, which are of no use any more when they were read.
    pub(crate) fn forget_sitemaps(&mut self) {
        self.sitemaps = Vec::new();
    }

    /// Bytes of memory that the rules take.
    pub(crate) fn memory(&self) -> usize {
        self.patterns.len() + size_of_val(&*self.rules)
    }
}

/// The name that `robots.txt` knows a crawler by: letters, `-` and `_` at the beginning.
fn product_token(user_agent: &str) -> &str {
    let end = user_agent.find(|c: char| !(c.is_ascii_alphabetic() || c == '-' || c == '_'));
    &user_agent[..end.unwrap_or(user_agent.len())]
}

fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let line = line.split('#').next()?;
    let (key, value) = line.split_once(':')?;
    Some((key.trim(), value.trim()))
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    // Negative and endless times are none.
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(file: &str, agent: &str, path: &str) -> bool {
        Robots::parse(file.as_bytes(), agent).allows(path)
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 9309, section 5.1.
        let file = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                    User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n\
                    User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\n\
                    User-Agent: quxbot\n";
        for (agent, path, expected) in [
            ("other/1", "/a.gif", false),
            ("other/1", "/a.gif?x", true),
            ("other/1", "/example/x", false),
            ("other/1", "/publications/", true),
            ("FooBot/2.1 (+x)", "/", false),
            ("foobot", "/example/page.html", true),
            ("foobot", "/example/allowed.gif", true),
            ("barbot", "/example/page.html", false),
            ("barbot", "/a.gif", true),
            ("bazbot", "/example/page.html", false),
            ("quxbot", "/example/", true),
        ] {
            assert_eq!(allowed(file, agent, path), expected, "{agent} {path}");
        }
    }

    #[test]
    fn the_longest_pattern_decides_and_a_tie_allows() {
        // RFC 9309, section 5.2.
        let file = "user-agent: *\nallow: /example/page/\ndisallow: /example/page/disallowed.gif";
        assert!(!allowed(file, "x", "/example/page/disallowed.gif"));
        assert!(allowed(file, "x", "/example/page/other"));
        let file = "user-agent: *\ndisallow: /page\nallow: /page";
        assert!(allowed(file, "x", "/page/1"));
        let file = "user-agent: *\nallow: /p\ndisallow: /";
        assert!(allowed(file, "x", "/page") && !allowed(file, "x", "/q"));
        assert!(allowed("user-agent: *\ndisallow: /", "x", "/robots.txt"));
    }

    #[test]
    fn groups_are_joined_and_odd_lines_passed_over() {
        let file = "\u{feff}Disallow: /before\r\nUSER-AGENT : me # us\r\nCrawl-delay: 1.5\r\nUnknown: x\r\n\
                    User-agent: you/3.0\rDisallow: /one\n\nSitemap: http://a.example/s.xml\n\
                    nonsense\nAllow\n: x\nDisallow: /two # and why\n\
                    User-agent: *\nDisallow: /\nUser-agent: me\nDisallow: /three\nDisallow:\n";
        for agent in ["me/1.0", "ME"] {
            let robots = Robots::parse(file.as_bytes(), agent);
            for (path, expected) in [
                ("/before", true),
                ("/one", false),
                ("/two", false),
                ("/three", false),
            ] {
                assert_eq!(robots.allows(path), expected, "{agent} {path}");
            }
            assert_eq!(robots.crawl_delay(), Some(Duration::from_millis(1500)));
            assert_eq!(robots.sitemaps(), ["http://a.example/s.xml"]);
        }
        assert!(!allowed(file, "you", "/two") && allowed(file, "you", "/three"));
        // A name that only begins alike is another one.
        assert!(!allowed(file, "meow/1", "/anything"));
        // A crawler without a token follows the rules for all.
        assert!(!allowed(file, "(nameless)", "/anything"));
    }

    #[test]
    fn delays_that_are_none() {
        for value in ["-1", "inf", "NaN", "soon", "", "1e300"] {
            let file = format!("user-agent: *\ncrawl-delay: {value}");
            assert_eq!(
                Robots::parse(file.as_bytes(), "x").crawl_delay(),
                None,
                "{value}"
            );
        }
    }

    #[test]
    fn five_hundred_kibibytes_are_read_and_no_more() {
        let mut file = b"user-agent: *\n".to_vec();
        file.resize(MAX_ROBOTS - 20, b'#');
        file.extend_from_slice(b"\ndisallow: /last\n");
        file.resize(MAX_ROBOTS, b'#');
        assert!(!Robots::parse(&file, "x").allows("/last"));
        file.extend_from_slice(b"\ndisallow: /beyond\n");
        assert!(Robots::parse(&file, "x").allows("/beyond"));
    }

    /// As many patterns with a star as there can be, and the longest address. The negative control, tried: `usize::MAX` steps.
    #[test]
    fn a_hostile_file_costs_little() {
        let many = |count: usize, line: fn(usize) -> String| -> Robots {
            let file: String = (0..count).map(line).collect();
            Robots::parse(format!("user-agent: *\n{file}").as_bytes(), "x")
        };
        let robots = many(MAX_ROBOTS / 14, |nth| format!("allow:*b{nth:05}\n"));
        assert!(robots.rules.len() > 30_000 && robots.patterns.len() < MAX_ROBOTS);
        let longest = format!("/{}", "a".repeat(crate::MAX_URL_LENGTH - 1));
        assert!(!robots.allows(&longest), "what takes too long is refused");
        assert!(robots.allows("/robots.txt") && robots.allows("/b00000"));
        // Addresses and files as they are, and larger, are decided.
        let robots = many(4000, |nth| format!("disallow: /*?sort={nth}\n"));
        let path = format!("/{}", "a".repeat(800));
        assert!(robots.allows(&path) && !robots.allows(&format!("{path}?sort=3999")));
        // What is said again and again is said once.
        let robots = many(40_000, |_| "disallow:*b\n".to_owned());
        assert_eq!(robots.rules.len(), 1);
    }

    #[test]
    fn whatever_the_bytes_are_it_ends() {
        let letters = b"user-agent:disallow: allow*$/\n\r#\xff\x00 ";
        let mut next = crate::random::numbers();
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..200).map(|_| letters[next(letters.len())]).collect();
            let _ = Robots::parse(&bytes, "user").allows("/user");
        }
        assert!(Robots::parse(b"", "x").allows("/"));
        assert!(!Robots::disallow_all().allows("/"));
        assert!(Robots::allow_all().allows("/"));
    }
}
