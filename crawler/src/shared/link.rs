//! The way to the frontier: a thread that says what there is to say, and posts what comes back.
//!
//! One exchange is under way at a time, and takes along all that has come up since the last one, so a crawl that is
//! busy makes few large ones. Each has a number, and is sent again until its answer is there.
//!
//! ```text
//!             order(Join)                answer                  GONE
//!    Parked ---------------> Joining ------------> Joined --------------------> Parked, Lost is posted
//!       ^                       ^ |                  | |
//!       |                       +-+ trouble          | +--> trouble: wait, connect, send the same again
//!       |                                            |
//!       +---------- order(Join) drops what was said -+
//!                                                    +----> order(Leave): say the rest, leave, Left is posted
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::batch::{Batch, Item, Wants};
use super::reply::{Line, parse};
use crate::budget::ByteBudget;
use crate::hosts::HostId;

/// The first time to wait after trouble, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The time between two questions for hosts, when there were none: it doubles.
const PACE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// The longest time between two signs of life.
const BEAT: Duration = Duration::from_secs(1);

/// How long a crawler that leaves tries to say so.
const FAREWELL: Duration = Duration::from_secs(3);

/// A frontier on the other side.
pub(super) trait Remote: Send {
    /// Joins the crawl, and ends an earlier session of this crawler.
    fn join(&mut self, earlier: Option<u64>) -> Result<Joined, Trouble>;

    /// One exchange. The same number once more is the same exchange.
    fn exchange(&mut self, session: u64, number: u64, words: &[Vec<u8>])
    -> Result<String, Trouble>;

    /// Sees to it that a crawl in which nothing is left to do is forgotten in time.
    fn forget(&mut self) -> Result<(), Trouble>;
}

/// What a crawler gets when it joins.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) session: u64,
    /// What fingerprints are made with.
    pub(super) key: String,
    /// For how long the crawl is remembered, if it is over.
    pub(super) remembered_for: Option<Duration>,
}

/// Why nothing came of it.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may go well another time.
    Passing(io::Error),
    /// The session has expired.
    Gone,
    /// It will not go well.
    Final(io::Error),
}

/// What is told to the crawl.
#[derive(Debug)]
pub(crate) enum News {
    /// A session has begun.
    Joined(String),
    /// An exchange has taken place.
    Answer(Answer),
    /// The session has ended, and nothing is ours any more.
    Lost,
    /// The frontier cannot be used.
    Failed(io::Error),
    /// Everything was said, as far as that was possible.
    Left,
}

/// What has come of an exchange.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) lines: Vec<Line>,
    /// So many things were said.
    pub(super) items: usize,
    /// The hosts of the pages that were settled, once for each page.
    pub(super) settled: Vec<HostId>,
    /// What was found is known there.
    pub(super) links: Vec<u64>,
}

/// How far a step has come.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// There was nothing to do, or something else is to be done.
    Nothing,
    Done,
    Left,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Park,
    Join,
    Talk,
    Leave(Instant),
}

/// The crawl's end.
pub(super) struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    outbox: Mutex<Outbox>,
    wake: Condvar,
}

struct Outbox {
    order: Order,
    items: VecDeque<Item>,
    wants: Wants,
    /// Whether something is not to wait for the next beat.
    urgent: bool,
    /// Until when the session is good, whatever happens.
    good_until: Option<Instant>,
}

/// What a link is made of.
pub(super) struct Setup {
    pub(super) remote: Box<dyn Remote>,
    pub(super) lease: Duration,
    pub(super) budget: Arc<ByteBudget>,
    pub(super) post: Box<dyn Fn(News) + Send>,
    /// Is told of outages.
    pub(super) notice: Arc<dyn Fn(&str) + Send + Sync>,
    pub(super) name: String,
}

impl Link {
    /// Starts the thread, which begins to join.
    pub(super) fn start(setup: Setup) -> io::Result<Self> {
        let inner = Arc::new(Inner {
            outbox: Mutex::new(Outbox {
                order: Order::Join,
                items: VecDeque::new(),
                wants: Wants::default(),
                urgent: false,
                good_until: None,
            }),
            wake: Condvar::new(),
        });
        let poked = Arc::downgrade(&inner);
        setup.budget.when_wanted(move || {
            if let Some(inner) = poked.upgrade() {
                inner.urge();
            }
        });
        let agent = Agent::new(Arc::clone(&inner), setup);
        thread::Builder::new()
            .name("crawl-frontier".to_owned())
            .spawn(move || agent.run())?;
        Ok(Self { inner })
    }

    /// Says something, soon.
    pub(super) fn say(&self, item: Item) {
        self.inner.lock().items.push_back(item);
        self.inner.urge();
    }

    /// Asks for pages of a host, soon.
    pub(super) fn pull(&self, origin: &str, pages: usize) {
        let mut outbox = self.inner.lock();
        outbox.wants.pulls.push((origin.to_owned(), pages));
        drop(outbox);
        self.inner.urge();
    }

    /// How many hosts are wanted from now on, and how many pages of each.
    pub(super) fn want_hosts(&self, hosts: usize, pages: usize) {
        let mut outbox = self.inner.lock();
        let before = std::mem::replace(&mut outbox.wants.hosts, (hosts, pages)).0;
        drop(outbox);
        if before == 0 && hosts > 0 {
            self.inner.wake.notify_one();
        }
    }

    /// Until when the session is good, whatever happens. `None` without one.
    pub(super) fn good_until(&self) -> Option<Instant> {
        self.inner.lock().good_until
    }

    /// Forgets what was said, and begins a new session.
    pub(super) fn join_again(&self) {
        let mut outbox = self.inner.lock();
        if !matches!(outbox.order, Order::Leave(_)) {
            outbox.order = Order::Join;
        }
        outbox.forget();
        drop(outbox);
        self.inner.urge();
    }

    /// Leaves when everything is said.
    pub(super) fn leave(&self) {
        let mut outbox = self.inner.lock();
        if !matches!(outbox.order, Order::Leave(_)) {
            outbox.order = Order::Leave(Instant::now() + FAREWELL);
        }
        outbox.wants = Wants::default();
        drop(outbox);
        self.inner.urge();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outbox = self.inner.lock();
        f.debug_struct("Link")
            .field("order", &outbox.order)
            .field("items", &outbox.items.len())
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Nothing in here is left half changed by a panic.
    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn urge(&self) {
        self.lock().urgent = true;
        self.wake.notify_one();
    }

    /// Waits, but not beyond `until`, until `ready` says so.
    fn wait(&self, until: Instant, ready: impl Fn(&Outbox) -> bool) -> MutexGuard<'_, Outbox> {
        let mut outbox = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || ready(&outbox) {
                return outbox;
            }
            let waited = self.wake.wait_timeout(outbox, left);
            outbox = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Outbox {
    fn forget(&mut self) {
        self.items.clear();
        self.wants = Wants::default();
        self.good_until = None;
    }
}

/// The thread's end.
struct Agent {
    inner: Arc<Inner>,
    setup: Setup,
    session: Option<u64>,
    /// The number of the last exchange that was begun.
    number: u64,
    batch: Option<Batch>,
    /// Whether it asks for hosts or bytes.
    hungry: bool,
    pace: Duration,
    beat_at: Instant,
    retry: Duration,
    /// Since when there is trouble.
    outage: Option<Instant>,
    /// Whether nothing was left to do of late.
    over: bool,
}

impl Agent {
    fn new(inner: Arc<Inner>, setup: Setup) -> Self {
        Self {
            inner,
            setup,
            session: None,
            number: 0,
            batch: None,
            hungry: false,
            pace: PACE.0,
            beat_at: Instant::now(),
            retry: RETRY.0,
            outage: None,
            over: false,
        }
    }

    fn run(mut self) {
        loop {
            let order = self.inner.lock().order;
            let outcome = match order {
                Order::Park => {
                    let far = Instant::now() + Duration::from_secs(3600);
                    drop(self.inner.wait(far, |outbox| outbox.order != Order::Park));
                    continue;
                }
                Order::Join => self.join(),
                Order::Talk => self.talk(false),
                Order::Leave(until) => {
                    let nothing_to_say = self.session.is_none();
                    if nothing_to_say || Instant::now() >= until {
                        break;
                    }
                    match self.talk(true) {
                        Ok(Step::Left) => {
                            if self.over {
                                // Whoever comes next does it, if it fails.
                                let _ = self.setup.remote.forget();
                            }
                            break;
                        }
                        Err(Trouble::Gone | Trouble::Final(_)) => break,
                        outcome => outcome,
                    }
                }
            };
            match outcome {
                Ok(Step::Nothing) => {}
                Ok(_) => self.recovered(),
                Err(Trouble::Passing(error)) => self.pause(&error),
                Err(Trouble::Gone) => self.park(News::Lost),
                Err(Trouble::Final(error)) => self.park(News::Failed(error)),
            }
        }
        // Permits go before the news, so that whoever waits for it finds them.
        self.batch = None;
        self.inner.lock().forget();
        (self.setup.post)(News::Left);
    }

    fn join(&mut self) -> Result<Step, Trouble> {
        self.batch = None;
        let asked = Instant::now();
        let joined = self.setup.remote.join(self.session)?;
        self.session = Some(joined.session);
        if let Some(time) = joined.remembered_for {
            (self.setup.notice)(&format!(
                "nothing is left to do in the crawl {}, which is forgotten in {} s; another name begins anew",
                self.setup.name,
                time.as_secs()
            ));
        }
        self.number = 0;
        self.setup.budget.begin();
        let mut outbox = self.inner.lock();
        if outbox.order == Order::Join {
            outbox.order = Order::Talk;
            outbox.good_until = Some(asked + self.good_for());
            drop(outbox);
            (self.setup.post)(News::Joined(joined.key));
        }
        Ok(Step::Done)
    }

    /// How long a session is good after a sign of life was sent. The frontier gives it a little longer.
    fn good_for(&self) -> Duration {
        self.setup.lease.mul_f64(0.9)
    }

    /// One exchange, when there is something to say or it is time for a sign of life.
    fn talk(&mut self, leaving: bool) -> Result<Step, Trouble> {
        let Some(session) = self.session else {
            return Err(Trouble::Gone);
        };
        if self.batch.is_none() {
            self.prepare(leaving);
        }
        let Some(batch) = &self.batch else {
            return Ok(Step::Nothing);
        };
        let sent = Instant::now();
        let remote = &mut self.setup.remote;
        let text = remote.exchange(session, self.number, &batch.words)?;
        let lines = parse(&text).map_err(Trouble::Final)?;
        let left = batch.words.last().is_some_and(|word| word == b"l");
        let mut outbox = self.inner.lock();
        if outbox.order == Order::Join {
            // The crawl has given the session up meanwhile.
            return Ok(Step::Nothing);
        }
        outbox.good_until = Some(sent + self.good_for());
        drop(outbox);
        self.answered(sent, lines);
        Ok(if left { Step::Left } else { Step::Done })
    }

    /// Waits for something to say, and puts it into words.
    fn prepare(&mut self, leaving: bool) {
        let order = self.inner.lock().order;
        let beat_at = self.beat_at;
        let mut outbox = self.inner.wait(beat_at, |outbox| {
            let hungry = outbox.wants.hosts.0 > 0 && beat_at > Instant::now() + PACE.1;
            outbox.urgent || leaving || hungry || outbox.order != order
        });
        if outbox.order != order {
            return;
        }
        let wants = std::mem::take(&mut outbox.wants);
        let bytes = self.setup.budget.account();
        self.hungry = wants.hosts.0 > 0 || bytes.is_some_and(|bytes| bytes.need > 0);
        let mut batch = Batch::cut(&mut outbox.items, wants, bytes);
        outbox.urgent = !outbox.items.is_empty();
        if leaving && outbox.items.is_empty() {
            batch.leave();
        }
        drop(outbox);
        self.number += 1;
        self.batch = Some(batch);
    }

    fn answered(&mut self, sent: Instant, lines: Vec<Line>) {
        let Some(batch) = self.batch.take() else {
            return;
        };
        let mut fed = false;
        for line in &lines {
            match line {
                Line::Host { .. } => fed = true,
                Line::Bytes(total) => self.setup.budget.grant(*total),
                Line::State(state) => {
                    self.over = state.over;
                    self.setup.budget.heard(state.thirsty > 0, state.spent);
                }
                _ => {}
            }
        }
        self.pace = if self.hungry && !fed {
            (self.pace * 2).min(PACE.1)
        } else {
            PACE.0
        };
        let wait = if self.hungry { self.pace } else { BEAT };
        self.beat_at = sent + wait.min(self.setup.lease / 5);
        let mut answer = Answer {
            lines,
            items: batch.items.len(),
            settled: Vec::new(),
            links: Vec::new(),
        };
        for item in batch.items {
            match item {
                Item::Link { fingerprint, .. } => answer.links.push(fingerprint),
                Item::Done { page, .. } | Item::Back { page, .. } => {
                    answer.settled.push(page.host);
                    drop(page.permit);
                }
                Item::Close { .. } | Item::Free { .. } | Item::Pause { .. } => {}
            }
        }
        (self.setup.post)(News::Answer(answer));
    }

    /// It cannot go on before the crawl says so.
    fn park(&mut self, news: News) {
        self.batch = None;
        let mut outbox = self.inner.lock();
        if !matches!(outbox.order, Order::Leave(_)) {
            outbox.order = Order::Park;
        }
        outbox.forget();
        drop(outbox);
        (self.setup.post)(news);
    }

    fn pause(&mut self, error: &io::Error) {
        if self.outage.is_none() {
            self.outage = Some(Instant::now());
            (self.setup.notice)(&format!(
                "the frontier {} cannot be used: {error}; the crawl goes on when it can",
                self.setup.name
            ));
        }
        let until = Instant::now() + self.retry;
        self.retry = (self.retry * 2).min(RETRY.1);
        let order = self.inner.lock().order;
        drop(self.inner.wait(until, |outbox| outbox.order != order));
    }

    fn recovered(&mut self) {
        self.retry = RETRY.0;
        if let Some(since) = self.outage.take() {
            let seconds = since.elapsed().as_secs_f64();
            (self.setup.notice)(&format!(
                "the frontier {} can be used again, after {seconds:.1} s",
                self.setup.name
            ));
        }
    }
}
