//! Medians, percentiles, spreads.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which quantiles are kept of the latencies of a run.
pub const QUANTILES: [f64; 10] = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

/// The [`QUANTILES`] of some latencies, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles(pub [f64; QUANTILES.len()]);

impl Quantiles {
    /// One of the [`QUANTILES`].
    ///
    /// # Panics
    ///
    /// Panics if it is none of them.
    #[must_use]
    pub fn at(&self, q: f64) -> f64 {
        let index = QUANTILES.iter().position(|one| (one - q).abs() < 1e-9);
        self.0[index.expect("one of those that are kept")]
    }
}

/// Counts of latencies in classes whose bounds are at most 1.6 % apart, so that recording one costs a
/// nanosecond or two and no memory.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u32>,
    count: u64,
    most: u64,
}

/// Classes for each power of two.
const CLASSES: u64 = 64;

impl Default for Histogram {
    fn default() -> Self {
        // Up to 2^40 ns, eighteen minutes.
        let counts = vec![0; (CLASSES * (40 - 5)) as usize];
        Self {
            counts,
            count: 0,
            most: 0,
        }
    }
}

impl Histogram {
    /// Records one.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let class = Self::class(nanos).min(self.counts.len() - 1);
        self.counts[class] += 1;
        self.count += 1;
        self.most = self.most.max(nanos);
    }

    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.most = self.most.max(other.most);
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latency in microseconds that a share `q` of them does not exceed; none if there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let most = self.most as f64 / 1e3;
        if q >= 1.0 {
            return Some(most);
        }
        let rank = ((q * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let class = self.counts.iter().position(|&count| {
            seen += u64::from(count);
            seen >= rank
        })?;
        Some((Self::bound(class) as f64 / 1e3).min(most))
    }

    /// All of [`QUANTILES`]; none if nothing was recorded.
    #[must_use]
    pub fn quantiles(&self) -> Option<Quantiles> {
        let mut values = [0.0; QUANTILES.len()];
        for (value, q) in values.iter_mut().zip(QUANTILES) {
            *value = self.quantile(q)?;
        }
        Some(Quantiles(values))
    }

    /// The class of a number: itself below 64, then the six bits that follow the first one.
    fn class(nanos: u64) -> usize {
        if nanos < CLASSES {
            return nanos as usize;
        }
        let shift = u64::from(nanos.ilog2()) - 6;
        (shift * CLASSES + (nanos >> shift)) as usize
    }

    /// The greatest number of a class.
    fn bound(class: usize) -> u64 {
        let class = class as u64;
        if class < 2 * CLASSES {
            return class;
        }
        let shift = class / CLASSES - 1;
        let leading = class - shift * CLASSES;
        ((leading + 1) << shift) - 1
    }
}

/// The value that a share `q` (0 to 1) of the values does not exceed, by nearest rank.
///
/// # Panics
///
/// Panics if there are no values.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The middle value, or the mean of the two in the middle.
///
/// # Panics
///
/// Panics if there are no values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// The least and the greatest value.
#[must_use]
pub fn spread(values: &[f64]) -> (f64, f64) {
    values.iter().fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(least, most), &value| (least.min(value), most.max(value)),
    )
}

/// A duration in microseconds.
#[must_use]
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A number with three significant digits, and thousands as `k`.
#[must_use]
pub fn short(value: f64) -> String {
    let (value, suffix) = if value.abs() >= 10_000.0 {
        (value / 1000.0, " k")
    } else {
        (value, "")
    };
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_sample() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), 50.0);
        assert_eq!(quantile(&values, 0.99), 99.0);
        assert_eq!(quantile(&values, 1.0), 100.0);
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn a_histogram_is_as_exact_as_its_classes() {
        let mut histogram = Histogram::default();
        let mut other = Histogram::default();
        for nanos in 1..=50_000 {
            histogram.record(Duration::from_nanos(nanos));
            other.record(Duration::from_nanos(50_000 + nanos));
        }
        histogram.add(&other);
        assert_eq!(histogram.count(), 100_000);
        for q in [0.01, 0.25, 0.5, 0.9, 0.99, 0.999] {
            let value = histogram.quantile(q).expect("there are some");
            assert!((value / (q * 100.0) - 1.0).abs() < 0.016, "{q} {value}");
        }
        let quantiles = histogram.quantiles().expect("there are some");
        assert_eq!(quantiles.at(1.0), 100.0);
        assert!(Histogram::default().quantiles().is_none());
    }

    #[test]
    fn every_number_is_within_its_class() {
        for nanos in (0..4096).chain([1 << 20, (1 << 30) + 12345, (1 << 39) + 1]) {
            let class = Histogram::class(nanos);
            assert!(Histogram::bound(class) >= nanos);
            assert!(class == 0 || Histogram::bound(class - 1) < nanos, "{nanos}");
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    }

    #[test]
    fn the_spread_has_both_ends() {
        assert_eq!(spread(&[2.0, -1.0, 5.0]), (-1.0, 5.0));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(0.1234), "0.12");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(1234.5), "1234");
        assert_eq!(short(159_321.0), "159 k");
        assert_eq!(short(12_345.0), "12.3 k");
    }
}
