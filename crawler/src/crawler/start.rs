//! Starting fetches: as many as there are permits, hosts whose turn it is, and room under the limits.

use std::sync::Arc;

use heist::sync::OwnedSemaphorePermit;
use heist::time::Instant;

use super::{Crawler, Duty, Errand, Event, InFlight, Result};
use crate::fetch::blank_record;
use crate::hosts::{HostId, Turn};
use crate::{Failure, FailureKind, Job, greet};

impl Crawler {
    /// Returns how many more could be started if there were hosts that may be asked.
    pub(super) fn start_fetches(&mut self) -> usize {
        self.wake_at = None;
        while self.ending.is_none()
            && (self.started < self.limits.pages || !self.attempts.is_empty())
        {
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
                return 0;
            };
            match self.hosts.next(Instant::now()) {
                Turn::Nothing => {
                    drop(permit);
                    return self.permits.available_permits();
                }
                Turn::Wait(until) => {
                    self.wake_at = Some(until);
                    drop(permit);
                    return self.permits.available_permits();
                }
                Turn::Locate(host, origin) => {
                    self.send_out(host, Errand::Address, permit, async move {
                        Result::Address(greet::locate(&origin).await)
                    });
                }
                Turn::Robots(host, origin) => {
                    let (fetcher, agent) =
                        (Arc::clone(&self.fetcher), Arc::clone(&self.limits.agent));
                    self.send_out(host, Errand::Robots, permit, async move {
                        let (rules, outcome) = greet::rules(&fetcher.wire, &origin, &agent).await;
                        Result::Robots(rules, outcome)
                    });
                }
                Turn::Page(host) => self.start_page(host, permit),
            }
        }
        0
    }

    /// Starts the next page of a host that may be asked, if there is one that may be fetched.
    fn start_page(&mut self, host: HostId, permit: OwnedSemaphorePermit) {
        let again = self.hosts.take_again(host);
        let first_time = again.is_none();
        let Some(job) = again.or_else(|| self.take_page(host)) else {
            self.hosts.dry(host);
            return;
        };
        if let Some(failure) = self.forbidden(host, &job) {
            let mut record = blank_record(&job);
            record.error = Some(failure);
            self.settle(host, &job, record, permit);
            self.hosts.stays(host);
            return;
        }
        self.started += u64::from(first_time);
        let last_of_host = self.hosts.start(host, first_time);
        let tries = self.attempts.get(&job.url).copied().unwrap_or(0);
        let last_try = tries >= self.limits.retries;
        let (fetcher, page) = (Arc::clone(&self.fetcher), job.clone());
        self.send_out(host, Errand::Page(job), permit, async move {
            Result::Page(Box::new(fetcher.fetch(&page, last_try).await))
        });
        if last_of_host {
            self.skip_waiting(host);
        }
    }

    /// A page of this host from the frontier, if the limits have room for one.
    fn take_page(&mut self, host: HostId) -> Option<Job> {
        if self.started >= self.limits.pages {
            return None;
        }
        let job = match &mut self.member {
            Some(member) => member.pop(host),
            None => {
                let origin = self.hosts.origin(host);
                let popped = self.frontier.pop(&origin, self.levels.deepest());
                self.check(popped)?
            }
        };
        if job.is_some() {
            self.hosts.popped(host);
        }
        job
    }

    /// Why the host does not want this page to be fetched, or cannot be asked for it.
    fn forbidden(&self, host: HostId, job: &Job) -> Option<Failure> {
        let rules = self.hosts.rules(host)?;
        if rules.robots.allows(job.url.path()) {
            return None;
        }
        let by_the_rules = || Failure::new(FailureKind::Robots, "robots.txt disallows it");
        Some(rules.failure.clone().unwrap_or_else(by_the_rules))
    }

    /// Passes over the pages of a host that is not asked for more.
    pub(super) fn skip_waiting(&mut self, host: HostId) {
        let origin = self.hosts.origin(host);
        loop {
            let popped = self.frontier.pop(&origin, u32::MAX);
            let Some(Some(job)) = self.check(popped) else {
                return;
            };
            self.hosts.popped(host);
            self.skip(&job);
        }
    }

    /// Passes over a page for good.
    pub(super) fn skip(&mut self, job: &Job) {
        self.summary.count_skipped();
        if self.levels.remove(job.depth) {
            self.hosts.wake_all();
        }
    }

    fn send_out(
        &mut self,
        host: HostId,
        errand: Errand,
        permit: OwnedSemaphorePermit,
        work: impl Future<Output = Result> + Send + 'static,
    ) {
        let id = self.next_id;
        self.next_id += 1;
        let mut duty = Duty {
            id,
            mailbox: Some(Arc::clone(&self.mailbox)),
        };
        let task = heist::spawn(async move {
            let result = work.await;
            duty.report(|id| Event::Done(id, result));
        });
        let started = Instant::now();
        let in_flight = InFlight {
            errand,
            host,
            started,
            permit,
            task,
            session: self.member.as_ref().map_or(0, |member| member.session()),
        };
        self.in_flight.insert(id, in_flight);
    }
}
