//! The methods of all streams.

use futures_core::Stream;

use super::{Collect, Filter, FromStream, Map, Next, Take};

/// The methods that every [`Stream`] has.
///
/// Those that return a stream are lazy, and as cancel-safe as the stream they are called on: what
/// they have read and not yet returned stays in them until they are dropped.
pub trait StreamExt: Stream {
    /// Waits for the next value; `None` if there is none any more.
    ///
    /// `anext`. The stream has to be `Unpin`; pin one that is not by [`pin!`](std::pin::pin).
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// use heist_sync::stream::{StreamExt, iter};
    ///
    /// let mut lines = iter(["one", "two"]);
    /// while let Some(line) = lines.next().await {
    ///     println!("{line}");
    /// }
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no value: the stream keeps what it has.
    fn next(&mut self) -> Next<'_, Self>
    where
        Self: Unpin,
    {
        Next::new(self)
    }

    /// Changes each value by a function.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let doubled = iter([1, 2, 3]).map(|n| n * 2);
    /// assert_eq!(doubled.collect::<Vec<_>>().await, [2, 4, 6]);
    /// # });
    /// ```
    fn map<T, F>(self, f: F) -> Map<Self, F>
    where
        F: FnMut(Self::Item) -> T,
        Self: Sized,
    {
        Map::new(self, f)
    }

    /// Leaves out the values for which a function returns `false`.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let even = iter(1..=6).filter(|n| n % 2 == 0);
    /// assert_eq!(even.collect::<Vec<_>>().await, [2, 4, 6]);
    /// # });
    /// ```
    fn filter<F>(self, f: F) -> Filter<Self, F>
    where
        F: FnMut(&Self::Item) -> bool,
        Self: Sized,
    {
        Filter::new(self, f)
    }

    /// Ends after so many values, and does not ask the stream for another one then.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// assert_eq!(iter(1..).take(3).collect::<Vec<_>>().await, [1, 2, 3]);
    /// # });
    /// ```
    fn take(self, n: usize) -> Take<Self>
    where
        Self: Sized,
    {
        Take::new(self, n)
    }

    /// Waits for all values, and puts them into a collection.
    ///
    /// `[value async for value in stream]`. See [`FromStream`] for what they can be put into.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let numbers = iter(["1", "2"]).map(str::parse::<i32>);
    /// assert_eq!(numbers.collect::<Result<Vec<_>, _>>().await, Ok(vec![1, 2]));
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The future does, when it is polled again after it was done.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream and all values so far.
    fn collect<C>(self) -> Collect<Self, C>
    where
        C: FromStream<Self::Item>,
        Self: Sized,
    {
        Collect::new(self)
    }
}

impl<S: Stream + ?Sized> StreamExt for S {}
