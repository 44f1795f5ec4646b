//! The crawl: frontier on one side, fetches on the other, one record per page in between.
//!
//! ```text
//!            whose turn            pop              spawn, under a permit
//!     Hosts ------------> Frontier ---> Crawler::next() -----------------> fetch task
//!                            ^            ^    |   |                           |
//!                            |   offer    |    |   +--> Record, to the caller  |
//!                            +--------------- links                            |
//!                                         |    |                               |
//!                                         |    +--> Journal                    |
//!                                         +---- Mailbox <--- Done | Lost | Stop
//! ```
//!
//! All decisions are taken in [`Crawler::next`], by one task, so limits are exact without locks:
//! a page is counted when its fetch starts, every fetch that starts sends exactly one event, and
//! every such event becomes one record. The parts that cost time (the network, HTML, stores) run in
//! the fetch tasks, which the scheduler spreads over its workers.
//!
//! A page holds its permit from the start of its fetch until its record is handed out. That
//! bounds fetches and waiting records together, and the loop cannot wait for ever: it waits only
//! when no record is ready, so every permit then belongs to a fetch whose event will come, or a
//! host may be asked again at a time that is known.

mod resume;
mod start;
mod events;
mod levels;
mod sharing;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use heist::sync::{OwnedSemaphorePermit, Semaphore};
use heist::task::JoinHandle;
use heist::time::{Instant, timeout_at};

use self::levels::Levels;
use self::sharing::Ready;
use crate::fetch::{Fetched, Fetcher};
use crate::hosts::{HostId, Hosts, Outcome, Rules};
use crate::journal::Journal;
use crate::mailbox::Mailbox;
use crate::options::CrawlerBuilder;
use crate::shared::{Member, News, Settlement};
use crate::{End, Frontier, Job, PageUrl, Record, Summary};

/// A crawl, ready or under way.
///
/// [`next`](Self::next) drives it and hands out the records; a caller that is slow to ask slows
/// the crawl down, so nothing piles up. [`run`](Self::run) does so to the end, for crawls whose handlers and
/// stores do all there is to do.
///
/// Dropping a crawl, or cancelling the task that drives it, cancels what is in flight, closes its connections, and
/// leaves a journal that the next one goes on from.
///
/// ```no_run
/// use heist_crawler::Crawler;
///
/// let mut crawl = Crawler::builder().seed("https://example.org/")?.max_pages(100).build()?;
/// heist::block_on(async {
///     while let Some(record) = crawl.next().await {
///         println!("{} {}", record.url, record.content_length);
///     }
///     println!("{}", crawl.summary());
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Crawler {
    fetcher: Arc<Fetcher>,
    frontier: Box<dyn Frontier>,
    hosts: Hosts,
    journal: Option<Journal>,
    /// Its part of a frontier that other crawlers have as well.
    member: Option<Box<Member>>,
    permits: Arc<Semaphore>,
    mailbox: Arc<Mailbox<Event>>,
    in_flight: HashMap<u64, InFlight>,
    /// Records of pages that are done and wait for the next call.
    ready: VecDeque<Ready>,
    /// What a shared frontier is to be told of the record that was handed out last.
    handed_out: Option<(Settlement, OwnedSemaphorePermit)>,
    /// Pages whose server was busy, and how often they were tried.
    attempts: HashMap<PageUrl, u32>,
    levels: Levels,
    limits: Limits,
    /// The number of the next task.
    next_id: u64,
    /// Pages ever started, those of earlier runs included: what the page limit is held against.
    started: u64,
    /// Whether a page was refused because the frontier was full.
    refused: bool,
    /// Why it ends before its time.
    ending: Option<End>,
    fault: Option<io::Error>,
    finished: bool,
    /// Whether a shared frontier has heard everything.
    left: bool,
    /// When a host may be asked that may not be asked now.
    wake_at: Option<Instant>,
    since: Option<Instant>,
    summary: Summary,
}

/// What a crawl may do.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) concurrency: usize,
    pub(crate) pages: u64,
    pub(crate) depth: u32,
    pub(crate) time: Option<Duration>,
    pub(crate) retries: u32,
    /// The name that `robots.txt` files are searched for.
    pub(crate) agent: Arc<str>,
    pub(crate) sitemaps: bool,
}

/// A task under way.
#[derive(Debug)]
struct InFlight {
    errand: Errand,
    host: HostId,
    started: Instant,
    permit: OwnedSemaphorePermit,
    task: JoinHandle<()>,
    /// The session with a shared frontier that it belongs to.
    session: u64,
}

/// What a task is sent out for.
#[derive(Debug)]
enum Errand {
    Page(Job),
    Address,
    Robots,
}

/// What the crawl loop waits for.
#[derive(Debug)]
enum Event {
    Done(u64, Result),
    /// The task ended without a result: it was cancelled, or panicked.
    Lost(u64),
    Stop,
    /// From a shared frontier.
    Shared(News),
}

/// What a task comes back with.
#[derive(Debug)]
enum Result {
    Page(Box<Fetched>),
    Address(Option<std::net::IpAddr>),
    Robots(Rules, Outcome),
}

impl Result {
    /// What it says about the host.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Page(fetched) => fetched.outcome,
            Self::Address(_) => Outcome::Abandoned,
            Self::Robots(_, outcome) => *outcome,
        }
    }
}

impl Crawler {
    /// Sets up a crawl.
    pub fn builder() -> CrawlerBuilder {
        CrawlerBuilder::new()
    }

    pub(crate) fn new(
        fetcher: Arc<Fetcher>,
        frontier: Box<dyn Frontier>,
        hosts: Hosts,
        limits: Limits,
    ) -> Self {
        Self {
            fetcher,
            frontier,
            hosts,
            journal: None,
            member: None,
            permits: Arc::new(Semaphore::new(limits.concurrency)),
            mailbox: Arc::new(Mailbox::new()),
            in_flight: HashMap::new(),
            ready: VecDeque::new(),
            handed_out: None,
            attempts: HashMap::new(),
            levels: Levels::new(limits.depth),
            limits,
            next_id: 0,
            started: 0,
            refused: false,
            ending: None,
            fault: None,
            finished: false,
            left: false,
            wake_at: None,
            since: None,
            summary: Summary::new(),
        }
    }

    /// The record of the next page to be done, or `None` when the crawl has ended.
    ///
    /// Records come in the order in which the fetches end. Fetches are only started in here.
    ///
    /// # Cancel safety
    ///
    /// Safe: a record is either returned or stays for the next call.
    ///
    /// # Panics
    ///
    /// When called outside a Heist runtime.
    pub async fn next(&mut self) -> Option<Record> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let deadline = self.limits.time.and_then(|time| since.checked_add(time));
        self.begin_sharing();
        self.settle_handed_out();
        loop {
            // What finished comes first: its links may matter for which page is next.
            while let Some(event) = self.mailbox.try_take() {
                self.handle(event);
            }
            if self.fetcher.budget.is_spent() {
                self.end(End::ByteLimit);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.end(End::TimeLimit);
            }
            let lease = self.check_lease();
            let free = self.start_fetches();
            self.tend(free);
            // Before a record is handed out it is where the next run finds it.
            let written = self.journal.as_mut().map_or(Ok(()), Journal::write);
            if self.check(written).is_none() {
                // What is not there is fetched again, and nobody is to have it twice. What is there the next run
                // adds to the output.
                self.ready.clear();
            }
            if let Some(ready) = self.ready.pop_front() {
                self.handed_out = ready.settlement.map(|it| (it, ready.permit));
                self.summary.add(&ready.record);
                self.summary.set_elapsed(since.elapsed());
                return Some(ready.record);
            }
            if self.has_ended() {
                self.finish().await;
                return None;
            }
            let deadline = deadline.filter(|_| self.ending.is_none());
            let until = [self.wake_at, deadline, lease];
            let event = match until.into_iter().flatten().min() {
                None => Some(self.mailbox.take().await),
                Some(until) => timeout_at(until, self.mailbox.take()).await.ok(),
            };
            if let Some(event) = event {
                self.handle(event);
            }
        }
    }

    /// Crawls to the end, and returns the account of it.
    ///
    /// # Errors
    ///
    /// When a store, the frontier or the journal could not do its work.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the crawl.
    ///
    /// # Panics
    ///
    /// When called outside a Heist runtime.
    pub async fn run(mut self) -> io::Result<Summary> {
        while self.next().await.is_some() {}
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(self.summary.clone()),
        }
    }

    /// Why the crawl could not go on ([`End::Failed`]), if so.
    #[must_use]
    pub fn fault(&self) -> Option<&io::Error> {
        self.fault.as_ref()
    }

    /// Stops the crawl from any thread, a signal handler's for instance.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle {
            mailbox: Arc::clone(&self.mailbox),
        }
    }

    /// The account of the records handed out so far, those of earlier runs included.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Pages found and not started yet: those of all crawlers when they share a frontier.
    #[must_use]
    pub fn waiting(&self) -> usize {
        match &self.member {
            Some(member) => member.state().waiting,
            None => self.frontier.len(),
        }
    }

    /// Fetches under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Starts no more, and cancels what is under way.
    fn end(&mut self, why: End) {
        if self.ending.is_none() {
            self.ending = Some(why);
            if why == End::ByteLimit {
                // Those under way end by themselves: the bytes that they have got count.
                self.fetcher.spent.cancel();
                return;
            }
            for task in self.in_flight.values() {
                task.task.cancel();
            }
        }
    }

    /// Ends the crawl if something that it cannot do without has failed.
    fn check<T>(&mut self, outcome: io::Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.end(End::Failed);
                self.fault.get_or_insert(error);
                None
            }
        }
    }

    /// Puts everything away. Done once, and again when it was cancelled in the middle.
    async fn finish(&mut self) {
        if self.finished {
            return;
        }
        for store in self.fetcher.stores.clone() {
            let outcome = store.finish().await;
            self.check(outcome);
        }
        self.leave().await;
        let synced = self.journal.as_mut().map_or(Ok(()), Journal::sync);
        self.check(synced);
        self.finished = true;
        self.summary.set_end(match self.ending {
            Some(why) => why,
            None => self.natural_end(),
        });
    }
}

impl Drop for Crawler {
    fn drop(&mut self) {
        for task in self.in_flight.values() {
            task.task.cancel();
        }
    }
}

/// Stops a [`Crawler`]: no new page is started, those in flight are cancelled and recorded as
/// such, and [`Crawler::next`] then returns `None`.
#[derive(Clone)]
pub struct StopHandle {
    mailbox: Arc<Mailbox<Event>>,
}

impl StopHandle {
    /// Asks the crawl to stop. Asking twice is the same as once.
    pub fn stop(&self) {
        self.mailbox.post(Event::Stop);
    }
}

impl fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopHandle").finish_non_exhaustive()
    }
}

/// A task's duty to report, however it ends.
///
/// It travels inside the task's future, so it is dropped, and reports, when the task returns,
/// panics, is cancelled, or is never polled at all.
struct Duty {
    id: u64,
    /// Where to report; gone once that is done.
    mailbox: Option<Arc<Mailbox<Event>>>,
}

impl Duty {
    fn report(&mut self, event: impl FnOnce(u64) -> Event) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.post(event(self.id));
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.report(Event::Lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    fn duty(mailbox: &Arc<Mailbox<Event>>) -> Duty {
        Duty {
            id: 7,
            mailbox: Some(Arc::clone(mailbox)),
        }
    }

    #[test]
    fn a_duty_is_done_once_however_it_ends() {
        let mailbox = Arc::new(Mailbox::new());
        let mut done = duty(&mailbox);
        done.report(|_| Event::Stop);
        drop(done);
        assert!(matches!(mailbox.try_take(), Some(Event::Stop)));
        assert!(mailbox.try_take().is_none());
        drop(duty(&mailbox));
        assert!(matches!(mailbox.try_take(), Some(Event::Lost(7))));
    }

    #[test]
    fn a_fetch_that_panics_is_a_record_and_the_crawl_goes_on() {
        heist::block_on(async {
            let mut crawl = Crawler::builder().concurrency(1).build().unwrap();
            let job = Job::seed("http://example.org/".parse().unwrap());
            let permit = Arc::clone(&crawl.permits).try_acquire_owned().unwrap();
            let duty = duty(&crawl.mailbox);
            let task = heist::spawn(async move {
                let _duty = duty;
                panic!("a bug in the parser, say");
            });
            let host = crawl.hosts.id(job.url.origin());
            crawl.hosts.start(host, true);
            crawl.in_flight.insert(
                7,
                InFlight {
                    errand: Errand::Page(job),
                    host,
                    started: Instant::now(),
                    permit,
                    task,
                    session: 0,
                },
            );
            let record = crawl.next().await.expect("the lost page has a record");
            assert_eq!(
                record.error.map(|failure| failure.kind()),
                Some(FailureKind::Internal)
            );
            assert!(crawl.next().await.is_none());
            assert_eq!(crawl.summary().pages(), 1);
            assert!(Arc::clone(&crawl.permits).try_acquire_owned().is_ok());
        });
    }

    /// An output with more records than the journal is not caught up with it later. The negative control, tried: hand out what
    /// is ready all the same.
    #[test]
    fn a_record_that_the_journal_does_not_have_is_not_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        heist::block_on(async {
            let mut crawl = Crawler::builder()
                .seed("http://127.0.0.1:9/")
                .unwrap()
                .journal(&path)
                .build()
                .unwrap();
            let job = Job::seed("http://127.0.0.1:9/".parse().unwrap());
            let host = crawl.hosts.id(job.url.origin());
            let permit = Arc::clone(&crawl.permits).try_acquire_owned().unwrap();
            crawl.journal.as_mut().unwrap().break_off();
            crawl.settle(host, &job, crate::fetch::blank_record(&job), permit);
            crawl.stop_handle().stop();
            assert!(crawl.next().await.is_none());
            assert!(crawl.fault().is_some());
            assert_eq!(
                (crawl.summary().pages(), crawl.summary().end()),
                (0, End::Stopped)
            );
        });
    }

    #[test]
    fn a_crawl_stopped_before_it_began_fetches_nothing() {
        heist::block_on(async {
            let mut crawl = Crawler::builder()
                .seed("http://127.0.0.1:9/")
                .unwrap()
                .build()
                .unwrap();
            crawl.stop_handle().stop();
            assert!(crawl.next().await.is_none());
            assert_eq!(
                (crawl.summary().pages(), crawl.summary().end()),
                (0, End::Stopped)
            );
        });
    }
}
