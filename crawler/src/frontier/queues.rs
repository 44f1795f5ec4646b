//! A queue for each host and depth, in memory as far as it fits, the rest on the disk.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};

use super::spool::Spool;
use super::{Frontier, Job, Offer, Seen};
use crate::PageUrl;

/// Jobs in memory unless told otherwise: some 30 MB.
const IN_MEMORY: usize = 100_000;

/// Jobs that are read from the disk at a time, as far as there is room in memory.
const REFILL: usize = 64;

/// Breadth-first for every host; bounded in memory.
///
/// A page ever seen costs 10 to 16 bytes of fingerprint (a keyed SipHash, so a site cannot construct addresses
/// that collide). A waiting page costs its address besides, or, when more wait than
/// [`in_memory`](Self::in_memory) allows, 8 bytes, and its address on the disk. Among `n` pages, the chance that
/// any two share a fingerprint and one is skipped is about `n * n / 2^65`: for a hundred million pages, one in 3,700.
///
/// ```
/// use heist_crawler::{Frontier, Job, Offer, QueueFrontier};
///
/// let mut frontier = QueueFrontier::new();
/// let job = Job::seed("http://example.org/".parse()?);
/// assert_eq!(frontier.offer(job.clone())?, Offer::Queued);
/// assert_eq!(frontier.offer(job.clone())?, Offer::Known);
/// assert_eq!(frontier.pop("http://example.org", 0)?, Some(job));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct QueueFrontier {
    hosts: HashMap<Box<str>, Queues>,
    seen: Seen,
    key: RandomState,
    waiting: usize,
    in_memory: usize,
    most_in_memory: usize,
    folder: PathBuf,
    /// Made when it is needed first.
    spool: Option<Spool>,
}

/// The queues of a host, by their depth. Most hosts have one, and in a wide crawl there are millions of hosts, so it is
/// no tree, whose smallest node has room for eleven.
#[derive(Debug, Default)]
struct Queues(VecDeque<Queue>);

impl Queues {
    /// The queue of this depth, which is mostly the last one.
    fn of(&mut self, depth: u32) -> &mut Queue {
        let place = self.0.partition_point(|queue| queue.depth < depth);
        if self.0.get(place).is_none_or(|queue| queue.depth != depth) {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            self.0.insert(place, Queue::new(depth));
        }
        &mut self.0[place]
    }
}

/// First in, first out: the older end is in memory.
#[derive(Debug)]
struct Queue {
    depth: u32,
    head: VecDeque<Job>,
    /// Where the younger jobs are on the disk.
    tail: VecDeque<u64>,
}

impl Queue {
    fn new(depth: u32) -> Self {
        Self {
            depth,
            head: VecDeque::new(),
            tail: VecDeque::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }
}

/// Puts `item` at the end. The first one gets no room for others.
fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.capacity() == 0 {
        queue.reserve_exact(1);
    }
    queue.push_back(item);
}

impl QueueFrontier {
    /// An empty frontier, which writes to the folder for temporary files when it must.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hosts: HashMap::new(),
            seen: Seen::new(),
            key: RandomState::new(),
            waiting: 0,
            in_memory: 0,
            most_in_memory: IN_MEMORY,
            folder: std::env::temp_dir(),
            spool: None,
        }
    }

    /// Keeps at most about this many waiting pages in memory. The default is 100,000.
    #[must_use]
    pub fn in_memory(mut self, pages: usize) -> Self {
        self.most_in_memory = pages;
        self
    }

    /// Where waiting pages go that do not fit into memory: to a nameless file in this folder, which takes room
    /// until no page waits there.
    #[must_use]
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = folder.as_ref().to_owned();
        self
    }

    /// Addresses accepted so far, waiting or handed out.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.seen.len()
    }

    fn note(&mut self, url: &PageUrl) -> bool {
        self.seen.insert(self.key.hash_one(url.as_str()))
    }
}

impl Default for QueueFrontier {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for QueueFrontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The addresses themselves could be millions.
        f.debug_struct("QueueFrontier")
            .field("waiting", &self.waiting)
            .field("in_memory", &self.in_memory)
            .field("hosts", &self.hosts.len())
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Frontier for QueueFrontier {
    fn offer(&mut self, job: Job) -> io::Result<Offer> {
        if !self.note(&job.url) {
            return Ok(Offer::Known);
        }
        // Looked up twice for a new host only: that needs its name as a key of its own.
        if !self.hosts.contains_key(job.url.origin()) {
            self.hosts
                .insert(job.url.origin().into(), Queues::default());
        }
        let host = self
            .hosts
            .get_mut(job.url.origin())
            .expect("it has just been put there");
        let queue = host.of(job.depth);
        // What is younger than something on the disk goes there too, or it would come out before that.
        if queue.tail.is_empty() && self.in_memory < self.most_in_memory {
            push(&mut queue.head, job);
            self.in_memory += 1;
        } else {
            let spool = match &mut self.spool {
                Some(spool) => spool,
                none => none.insert(Spool::create(&self.folder)?),
            };
            push(&mut queue.tail, spool.put(&job)?);
        }
        self.waiting += 1;
        Ok(Offer::Queued)
    }

    fn remember(&mut self, url: &PageUrl) -> io::Result<()> {
        self.note(url);
        Ok(())
    }

    fn pop(&mut self, origin: &str, deepest: u32) -> io::Result<Option<Job>> {
        let Some(host) = self.hosts.get_mut(origin) else {
            return Ok(None);
        };
        let Some(queue) = host.0.front_mut().filter(|queue| queue.depth <= deepest) else {
            return Ok(None);
        };
        if queue.head.is_empty()
            && let Some(spool) = &mut self.spool
        {
            let room = self.most_in_memory.saturating_sub(self.in_memory);
            let count = queue.tail.len().min(room.clamp(1, REFILL));
            for at in queue.tail.drain(..count) {
                queue.head.push_back(spool.take(at)?);
                self.in_memory += 1;
            }
        }
        let job = queue.head.pop_front();
        // A queue is dropped when it is empty, so a burst of links does not hold its memory.
        if queue.is_empty() {
            host.0.pop_front();
            if host.0.is_empty() {
                self.hosts.remove(origin);
            }
        }
        if job.is_some() {
            self.waiting -= 1;
            self.in_memory -= 1;
        }
        Ok(job)
    }

    fn wants_repeats(&self) -> bool {
        false
    }

    fn len(&self) -> usize {
        self.waiting
    }

    fn origins(&self) -> Vec<(String, usize)> {
        let count = |queues: &Queues| -> usize {
            let queues = queues.0.iter();
            queues
                .map(|queue| queue.head.len() + queue.tail.len())
                .sum()
        };
        self.hosts
            .iter()
            .map(|(origin, queues)| (origin.to_string(), count(queues)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::numbers;

    const ORIGIN: &str = "http://example.org";

    fn job(path: u32) -> Job {
        Job::seed(format!("{ORIGIN}/{path}").parse().unwrap())
    }

    #[test]
    fn pages_come_out_once_in_the_order_they_went_in() {
        for in_memory in [usize::MAX, 1000, 1, 0] {
            let mut frontier = QueueFrontier::new().in_memory(in_memory);
            for round in 0..3 {
                for path in 0..10_000 {
                    let expected = if round == 0 {
                        Offer::Queued
                    } else {
                        Offer::Known
                    };
                    assert_eq!(frontier.offer(job(path)).unwrap(), expected);
                }
            }
            assert_eq!((frontier.len(), frontier.accepted()), (10_000, 10_000));
            assert_eq!(frontier.origins(), [(ORIGIN.to_owned(), 10_000)]);
            for path in 0..10_000 {
                assert_eq!(
                    frontier.pop(ORIGIN, 0).unwrap(),
                    Some(job(path)),
                    "{in_memory}"
                );
                assert!(frontier.in_memory <= in_memory.max(1));
            }
            assert_eq!(frontier.pop(ORIGIN, 0).unwrap(), None);
            assert!(frontier.is_empty() && frontier.hosts.is_empty());
            // What was handed out is remembered.
            assert_eq!(frontier.offer(job(7)).unwrap(), Offer::Known);
            assert_eq!(frontier.pop(ORIGIN, 0).unwrap(), None);
        }
    }

    /// The negative control, tried, is to let `offer` fill the memory while older jobs are on the disk.
    #[test]
    fn the_order_holds_while_pages_come_and_go() {
        let mut frontier = QueueFrontier::new().in_memory(10);
        let mut next = numbers();
        let (mut offered, mut popped) = (0, 0);
        while popped < 20_000 {
            let burst = next(200) as u32;
            if next(2) == 0 || offered == popped {
                for _ in 0..burst {
                    let _ = frontier.offer(job(offered)).unwrap();
                    offered += 1;
                }
            } else {
                for _ in 0..burst.min(offered - popped) {
                    assert_eq!(frontier.pop(ORIGIN, 9).unwrap(), Some(job(popped)));
                    popped += 1;
                }
            }
        }
    }

    #[test]
    fn shallow_pages_come_first_and_hosts_have_their_own_queues() {
        let mut frontier = QueueFrontier::new().in_memory(2);
        let deep = |path, depth| Job { depth, ..job(path) };
        let other = Job::seed("http://example.net/".parse().unwrap());
        for job in [
            deep(1, 2),
            other.clone(),
            deep(2, 1),
            deep(3, 2),
            deep(4, 1),
        ] {
            assert_eq!(frontier.offer(job).unwrap(), Offer::Queued);
        }
        assert_eq!(frontier.pop(ORIGIN, 0).unwrap(), None);
        for path in [2, 4] {
            assert_eq!(frontier.pop(ORIGIN, 1).unwrap(), Some(deep(path, 1)));
        }
        assert_eq!(frontier.pop(ORIGIN, 1).unwrap(), None);
        for path in [1, 3] {
            assert_eq!(frontier.pop(ORIGIN, u32::MAX).unwrap(), Some(deep(path, 2)));
        }
        assert_eq!(frontier.pop("http://example.net", 0).unwrap(), Some(other));
        frontier
            .remember(&"http://example.org/known".parse().unwrap())
            .unwrap();
        let known = Job::seed("http://example.org/known".parse().unwrap());
        assert_eq!(frontier.offer(known).unwrap(), Offer::Known);
        assert!(frontier.is_empty());
    }

    /// The negative control, tried, is to read as many jobs as there are to a batch, whatever there is in memory.
    #[test]
    fn pages_of_many_hosts_that_come_back_from_the_disk_keep_to_the_memory() {
        let mut frontier = QueueFrontier::new().in_memory(300);
        let origin = |host: u32| format!("http://{host}.example.org");
        for page in 0..20_000 {
            let url = format!("{}/{page}", origin(page % 100));
            let job = Job::seed(url.parse().unwrap());
            assert_eq!(frontier.offer(job).unwrap(), Offer::Queued);
        }
        for page in 0..20_000 {
            let job = frontier.pop(&origin(page % 100), 0).unwrap().unwrap();
            assert!(job.url.as_str().ends_with(&format!("/{page}")));
            assert!(frontier.in_memory <= 300 + 1, "{}", frontier.in_memory);
        }
        assert!(frontier.is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let mut frontier = QueueFrontier::new().in_memory(1).folder("/nonexistent");
        assert_eq!(frontier.offer(job(1)).unwrap(), Offer::Queued);
        assert!(frontier.offer(job(2)).is_err());
    }
}
