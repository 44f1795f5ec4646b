//! How long an answer is remembered.

use std::time::Duration;

use super::answer::Answer;

/// The least and the most, for what was found, for what is known not to be, and for failures.
#[derive(Debug, Clone)]
pub(super) struct Lifetimes {
    pub(super) positive: (Duration, Duration),
    pub(super) negative: (Duration, Duration),
    pub(super) failure: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            positive: (Duration::ZERO, hour * 24),
            negative: (Duration::ZERO, hour),
            failure: Duration::from_secs(1),
        }
    }
}

impl Lifetimes {
    /// `None` if it is not worth remembering.
    pub(super) fn of(&self, answer: &Answer) -> Option<Duration> {
        let within = |ttl: Duration, (least, most): (Duration, Duration)| ttl.max(least).min(most);
        let lifetime = match answer {
            Answer::Found(_, ttl) => within(*ttl, self.positive),
            Answer::None(_, ttl) => within(ttl.unwrap_or_default(), self.negative),
            Answer::Failed(_) => self.failure,
        };
        (!lifetime.is_zero()).then_some(lifetime)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::error::Kind;
    use super::*;

    #[test]
    fn ttls_are_kept_within_their_bounds() {
        let seconds = Duration::from_secs;
        let lifetimes = Lifetimes {
            positive: (seconds(10), seconds(20)),
            negative: (seconds(1), seconds(2)),
            failure: Duration::ZERO,
        };
        let found = |ttl| lifetimes.of(&Answer::Found([].into(), seconds(ttl)));
        assert_eq!(
            [5, 15, 25].map(found),
            [10, 15, 20].map(|ttl| Some(seconds(ttl)))
        );
        let none = |ttl| lifetimes.of(&Answer::None(Kind::NoSuchName, ttl));
        assert_eq!(none(Some(seconds(9))), Some(seconds(2)));
        assert_eq!(none(None), Some(seconds(1)));
        assert_eq!(lifetimes.of(&Answer::Failed(Kind::Refused)), None);
        let lifetimes = Lifetimes::default();
        // What is good for no time at all, and what does not say (RFC 2308, section 5).
        assert_eq!(lifetimes.of(&Answer::Found([].into(), seconds(0))), None);
        assert_eq!(lifetimes.of(&Answer::None(Kind::NoAddress, None)), None);
        assert_eq!(
            lifetimes.of(&Answer::Failed(Kind::Refused)),
            Some(seconds(1))
        );
    }
}
