//! A crawl that shares its frontier with others: what is different then.
//!
//! Which pages there are, and whose they are, is decided elsewhere. The crawl asks for hosts when it has nothing to
//! begin, fetches the pages of those that it has, and says what has become of them. Each step is one of
//! [`Member`](crate::shared::Member); here they meet the loop.

use std::time::Duration;

use heist::sync::OwnedSemaphorePermit;
use heist::time::{Instant, timeout_at};

use super::{Crawler, Errand, Event, InFlight};
use crate::hosts::{HostId, Outcome};
use crate::shared::{Consequence, Fate, Member, Membership, Settlement};
use crate::{End, FailureKind, Job, Record};

/// How long the end of a crawl waits for the frontier to take note of it.
const FAREWELL: Duration = Duration::from_secs(5);

impl Crawler {
    /// Pages that are done by all crawlers that share the frontier, in all their runs; by this one, if it has its own.
    #[must_use]
    pub fn done_by_all(&self) -> u64 {
        match &self.member {
            Some(member) => member.state().done,
            None => self.summary.pages(),
        }
    }

    /// Those of them that went well.
    #[must_use]
    pub fn succeeded_by_all(&self) -> u64 {
        match &self.member {
            Some(member) => member.state().good,
            None => self.summary.succeeded(),
        }
    }

    /// Crawlers at work on the same frontier, this one included.
    #[must_use]
    pub fn crawlers(&self) -> usize {
        self.member
            .as_ref()
            .map_or(1, |member| member.state().crawlers)
    }

    /// Makes the crawl a member of those that share a frontier. Before it has begun.
    #[cfg_attr(
        not(feature = "redis"),
        allow(dead_code, reason = "without Redis no frontier is shared")
    )]
    pub(crate) fn join(&mut self, membership: Membership) {
        self.member = Some(Box::new(Member::new(membership)));
        self.hosts.remember_all();
    }

    /// Begins, if it has not.
    pub(super) fn begin_sharing(&mut self) {
        if let Some(member) = &mut self.member {
            let mailbox = std::sync::Arc::clone(&self.mailbox);
            let budget = std::sync::Arc::clone(&self.fetcher.budget);
            let started = member.start(budget, move |news| mailbox.post(Event::Shared(news)));
            self.check(started);
        }
    }

    /// Takes in what came from the frontier.
    pub(super) fn hear(&mut self, news: crate::shared::News) {
        let Some(member) = &mut self.member else {
            return;
        };
        match member.hear(news, &mut self.hosts) {
            Consequence::Nothing => {}
            Consequence::Lost => self.lose(),
            Consequence::Failed(error) => {
                self.check::<()>(Err(error));
            }
            Consequence::Left => self.left = true,
        }
    }

    /// The frontier has not heard from us, or we not from it, for so long that others may have what was ours. What is
    /// under way is given up without a record: it is theirs now.
    fn lose(&mut self) {
        let Some(member) = &mut self.member else {
            return;
        };
        member.lose(&mut self.hosts);
        for task in self.in_flight.values() {
            task.task.cancel();
        }
        self.handed_out = None;
        self.ready.retain(|ready| ready.settlement.is_none());
        self.attempts.clear();
    }

    /// Gives up what may not be ours any more, and says until when the rest is.
    pub(super) fn check_lease(&mut self) -> Option<Instant> {
        let until = self.member.as_ref()?.good_until()?;
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            self.lose();
            return None;
        }
        Some(Instant::now() + left)
    }

    /// Says what has become of the page whose record was handed out last: whoever asks for the next has it by now.
    pub(super) fn settle_handed_out(&mut self) {
        if let (Some((settlement, permit)), Some(member)) =
            (self.handed_out.take(), &mut self.member)
        {
            member.settle(settlement, permit, &self.hosts);
        }
    }

    /// What is said of a page when its record was handed out.
    pub(super) fn settlement(
        &mut self,
        host: HostId,
        job: &Job,
        record: &Record,
    ) -> Option<Settlement> {
        let member = self.member.as_mut()?;
        let fate = match record.error.as_ref().map(crate::Failure::kind) {
            Some(FailureKind::Cancelled | FailureKind::Limit) => Fate::Back,
            Some(FailureKind::Robots) => Fate::Uncounted,
            Some(_) => Fate::Failed,
            None => Fate::Good,
        };
        member.touch(host);
        Some(member.settlement(host, job, fate, record.content_length))
    }

    /// A task of an earlier session has ended: only its host is told.
    pub(super) fn is_void(&mut self, task: &InFlight, outcome: Outcome) -> bool {
        let Some(member) = &mut self.member else {
            return false;
        };
        if member.is_current(task.session) {
            member.touch(task.host);
            return false;
        }
        if !matches!(task.errand, Errand::Address) {
            self.hosts.ended(task.host, outcome, Instant::now());
        }
        if !matches!(task.errand, Errand::Page(_)) {
            self.hosts.unask(task.host);
        }
        true
    }

    /// Asks for what is needed, gives back what is not.
    pub(super) fn tend(&mut self, free: usize) {
        if let Some(member) = &mut self.member {
            let free = if self.ending.is_none() { free } else { 0 };
            member.tend(&self.hosts, self.limits.concurrency, free);
        }
    }

    /// Whether nothing comes any more.
    pub(super) fn has_ended(&self) -> bool {
        self.in_flight.is_empty()
            && (self.ending.is_some()
                || match &self.member {
                    Some(member) => member.is_over(),
                    None => self.wake_at.is_none(),
                })
    }

    /// Tells the frontier the rest, and leaves. Cancelled, it is called again.
    pub(super) async fn leave(&mut self) {
        let Some(member) = &mut self.member else {
            return;
        };
        if !member.leave() {
            return;
        }
        let until = Instant::now() + FAREWELL;
        while !self.left {
            match timeout_at(until, self.mailbox.take()).await {
                // Nothing is under way, so what comes is from the frontier, or says to stop.
                Ok(event) => self.handle(event),
                Err(_) => return,
            }
        }
    }

    /// Why a crawl has ended that nothing has ended before its time.
    pub(super) fn natural_end(&self) -> End {
        let waiting = match &self.member {
            Some(member) => member.state().waiting > 0,
            None => self.refused || !self.frontier.is_empty(),
        };
        if waiting {
            End::PageLimit
        } else {
            End::Finished
        }
    }
}

/// A record that waits to be handed out.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) record: Record,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) settlement: Option<Settlement>,
}
