//! Streams of what is there already.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

/// A stream of the items of an iterator, all of which are ready at once.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::stream::{StreamExt, iter};
///
/// let mut numbers = iter([17, 19]);
/// assert_eq!(numbers.next().await, Some(17));
/// assert_eq!(numbers.next().await, Some(19));
/// assert_eq!(numbers.next().await, None);
/// # });
/// ```
pub fn iter<I: IntoIterator>(items: I) -> Iter<I::IntoIter> {
    Iter {
        items: items.into_iter(),
    }
}

/// The items of an iterator. Made by [`iter`].
#[derive(Clone, Debug)]
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct Iter<I> {
    items: I,
}

// The iterator is never pinned.
impl<I> Unpin for Iter<I> {}

impl<I: Iterator> Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.items.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}
