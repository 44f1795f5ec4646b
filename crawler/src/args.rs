//! The command line of `heist-crawl`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::{DelayRange, PageUrl, options};

/// Longest time that a page may be given.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Crawls web sites, or an embedded one, on the Heist runtime.
///
/// Without a URL, a site of linked pages is served on loopback and crawled. With URLs, those are
/// crawled, staying on their hosts. Exit status: 0 when the crawl ended by itself, 1 when nothing
/// could be fetched or the program could not work, 2 on bad arguments, 128 plus the signal's
/// number when it was interrupted.
#[derive(Debug, Clone, Parser)]
#[command(name = "heist-crawl", version, max_term_width = 100)]
pub struct Args {
    /// Where to start: http:// or https:// addresses
    #[arg(value_name = "URL")]
    pub urls: Vec<PageUrl>,

    /// Pages of the embedded site
    #[arg(
        long,
        value_name = "N",
        default_value = "2000",
        conflicts_with = "urls"
    )]
    pub pages: NonZeroU32,

    /// The embedded site answers this many milliseconds late: `A..B`, or one number
    #[arg(long, value_name = "A..B", conflicts_with = "urls")]
    pub delay_ms: Option<DelayRange>,

    /// Fetches under way at a time
    #[arg(long, value_name = "N", default_value = "64", value_parser = count)]
    pub concurrency: usize,

    /// Write one JSON object per page to FILE; `-` is standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Fetch no page beyond this number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pages: Option<u64>,

    /// Follow no link from a page this many links away from where the crawl started
    #[arg(long, value_name = "N")]
    pub max_depth: Option<u32>,

    /// Seconds that one page may take, from connecting to its last byte
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub timeout_s: Duration,

    /// Write the summary as one JSON object to FILE; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub summary_json: Option<PathBuf>,

    /// How the crawler introduces itself
    #[arg(long, value_name = "NAME", default_value = options::USER_AGENT, value_parser = header)]
    pub user_agent: String,

    /// Worker threads; by default one per available processor
    #[arg(long, value_name = "N", value_parser = count)]
    pub workers: Option<usize>,

    /// Say more on standard error: failed pages, and progress when it is no terminal
    #[arg(long, short)]
    pub verbose: bool,
}

impl Args {
    /// Whether standard output carries JSON, so that nothing else may be printed there.
    #[must_use]
    pub fn stdout_is_taken(&self) -> bool {
        let is_stdout =
            |path: &Option<PathBuf>| path.as_ref().is_some_and(|p| p.as_os_str() == "-");
        is_stdout(&self.output) || is_stdout(&self.summary_json)
    }
}

/// Of things that cost memory each: a slip of the hand should not ask for billions.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1_000_000) => Ok(count),
        _ => Err("it must be a number from 1 to 1000000".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is no number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(duration),
        _ => Err("the time must be more than zero and at most a day".to_owned()),
    }
}

fn header(text: &str) -> Result<String, String> {
    match http::HeaderValue::from_str(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err("it must be one line of visible characters".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once("heist-crawl").chain(line.split_whitespace()))
    }

    fn refusal(line: &str) -> ErrorKind {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        error.kind()
    }

    #[test]
    fn the_command_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let args = parse("").unwrap();
        assert!(args.urls.is_empty());
        assert_eq!((args.pages.get(), args.concurrency), (2000, 64));
        assert_eq!(args.timeout_s, Duration::from_secs(30));
        assert!(args.user_agent.starts_with("heist-crawl/"));
        assert!(args.delay_ms.is_none() && args.max_pages.is_none() && args.workers.is_none());
        assert!(!args.stdout_is_taken());
    }

    #[test]
    fn everything_can_be_said() {
        let args = parse(
            "--concurrency 3 --output - --max-pages 7 --max-depth 0 --timeout-s 0.25 \
             --summary-json s.json --user-agent me/1 --workers 2 -v http://a.example https://b.example/x",
        )
        .unwrap();
        assert_eq!(args.urls[1].as_str(), "https://b.example/x");
        assert_eq!(args.timeout_s, Duration::from_millis(250));
        assert_eq!((args.max_pages, args.max_depth), (Some(7), Some(0)));
        assert!(args.stdout_is_taken() && args.verbose);
        let args = parse("--pages 5 --delay-ms 10..20").unwrap();
        assert_eq!(args.delay_ms, Some(DelayRange::new(10, 20).unwrap()));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--pages 0",
            "--concurrency 0",
            "--max-pages 0",
            "--workers 0",
            "--timeout-s 0",
            "--timeout-s=-1",
            "--timeout-s inf",
            "--timeout-s 1e9",
            "--concurrency 1000001",
            "--timeout-s soon",
            "--delay-ms 5..2",
            "--delay-ms a..b",
            "example.com",
            "ftp://example.com/",
            "--user-agent=",
        ] {
            assert_eq!(refusal(line), ErrorKind::ValueValidation, "{line}");
        }
        assert_eq!(refusal("--frobnicate"), ErrorKind::UnknownArgument);
        for line in [
            "--pages 5 http://a.example/",
            "--delay-ms 5 http://a.example/",
        ] {
            assert_eq!(refusal(line), ErrorKind::ArgumentConflict, "{line}");
        }
    }
}
