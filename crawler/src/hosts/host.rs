//! What is known about one host.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use heist::time::Instant;

use super::politeness::{FIRST_BACKOFF, LONGEST_BACKOFF, Manners};
use crate::{Failure, Job, Robots};

/// How long a `robots.txt` is good for (RFC 9309, section 2.4).
const ROBOTS_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// A host (scheme, name and port), for the life of the crawl.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) origin: Arc<str>,
    pub(super) manners: Manners,
    pub(super) stage: Stage,
    pub(super) address: Option<IpAddr>,
    /// Pages in the frontier.
    pub(super) waiting: usize,
    /// Pages that are to be asked for once more.
    pub(super) again: VecDeque<Job>,
    /// Requests under way.
    pub(super) active: usize,
    /// Pages that were started.
    pub(super) pages: u64,
    /// No request before.
    pub(super) next_at: Instant,
    /// Whether it is in the heap, or waits at its address.
    pub(super) queued: bool,
    /// Bytes that its rules take.
    pub(super) rules_memory: usize,
    crawl_delay: Duration,
    pub(super) backoff: Duration,
    /// Until when being busy is no news.
    busy_until: Instant,
    pub(super) failures: u32,
}

/// What may be asked of a host.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Nothing yet: its address is not known.
    Unknown,
    /// Nothing now: its address or its rules are under way.
    Asking,
    /// Its `robots.txt`.
    Located,
    /// Pages, as the rules allow; `None` when there are none to be followed.
    Open(Option<(Arc<Rules>, Instant)>),
    /// Nothing any more: it has failed too often, or has all the pages that it may have.
    Closed,
}

/// What a host said about itself.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) robots: Robots,
    /// Why nothing is allowed, when that is not the will of the host.
    pub(crate) failure: Option<Failure>,
}

/// How a request ended, as far as it matters to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fine,
    /// The server is busy, and may have said for how long.
    Busy(Option<Duration>),
    /// No answer, or one that says that the server is out of order.
    Failed,
    /// Nothing was learnt.
    Abandoned,
}

impl Host {
    pub(super) fn new(origin: Arc<str>, manners: Manners, now: Instant) -> Self {
        let mut host = Self {
            origin,
            manners,
            stage: Stage::Unknown,
            address: None,
            waiting: 0,
            again: VecDeque::new(),
            active: 0,
            pages: 0,
            next_at: now,
            queued: false,
            rules_memory: 0,
            crawl_delay: Duration::ZERO,
            backoff: Duration::ZERO,
            busy_until: now,
            failures: 0,
        };
        host.stage = host.beginning();
        host
    }

    /// Where it begins: what is needed first of what is not known.
    pub(super) fn beginning(&self) -> Stage {
        // Whoever has no rule of politeness to follow needs to know nothing.
        let manners = &self.manners;
        let located = manners.per_address == usize::MAX && manners.address_delay.is_zero();
        match (located || self.address.is_some(), manners.robots) {
            (true, false) => Stage::Open(None),
            (true, true) => Stage::Located,
            (false, _) => Stage::Unknown,
        }
    }

    pub(super) fn has_work(&self) -> bool {
        self.waiting > 0 || !self.again.is_empty()
    }

    /// Whether nobody misses it who asks for it anew.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let quiet = !self.has_work() && self.active == 0 && !self.queued;
        let sound = self.failures == 0 && self.backoff.is_zero() && self.next_at <= now;
        quiet && sound && !matches!(self.stage, Stage::Asking | Stage::Closed)
    }

    /// Whether one more request may be under way.
    pub(super) fn has_room(&self) -> bool {
        let most = if self.pause().is_zero() {
            self.manners.per_host
        } else {
            1
        };
        self.active < most && !matches!(self.stage, Stage::Asking | Stage::Closed)
    }

    /// The time between a response and the next request.
    pub(super) fn pause(&self) -> Duration {
        self.manners.delay.max(self.crawl_delay).max(self.backoff)
    }

    /// The rules, unless they have to be asked for (again).
    pub(super) fn rules_are_old(&self, now: Instant) -> bool {
        match &self.stage {
            Stage::Open(Some((_, since))) => now.saturating_duration_since(*since) > ROBOTS_AGE,
            _ => false,
        }
    }

    pub(super) fn learn(&mut self, rules: Arc<Rules>, most_delay: Duration, now: Instant) {
        self.crawl_delay = rules
            .robots
            .crawl_delay()
            .unwrap_or_default()
            .min(most_delay);
        // Given up meanwhile, it stays so.
        if !matches!(self.stage, Stage::Closed) {
            self.stage = Stage::Open(Some((rules, now)));
        }
        // Its robots.txt was a request too.
        self.next_at = self.next_at.max(now + self.pause());
    }

    /// Takes note of how a request ended. True when the host has failed too often.
    pub(super) fn note(&mut self, outcome: Outcome, budget: u32, now: Instant) -> bool {
        match outcome {
            Outcome::Fine => {
                self.failures = 0;
                // Half as slow after each page that went well, until it is as fast as before.
                self.backoff /= 2;
                if self.backoff < FIRST_BACKOFF / 4 {
                    self.backoff = Duration::ZERO;
                }
            }
            Outcome::Busy(asked) => {
                // Many requests may have been under way. That they all come back like this says so once.
                if now >= self.busy_until {
                    self.backoff = (self.backoff * 2).clamp(FIRST_BACKOFF, LONGEST_BACKOFF);
                    self.busy_until = now + self.backoff;
                }
                let asked = asked.unwrap_or_default().min(LONGEST_BACKOFF);
                self.next_at = self.next_at.max(now + asked);
            }
            Outcome::Failed => self.failures += 1,
            Outcome::Abandoned => {}
        }
        self.next_at = self.next_at.max(now + self.pause());
        self.failures >= budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Politeness;

    fn host(now: Instant) -> Host {
        let manners = Politeness::new().manners(&"http://127.0.0.1/".parse().unwrap());
        Host::new("http://127.0.0.1".into(), manners, now)
    }

    #[test]
    fn backing_off_doubles_once_for_a_burst_and_ends_when_it_goes_well() {
        let mut now = Instant::now();
        let mut host = host(now);
        for expected in [1, 2, 4, 8] {
            for _ in 0..100 {
                host.note(Outcome::Busy(None), 1, now);
            }
            assert_eq!(host.pause(), Duration::from_secs(expected));
            assert_eq!(host.next_at, now + host.pause());
            now = host.next_at;
        }
        for _ in 0..6 {
            host.note(Outcome::Fine, 1, now);
        }
        assert_eq!(host.pause(), Duration::ZERO);
        for _ in 0..100 {
            now += LONGEST_BACKOFF;
            host.note(Outcome::Busy(Some(Duration::MAX)), 1, now);
        }
        assert_eq!(
            (host.pause(), host.next_at),
            (LONGEST_BACKOFF, now + LONGEST_BACKOFF)
        );
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let now = Instant::now();
        let mut host = host(now);
        let mut note = |outcome| host.note(outcome, 3, now);
        assert!(!note(Outcome::Failed) && !note(Outcome::Failed) && !note(Outcome::Fine));
        assert!(!note(Outcome::Failed) && !note(Outcome::Abandoned) && !note(Outcome::Failed));
        assert!(note(Outcome::Failed));
    }
}
