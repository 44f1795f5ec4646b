//! Where pages go.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use crate::Page;

/// What a [`Store`] does with a page.
pub type StoreFuture<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// Takes the pages of a crawl: an archive, a search index, a database.
///
/// A store is called by the fetches, many at a time, and a fetch is over when the store is: one that is slow slows
/// the crawl down, and nothing piles up. A crawl with a journal notes a page as done after the store has it. When the
/// process dies in between, the store gets that page once more in the next run.
pub trait Store: fmt::Debug + Send + Sync {
    /// Whether [`Page::body`] is needed. It then is in memory, up to the limit for bodies, for each fetch.
    fn wants_bodies(&self) -> bool {
        true
    }

    /// Takes a page.
    ///
    /// # Errors
    ///
    /// An error ends the crawl, since its result would have a hole.
    fn store<'a>(&'a self, page: &'a Page) -> StoreFuture<'a>;

    /// The crawl has ended, and nothing comes any more.
    ///
    /// # Errors
    ///
    /// When what was taken is not safe.
    fn finish(&self) -> StoreFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}

/// A link that was found on a page.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Link<'a> {
    /// The page that holds it.
    pub from: &'a crate::PageUrl,
    /// Where it leads.
    pub to: &'a crate::PageUrl,
    /// Links between a seed and the page that it leads to, on this way.
    pub depth: u32,
    /// Whether the crawl goes there by itself: it is on the hosts, and within the patterns, of the crawl.
    pub in_scope: bool,
}
