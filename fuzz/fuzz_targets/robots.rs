//! `robots.txt` against a second reader of the same rules, which looks at the file once for each path, and matches stars
//! letter by letter.

#![no_main]

use heist_crawler::{MAX_ROBOTS, PageUrl, Robots};
use libfuzzer_sys::fuzz_target;

const AGENT: &str = "heist-crawl/1.0";

// The input is a path, a line feed, then the file.
fuzz_target!(|data: &[u8]| {
    let split = data.iter().position(|&b| b == b'\n').unwrap_or(0);
    let (path, file) = data.split_at(split);
    let robots = Robots::parse(file, AGENT);
    assert!(robots.allows("/robots.txt"));
    // However lines end, and with a remark behind each of them, it says the same.
    for end in [&b"\r\n"[..], b"\r", b"#x\n", b" \n\n"] {
        let lines: Vec<_> = file.split(|&b| b == b'\n').collect();
        let other = lines.join(end);
        assert!(other.len() > MAX_ROBOTS || Robots::parse(&other, AGENT) == robots);
    }
    let url = format!("http://host.example/{}", String::from_utf8_lossy(path));
    let Ok(url) = url.parse::<PageUrl>() else {
        return;
    };
    if url.path() != "/robots.txt" {
        assert_eq!(robots.allows(url.path()), allows(file, url.path()), "{url}");
    }
});

/// Whether the rules for us allow a path.
fn allows(file: &[u8], path: &str) -> bool {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let text = String::from_utf8_lossy(file);
    // For us, and for everybody: the rules that match, by length.
    let mut rules = [Vec::new(), Vec::new()];
    let mut for_whom = [false; 2];
    let (mut named, mut naming) = (false, false);
    for line in text.split(['\n', '\r']) {
        let line = line.split('#').next().unwrap_or_default();
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        let key = key.trim().to_ascii_lowercase();
        match &*key {
            "user-agent" => {
                if !std::mem::replace(&mut naming, true) {
                    for_whom = [false; 2];
                }
                let is_name = |c: &char| c.is_ascii_alphabetic() || "-_".contains(*c);
                let name: String = value.chars().take_while(is_name).collect();
                for_whom[0] |= name.eq_ignore_ascii_case("heist-crawl");
                for_whom[1] |= value.starts_with('*');
                named |= for_whom[0];
            }
            "allow" | "disallow" => {
                naming = false;
                if value.is_empty() {
                    continue;
                }
                let pattern = spelled(value);
                for (rules, _) in rules.iter_mut().zip(for_whom).filter(|(_, ours)| *ours) {
                    if matches(&pattern, path) {
                        rules.push((pattern.len(), key == "allow"));
                    }
                }
            }
            _ => {}
        }
    }
    let [ours, others] = rules;
    let deciding = if named { ours } else { others };
    deciding.into_iter().max().is_none_or(|(_, allow)| allow)
}

/// A pattern as the path of an address has it, which is spelled here by the parser of addresses.
fn spelled(pattern: &str) -> String {
    let mut escaped = String::new();
    for character in pattern.chars() {
        if character.is_ascii_graphic() {
            escaped.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    heist_crawler::fuzzing::normal_escapes(&escaped)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (body, to_the_end) = match pattern.strip_suffix('$') {
        Some(body) => (body, true),
        None => (pattern, false),
    };
    let slash = if body.starts_with(['/', '*']) {
        ""
    } else {
        "/"
    };
    let body = [slash, body].concat();
    // So much of the path can be matched by what was read of the pattern.
    let path = path.as_bytes();
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for letter in body.bytes() {
        if letter == b'*' {
            let first = reached.iter().position(|&it| it).unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            for at in (0..path.len()).rev() {
                reached[at + 1] = reached[at] && path[at] == letter;
            }
            reached[0] = false;
        }
    }
    if to_the_end {
        reached[path.len()]
    } else {
        reached.contains(&true)
    }
}
