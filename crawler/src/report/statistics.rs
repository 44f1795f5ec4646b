//! What is gathered while records come: bounded, however many there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use crate::Record;

/// Points of the curve of throughput. When there are more, two neighbours become one.
const POINTS: usize = 240;

/// Pages in each list of extremes.
const EXTREMES: usize = 10;

/// Hosts that are told apart; more are counted together.
const HOSTS: usize = 10_000;

/// Buckets of latency for each doubling.
const PER_OCTAVE: f64 = 4.0;

/// Figures about the pages of a crawl for the display and the report.
///
/// ```
/// use std::time::Duration;
/// use heist_crawler::{Statistics, Summary};
///
/// let mut statistics = Statistics::new();
/// # let record = heist_crawler::Record { url: "http://example.org/".into(), status: Some(200),
/// #     content_length: 5, elapsed_ms: 1.0, error: None, depth: 0, referrer: None, redirect: None };
/// statistics.add(&record, Duration::from_millis(20));
/// assert!(statistics.html(&Summary::new()).starts_with("<!DOCTYPE html>"));
/// ```
#[derive(Debug, Clone)]
pub struct Statistics {
    /// Pages and bytes in each span of time.
    pub(super) points: Vec<(u64, u64)>,
    pub(super) span: Duration,
    /// By logarithm of the time that the page took.
    latencies: BTreeMap<i32, u64>,
    pub(super) depths: BTreeMap<u32, u64>,
    largest: BinaryHeap<Reverse<(u64, String)>>,
    /// In microseconds.
    slowest: BinaryHeap<Reverse<(u64, String)>>,
    hosts: HashMap<String, Host>,
    others: Host,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Host {
    pub(crate) pages: u64,
    pub(crate) errors: u64,
    pub(crate) bytes: u64,
    pub(crate) total_ms: f64,
}

impl Statistics {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            points: Vec::new(),
            span: Duration::from_millis(50),
            latencies: BTreeMap::new(),
            depths: BTreeMap::new(),
            largest: BinaryHeap::new(),
            slowest: BinaryHeap::new(),
            hosts: HashMap::new(),
            others: Host::default(),
        }
    }

    /// Takes note of a page that was done this long after the beginning.
    pub fn add(&mut self, record: &Record, at: Duration) {
        let mut point = self.point(at);
        while point >= POINTS {
            self.halve();
            point = self.point(at);
        }
        if self.points.len() <= point {
            self.points.resize(point + 1, (0, 0));
        }
        self.points[point].0 += 1;
        self.points[point].1 += record.content_length;
        *self.depths.entry(record.depth).or_default() += 1;
        if record.status.is_some() {
            let bucket = (record.elapsed_ms.max(0.001).log2() * PER_OCTAVE).floor() as i32;
            *self.latencies.entry(bucket).or_default() += 1;
        }
        keep(&mut self.largest, record.content_length, &record.url);
        keep(
            &mut self.slowest,
            (record.elapsed_ms * 1000.0) as u64,
            &record.url,
        );
        self.note_host(record);
    }

    fn note_host(&mut self, record: &Record) {
        let end = record.url.find("://").map_or(0, |at| at + 3);
        let end = record.url[end..]
            .find('/')
            .map_or(record.url.len(), |at| end + at);
        let origin = &record.url[..end];
        let full = self.hosts.len() >= HOSTS;
        let host = match self.hosts.get_mut(origin) {
            Some(host) => host,
            None if full => &mut self.others,
            None => self.hosts.entry(origin.to_owned()).or_default(),
        };
        host.pages += 1;
        host.errors += u64::from(record.error.is_some());
        host.bytes += record.content_length;
        host.total_ms += record.elapsed_ms;
    }

    fn point(&self, at: Duration) -> usize {
        usize::try_from(at.as_nanos() / self.span.as_nanos()).unwrap_or(usize::MAX)
    }

    /// Joins two neighbours each.
    fn halve(&mut self) {
        let join = |pair: &[(u64, u64)]| {
            pair.iter()
                .fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1))
        };
        self.points = self.points.chunks(2).map(join).collect();
        self.span *= 2;
    }

    /// Milliseconds that this part of the pages took at most, to a fifth.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let all: u64 = self.latencies.values().sum();
        let wanted = (all as f64 * part).ceil() as u64;
        let mut sum = 0;
        for (&bucket, &count) in &self.latencies {
            sum += count;
            if sum >= wanted {
                return upper(bucket);
            }
        }
        0.0
    }

    /// How many pages took up to so many milliseconds, for each step of time between the fastest and the slowest.
    pub(super) fn latencies(&self) -> Vec<(f64, u64)> {
        let (Some((&first, _)), Some((&last, _))) = (
            self.latencies.first_key_value(),
            self.latencies.last_key_value(),
        ) else {
            return Vec::new();
        };
        let count = |bucket: i32| self.latencies.get(&bucket).copied().unwrap_or(0);
        (first..=last)
            .map(|bucket| (upper(bucket), count(bucket)))
            .collect()
    }

    /// Bytes and address, the largest first.
    pub(super) fn largest(&self) -> Vec<(u64, &str)> {
        sorted(&self.largest)
    }

    /// Microseconds and address, the slowest first.
    pub(super) fn slowest(&self) -> Vec<(u64, &str)> {
        sorted(&self.slowest)
    }

    /// The hosts whose pages take the longest on average.
    pub(crate) fn slowest_hosts(&self, count: usize) -> Vec<(&str, Host)> {
        let mut hosts: Vec<_> = self
            .hosts
            .iter()
            .map(|(name, host)| (name.as_str(), *host))
            .collect();
        let mean = |host: &Host| host.total_ms / host.pages as f64;
        hosts.sort_by(|a, b| mean(&b.1).total_cmp(&mean(&a.1)).then_with(|| a.0.cmp(b.0)));
        hosts.truncate(count);
        hosts
    }
}

impl Default for Statistics {
    fn default() -> Self {
        Self::new()
    }
}

/// The end of a bucket, in milliseconds.
fn upper(bucket: i32) -> f64 {
    ((f64::from(bucket) + 1.0) / PER_OCTAVE).exp2()
}

/// Puts a page into a list of the greatest, if it is one of them.
fn keep(list: &mut BinaryHeap<Reverse<(u64, String)>>, value: u64, url: &str) {
    // Most are not, and cost no memory.
    if list.len() == EXTREMES {
        if list
            .peek()
            .is_some_and(|Reverse((least, _))| value <= *least)
        {
            return;
        }
        list.pop();
    }
    list.push(Reverse((value, url.to_owned())));
}

fn sorted(list: &BinaryHeap<Reverse<(u64, String)>>) -> Vec<(u64, &str)> {
    let mut sorted: Vec<_> = list
        .iter()
        .map(|Reverse((value, url))| (*value, url.as_str()))
        .collect();
    sorted.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    sorted
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn record(number: u64) -> Record {
        Record {
            url: format!("http://host-{}.example/{number}?<&\">", number % 3),
            status: Some(200),
            content_length: number,
            elapsed_ms: number as f64,
            error: None,
            depth: (number % 5) as u32,
            referrer: None,
            redirect: None,
        }
    }

    #[test]
    fn figures_are_kept_within_bounds() {
        let mut statistics = Statistics::new();
        for number in 1..=1000 {
            statistics.add(&record(number), Duration::from_millis(number * 100));
        }
        assert!(statistics.points.len() <= POINTS);
        assert_eq!(
            statistics.points.iter().map(|point| point.0).sum::<u64>(),
            1000
        );
        assert_eq!(
            statistics.points.iter().map(|point| point.1).sum::<u64>(),
            500_500
        );
        let largest: Vec<_> = statistics.largest().iter().map(|page| page.0).collect();
        assert_eq!(largest, (991..=1000).rev().collect::<Vec<_>>());
        assert_eq!(statistics.slowest()[0].0, 1_000_000);
        for (part, milliseconds) in [(0.5, 500.0), (0.9, 900.0), (1.0, 1000.0)] {
            let found = statistics.quantile(part);
            assert!(
                found >= milliseconds && found < milliseconds * 1.25,
                "{part}: {found}"
            );
        }
        assert_eq!(
            statistics
                .latencies()
                .iter()
                .map(|bucket| bucket.1)
                .sum::<u64>(),
            1000
        );
        assert_eq!(statistics.depths.values().sum::<u64>(), 1000);
        assert_eq!(statistics.slowest_hosts(2).len(), 2);
        assert_eq!(Statistics::new().quantile(0.5), 0.0);
    }

    #[test]
    fn hosts_beyond_the_limit_are_counted_together() {
        let mut statistics = Statistics::new();
        for number in 0..HOSTS as u64 + 5 {
            let mut record = record(number);
            record.url = format!("http://{number}.example/");
            statistics.add(&record, Duration::ZERO);
        }
        assert_eq!(
            (statistics.hosts.len(), statistics.others.pages),
            (HOSTS, 5)
        );
    }
}
