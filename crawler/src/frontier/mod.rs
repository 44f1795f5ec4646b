//! The frontier: pages found and not fetched yet, and the memory of all that were ever found.
//!
//! | module | what it does |
//! |---|---|
//! | `job` | one page to fetch, also as a line of text |
//! | `seen` | fingerprints of all addresses |
//! | `spool` | jobs on the disk |
//! | `recent` | those of them that the fetches need not report again |
//! | `queues` | the frontier: a queue for each host, in memory as far as it fits |

mod job;
mod seen;
mod recent;
mod spool;
mod queues;

use std::fmt;
use std::io;

pub use self::job::Job;
pub use self::queues::QueueFrontier;

pub(crate) use self::recent::Recent;
pub(crate) use self::seen::Seen;

use crate::PageUrl;

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

/// Remembers pages, decides which page of a host is fetched next, and that none is fetched twice.
///
/// The crawl decides whose turn it is: it asks for a page of an origin when that may be asked again. It owns its
/// frontier and calls it from one task, so implementations need no locks. They are called on a worker of the
/// runtime: what they do has to be short.
pub trait Frontier: fmt::Debug + Send {
    /// Takes in a page unless its address was offered before.
    ///
    /// # Errors
    ///
    /// When the frontier cannot do its work any more, for instance because a disk is full. The crawl then ends.
    fn offer(&mut self, job: Job) -> io::Result<Offer>;

    /// Remembers an address as if it had been offered and handed out: one that an earlier run was done with.
    ///
    /// # Errors
    ///
    /// As [`offer`](Self::offer).
    fn remember(&mut self, url: &PageUrl) -> io::Result<()>;

    /// Hands out the next page of an origin ([`PageUrl::origin`]) whose depth is at most `deepest`, if one waits.
    ///
    /// # Errors
    ///
    /// As [`offer`](Self::offer).
    fn pop(&mut self, origin: &str, deepest: u32) -> io::Result<Option<Job>>;

    /// Whether pages that were offered before are to be offered again, for every link that leads to them. If not, the
    /// crawl spares itself most of that. The default is true.
    fn wants_repeats(&self) -> bool {
        true
    }

    /// Pages waiting to be handed out.
    fn len(&self) -> usize;

    /// Whether no page waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The origins of which pages wait, and how many. Asked once, when the crawl begins.
    fn origins(&self) -> Vec<(String, usize)> {
        Vec::new()
    }
}
