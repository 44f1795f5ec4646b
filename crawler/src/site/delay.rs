//! Late answers.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::mix;

/// How late the embedded site answers: from so many milliseconds to so many, both included.
///
/// Each page has its own delay, the same at every request.
///
/// ```
/// use heist_crawler::DelayRange;
///
/// assert_eq!("10..250".parse(), DelayRange::new(10, 250));
/// assert_eq!("40".parse(), DelayRange::new(40, 40));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayRange {
    least: u32,
    most: u32,
}

impl DelayRange {
    /// From `least` to `most` milliseconds.
    ///
    /// # Errors
    ///
    /// [`DelayRangeError`] when the range is empty.
    pub fn new(least: u32, most: u32) -> Result<Self, DelayRangeError> {
        if least > most {
            Err(DelayRangeError(()))
        } else {
            Ok(Self { least, most })
        }
    }

    /// The delay of a page of the site with this seed.
    pub(super) fn of_page(self, page: u32, seed: u64) -> Duration {
        let span = u64::from(self.most - self.least) + 1;
        Duration::from_millis(u64::from(self.least) + mix(seed, page, 300) % span)
    }
}

impl fmt::Display for DelayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.least, self.most)
    }
}

impl FromStr for DelayRange {
    type Err = DelayRangeError;

    fn from_str(text: &str) -> Result<Self, DelayRangeError> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let number = |part: &str| part.parse().map_err(|_| DelayRangeError(()));
        Self::new(number(least)?, number(most)?)
    }
}

/// A text that is no [`DelayRange`], or a range that is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayRangeError(());

impl fmt::Display for DelayRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a delay is written `A..B`, in milliseconds, with A no larger than B")
    }
}

impl Error for DelayRangeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn delays_fill_the_range_and_stay_in_it() {
        let range = DelayRange::new(5, 8).unwrap();
        let delays: HashSet<_> = (0..200)
            .map(|page| range.of_page(page, 1).as_millis())
            .collect();
        assert_eq!(delays, HashSet::from([5, 6, 7, 8]));
        assert_eq!(range.of_page(3, 1), range.of_page(3, 1));
        let widest = DelayRange::new(0, u32::MAX).unwrap();
        assert!(widest.of_page(0, 0).as_millis() <= u128::from(u32::MAX));
        assert_eq!(DelayRange::new(7, 7).unwrap().of_page(9, 9).as_millis(), 7);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "", "..", "5..", "..5", "9..8", "-1..5", "1...5", "1..5..9", "1,5",
        ] {
            assert!(text.parse::<DelayRange>().is_err(), "{text}");
        }
        assert_eq!("1..5".parse::<DelayRange>().unwrap().to_string(), "1..5");
    }
}
