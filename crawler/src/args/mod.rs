//! The command line of `heist-crawl`.

mod values;

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "redis")]
use clap::ArgGroup;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use http::{HeaderName, HeaderValue};

#[cfg(feature = "redis")]
use crate::RedisFrontier;
use crate::{DelayRange, PageUrl, Reach, config, options};
use values::{
    bytes, cookie, count, header, header_line, long_seconds, pattern, pause, seconds, user,
};
#[cfg(feature = "redis")]
use values::{frontier, keep, lease};

const EXAMPLES: &str = "\
Examples:
  heist-crawl
          Serve 2000 linked pages on loopback, and crawl them
  heist-crawl https://example.org/ --max-pages 500 --output pages.jsonl
          500 pages of a site, one JSON object a line
  heist-crawl https://example.org/docs/ --include '/docs/' --delay 0.2 --report report.html
          A part of a site, five pages a second, and a report with charts
  heist-crawl https://example.org/ --sitemaps --warc site.warc.gz
          An archive of a site, also of what only its sitemap names
  heist-crawl https://example.org/ --journal site.journal --output pages.jsonl
          The same command once more goes on after Ctrl-C, a crash, or kill -9
  heist-crawl https://example.org/ --frontier redis://10.0.0.1/ --output pages-$(hostname).jsonl
          A crawl that any number of machines share: start the same on each of them
  heist-crawl --config nightly.toml --quiet --summary-json -
          Flags from a file of lines such as `max-pages = 500`; the command line counts more

Exit status:
  0        the crawl ended by itself, or at a limit
  1        nothing could be fetched, or the program could not work; the reason is on standard error
  2        bad arguments, or a bad configuration file
  128+N    signal N stopped the crawl: 130 for Ctrl-C, 143 for SIGTERM.
           The first lets it end in order, the second ends it at once";

/// Crawls web sites, or an embedded one, on the Heist runtime.
///
/// Without a URL, a site of linked pages is served on loopback and crawled. With URLs, those are
/// crawled, staying on their hosts, one request a second for each, as their robots.txt allows.
/// Servers on loopback are asked as fast as they answer, unless a flag says otherwise.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "heist-crawl",
    version,
    verbatim_doc_comment,
    after_long_help = EXAMPLES,
    after_help = "--help says more, and has examples.",
    args_override_self = true
)]
#[cfg_attr(feature = "redis", command(group = ArgGroup::new("purpose").args(["urls", "frontier_clear"])))]
pub struct Args {
    /// Where to start: http:// or https:// addresses
    #[arg(value_name = "URL")]
    pub urls: Vec<PageUrl>,

    /// Read flags from a TOML file: `long-name = value`, `urls = [..]`; the command line counts more
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Pages of the embedded site
    #[arg(
        long,
        value_name = "N",
        default_value = "2000",
        conflicts_with = "urls",
        help_heading = "Embedded site"
    )]
    pub pages: NonZeroU32,

    /// The embedded site answers this many milliseconds late: `A..B`, or one number
    #[arg(
        long,
        value_name = "A..B",
        conflicts_with = "urls",
        help_heading = "Embedded site"
    )]
    pub delay_ms: Option<DelayRange>,

    /// How far to go from the URLs
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "host",
        value_enum,
        help_heading = "Scope"
    )]
    pub reach: Reach,

    /// Follow only links to addresses that match this regular expression; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = pattern, help_heading = "Scope")]
    pub include: Vec<String>,

    /// Follow no links to addresses that match this regular expression; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = pattern, help_heading = "Scope")]
    pub exclude: Vec<String>,

    /// Read the sitemaps of the hosts
    #[arg(long, help_heading = "Scope")]
    pub sitemaps: bool,

    /// Follow no links of pages whose content equals that of another
    #[arg(long, help_heading = "Scope")]
    pub unique_content: bool,

    /// Fetch no page beyond this number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub max_pages: Option<u64>,

    /// Fetch no page beyond this number from any one host
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub max_pages_per_host: Option<u64>,

    /// Follow no link from a page this many links away from where the crawl started
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_depth: Option<u32>,

    /// End after so many bytes of bodies; K, M and G are powers of 1024
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Limits")]
    pub max_bytes: Option<u64>,

    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = long_seconds, help_heading = "Limits")]
    pub max_time: Option<Duration>,

    /// Give up on a page larger than this
    #[arg(long, value_name = "BYTES", default_value = "64M", value_parser = bytes, help_heading = "Limits")]
    pub max_body: u64,

    /// Fetches under way at a time
    #[arg(long, value_name = "N", default_value = "64", value_parser = count, help_heading = "Politeness")]
    pub concurrency: usize,

    /// Seconds from the end of an answer to the next request to that host [default: 1; on loopback 0]
    #[arg(long, value_name = "SECONDS", value_parser = pause, help_heading = "Politeness")]
    pub delay: Option<Duration>,

    /// Requests to a host at a time, where there is no delay [default: 2; on loopback no limit]
    #[arg(long, value_name = "N", value_parser = count, help_heading = "Politeness")]
    pub per_host: Option<usize>,

    /// Requests to an IP address at a time [default: 8; on loopback no limit]
    #[arg(long, value_name = "N", value_parser = count, help_heading = "Politeness")]
    pub per_address: Option<usize>,

    /// Whether to follow robots.txt [default: true; on loopback false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true,
          help_heading = "Politeness")]
    pub robots: Option<bool>,

    /// The longest Crawl-delay of a robots.txt that is followed; 0 to pay no attention to it
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = pause, help_heading = "Politeness")]
    pub max_crawl_delay: Duration,

    /// Give a host up after so many failures in a row
    #[arg(long, value_name = "N", default_value = "25", value_parser = clap::value_parser!(u32).range(1..),
          help_heading = "Politeness")]
    pub error_budget: u32,

    /// Ask again for a page whose server is busy (429, 503)
    #[arg(
        long,
        value_name = "N",
        default_value = "2",
        help_heading = "Politeness"
    )]
    pub retries: u32,

    /// How the crawler introduces itself; its first word is looked for in robots.txt
    #[arg(long, value_name = "NAME", default_value = options::USER_AGENT, value_parser = header,
          help_heading = "Requests")]
    pub user_agent: String,

    /// A header of every request; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header_line, help_heading = "Requests")]
    pub header: Vec<(HeaderName, HeaderValue)>,

    /// A cookie for the hosts of the URLs, and keep those of the servers; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = cookie, requires = "urls", help_heading = "Requests")]
    pub cookie: Vec<String>,

    /// Keep and send the cookies of the servers
    #[arg(long, help_heading = "Requests")]
    pub cookies: bool,

    /// User and password for every request; `env:VAR` takes them from a variable, where `ps` does not show them
    #[arg(long, value_name = "USER:PASSWORD", value_parser = user, help_heading = "Requests")]
    pub user: Option<HeaderValue>,

    /// The proxy for all requests; by default those of the environment
    #[arg(long, value_name = "URL", help_heading = "Requests")]
    pub proxy: Option<String>,

    /// Connect to no private or local addresses, whatever leads there
    #[arg(long, help_heading = "Requests")]
    pub block_private: bool,

    /// Seconds that one page may take, from connecting to its last byte
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds, help_heading = "Requests")]
    pub timeout_s: Duration,

    /// Write one JSON object per page to FILE; `-` is standard output
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Add every response to a web archive, usually named .warc.gz
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub warc: Option<PathBuf>,

    /// Share the crawl with other machines, through a Redis server
    ///
    /// `redis://host:port/database`, `rediss://` for TLS, `redis+unix:///path`, or `env:VAR` for one that is in VAR.
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "URL", value_parser = frontier, requires = "purpose", conflicts_with = "journal",
          help_heading = "Many machines")]
    pub frontier: Option<RedisFrontier>,

    /// The name of the shared crawl: the same name goes on, another one begins anew
    #[cfg(feature = "redis")]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "crawl",
        requires = "frontier",
        help_heading = "Many machines"
    )]
    pub frontier_name: String,

    /// Seconds after which others take over what a crawler had that is not heard of, 1 to 3600
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = lease, requires = "frontier",
          help_heading = "Many machines")]
    pub frontier_lease: Duration,

    /// Seconds for which a crawl is remembered in which nothing is left to do, or `forever`
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "SECONDS", default_value = "604800", value_parser = keep, requires = "frontier",
          help_heading = "Many machines")]
    pub frontier_keep: Duration,

    /// Have the server forget the crawl, whatever is left to do, and exit
    #[cfg(feature = "redis")]
    #[arg(long, requires = "frontier", help_heading = "Many machines")]
    pub frontier_clear: bool,

    /// Trust the server of the frontier by the certificates in FILE (PEM), and no others
    #[cfg(all(feature = "redis", feature = "https"))]
    #[arg(
        long,
        value_name = "FILE",
        requires = "frontier",
        help_heading = "Many machines"
    )]
    pub frontier_ca: Option<PathBuf>,

    /// Show the server of the frontier the certificate in FILE (PEM)
    #[cfg(all(feature = "redis", feature = "https"))]
    #[arg(long, value_name = "FILE", requires_all = ["frontier", "frontier_key"], help_heading = "Many machines")]
    pub frontier_cert: Option<PathBuf>,

    /// The private key of that certificate
    #[cfg(all(feature = "redis", feature = "https"))]
    #[arg(
        long,
        value_name = "FILE",
        requires = "frontier_cert",
        help_heading = "Many machines"
    )]
    pub frontier_key: Option<PathBuf>,

    /// Note what was found and done in FILE; if it exists, go on from there
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub journal: Option<PathBuf>,

    /// Waiting pages in memory; more go to a file in the folder for temporary files
    #[arg(
        long,
        value_name = "N",
        default_value = "100000",
        help_heading = "Output"
    )]
    pub queue_memory: usize,

    /// Write the summary as one JSON object to FILE; `-` is standard output
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub summary_json: Option<PathBuf>,

    /// Write a report with charts to FILE, one page of HTML
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub report: Option<PathBuf>,

    /// Say more on standard error: failed pages, and progress more often when it is no terminal
    #[arg(long, short, conflicts_with = "quiet", help_heading = "Output")]
    pub verbose: bool,

    /// Say nothing but errors: no display, no summary
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,

    /// Worker threads; by default one per available processor
    #[arg(long, value_name = "N", value_parser = count)]
    pub workers: Option<usize>,

    /// Print a script for completions of a shell, and exit
    #[arg(long, value_name = "SHELL", value_enum)]
    pub completions: Option<Shell>,

    /// Print the manual page, and exit
    #[arg(long)]
    pub man: bool,
}

impl Args {
    /// Reads a command line, its first word the name of the program, and the configuration file that it names.
    ///
    /// # Errors
    ///
    /// Also for `--help` and `--version`: the error knows what to print, and its exit status.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let line: Vec<_> = line.into_iter().collect();
        let args = Self::try_parse_from(&line)?;
        let Some(path) = &args.config else {
            return Ok(args);
        };
        let fault = |text: String| Self::command().error(clap::error::ErrorKind::Io, text);
        let flags = config::flags(path).map_err(fault)?;
        let (name, rest) = line.split_at(1);
        let whole = name.iter().chain(&flags).chain(rest);
        let parsed = Self::try_parse_from(whole);
        parsed.map_err(|error| match error.exit_code() {
            0 => error,
            _ => fault(format!(
                "with the flags of `{}`: {}",
                path.display(),
                reason(&error)
            )),
        })
    }

    /// Whether standard output carries JSON, so that nothing else may be printed there.
    #[must_use]
    pub fn stdout_is_taken(&self) -> bool {
        let is_stdout =
            |path: &Option<PathBuf>| path.as_ref().is_some_and(|p| p.as_os_str() == "-");
        is_stdout(&self.output) || is_stdout(&self.summary_json)
    }
}

/// What an error says, without the word `error` and the usage.
fn reason(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.split("\n\nUsage:")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn what_is_said_twice_counts_once_and_lists_grow() {
        let args =
            parse("--max-pages 7 --max-pages 8 --include a --include b --robots --max-bytes 2M")
                .unwrap();
        assert_eq!((args.max_pages, args.max_bytes), (Some(8), Some(2 << 20)));
        assert_eq!((args.include.len(), args.robots), (2, Some(true)));
        assert_eq!(parse("--robots=false").unwrap().robots, Some(false));
        let args =
            Args::try_parse_from(["x", "--header", "A: b:c", "--user", "Aladdin:open sesame"])
                .unwrap();
        assert_eq!(args.header[0].1, "b:c");
        assert_eq!(args.user.unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn the_command_line_counts_more_than_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crawl.toml");
        let read = |text: &str, more: &[&str]| {
            std::fs::write(&path, text).unwrap();
            let line = ["heist-crawl", "--config", path.to_str().unwrap()];
            Args::read(line.iter().chain(more).map(OsString::from))
        };
        let text =
            "max-pages = 5\nmax-depth = 2\nexclude = [\"x\"]\nurls = [\"http://a.example/\"]\n";
        let args = read(text, &["--max-pages", "6", "--exclude", "y"]).unwrap();
        assert_eq!((args.max_pages, args.max_depth), (Some(6), Some(2)));
        assert_eq!((args.exclude.len(), args.urls.len()), (2, 1));
        for (text, expected) in [
            ("max-pagez = 5", "--max-pagez"),
            ("max-pages = 0", "--max-pages"),
            ("max-pages = ", "is no TOML"),
        ] {
            let error = read(text, &[]).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let message = error.to_string();
            assert!(
                message.contains(expected) && message.contains("crawl.toml"),
                "{message}"
            );
        }
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
            "--max-bytes 0",
            "--max-bytes 5X",
            "--max-time 0",
            "--delay=-1",
            "--include [",
            "--header nonsense",
            "--header =:x",
            "--user nobody",
            "--user env:NO_SUCH_VARIABLE_HERE",
        ] {
            assert_eq!(refusal(line), ErrorKind::ValueValidation, "{line}");
        }
        assert_eq!(refusal("--reach nowhere"), ErrorKind::InvalidValue);
        assert_eq!(refusal("--frobnicate"), ErrorKind::UnknownArgument);
        for line in [
            "--pages 5 http://a.example/",
            "--delay-ms 5 http://a.example/",
        ] {
            assert_eq!(refusal(line), ErrorKind::ArgumentConflict, "{line}");
        }
    }
}
