//! The crawl: frontier on one side, fetches on the other, one record per page in between.
//!
//! ```text
//!                    pop                       spawn, under a permit
//!     Frontier ------------> Crawl::next() ---------------------------> fetch task
//!        ^                    ^    |   |                                    |
//!        |        offer       |    |   +--> Record, to the caller           |
//!        +---------------------- links                                      |
//!                             |                                             |
//!                             +---- Mailbox <--- Finished | Lost | Stop <---+
//! ```
//!
//! All decisions are taken in [`Crawl::next`], by one task, so limits are exact without locks:
//! a page is counted when its fetch starts, every fetch that starts sends exactly one event, and
//! every such event becomes one record. The parts that cost time (the network, HTML) run in the
//! fetch tasks, which the scheduler spreads over its workers.
//!
//! A page holds its permit from the start of its fetch until its record is handed out. That
//! bounds fetches and waiting records together, and the loop cannot wait for ever: it waits only
//! when no record is ready, so every permit then belongs to a fetch whose event will come.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use heist::sync::{OwnedSemaphorePermit, Semaphore};
use heist::task::JoinHandle;
use heist::time::Instant;

use crate::fetch::{Fetched, Fetcher, blank_record, milliseconds};
use crate::mailbox::Mailbox;
use crate::options::CrawlBuilder;
use crate::{End, Failure, FailureKind, Frontier, Job, Offer, PageUrl, Record, Summary};

/// A crawl under way.
///
/// [`next`](Self::next) drives it and hands out the records; a caller that is slow to ask slows
/// the crawl down, so nothing piles up. Dropping the crawl cancels what is in flight.
///
/// ```no_run
/// use heist_crawler::Crawl;
///
/// let mut crawl = Crawl::builder().seed("https://example.org/")?.max_pages(100).build()?;
/// heist::block_on(async {
///     while let Some(record) = crawl.next().await {
///         println!("{} {}", record.url, record.content_length);
///     }
///     println!("{}", crawl.summary());
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Crawl {
    fetcher: Arc<Fetcher>,
    frontier: Box<dyn Frontier>,
    permits: Arc<Semaphore>,
    mailbox: Arc<Mailbox<Event>>,
    in_flight: HashMap<u64, InFlight>,
    /// Records of pages that are done and wait for the next call.
    ready: VecDeque<(Record, OwnedSemaphorePermit)>,
    max_pages: u64,
    max_depth: u32,
    /// Fetches ever started: the number of the next one, and what the page limit is held against.
    started: u64,
    /// Whether a page was refused because the frontier was full.
    refused: bool,
    stopping: bool,
    since: Option<Instant>,
    summary: Summary,
}

/// A page being fetched.
#[derive(Debug)]
struct InFlight {
    job: Job,
    started: Instant,
    permit: OwnedSemaphorePermit,
    task: JoinHandle<()>,
}

/// What the crawl loop waits for.
#[derive(Debug)]
enum Event {
    Finished(u64, Box<Fetched>),
    /// The fetch ended without a result: its task was cancelled, or panicked.
    Lost(u64),
    Stop,
}

impl Crawl {
    /// Sets up a crawl.
    #[must_use]
    pub fn builder() -> CrawlBuilder {
        CrawlBuilder::new()
    }

    pub(crate) fn new(
        fetcher: Arc<Fetcher>,
        frontier: Box<dyn Frontier>,
        concurrency: usize,
        max_pages: u64,
        max_depth: u32,
    ) -> Self {
        Self {
            fetcher,
            frontier,
            permits: Arc::new(Semaphore::new(concurrency)),
            mailbox: Arc::new(Mailbox::new()),
            in_flight: HashMap::new(),
            ready: VecDeque::new(),
            max_pages,
            max_depth,
            started: 0,
            refused: false,
            stopping: false,
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
        self.since.get_or_insert_with(Instant::now);
        loop {
            // What finished comes first: its links may matter for which page is next.
            while let Some(event) = self.mailbox.try_take() {
                self.handle(event);
            }
            self.start_fetches();
            if let Some((record, permit)) = self.ready.pop_front() {
                drop(permit);
                self.summary.add(&record);
                self.summary
                    .set_elapsed(self.since.map_or(Duration::ZERO, |since| since.elapsed()));
                return Some(record);
            }
            if self.in_flight.is_empty() {
                self.note_end();
                return None;
            }
            let event = self.mailbox.take().await;
            self.handle(event);
        }
    }

    /// Stops the crawl from any thread, a signal handler's for instance.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle {
            mailbox: Arc::clone(&self.mailbox),
        }
    }

    /// The account of the records handed out so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Pages found and not started yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.frontier.len()
    }

    /// Fetches under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Starts as many fetches as there are permits, pages, and room under the limit.
    fn start_fetches(&mut self) {
        while !self.stopping && self.started < self.max_pages {
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
                return;
            };
            let Some(job) = self.frontier.pop() else {
                return;
            };
            let id = self.started;
            self.started += 1;
            let errand = Errand {
                id,
                mailbox: Some(Arc::clone(&self.mailbox)),
            };
            let task = heist::spawn(errand.run(Arc::clone(&self.fetcher), job.clone()));
            self.in_flight.insert(
                id,
                InFlight {
                    job,
                    started: Instant::now(),
                    permit,
                    task,
                },
            );
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Finished(id, fetched) => {
                let Some(InFlight { job, permit, .. }) = self.in_flight.remove(&id) else {
                    return;
                };
                let Fetched {
                    record,
                    links,
                    redirect,
                } = *fetched;
                if !links.complete {
                    self.summary.count_links_cut_short();
                }
                self.offer(&job, links.urls, redirect);
                self.ready.push_back((record, permit));
            }
            Event::Lost(id) => {
                let Some(lost) = self.in_flight.remove(&id) else {
                    return;
                };
                let failure = if self.stopping {
                    Failure::new(FailureKind::Cancelled, "the crawl was stopped")
                } else {
                    Failure::new(
                        FailureKind::Internal,
                        "the task that fetched the page panicked",
                    )
                };
                let mut record = blank_record(&lost.job);
                record.error = Some(failure);
                record.elapsed_ms = milliseconds(lost.started.elapsed());
                self.ready.push_back((record, lost.permit));
            }
            Event::Stop => {
                self.stopping = true;
                for fetch in self.in_flight.values() {
                    fetch.task.cancel();
                }
            }
        }
    }

    /// Puts what `page` leads to into the frontier.
    fn offer(&mut self, page: &Job, links: Vec<PageUrl>, redirect: Option<PageUrl>) {
        let referrer: Option<Arc<str>> =
            (!links.is_empty() || redirect.is_some()).then(|| page.url.as_str().into());
        let mut offers = Vec::new();
        if let Some(url) = redirect {
            // A redirect is the same page under its right name, not one link further away.
            let redirects = page.redirects + 1;
            offers.push(Job {
                url,
                depth: page.depth,
                redirects,
                referrer: referrer.clone(),
            });
        }
        if page.depth < self.max_depth {
            offers.extend(links.into_iter().map(|url| Job {
                url,
                depth: page.depth + 1,
                redirects: 0,
                referrer: referrer.clone(),
            }));
        }
        for job in offers {
            match self.frontier.offer(job) {
                Offer::Queued | Offer::Known => {}
                Offer::Full => self.refused = true,
            }
        }
    }

    fn note_end(&mut self) {
        self.summary.set_end(if self.stopping {
            End::Stopped
        } else if self.refused || !self.frontier.is_empty() {
            End::PageLimit
        } else {
            End::Finished
        });
    }
}

impl Drop for Crawl {
    fn drop(&mut self) {
        for fetch in self.in_flight.values() {
            fetch.task.cancel();
        }
    }
}

/// Stops a [`Crawl`]: no new page is started, those in flight are cancelled and recorded as
/// such, and [`Crawl::next`] then returns `None`.
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

/// A fetch task's duty to report, however it ends.
///
/// It travels inside the task's future, so it is dropped, and reports, when the task returns,
/// panics, is cancelled, or is never polled at all.
struct Errand {
    id: u64,
    /// Where to report; gone once that is done.
    mailbox: Option<Arc<Mailbox<Event>>>,
}

impl Errand {
    async fn run(mut self, fetcher: Arc<Fetcher>, job: Job) {
        let fetched = fetcher.fetch(&job).await;
        self.report(|id| Event::Finished(id, Box::new(fetched)));
    }

    fn report(&mut self, event: impl FnOnce(u64) -> Event) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.post(event(self.id));
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.report(Event::Lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errand(mailbox: &Arc<Mailbox<Event>>) -> Errand {
        Errand {
            id: 7,
            mailbox: Some(Arc::clone(mailbox)),
        }
    }

    #[test]
    fn an_errand_reports_once_however_it_ends() {
        let mailbox = Arc::new(Mailbox::new());
        let mut done = errand(&mailbox);
        done.report(|_| Event::Stop);
        drop(done);
        assert!(matches!(mailbox.try_take(), Some(Event::Stop)));
        assert!(mailbox.try_take().is_none());
        drop(errand(&mailbox));
        assert!(matches!(mailbox.try_take(), Some(Event::Lost(7))));
    }

    #[test]
    fn a_fetch_that_panics_is_a_record_and_the_crawl_goes_on() {
        heist::block_on(async {
            let mut crawl = Crawl::builder().concurrency(1).build().unwrap();
            let job = Job::seed("http://example.org/".parse().unwrap());
            let permit = Arc::clone(&crawl.permits).try_acquire_owned().unwrap();
            let errand = errand(&crawl.mailbox);
            let task = heist::spawn(async move {
                let _errand = errand;
                panic!("a bug in the parser, say");
            });
            crawl.in_flight.insert(
                7,
                InFlight {
                    job,
                    started: Instant::now(),
                    permit,
                    task,
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

    #[test]
    fn a_crawl_stopped_before_it_began_fetches_nothing() {
        heist::block_on(async {
            let mut crawl = Crawl::builder()
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
