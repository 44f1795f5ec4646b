//! The frontier: pages found and not fetched yet, and the memory of all that were ever found.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::PageUrl;

/// One page to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Where the page is.
    pub url: PageUrl,
    /// Links between the nearest seed and this page; 0 for a seed. A redirect adds nothing.
    pub depth: u32,
    /// Redirects that led here without a page in between.
    pub redirects: u8,
    /// The page that named this one; `None` for a seed. Shared by all links of that page.
    pub referrer: Option<Arc<str>>,
}

impl Job {
    /// A page named by the user.
    #[must_use]
    pub fn seed(url: PageUrl) -> Self {
        Self {
            url,
            depth: 0,
            redirects: 0,
            referrer: None,
        }
    }
}

/// What became of a page offered to a frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a page that was refused will not be fetched"]
pub enum Offer {
    /// It is new and will be handed out once.
    Queued,
    /// It was offered before.
    Known,
    /// It is new, but the frontier accepts no more pages.
    Full,
}

/// Decides which page is fetched next, and that none is fetched twice.
///
/// A crawl owns its frontier and calls it from one task, so implementations need no locks. A
/// frontier that orders pages by host, or spills to disk, is an implementation of this trait.
pub trait Frontier: fmt::Debug + Send {
    /// Takes in a page unless its address was offered before.
    fn offer(&mut self, job: Job) -> Offer;

    /// Hands out the next page to fetch.
    fn pop(&mut self) -> Option<Job>;

    /// Pages waiting to be handed out.
    fn len(&self) -> usize;

    /// Whether no page waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// First in, first out, in memory: the crawl goes breadth-first.
///
/// A page ever seen costs 8 bytes of fingerprint (a keyed SipHash, so a site cannot construct
/// addresses that collide) and a waiting page its address besides. Among `n` pages, the chance
/// that any two share a fingerprint and one is skipped is about `n * n / 2^65`: for a hundred
/// million pages, one in 3,700.
///
/// The limit bounds memory exactly: a crawl of at most `n` pages never needs to remember more
/// than the first `n` addresses, since first in is first out.
///
/// ```
/// use heist_crawler::{Frontier, Job, MemoryFrontier, Offer};
///
/// let mut frontier = MemoryFrontier::with_limit(1);
/// let job = Job::seed("http://example.org/".parse()?);
/// assert_eq!(frontier.offer(job.clone()), Offer::Queued);
/// assert_eq!(frontier.offer(job.clone()), Offer::Known);
/// assert_eq!(frontier.offer(Job::seed("http://example.org/a".parse()?)), Offer::Full);
/// assert_eq!(frontier.pop(), Some(job));
/// # Ok::<(), heist_crawler::UrlError>(())
/// ```
pub struct MemoryFrontier {
    waiting: VecDeque<Job>,
    seen: HashSet<u64, BuildHasherDefault<Fingerprint>>,
    key: RandomState,
    limit: u64,
}

impl MemoryFrontier {
    /// A frontier that accepts any number of pages.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(u64::MAX)
    }

    /// A frontier that accepts `limit` pages in its life.
    #[must_use]
    pub fn with_limit(limit: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            seen: HashSet::default(),
            key: RandomState::new(),
            limit,
        }
    }

    /// Addresses accepted so far, waiting or handed out.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.seen.len() as u64
    }
}

impl Default for MemoryFrontier {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryFrontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The addresses themselves could be millions.
        f.debug_struct("MemoryFrontier")
            .field("waiting", &self.waiting.len())
            .field("accepted", &self.accepted())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Frontier for MemoryFrontier {
    fn offer(&mut self, job: Job) -> Offer {
        let fingerprint = self.key.hash_one(job.url.as_str());
        if self.seen.contains(&fingerprint) {
            return Offer::Known;
        }
        if self.accepted() >= self.limit {
            return Offer::Full;
        }
        self.seen.insert(fingerprint);
        self.waiting.push_back(job);
        Offer::Queued
    }

    fn pop(&mut self) -> Option<Job> {
        let job = self.waiting.pop_front();
        if self.waiting.is_empty() {
            // A burst of links must not hold its memory for the rest of a long crawl.
            self.waiting.shrink_to(1024);
        }
        job
    }

    fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// A hasher that passes a fingerprint through: it is a hash already.
#[derive(Debug, Default)]
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(path: u32) -> Job {
        Job::seed(format!("http://example.org/{path}").parse().unwrap())
    }

    #[test]
    fn pages_come_out_once_in_the_order_they_went_in() {
        let mut frontier = MemoryFrontier::new();
        for round in 0..3 {
            for path in 0..10_000 {
                let expected = if round == 0 {
                    Offer::Queued
                } else {
                    Offer::Known
                };
                assert_eq!(frontier.offer(job(path)), expected);
            }
        }
        assert_eq!(frontier.len(), 10_000);
        for path in 0..10_000 {
            assert_eq!(frontier.pop(), Some(job(path)));
        }
        assert_eq!(frontier.pop(), None);
        assert!(frontier.is_empty());
        // What was handed out is remembered.
        assert_eq!(frontier.offer(job(7)), Offer::Known);
        assert_eq!(frontier.pop(), None);
    }

    #[test]
    fn the_limit_counts_accepted_pages_not_waiting_ones() {
        let mut frontier = MemoryFrontier::with_limit(3);
        assert_eq!(frontier.offer(job(0)), Offer::Queued);
        assert_eq!(frontier.pop(), Some(job(0)));
        assert_eq!(frontier.offer(job(1)), Offer::Queued);
        assert_eq!(frontier.offer(job(0)), Offer::Known);
        assert_eq!(frontier.offer(job(2)), Offer::Queued);
        assert_eq!(frontier.offer(job(3)), Offer::Full);
        assert_eq!(frontier.offer(job(2)), Offer::Known);
        assert_eq!(frontier.accepted(), 3);
        assert_eq!(frontier.len(), 2);
    }

    #[test]
    fn a_limit_of_zero_accepts_nothing() {
        let mut frontier = MemoryFrontier::with_limit(0);
        assert_eq!(frontier.offer(job(0)), Offer::Full);
        assert_eq!(frontier.pop(), None);
    }

    #[test]
    fn an_emptied_queue_gives_its_memory_back() {
        let mut frontier = MemoryFrontier::new();
        for path in 0..50_000 {
            let _ = frontier.offer(job(path));
        }
        while frontier.pop().is_some() {}
        assert!(
            frontier.waiting.capacity() < 10_000,
            "{}",
            frontier.waiting.capacity()
        );
    }
}
