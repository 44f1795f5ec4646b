//! What the frontier answers: lines of text, as `exchange.lua` writes them.

use std::io;
use std::str::{FromStr, Split};
use std::time::Duration;

use crate::Job;

/// An answer, line by line.
#[derive(Debug)]
pub(super) enum Line {
    /// This host is ours from now on.
    Host {
        origin: String,
        backoff: Duration,
        failures: u32,
    },
    /// The pages that follow are of this host, which is ours; whether more of it wait.
    Pages { origin: String, more: bool },
    /// A page, ours to fetch.
    Page(Job),
    /// More pages of this host wait, which is ours.
    More(String),
    /// This host is not ours any more.
    Lost(String),
    /// All bytes that we were ever granted, those that we gave back not counted.
    Bytes(u64),
    /// How the crawl is.
    State(State),
}

/// How the crawl is, all of its crawlers together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct State {
    /// Crawlers.
    pub(crate) crawlers: usize,
    /// Hosts that nobody has, and somebody may have now or later.
    pub(super) ready: usize,
    /// Pages that nobody has.
    pub(crate) waiting: usize,
    /// Pages that are done.
    pub(crate) done: u64,
    /// Those of them that went well.
    pub(crate) good: u64,
    /// Hosts for each crawler, if all have the same.
    pub(super) share: usize,
    /// Other crawlers that want hosts and get none.
    pub(super) hungry: usize,
    /// Other crawlers that want bytes and get none.
    pub(super) thirsty: usize,
    /// Whether all bytes are spent.
    pub(super) spent: bool,
    /// Whether nothing is left to do.
    pub(super) over: bool,
}

/// Takes an answer apart.
pub(super) fn parse(text: &str) -> io::Result<Vec<Line>> {
    text.lines()
        .map(|line| {
            parse_line(line).ok_or_else(|| {
                let text = format!(
                    "the frontier answers `{line}`, which means nothing; has somebody else written to its keys?"
                );
                io::Error::new(io::ErrorKind::InvalidData, text)
            })
        })
        .collect()
}

fn parse_line(line: &str) -> Option<Line> {
    let (kind, rest) = line.split_once('\t')?;
    let mut parts = rest.split('\t');
    Some(match kind {
        "H" => Line::Host {
            origin: origin(&mut parts)?,
            backoff: Duration::from_millis(next(&mut parts)?),
            failures: next(&mut parts)?,
        },
        "P" => Line::Pages {
            origin: origin(&mut parts)?,
            more: flag(&mut parts)?,
        },
        "J" => Line::Page(Job::read(rest.as_bytes())?),
        "M" => Line::More(origin(&mut parts)?),
        "L" => Line::Lost(origin(&mut parts)?),
        "B" => Line::Bytes(next(&mut parts)?),
        "S" => Line::State(State {
            crawlers: next(&mut parts)?,
            ready: next(&mut parts)?,
            waiting: next(&mut parts)?,
            done: next(&mut parts)?,
            good: next(&mut parts)?,
            share: next(&mut parts)?,
            hungry: next(&mut parts)?,
            thirsty: next(&mut parts)?,
            spent: flag(&mut parts)?,
            over: flag(&mut parts)?,
        }),
        _ => return None,
    })
}

fn next<T: FromStr>(parts: &mut Split<'_, char>) -> Option<T> {
    parts.next()?.parse().ok()
}

fn flag(parts: &mut Split<'_, char>) -> Option<bool> {
    Some(next::<u8>(parts)? == 1)
}

/// It must be one: what is made of it later is taken apart again.
fn origin(parts: &mut Split<'_, char>) -> Option<String> {
    let text = parts.next()?;
    let page: crate::PageUrl = text.parse().ok()?;
    (page.origin() == text).then(|| text.to_owned())
}

/// The pages of an answer, if it is one. For fuzz targets.
#[cfg(fuzzing)]
pub(crate) fn jobs(text: &str) -> Vec<Job> {
    let page = |line| match line {
        Line::Page(job) => Some(job),
        _ => None,
    };
    let lines = parse(text).unwrap_or_default();
    lines.into_iter().filter_map(page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_writes_is_read() {
        let text = "H\thttp://a.example\t1500\t3\nP\thttp://a.example\t1\nJ\thttp://a.example/x\t2\t0\thttp://a.example/\n\
                    M\thttp://a.example\nL\thttp://a.example:81\nB\t9007199254740991\nS\t3\t4\t5\t6\t6\t7\t8\t9\t0\t1";
        let lines = parse(text).unwrap();
        assert!(
            matches!(&lines[0], Line::Host { origin, backoff, failures: 3 }
            if origin == "http://a.example" && *backoff == Duration::from_millis(1500))
        );
        assert!(matches!(&lines[1], Line::Pages { more: true, .. }));
        assert!(matches!(&lines[2], Line::Page(job) if job.depth == 2));
        assert!(matches!(&lines[5], Line::Bytes(9_007_199_254_740_991)));
        assert!(matches!(&lines[6], Line::State(state)
            if state.over && !state.spent && state.crawlers == 3 && state.thirsty == 9));
    }

    #[test]
    fn what_it_would_not_write_is_refused() {
        for text in [
            "",
            "?\tx",
            "H\thttp://a.example/\t1\t1",
            "H\tx\t1\t1",
            "P\thttp://a.example",
            "J\tx",
            "S\t1",
            "B\t-1",
        ] {
            let refused = parse(&format!("{text}\n")).is_err();
            assert!(refused, "{text:?}");
        }
    }
}
