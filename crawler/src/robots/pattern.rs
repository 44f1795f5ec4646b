//! Path patterns: `*` stands for anything, `$` at the end for the end (RFC 9309, sections 2.2.2 and 2.2.3).

use memchr::memmem;

/// Steps of one look at an address: bytes of it that are searched, and so many more for each search.
///
/// They are taken in the one task that takes the decisions for all hosts, so it must not be kept from them. A file of a thousand
/// patterns that begin with a star needs a tenth of that for an address of 400 bytes. The largest file of such patterns
/// and the longest address would need a hundred times as much.
pub(super) const STEPS: usize = 4 << 20;

/// What a search costs besides the bytes that it looks at.
const SEARCH: usize = 64;

/// Spells the pattern of an `Allow` or `Disallow` line as addresses are spelled here: escapes in upper case, unreserved
/// characters without, other than ASCII with. `None` for an empty one, which is no rule.
pub(super) fn spell(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
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
    Some(crate::page_url::normalise_escapes(&out).unwrap_or(out))
}

/// Whether a pattern matches the beginning of `path`, or all of it when it ends with `$`. `None` when that takes more
/// than what is left of `steps`.
///
/// Each part between two stars is looked for behind the one before it, as early as possible, which leaves the most room
/// for the next. No second try is needed, so a pattern costs at most its length and that of the path.
pub(super) fn matches(pattern: &str, path: &str, steps: &mut usize) -> Option<bool> {
    let (body, to_the_end) = match pattern.strip_suffix('$') {
        Some(body) => (body, true),
        None => (pattern, false),
    };
    let (mut left, mut rest) = (path.as_bytes(), body.as_bytes());
    // What does not begin with a slash can match no path, except through a star. Most crawlers read it as if the slash
    // had been forgotten, and so does this one.
    if !matches!(rest.first(), Some(b'/' | b'*')) {
        match left.strip_prefix(b"/") {
            Some(behind) => left = behind,
            None => return Some(false),
        }
    }
    let first = memchr::memchr(b'*', rest);
    match left.strip_prefix(&rest[..first.unwrap_or(rest.len())]) {
        Some(behind) => left = behind,
        None => return Some(false),
    }
    let Some(first) = first else {
        return Some(!to_the_end || left.is_empty());
    };
    rest = &rest[first + 1..];
    while let Some(star) = memchr::memchr(b'*', rest) {
        match find(&rest[..star], left, steps)? {
            Some(end) => left = &left[end..],
            None => return Some(false),
        }
        rest = &rest[star + 1..];
    }
    if to_the_end {
        return Some(left.ends_with(rest));
    }
    Some(find(rest, left, steps)?.is_some())
}

/// Where the first `part` in `path` ends.
fn find(part: &[u8], path: &[u8], steps: &mut usize) -> Option<Option<usize>> {
    let end = memmem::find(path, part).map(|at| at + part.len());
    *steps = steps.checked_sub(SEARCH + end.unwrap_or(path.len()))?;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        super::matches(&spell(pattern).unwrap(), path, &mut STEPS.clone()).unwrap()
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
        assert_eq!(spell(""), None);
    }

    /// Backtracking would need more steps than there are. The negative control, tried: let `find` take none off.
    #[test]
    fn a_hostile_pattern_costs_its_length_and_that_of_the_path() {
        let pattern = format!("/{}$", "*a".repeat(4000));
        let path = format!("/{}b", "a".repeat(8000));
        let mut steps = STEPS;
        assert_eq!(super::matches(&pattern, &path, &mut steps), Some(false));
        assert!(STEPS - steps <= 4000 * (SEARCH + 1));
        let mut few = 4000 * SEARCH;
        assert_eq!(super::matches(&pattern, &path, &mut few), None);
    }
}
