//! What comes back: pages with their links, hosts with their rules, and tasks that came to nothing.

use std::sync::Arc;

use heist::sync::OwnedSemaphorePermit;
use heist::time::Instant;

use super::{Crawler, Errand, Event, InFlight, Ready, Result};
use crate::fetch::{Fetched, blank_record, milliseconds};
use crate::hosts::{HostId, Outcome, Rules};
use crate::{End, Failure, FailureKind, Job, Offer, PageUrl, Record, Robots};

impl Crawler {
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Stop => self.end(End::Stopped),
            Event::Shared(news) => self.hear(news),
            Event::Lost(id) => {
                if let Some(lost) = self.in_flight.remove(&id)
                    && !self.is_void(&lost, Outcome::Abandoned)
                {
                    self.lost(lost);
                }
            }
            Event::Done(id, result) => {
                let Some(done) = self.in_flight.remove(&id) else {
                    return;
                };
                if self.is_void(&done, result.outcome()) {
                    return;
                }
                let InFlight {
                    errand,
                    host,
                    permit,
                    ..
                } = done;
                match (errand, result) {
                    (Errand::Page(job), Result::Page(fetched)) => {
                        self.fetched(host, job, *fetched, permit)
                    }
                    (_, Result::Address(address)) => self.hosts.located(host, address),
                    (_, Result::Robots(rules, outcome)) => self.learnt(host, rules, outcome),
                    (_, Result::Page(_)) => unreachable!("only errands for pages bring pages"),
                }
            }
        }
    }

    fn fetched(
        &mut self,
        host: HostId,
        job: Job,
        mut fetched: Fetched,
        permit: OwnedSemaphorePermit,
    ) {
        let hopeless = self.hosts.ended(host, fetched.outcome, Instant::now());
        if let Some(fault) = fetched.fault.take() {
            // Its record would say that it is done, and the store does not have it.
            self.check::<()>(Err(fault));
            return;
        }
        if matches!(fetched.outcome, Outcome::Busy(_)) && self.try_again(host, &job) {
            return;
        }
        self.attempts.remove(&job.url);
        if !fetched.links_complete {
            self.summary.count_links_cut_short();
        }
        if fetched.duplicate {
            self.summary.count_duplicate();
        }
        let further = u32::from(!fetched.sitemap);
        self.offer_all(&job, fetched.links, further, fetched.redirect);
        self.settle(host, &job, fetched.record, permit);
        if hopeless {
            self.give_up(host);
        }
    }

    /// Puts a page back whose server is busy, unless that was its last chance.
    fn try_again(&mut self, host: HostId, job: &Job) -> bool {
        let tries = self.attempts.entry(job.url.clone()).or_insert(0);
        *tries += 1;
        let again =
            *tries <= self.limits.retries && self.ending.is_none() && !self.hosts.is_closed(host);
        if again {
            self.summary.count_retry();
            self.hosts.again(host, job.clone());
        }
        again
    }

    fn learnt(&mut self, host: HostId, rules: Rules, outcome: Outcome) {
        let now = Instant::now();
        if self.limits.sitemaps {
            self.offer_sitemaps(host, &rules.robots);
        }
        self.hosts.learnt(host, rules, now);
        if let Some(member) = &mut self.member {
            member.tell_found();
            member.learnt(host, &self.hosts);
        }
        // One robots.txt that fails is one failure, whatever the number of its pages. One that comes says nothing of
        // them, and clears none of theirs: each crawler that is given the host asks for it.
        let outcome = match outcome {
            Outcome::Fine => Outcome::Abandoned,
            other => other,
        };
        self.hosts.ended(host, outcome, now);
    }

    fn offer_sitemaps(&mut self, host: HostId, robots: &Robots) {
        let origin = self.hosts.origin(host);
        let referrer: Arc<str> = format!("{origin}/robots.txt").into();
        for text in robots.sitemaps() {
            let url = text.parse::<PageUrl>().ok();
            if let Some(url) = url.filter(|url| self.fetcher.scope.allows(url)) {
                let mut job = Job::seed(url);
                job.referrer = Some(Arc::clone(&referrer));
                self.offer(job);
            }
        }
    }

    /// A host has failed too often.
    fn give_up(&mut self, host: HostId) {
        if self.hosts.is_closed(host) {
            return;
        }
        self.summary.count_host_given_up();
        let again = self.hosts.close(host);
        if let Some(member) = &mut self.member {
            for job in member.give_up(host, again.len()) {
                self.skip(&job);
            }
        }
        for job in again {
            self.attempts.remove(&job.url);
            self.skip(&job);
        }
        self.skip_waiting(host);
    }

    fn lost(&mut self, lost: InFlight) {
        let job = match lost.errand {
            Errand::Page(job) => job,
            Errand::Address => return self.hosts.located(lost.host, None),
            Errand::Robots => {
                let failure = Failure::new(
                    FailureKind::Internal,
                    "the task that fetched robots.txt panicked",
                );
                let rules = Rules {
                    robots: Robots::disallow_all(),
                    failure: Some(failure),
                };
                return self.learnt(lost.host, rules, Outcome::Abandoned);
            }
        };
        self.hosts
            .ended(lost.host, Outcome::Abandoned, Instant::now());
        let failure = if self.ending.is_some() {
            Failure::new(FailureKind::Cancelled, "the crawl was stopped")
        } else {
            Failure::new(
                FailureKind::Internal,
                "the task that fetched the page panicked",
            )
        };
        let mut record = blank_record(&job);
        record.error = Some(failure);
        record.elapsed_ms = milliseconds(lost.started.elapsed());
        self.settle(lost.host, &job, record, lost.permit);
    }

    /// Notes the record of a page, which everything has come of that ever will.
    pub(super) fn settle(
        &mut self,
        host: HostId,
        job: &Job,
        record: Record,
        permit: OwnedSemaphorePermit,
    ) {
        if let Some(journal) = &mut self.journal {
            let kind = record.error.as_ref().map(Failure::kind);
            // What was given up on the way to the end waits for the next run.
            let done = !matches!(kind, Some(FailureKind::Cancelled | FailureKind::Limit));
            let written = journal.record(&record, done);
            self.check(written);
        }
        let settlement = self.settlement(host, job, &record);
        self.ready.push_back(Ready {
            record,
            permit,
            settlement,
        });
        if self.levels.remove(job.depth) {
            self.hosts.wake_all();
        }
    }

    /// Puts what `page` leads to into the frontier. What it links to is so much `further` away.
    fn offer_all(
        &mut self,
        page: &Job,
        links: Vec<PageUrl>,
        further: u32,
        redirect: Option<PageUrl>,
    ) {
        let referrer: Option<Arc<str>> =
            (!links.is_empty() || redirect.is_some()).then(|| page.url.as_str().into());
        if let Some(url) = redirect {
            // A redirect is the same page under its right name, not one link further away.
            let redirects = page.redirects + 1;
            let (depth, referrer) = (page.depth, referrer.clone());
            self.offer(Job {
                url,
                depth,
                redirects,
                referrer,
            });
        }
        let depth = page.depth.saturating_add(further);
        if depth <= self.limits.depth {
            for url in links {
                let referrer = referrer.clone();
                self.offer(Job {
                    url,
                    depth,
                    redirects: 0,
                    referrer,
                });
            }
        }
    }

    /// Puts a page into the frontier, if its host may still be asked for one.
    pub(crate) fn offer(&mut self, job: Job) {
        if let Some(member) = &mut self.member {
            return match self.since {
                None => member.seed(job),
                Some(_) => member.found(job),
            };
        }
        let host = self.hosts.id(job.url.origin());
        if self.hosts.is_closed(host) || self.hosts.is_full(host) {
            return;
        }
        let depth = job.depth;
        // The journal needs the job, and the frontier takes it.
        let copy = self.journal.is_some().then(|| job.clone());
        let recent = self
            .fetcher
            .recent
            .as_ref()
            .map(|recent| (recent, job.url.clone()));
        let offered = self.frontier.offer(job);
        if let (Some((recent, url)), Ok(Offer::Queued | Offer::Known)) = (recent, &offered) {
            recent.note(&url);
        }
        match self.check(offered) {
            Some(Offer::Queued) => {
                if let (Some(journal), Some(job)) = (&mut self.journal, copy) {
                    journal.queued(&job);
                }
                self.levels.add(depth);
                self.hosts.found(host, 1);
            }
            Some(Offer::Full) => self.refused = true,
            Some(Offer::Known) | None => {}
        }
    }
}
