//! The heap of hosts.
//!
//! A host with waiting pages and room for a request is in the heap once, at the time from which it may be asked,
//! and among hosts of the same time behind those that came before it. A host whose address has no room waits there.
//! Everything is done in a few steps of a heap, so a million hosts cost as much as one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use heist::time::Instant;
use url::Url;

use super::Politeness;
use super::host::{Host, Outcome, Rules, Stage};
use crate::Job;

/// A host, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostId(pub(super) usize);

/// What is to be done next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The address of this host is to be found; [`Hosts::located`] takes it.
    Locate(HostId, Arc<str>),
    /// Its `robots.txt` is to be fetched; [`Hosts::learnt`] takes it, and [`Hosts::ended`] the outcome.
    Robots(HostId, Arc<str>),
    /// One of its pages: [`Hosts::start`] if there is one, else [`Hosts::dry`].
    Page(HostId),
    /// Nothing before this time.
    Wait(Instant),
    /// Nothing until something ends or is found.
    Nothing,
}

/// All hosts of a crawl.
#[derive(Debug)]
pub(crate) struct Hosts {
    politeness: Politeness,
    pub(super) most_pages: u64,
    pub(super) by_origin: HashMap<Arc<str>, HostId>,
    pub(super) hosts: Vec<Host>,
    heap: BinaryHeap<Reverse<(Instant, u64, HostId)>>,
    /// The next place among hosts of the same time.
    place: u64,
    pub(super) addresses: HashMap<IpAddr, Gate>,
    /// Bytes that the rules of all hosts take.
    pub(super) rules_memory: usize,
    pub(super) most_rules: usize,
    /// Hosts up to which all are remembered.
    pub(super) known: usize,
    /// The host that was looked at last for one to forget.
    pub(super) hand: usize,
}

/// An address that several hosts may share.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) active: usize,
    pub(super) next_at: Instant,
    pub(super) waiting: VecDeque<HostId>,
}

impl Hosts {
    pub(crate) fn new(politeness: Politeness, most_pages: u64) -> Self {
        Self {
            politeness,
            most_pages,
            by_origin: HashMap::new(),
            hosts: Vec::new(),
            heap: BinaryHeap::new(),
            place: 0,
            addresses: HashMap::new(),
            rules_memory: 0,
            most_rules: super::memory::RULES,
            known: super::memory::KNOWN,
            hand: 0,
        }
    }

    /// The number of an origin, a new one if it was never heard of, or forgotten.
    ///
    /// The number is good until this is asked for that of another origin, and as long as the host has work or something
    /// is being asked of it.
    pub(crate) fn id(&mut self, origin: &str) -> HostId {
        if let Some(&id) = self.by_origin.get(origin) {
            return id;
        }
        let name: Arc<str> = origin.into();
        let url = Url::parse(origin).expect("the origin of an address is one itself");
        let manners = self.politeness.manners(&url);
        let now = Instant::now();
        let host = Host::new(Arc::clone(&name), manners, now);
        let id = match self.forget_one(now) {
            Some(id) => {
                self.hosts[id.0] = host;
                id
            }
            None => {
                self.hosts.push(host);
                HostId(self.hosts.len() - 1)
            }
        };
        self.by_origin.insert(name, id);
        id
    }

    pub(crate) fn origin(&self, id: HostId) -> Arc<str> {
        Arc::clone(&self.host(id).origin)
    }

    /// Whether pages of this host are of no use any more.
    pub(crate) fn is_closed(&self, id: HostId) -> bool {
        matches!(self.host(id).stage, Stage::Closed)
    }

    /// So many pages of a host were put into the frontier.
    pub(crate) fn found(&mut self, id: HostId, pages: usize) {
        self.host_mut(id).waiting += pages;
        self.enqueue(id);
    }

    /// A page that is to be asked for again, when the host may be.
    pub(crate) fn again(&mut self, id: HostId, job: Job) {
        self.host_mut(id).again.push_back(job);
        self.enqueue(id);
    }

    /// The next thing to do at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Turn {
        while let Some(&Reverse((at, _, id))) = self.heap.peek() {
            if at > now {
                return Turn::Wait(at);
            }
            self.heap.pop();
            let host = &mut self.hosts[id.0];
            host.queued = false;
            if !host.has_work() || !host.has_room() {
                self.pass_on(id);
                continue;
            }
            // It may have been told to wait since it was put into the heap.
            if host.next_at > now {
                self.enqueue(id);
                continue;
            }
            if let Stage::Unknown = host.stage {
                host.stage = Stage::Asking;
                return Turn::Locate(id, Arc::clone(&host.origin));
            }
            let manners = host.manners;
            if let Some(gate) = host
                .address
                .and_then(|address| self.addresses.get_mut(&address))
            {
                if gate.active >= manners.per_address {
                    host.queued = true;
                    gate.waiting.push_back(id);
                    continue;
                }
                if gate.next_at > now {
                    let at = gate.next_at;
                    self.push(id, at);
                    continue;
                }
            }
            let host = &mut self.hosts[id.0];
            if matches!(host.stage, Stage::Located) || host.rules_are_old(now) {
                host.stage = Stage::Asking;
                self.take_place(id);
                return Turn::Robots(id, self.origin(id));
            }
            return Turn::Page(id);
        }
        Turn::Nothing
    }

    /// The page to ask for again that the host has, if any.
    pub(crate) fn take_again(&mut self, id: HostId) -> Option<Job> {
        self.host_mut(id).again.pop_front()
    }

    /// The rules that hold for the pages of a host.
    pub(crate) fn rules(&self, id: HostId) -> Option<Arc<Rules>> {
        match &self.host(id).stage {
            Stage::Open(Some((rules, _))) => Some(Arc::clone(rules)),
            _ => None,
        }
    }

    /// A page came out of the frontier.
    pub(crate) fn popped(&mut self, id: HostId) {
        let host = self.host_mut(id);
        host.waiting = host.waiting.saturating_sub(1);
    }

    /// A request for a page begins. True if it was the last that the host may have.
    pub(crate) fn start(&mut self, id: HostId, first_time: bool) -> bool {
        self.take_place(id);
        let most = self.most_pages;
        let host = self.host_mut(id);
        host.pages += u64::from(first_time);
        let last = host.pages >= most;
        self.enqueue(id);
        last
    }

    /// An earlier run has had so many pages of this host.
    pub(crate) fn had(&mut self, id: HostId, pages: u64) {
        self.host_mut(id).pages += pages;
    }

    /// Whether the host has all the pages that it may have.
    pub(crate) fn is_full(&self, id: HostId) -> bool {
        self.host(id).pages >= self.most_pages
    }

    /// The host stays in the heap although no request began.
    pub(crate) fn stays(&mut self, id: HostId) {
        self.enqueue(id);
        self.pass_on(id);
    }

    /// The frontier gave out no page: those that wait are too deep for now. [`Self::wake_all`] comes later.
    pub(crate) fn dry(&mut self, id: HostId) {
        self.pass_on(id);
    }

    /// Puts every host into the heap that has work.
    pub(crate) fn wake_all(&mut self) {
        for number in 0..self.hosts.len() {
            self.enqueue(HostId(number));
        }
    }

    /// Takes the host out for good, and gives back the pages that were to be asked for again.
    pub(crate) fn close(&mut self, id: HostId) -> VecDeque<Job> {
        self.set_rules_memory(id, 0);
        let host = self.host_mut(id);
        host.stage = Stage::Closed;
        host.waiting = 0;
        std::mem::take(&mut host.again)
    }

    pub(crate) fn located(&mut self, id: HostId, address: Option<IpAddr>) {
        let host = self.host_mut(id);
        host.address = address;
        // Given up meanwhile, it stays so.
        if !matches!(host.stage, Stage::Closed) {
            host.stage = if host.manners.robots {
                Stage::Located
            } else {
                Stage::Open(None)
            };
        }
        self.enqueue(id);
    }

    pub(crate) fn learnt(&mut self, id: HostId, rules: Rules, now: Instant) {
        let rules = self.fit(id, rules);
        let most = self.politeness.most_crawl_delay;
        self.host_mut(id).learn(Arc::new(rules), most, now);
        self.enqueue(id);
    }

    /// The host is ours to ask, after another crawler has asked it.
    pub(crate) fn lease(&mut self, id: HostId, backoff: Duration, failures: u32) {
        let host = self.host_mut(id);
        host.backoff = host.backoff.max(backoff);
        host.failures = failures;
        host.waiting = 0;
    }

    /// What whoever asks the host next has to know: how long it may not be asked, by how much it was slowed down, and
    /// its failures in a row.
    pub(crate) fn parting(&self, id: HostId) -> (Duration, Duration, u32) {
        let host = self.host(id);
        let wait = host.next_at.saturating_duration_since(Instant::now());
        (wait, host.backoff, host.failures)
    }

    /// Forgets the pages of a host, which another crawler has now, and says how many of them were to be asked for again.
    pub(crate) fn drain(&mut self, id: HostId) -> usize {
        let host = self.host_mut(id);
        host.waiting = 0;
        std::mem::take(&mut host.again).len()
    }

    /// Whether nothing is being asked of the host.
    pub(crate) fn is_at_rest(&self, id: HostId) -> bool {
        let host = self.host(id);
        host.active == 0 && !matches!(host.stage, Stage::Asking)
    }

    /// The time between a response of the host and the next request.
    pub(crate) fn pause(&self, id: HostId) -> Duration {
        self.host(id).pause()
    }

    /// How many of its pages are good to have at hand, with so many fetches at a time.
    pub(crate) fn appetite(&self, id: HostId, concurrency: usize) -> usize {
        let host = self.host(id);
        let at_a_time = if host.pause().is_zero() {
            host.manners.per_host.min(concurrency)
        } else {
            1
        };
        (at_a_time * 2).clamp(4, 512)
    }

    /// What was being asked about the host was given up: it is asked another time.
    pub(crate) fn unask(&mut self, id: HostId) {
        let host = self.host_mut(id);
        if matches!(host.stage, Stage::Asking) {
            host.stage = host.beginning();
        }
        self.enqueue(id);
    }

    /// A request that had begun has ended. True when the host has failed too often.
    pub(crate) fn ended(&mut self, id: HostId, outcome: Outcome, now: Instant) -> bool {
        let budget = self.politeness.error_budget;
        let host = self.host_mut(id);
        host.active -= 1;
        let hopeless = host.note(outcome, budget, now);
        let (address, delay) = (host.address, host.manners.address_delay);
        if let Some(gate) = address.and_then(|address| self.addresses.get_mut(&address)) {
            gate.active -= 1;
            gate.next_at = gate.next_at.max(now + delay);
        }
        self.pass_on(id);
        self.enqueue(id);
        hopeless
    }

    /// A host makes no use of its turn, or has ended one: the next that waits for its address may have it.
    ///
    /// Whoever is woken here comes to [`next`](Self::next), where it takes the place or passes it on, so a place is
    /// never left empty while somebody waits for it.
    fn pass_on(&mut self, id: HostId) {
        let host = self.host(id);
        let (address, most) = (host.address, host.manners.per_address);
        let Some(gate) = address.and_then(|address| self.addresses.get_mut(&address)) else {
            return;
        };
        if gate.active >= most {
            return;
        }
        while let Some(next) = gate.waiting.pop_front() {
            let host = &mut self.hosts[next.0];
            host.queued = false;
            if host.has_work() && host.has_room() {
                let at = host.next_at;
                self.push(next, at);
                return;
            }
        }
    }

    fn take_place(&mut self, id: HostId) {
        let host = self.host_mut(id);
        host.active += 1;
        let Some(address) = host.address else {
            return;
        };
        let gate = self.addresses.entry(address).or_insert_with(|| Gate {
            active: 0,
            next_at: Instant::now(),
            waiting: VecDeque::new(),
        });
        gate.active += 1;
    }

    fn enqueue(&mut self, id: HostId) {
        let host = self.host(id);
        if !host.queued && host.has_work() && host.has_room() {
            let at = host.next_at;
            self.push(id, at);
        }
    }

    fn push(&mut self, id: HostId, at: Instant) {
        self.host_mut(id).queued = true;
        self.heap.push(Reverse((at, self.place, id)));
        self.place += 1;
    }

    pub(super) fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0]
    }

    pub(super) fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[id.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Robots;

    /// Its rules are asked for once a day, also while pages are under way that fail. The negative control, tried: let
    /// `learn` open whatever host there is.
    #[test]
    fn a_host_that_was_given_up_while_it_was_asked_stays_so() {
        let mut hosts = Hosts::new(Politeness::new().robots(true), u64::MAX);
        let rules = || Rules {
            robots: Robots::allow_all(),
            failure: None,
        };
        let id = hosts.id("http://host.example");
        hosts.found(id, 1);
        assert!(matches!(hosts.next(Instant::now()), Turn::Locate(..)));
        hosts.close(id);
        hosts.located(id, None);
        assert!(hosts.is_closed(id));
        hosts.learnt(id, rules(), Instant::now());
        assert!(hosts.is_closed(id));
        hosts.found(id, 1);
        assert!(matches!(hosts.next(Instant::now()), Turn::Nothing));
    }
}
