//! Which pages are fetched, how many at a time, and what that costs.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Uri;
use reqwest::Url;

use super::{
    pages::{Folder, Tally},
    site::{SLOW_SIZE, Site},
};
use crate::{
    meter::{Cost, Meter},
    rt::Contestant,
    scenario::Scale,
};

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// All pages of a folder, several times.
    Pages(Folder),
    /// Pages that come after 100 to 500 ms.
    Slow,
}

/// A page to be fetched. Its address is parsed, as a crawler's is that has put a link and its page's address
/// together; in the form that a client takes.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) uri: Uri,
}

impl Page {
    fn new(server: SocketAddr, path: &str) -> Self {
        let text = format!("http://{server}{path}");
        Self {
            url: text.parse().expect("it is an URL"),
            uri: text.parse().expect("it is an URI"),
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.url.path()
    }
}

/// A crawl.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) server: SocketAddr,
    pub(crate) concurrency: usize,
    /// What opens the connections, and is not measured.
    warm_up: Fetches,
    measured: Fetches,
    /// How long the measured part lasts at least.
    ideal: Duration,
}

/// Pages in their order, each fetched so many times.
#[derive(Debug)]
struct Fetches {
    pages: Arc<[Page]>,
    times: usize,
    expected: Tally,
}

/// What a crawl cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crawled {
    pub(crate) cost: Cost,
    pub(crate) pages: u64,
    /// How long it took, of what it would take at least.
    pub(crate) of_ideal: f64,
}

impl Plan {
    pub(crate) fn new(work: Work, scale: Scale, concurrency: usize, site: Site) -> Self {
        match work {
            Work::Pages(folder) => {
                let server = site.pages.expect("nginx is installed");
                let sizes = folder.sizes(scale);
                let paths = (0..sizes.len()).map(|index| folder.path(index));
                let pages: Arc<[_]> = paths.map(|path| Page::new(server, &path)).collect();
                let fetches = |times| Fetches::new(pages.clone(), times, &sizes);
                Self {
                    server,
                    concurrency,
                    warm_up: fetches(1),
                    measured: fetches(scale.pick(5, 1)),
                    ideal: Duration::ZERO,
                }
            }
            Work::Slow => {
                let mut random = fastrand::Rng::with_seed(0x5eed);
                let waits = scale.pick(100..=500, 10..=50);
                let waits: Vec<u64> = (0..scale.pick(10_000, 200))
                    .map(|_| random.u64(waits.clone()))
                    .collect();
                let concurrency = scale.pick(concurrency, 20);
                let pages = |waits: &[u64]| {
                    let pages: Arc<[_]> = waits
                        .iter()
                        .map(|wait| Page::new(site.slow, &format!("/{wait}")))
                        .collect();
                    Fetches::new(pages, 1, &vec![SLOW_SIZE; waits.len()])
                };
                Self {
                    server: site.slow,
                    concurrency,
                    // So long that every one of them needs a connection.
                    warm_up: pages(&vec![scale.pick(500, 20); concurrency]),
                    measured: pages(&waits),
                    ideal: ideal(&waits, concurrency),
                }
            }
        }
    }

    /// Crawls: warms up, and measures.
    pub(crate) fn crawl<R: Contestant, C: Client>(&self, runtime: &R, client: C) -> Crawled {
        let client = Arc::new(client);
        let sessions = (0..self.concurrency).map(|_| None).collect();
        let sessions = self.fetch(runtime, &client, &self.warm_up, sessions);
        let meter = Meter::start();
        let sessions = self.fetch(runtime, &client, &self.measured, sessions);
        let cost = meter.stop();
        drop(sessions);
        let ideal = self.ideal.max(Duration::from_nanos(1));
        Crawled {
            cost,
            pages: (self.measured.pages.len() * self.measured.times) as u64,
            of_ideal: cost.elapsed.as_secs_f64() / ideal.as_secs_f64(),
        }
    }

    /// Fetches all, with a worker for each session.
    fn fetch<R: Contestant, C: Client>(
        &self,
        runtime: &R,
        client: &Arc<C>,
        fetches: &Fetches,
        sessions: Vec<Option<C::Session>>,
    ) -> Vec<Option<C::Session>> {
        let next = Arc::new(AtomicUsize::new(0));
        let (server, times) = (self.server, fetches.times);
        let (client, pages) = (client.clone(), fetches.pages.clone());
        let (sessions, found) = runtime.run(async move {
            let worker = |session: Option<C::Session>| {
                let (client, pages, next) = (client.clone(), pages.clone(), next.clone());
                R::spawn(async move {
                    let mut session = match session {
                        Some(session) => session,
                        None => client.open(server).await,
                    };
                    let mut tally = Tally::default();
                    loop {
                        let index = next.fetch_add(1, Relaxed);
                        if index >= pages.len() * times {
                            return (session, tally);
                        }
                        let page = &pages[index % pages.len()];
                        client.get(&mut session, page, &mut tally).await;
                    }
                })
            };
            let workers: Vec<_> = sessions.into_iter().map(worker).collect();
            let (mut sessions, mut found) = (Vec::new(), Tally::default());
            for worker in workers {
                let (session, tally) = worker.await.expect("no page fails");
                sessions.push(Some(session));
                found.add(tally);
            }
            (sessions, found)
        });
        assert_eq!(found, fetches.expected, "every page came, and whole");
        sessions
    }
}

impl Fetches {
    fn new(pages: Arc<[Page]>, times: usize, sizes: &[usize]) -> Self {
        let mut expected = Tally::default();
        for _ in 0..times {
            for size in sizes {
                expected.add(Tally::of_page(*size));
            }
        }
        Self {
            pages,
            times,
            expected,
        }
    }
}

/// How long it takes to wait for all of these in order, so many at a time, if nothing else takes time.
fn ideal(waits: &[u64], concurrency: usize) -> Duration {
    let mut ends: BinaryHeap<_> = (0..concurrency).map(|_| Reverse(0)).collect();
    let mut last = 0;
    for wait in waits {
        let Reverse(free) = ends.pop().expect("there is a worker");
        last = last.max(free + wait);
        ends.push(Reverse(free + wait));
    }
    Duration::from_millis(last)
}

/// An HTTP client. It panics where a page does not come as it should.
pub(crate) trait Client: Send + Sync + 'static {
    /// What a worker keeps from one page to the next: a connection, if the client has no pool.
    type Session: Send + 'static;

    /// Begins to work.
    fn open(&self, server: SocketAddr) -> impl Future<Output = Self::Session> + Send;

    /// Fetches a page, and looks through it as it comes.
    fn get(
        &self,
        session: &mut Self::Session,
        page: &Page,
        tally: &mut Tally,
    ) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ideal_is_what_the_busiest_worker_needs() {
        assert_eq!(ideal(&[5, 5, 5], 1), Duration::from_millis(15));
        assert_eq!(ideal(&[5, 1, 1, 1], 2), Duration::from_millis(5));
        assert_eq!(ideal(&[1, 5, 5], 2), Duration::from_millis(6));
    }
}
