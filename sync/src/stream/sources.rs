//! Streams of what is there already.

use std::fmt;
use std::marker::PhantomData;
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

/// A stream of one value, which is ready at once.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::stream::{StreamExt, once};
///
/// assert_eq!(once(17).collect::<Vec<_>>().await, [17]);
/// # });
/// ```
pub fn once<T>(value: T) -> Once<T> {
    Once { value: Some(value) }
}

/// One value. Made by [`once`].
#[derive(Clone, Debug)]
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct Once<T> {
    value: Option<T>,
}

// The value is never pinned.
impl<T> Unpin for Once<T> {}

impl<T> Stream for Once<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.value.take())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.value.is_some());
        (left, Some(left))
    }
}

/// A stream that ends at once.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::stream::{StreamExt, empty};
///
/// assert_eq!(empty::<i32>().next().await, None);
/// # });
/// ```
pub const fn empty<T>() -> Empty<T> {
    Empty(PhantomData)
}

/// No value. Made by [`empty`].
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct Empty<T>(PhantomData<fn() -> T>);

impl<T> Stream for Empty<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(0))
    }
}

impl<T> fmt::Debug for Empty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Empty")
    }
}

/// A stream whose first value never comes.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::stream::{StreamExt, pending};
/// use heist_sync::time::{Duration, timeout};
///
/// let mut silence = pending::<i32>();
/// assert!(timeout(Duration::from_millis(1), silence.next()).await.is_err());
/// # });
/// ```
pub const fn pending<T>() -> Pending<T> {
    Pending(PhantomData)
}

/// A value that never comes. Made by [`pending`].
#[must_use = "a stream does nothing unless it is asked for its values"]
pub struct Pending<T>(PhantomData<fn() -> T>);

impl<T> Stream for Pending<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Pending
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}
