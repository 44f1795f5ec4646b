//! The account of a crawl: what was fetched, what failed and why, how fast it went.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{FailureKind, Record};

/// Why a crawl ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// It is still running.
    Running,
    /// Every page found was fetched.
    Finished,
    /// The limit of pages was reached while more were known.
    PageLimit,
    /// The limit of bytes was reached.
    ByteLimit,
    /// Its time was up.
    TimeLimit,
    /// It was stopped from outside.
    Stopped,
    /// A store, the frontier or the journal could not do its work.
    Failed,
}

impl End {
    /// In words.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Running => "so far",
            Self::Finished => "finished",
            Self::PageLimit => "page limit reached",
            Self::ByteLimit => "byte limit reached",
            Self::TimeLimit => "time is up",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// Counts over the records of a crawl.
///
/// [`Display`](fmt::Display) makes it a small table, [`Serialize`] one JSON object with the
/// derived figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pages: u64,
    bytes: u64,
    redirects: u64,
    errors: BTreeMap<FailureKind, u64>,
    /// By first digit of the status; index 0 is every status outside 1xx to 5xx.
    statuses: [u64; 6],
    links_cut_short: u64,
    retries: u64,
    skipped: u64,
    duplicates: u64,
    hosts_given_up: u64,
    /// Pages that an earlier run has fetched.
    earlier: u64,
    elapsed: Duration,
    end: End,
}

impl Summary {
    /// The account of a crawl that has done nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pages: 0,
            bytes: 0,
            redirects: 0,
            errors: BTreeMap::new(),
            statuses: [0; 6],
            links_cut_short: 0,
            retries: 0,
            skipped: 0,
            duplicates: 0,
            hosts_given_up: 0,
            earlier: 0,
            elapsed: Duration::ZERO,
            end: End::Running,
        }
    }

    /// Counts a record.
    pub fn add(&mut self, record: &Record) {
        self.pages += 1;
        self.bytes += record.content_length;
        self.redirects += u64::from(record.redirect.is_some());
        if let Some(status) = record.status {
            let class = usize::from(status / 100);
            self.statuses[if class < self.statuses.len() {
                class
            } else {
                0
            }] += 1;
        }
        if let Some(failure) = &record.error {
            *self.errors.entry(failure.kind()).or_default() += 1;
        }
    }

    pub(crate) fn count_links_cut_short(&mut self) {
        self.links_cut_short += 1;
    }

    pub(crate) fn count_retry(&mut self) {
        self.retries += 1;
    }

    pub(crate) fn count_skipped(&mut self) {
        self.skipped += 1;
    }

    pub(crate) fn count_duplicate(&mut self) {
        self.duplicates += 1;
    }

    pub(crate) fn count_host_given_up(&mut self) {
        self.hosts_given_up += 1;
    }

    /// Counts the record of an earlier run.
    pub(crate) fn add_earlier(&mut self, record: &Record) {
        self.add(record);
        self.earlier += 1;
    }

    pub(crate) fn set_elapsed(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    pub(crate) fn set_end(&mut self, end: End) {
        self.end = end;
    }

    /// Pages tried: one for every record.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Pages that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Pages that did not fail, redirects included.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.pages - self.failed()
    }

    /// Pages that were redirects, as far as they lead somewhere.
    #[must_use]
    pub fn redirects(&self) -> u64 {
        self.redirects
    }

    /// Failures by kind; kinds that did not occur are left out.
    #[must_use]
    pub fn errors(&self) -> &BTreeMap<FailureKind, u64> {
        &self.errors
    }

    /// Responses with a status of this class: 2 for 200 to 299, and so on; 0 for the statuses
    /// outside 100 to 599.
    #[must_use]
    pub fn status_class(&self, class: usize) -> u64 {
        self.statuses.get(class).copied().unwrap_or(0)
    }

    /// Bytes of body, those of failed pages included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Pages whose links could only be read in part.
    #[must_use]
    pub fn links_cut_short(&self) -> u64 {
        self.links_cut_short
    }

    /// Requests that were made again because the server was busy.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Pages that were found and not fetched because their host had failed too often, or had all the pages that it
    /// may have.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Pages whose content was that of a page before, where that is looked for.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Hosts that failed too often.
    #[must_use]
    pub fn hosts_given_up(&self) -> u64 {
        self.hosts_given_up
    }

    /// Pages that earlier runs have fetched, where a journal tells of them. All other figures include them, except
    /// the time and the rates.
    #[must_use]
    pub fn earlier(&self) -> u64 {
        self.earlier
    }

    /// Time from the first fetch to the last record.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Why the crawl ended.
    #[must_use]
    pub fn end(&self) -> End {
        self.end
    }

    /// Pages tried per second; 0 for a crawl that took no time.
    #[must_use]
    pub fn pages_per_second(&self) -> f64 {
        ratio(
            (self.pages - self.earlier) as f64,
            self.elapsed.as_secs_f64(),
        )
    }

    /// Mean bytes of body per page tried; 0 without pages.
    #[must_use]
    pub fn average_size(&self) -> f64 {
        ratio(self.bytes as f64, self.pages as f64)
    }

    /// The status classes that occurred, named.
    fn statuses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        const NAMES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
        NAMES
            .into_iter()
            .zip(self.statuses)
            .filter(|&(_, count)| count > 0)
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}

/// A quotient that is 0 rather than infinite, because JSON has no infinity.
fn ratio(value: f64, by: f64) -> f64 {
    if by > 0.0 { value / by } else { 0.0 }
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Figures {
            pages: u64,
            succeeded: u64,
            failed: u64,
            redirects: u64,
            errors: BTreeMap<&'static str, u64>,
            status: BTreeMap<&'static str, u64>,
            bytes: u64,
            average_size: f64,
            elapsed_s: f64,
            pages_per_second: f64,
            links_cut_short: u64,
            retries: u64,
            skipped: u64,
            duplicates: u64,
            hosts_given_up: u64,
            earlier: u64,
            end: End,
        }
        Figures {
            pages: self.pages,
            succeeded: self.succeeded(),
            failed: self.failed(),
            redirects: self.redirects,
            errors: self
                .errors
                .iter()
                .map(|(kind, &count)| (kind.as_str(), count))
                .collect(),
            status: self.statuses().collect(),
            bytes: self.bytes,
            average_size: self.average_size(),
            elapsed_s: self.elapsed.as_secs_f64(),
            pages_per_second: self.pages_per_second(),
            links_cut_short: self.links_cut_short,
            retries: self.retries,
            skipped: self.skipped,
            duplicates: self.duplicates,
            hosts_given_up: self.hosts_given_up,
            earlier: self.earlier,
            end: self.end,
        }
        .serialize(serializer)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = self.end.describe();
        writeln!(f, "{:<14}{:>10}  {how}", "pages", self.pages)?;
        for (class, count) in self.statuses() {
            writeln!(f, "  {class:<12}{count:>10}")?;
        }
        writeln!(f, "{:<14}{:>10}", "errors", self.failed())?;
        for (kind, count) in &self.errors {
            writeln!(f, "  {kind:<12}{count:>10}")?;
        }
        if self.links_cut_short > 0 {
            writeln!(f, "{:<14}{:>10}  pages", "links cut", self.links_cut_short)?;
        }
        for (name, count, what) in [
            ("earlier", self.earlier, "pages of earlier runs"),
            ("retries", self.retries, "requests to busy servers"),
            ("skipped", self.skipped, "pages of hosts that had enough"),
            (
                "given up",
                self.hosts_given_up,
                "hosts that failed too often",
            ),
            ("duplicates", self.duplicates, "pages equal to another"),
        ] {
            if count > 0 {
                writeln!(f, "{name:<14}{count:>10}  {what}")?;
            }
        }
        writeln!(
            f,
            "{:<14}{:>10}  {}",
            "bytes",
            self.bytes,
            Size(self.bytes as f64)
        )?;
        writeln!(
            f,
            "{:<14}{:>10.0}  bytes",
            "average size",
            self.average_size()
        )?;
        writeln!(
            f,
            "{:<14}{:>10.3}  s",
            "elapsed",
            self.elapsed.as_secs_f64()
        )?;
        write!(f, "{:<14}{:>10.1}", "pages/s", self.pages_per_second())
    }
}

/// A number of bytes for people, in binary units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) f64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0;
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024.0 {
                return write!(f, "{value:.*} {unit}", usize::from(unit != "B"));
            }
            value /= 1024.0;
        }
        write!(f, "{value:.1} TiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;

    fn record(status: Option<u16>, bytes: u64, error: Option<FailureKind>) -> Record {
        Record {
            url: "http://example.org/".to_owned(),
            status,
            content_length: bytes,
            elapsed_ms: 1.0,
            error: error.map(|kind| Failure::new(kind, "because")),
            depth: 0,
            referrer: None,
            redirect: (status == Some(302)).then(|| "http://example.org/b".to_owned()),
        }
    }

    fn sample() -> Summary {
        let mut summary = Summary::new();
        summary.add(&record(Some(200), 1000, None));
        summary.add(&record(Some(204), 0, None));
        summary.add(&record(Some(302), 24, None));
        summary.add(&record(Some(404), 476, Some(FailureKind::Status)));
        summary.add(&record(Some(999), 0, Some(FailureKind::Status)));
        summary.add(&record(None, 0, Some(FailureKind::Timeout)));
        summary.set_elapsed(Duration::from_millis(500));
        summary.set_end(End::Finished);
        summary
    }

    #[test]
    fn records_are_counted_in_every_way() {
        let summary = sample();
        assert_eq!(
            (summary.pages(), summary.failed(), summary.succeeded()),
            (6, 3, 3)
        );
        assert_eq!((summary.status_class(2), summary.status_class(4)), (2, 1));
        assert_eq!((summary.status_class(0), summary.status_class(7)), (1, 0));
        assert_eq!((summary.bytes(), summary.redirects()), (1500, 1));
        assert!((summary.pages_per_second() - 12.0).abs() < 1e-9);
        assert!((summary.average_size() - 250.0).abs() < 1e-9);
    }

    #[test]
    fn json_has_every_figure() {
        let json = serde_json::to_value(sample()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "pages": 6, "succeeded": 3, "failed": 3, "redirects": 1,
                "errors": {"status": 2, "timeout": 1},
                "status": {"other": 1, "2xx": 2, "3xx": 1, "4xx": 1},
                "bytes": 1500, "average_size": 250.0, "elapsed_s": 0.5,
                "pages_per_second": 12.0, "links_cut_short": 0, "retries": 0,
                "skipped": 0, "duplicates": 0, "hosts_given_up": 0, "earlier": 0, "end": "finished",
            })
        );
    }

    #[test]
    fn an_empty_crawl_has_finite_figures() {
        let json = serde_json::to_value(Summary::new()).unwrap();
        assert_eq!(json["pages_per_second"], 0.0);
        assert_eq!(json["average_size"], 0.0);
    }

    #[test]
    fn the_table_lines_up() {
        let table = sample().to_string();
        for expected in [
            "pages                  6  finished",
            "  2xx                  2",
            "errors                 3",
            "  timeout              1",
            "bytes               1500  1.5 KiB",
            "elapsed            0.500  s",
            "pages/s             12.0",
        ] {
            assert!(
                table.lines().any(|line| line == expected),
                "{expected:?} in\n{table}"
            );
        }
        assert!(!table.ends_with('\n'));
    }

    #[test]
    fn sizes_are_readable() {
        let size = |bytes: f64| Size(bytes).to_string();
        assert_eq!(size(0.0), "0 B");
        assert_eq!(size(1023.0), "1023 B");
        assert_eq!(size(1024.0), "1.0 KiB");
        assert_eq!(size(5.5 * 1024.0 * 1024.0), "5.5 MiB");
        assert_eq!(size(3.0 * 1024f64.powi(4)), "3.0 TiB");
    }
}
