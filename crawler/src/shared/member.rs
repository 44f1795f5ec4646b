//! What a crawl knows about its part of the frontier: the hosts that are its own, and the pages of them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heist::sync::OwnedSemaphorePermit;
use sha1::{Digest, Sha1};

use super::batch::{Item, Settled, line_of};
use super::link::{Answer, Link, News, Remote, Setup};
use super::reply::{Line, State};
use crate::budget::ByteBudget;
use crate::frontier::Seen;
use crate::hosts::{HostId, Hosts};
use crate::{Job, PageUrl};

/// Pages of a host that come with it.
const FIRST_PAGES: usize = 4;

/// Hosts that are asked for at a time.
const MOST_HOSTS: usize = 64;

/// What a crawl needs to become a member.
pub(crate) struct Membership {
    pub(super) remote: Box<dyn Remote>,
    pub(super) lease: Duration,
    pub(super) notice: Arc<dyn Fn(&str) + Send + Sync>,
    pub(super) name: String,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One of the crawlers that share a frontier, as its own crawl sees it.
///
/// All of this is on the side of the crawl: nothing here waits.
#[derive(Debug)]
pub(crate) struct Member {
    /// Until the crawl begins.
    membership: Option<Membership>,
    /// From then on.
    link: Option<Link>,
    /// What fingerprints are made with, in all crawlers alike. `None` without a session.
    key: Option<String>,
    /// Sessions so far: what belongs to an earlier one is void.
    session: u64,
    /// Fingerprints that the frontier has from us.
    known: Seen,
    seeds: Vec<Job>,
    /// Pages that were found since the last page was settled.
    found: Vec<Job>,
    leases: HashMap<HostId, Lease>,
    /// Hosts that something has happened to.
    touched: Vec<HostId>,
    /// Things said, and not answered.
    unanswered: usize,
    state: State,
    over: bool,
}

/// A host that is ours.
#[derive(Debug, Default)]
struct Lease {
    /// Pages that are not begun.
    jobs: VecDeque<Job>,
    /// Pages that are ours, begun or not, until the frontier has heard that they are done.
    ours: usize,
    /// Whether more wait in the frontier.
    more: bool,
    /// Whether some of those are under way.
    asked: bool,
    /// Whether the host goes to another crawler.
    leaving: bool,
}

/// What the frontier is to be told of a page, after its record was handed out.
#[derive(Debug)]
pub(crate) struct Settlement {
    session: u64,
    host: HostId,
    line: Vec<u8>,
    fate: Fate,
    bytes: u64,
    found: Vec<Job>,
}

/// What has become of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It went well.
    Good,
    /// It failed, which is an end as well.
    Failed,
    /// It is done without having been asked for, and does not count.
    Uncounted,
    /// It waits again.
    Back,
}

/// What the crawl has to do about news.
#[derive(Debug)]
pub(crate) enum Consequence {
    Nothing,
    /// Nothing is ours any more: [`Member::lose`] follows.
    Lost,
    /// It cannot go on.
    Failed(io::Error),
    /// The farewell is over.
    Left,
}

impl Member {
    pub(crate) fn new(membership: Membership) -> Self {
        Self {
            membership: Some(membership),
            link: None,
            key: None,
            session: 1,
            known: Seen::new(),
            seeds: Vec::new(),
            found: Vec::new(),
            leases: HashMap::new(),
            touched: Vec::new(),
            unanswered: 0,
            state: State::default(),
            over: false,
        }
    }

    /// Begins to join.
    pub(crate) fn start(
        &mut self,
        budget: Arc<ByteBudget>,
        post: impl Fn(News) + Send + 'static,
    ) -> io::Result<()> {
        let Some(membership) = self.membership.take() else {
            return Ok(());
        };
        self.link = Some(Link::start(Setup {
            remote: membership.remote,
            lease: membership.lease,
            budget,
            post: Box::new(post),
            notice: membership.notice,
            name: membership.name,
        })?);
        Ok(())
    }

    /// A page to start from.
    pub(crate) fn seed(&mut self, job: Job) {
        self.seeds.push(job);
    }

    /// A page was found: said with the page that is settled next, or by [`tell_found`](Self::tell_found).
    pub(crate) fn found(&mut self, job: Job) {
        self.found.push(job);
    }

    /// Says what was found apart from a page.
    pub(crate) fn tell_found(&mut self) {
        for job in std::mem::take(&mut self.found) {
            self.offer(&job);
        }
    }

    fn offer(&mut self, job: &Job) {
        // Without a session there are no pages, so nothing is found; the seeds wait.
        let Some(key) = &self.key else {
            return;
        };
        let fingerprint = fingerprint(key, &job.url);
        if !self.known.contains(fingerprint) {
            let line = line_of(job);
            self.say(Item::Link { fingerprint, line });
        }
    }

    fn say(&mut self, item: Item) {
        if let Some(link) = &self.link {
            self.unanswered += 1;
            link.say(item);
        }
    }

    /// What is said later of a page whose fate is known, with all that was found since the last one.
    pub(crate) fn settlement(
        &mut self,
        host: HostId,
        job: &Job,
        fate: Fate,
        bytes: u64,
    ) -> Settlement {
        Settlement {
            session: self.session,
            host,
            line: line_of(job),
            fate,
            bytes,
            found: std::mem::take(&mut self.found),
        }
    }

    /// Whether a settlement, or a task, is of this session.
    pub(crate) fn is_current(&self, session: u64) -> bool {
        session == self.session
    }

    pub(crate) fn session(&self) -> u64 {
        self.session
    }

    /// Says what has become of a page whose record was handed out. Its permit is kept until that has arrived, so what
    /// is fetched twice after a crash was within the limit of fetches at a time.
    pub(crate) fn settle(
        &mut self,
        settlement: Settlement,
        permit: OwnedSemaphorePermit,
        hosts: &Hosts,
    ) {
        if !self.is_current(settlement.session) {
            return;
        }
        for job in &settlement.found {
            self.offer(job);
        }
        let (line, bytes, host) = (settlement.line, settlement.bytes, settlement.host);
        let page = Settled { host, permit };
        self.say(match settlement.fate {
            Fate::Back => Item::Back { line, bytes, page },
            fate => Item::Done {
                line,
                counts: fate != Fate::Uncounted,
                good: fate == Fate::Good,
                bytes,
                pause: hosts.pause(host),
                page,
            },
        });
    }

    /// The pause of a host is known now.
    pub(crate) fn learnt(&mut self, host: HostId, hosts: &Hosts) {
        let pause = hosts.pause(host);
        if !pause.is_zero() && self.leases.contains_key(&host) {
            let origin = hosts.origin(host).to_string();
            self.say(Item::Pause { origin, pause });
        }
        self.touched.push(host);
    }

    /// The next page of a host.
    pub(crate) fn pop(&mut self, host: HostId) -> Option<Job> {
        let job = self.leases.get_mut(&host)?.jobs.pop_front();
        self.touched.push(host);
        job
    }

    /// A host is given up, and `again` of its pages that were begun: none of them is ours any more. Returns the others.
    pub(crate) fn give_up(&mut self, host: HostId, again: usize) -> VecDeque<Job> {
        self.touched.push(host);
        let Some(lease) = self.leases.get_mut(&host) else {
            return VecDeque::new();
        };
        // What is on its way to us goes back with the host.
        lease.leaving = true;
        lease.ours -= (lease.jobs.len() + again).min(lease.ours);
        std::mem::take(&mut lease.jobs)
    }

    /// Something has ended at this host.
    pub(crate) fn touch(&mut self, host: HostId) {
        self.touched.push(host);
    }

    /// Until when what is ours is ours for sure. `None` without a session.
    pub(crate) fn good_until(&self) -> Option<Instant> {
        self.key.as_ref()?;
        self.link.as_ref()?.good_until()
    }

    /// The crawl is over, all of its crawlers together, and nothing of us is on its way.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// How the crawl is, all of its crawlers together, as of late.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Takes in what came from the frontier.
    pub(crate) fn hear(&mut self, news: News, hosts: &mut Hosts) -> Consequence {
        match news {
            News::Joined(key) => {
                self.key = Some(key);
                for job in std::mem::take(&mut self.seeds) {
                    self.offer(&job);
                    // Offered again with the next session: the frontier may have lost this one.
                    self.seeds.push(job);
                }
                Consequence::Nothing
            }
            News::Answer(answer) => {
                self.answered(answer, hosts);
                Consequence::Nothing
            }
            News::Lost => Consequence::Lost,
            News::Failed(error) => Consequence::Failed(error),
            News::Left => Consequence::Left,
        }
    }

    fn answered(&mut self, answer: Answer, hosts: &mut Hosts) {
        if self.key.is_none() {
            // It belongs to a session that was given up.
            return;
        }
        self.unanswered = self.unanswered.saturating_sub(answer.items);
        for fingerprint in answer.links {
            self.known.insert(fingerprint);
        }
        for host in answer.settled {
            if let Some(lease) = self.leases.get_mut(&host) {
                lease.ours = lease.ours.saturating_sub(1);
            }
            self.touched.push(host);
        }
        let mut current = None;
        for line in answer.lines {
            match line {
                Line::Host {
                    origin,
                    backoff,
                    failures,
                } => {
                    let id = hosts.id(&origin);
                    hosts.lease(id, backoff, failures);
                    let lease = self.leases.entry(id).or_default();
                    // It was given up here, and the frontier does not know.
                    lease.leaving = hosts.is_closed(id);
                }
                Line::Pages { origin, more } => {
                    let id = hosts.id(&origin);
                    if let Some(lease) = self.leases.get_mut(&id) {
                        (lease.asked, lease.more) = (false, more);
                    }
                    current = Some(id);
                    self.touched.push(id);
                }
                Line::Page(job) => {
                    let host = current.and_then(|id| Some((id, self.leases.get_mut(&id)?)));
                    // A host that leaves takes its pages along.
                    if let Some((id, lease)) = host.filter(|(_, lease)| !lease.leaving) {
                        lease.ours += 1;
                        lease.jobs.push_back(job);
                        hosts.found(id, 1);
                    }
                }
                Line::More(origin) => {
                    let id = hosts.id(&origin);
                    if let Some(lease) = self.leases.get_mut(&id) {
                        lease.more = true;
                    }
                    self.touched.push(id);
                }
                Line::Lost(origin) => {
                    let id = hosts.id(&origin);
                    if let Some(lease) = self.leases.get_mut(&id) {
                        (lease.asked, lease.more) = (false, false);
                    }
                    self.touched.push(id);
                }
                Line::Bytes(_) => {}
                Line::State(state) => self.state = state,
            }
        }
        self.over = self.state.over && self.unanswered == 0;
        self.share(hosts);
    }

    /// Gives hosts away when another crawler has none to ask, and we have more than our share.
    fn share(&mut self, hosts: &mut Hosts) {
        if self.state.hungry == 0 || self.state.ready > 0 {
            return;
        }
        let staying = self.leases.values().filter(|lease| !lease.leaving).count();
        let mut surplus = staying.saturating_sub(self.state.share);
        // Those first that are at rest: they can go at once.
        for at_rest in [true, false] {
            for (&id, lease) in &mut self.leases {
                if surplus == 0 {
                    return;
                }
                if lease.leaving || (at_rest && lease.ours > lease.jobs.len()) {
                    continue;
                }
                surplus -= 1;
                lease.leaving = true;
                lease.ours -= lease.jobs.len() + hosts.drain(id);
                lease.jobs.clear();
                self.touched.push(id);
            }
        }
    }

    /// Asks for what is needed, and gives back what is not. `free` fetches could begin and nothing is there for them.
    pub(crate) fn tend(&mut self, hosts: &Hosts, concurrency: usize, free: usize) {
        if self.key.is_none() {
            return;
        }
        for id in std::mem::take(&mut self.touched) {
            self.tend_host(id, hosts, concurrency);
        }
        if let Some(link) = &self.link {
            // Twice as many as there is room for: some have few pages.
            link.want_hosts((free * 2).min(MOST_HOSTS), FIRST_PAGES);
        }
    }

    fn tend_host(&mut self, id: HostId, hosts: &Hosts, concurrency: usize) {
        let (Some(link), Some(lease)) = (&self.link, self.leases.get_mut(&id)) else {
            return;
        };
        let ends = lease.leaving || hosts.is_closed(id);
        if !ends && lease.more && !lease.asked {
            let most = hosts.appetite(id, concurrency);
            if lease.jobs.len() <= most / 2 {
                lease.asked = true;
                link.pull(&hosts.origin(id), most - lease.jobs.len());
            }
            return;
        }
        let rests = lease.ours == 0 && !lease.asked && hosts.is_at_rest(id);
        if rests && (ends || !lease.more) {
            self.leases.remove(&id);
            let origin = hosts.origin(id).to_string();
            let pause = hosts.pause(id);
            self.say(if hosts.is_closed(id) {
                Item::Close { origin, pause }
            } else {
                let (wait, backoff, failures) = hosts.parting(id);
                Item::Free {
                    origin,
                    wait,
                    pause,
                    backoff,
                    failures,
                }
            });
        }
    }

    /// The session is lost: nothing is ours any more, and a new one begins.
    pub(crate) fn lose(&mut self, hosts: &mut Hosts) {
        self.session += 1;
        self.key = None;
        self.over = false;
        self.unanswered = 0;
        self.found.clear();
        self.touched.clear();
        for (id, _) in self.leases.drain() {
            hosts.drain(id);
        }
        if let Some(link) = &self.link {
            link.join_again();
        }
    }

    /// Leaves when everything is said. False when nobody was ever there.
    pub(crate) fn leave(&mut self) -> bool {
        let link = self.link.as_ref();
        link.inspect(|link| link.leave()).is_some()
    }
}

/// The first bytes of a hash that nobody outside can foresee, so that no site can make addresses that collide.
fn fingerprint(key: &str, url: &PageUrl) -> u64 {
    let hash = Sha1::new()
        .chain_update(key)
        .chain_update(url.as_str())
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}
