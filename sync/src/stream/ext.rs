//! The methods of all streams.

use std::future::Future;
use std::time::Duration;

use futures_core::Stream;

use super::{
    BufferUnordered, Buffered, Chain, Chunks, Collect, Enumerate, Filter, FilterMap, Fold, ForEach,
    ForEachConcurrent, FromStream, Fuse, Map, Merge, Next, Skip, Take, TakeWhile, Then, Throttle,
    Timeout, TryNext,
};

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

    /// Waits for the next value of a stream of `Result`s; `Ok(None)` if there is none any more.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let mut numbers = iter(["1", "two"]).map(str::parse::<i32>);
    /// assert_eq!(numbers.try_next().await, Ok(Some(1)));
    /// assert!(numbers.try_next().await.is_err());
    /// assert_eq!(numbers.try_next().await, Ok(None));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// Those that the stream has for values. It goes on behind them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no value: the stream keeps what it has.
    fn try_next<T, E>(&mut self) -> TryNext<'_, Self>
    where
        Self: Stream<Item = Result<T, E>> + Unpin,
    {
        TryNext::new(self)
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

    /// Changes each value by an async function, one after the other.
    ///
    /// Use [`buffered`](Self::buffered) behind a [`map`](Self::map) for several at a time.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let doubled = iter([1, 2, 3]).then(async |n| n * 2);
    /// assert_eq!(doubled.collect::<Vec<_>>().await, [2, 4, 6]);
    /// # });
    /// ```
    fn then<F, Fut>(self, f: F) -> Then<Self, F, Fut>
    where
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
        Self: Sized,
    {
        Then::new(self, f)
    }

    /// Gives each value its number, from zero on.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let numbered = iter(["a", "b"]).enumerate();
    /// assert_eq!(numbered.collect::<Vec<_>>().await, [(0, "a"), (1, "b")]);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The stream may, if there are more than [`usize::MAX`] values.
    fn enumerate(self) -> Enumerate<Self>
    where
        Self: Sized,
    {
        Enumerate::new(self)
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

    /// Changes each value by a function, and leaves it out if that returns `None`.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let numbers = iter(["1", "two", "3"]).filter_map(|text| text.parse::<i32>().ok());
    /// assert_eq!(numbers.collect::<Vec<_>>().await, [1, 3]);
    /// # });
    /// ```
    fn filter_map<T, F>(self, f: F) -> FilterMap<Self, F>
    where
        F: FnMut(Self::Item) -> Option<T>,
        Self: Sized,
    {
        FilterMap::new(self, f)
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

    /// Ends before the first value for which a function returns `false`. That value is dropped.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let small = iter([1, 2, 9, 1]).take_while(|&n| n < 5);
    /// assert_eq!(small.collect::<Vec<_>>().await, [1, 2]);
    /// # });
    /// ```
    fn take_while<F>(self, f: F) -> TakeWhile<Self, F>
    where
        F: FnMut(&Self::Item) -> bool,
        Self: Sized,
    {
        TakeWhile::new(self, f)
    }

    /// Leaves out so many values at the beginning.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// assert_eq!(iter(1..=4).skip(2).collect::<Vec<_>>().await, [3, 4]);
    /// # });
    /// ```
    fn skip(self, n: usize) -> Skip<Self>
    where
        Self: Sized,
    {
        Skip::new(self, n)
    }

    /// Goes on with another stream when this one has ended.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter, once};
    /// assert_eq!(iter([1, 2]).chain(once(3)).collect::<Vec<_>>().await, [1, 2, 3]);
    /// # });
    /// ```
    fn chain<S>(self, other: S) -> Chain<Self, S>
    where
        S: Stream<Item = Self::Item>,
        Self: Sized,
    {
        Chain::new(self, other)
    }

    /// Mixes the values of two streams, as they come, until both have ended.
    ///
    /// They are asked first in turn, so that neither keeps the other from being heard.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let both = iter([1, 3]).merge(iter([2, 4]));
    /// assert_eq!(both.collect::<Vec<_>>().await, [1, 2, 3, 4]);
    /// # });
    /// ```
    fn merge<S>(self, other: S) -> Merge<Self, S>
    where
        S: Stream<Item = Self::Item>,
        Self: Sized,
    {
        Merge::new(self, other)
    }

    /// Stays ended once it has ended, whatever this stream would do, which is dropped at its end.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, once};
    /// let mut stream = once(1).fuse();
    /// assert_eq!(stream.next().await, Some(1));
    /// assert_eq!(stream.next().await, None);
    /// assert_eq!(stream.next().await, None);
    /// # });
    /// ```
    fn fuse(self) -> Fuse<Self>
    where
        Self: Sized,
    {
        Fuse::new(self)
    }

    /// Puts the values into vectors of so many; the last one may be shorter.
    ///
    /// A vector is not returned before it is full or the stream has ended.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// let pairs = iter(1..=5).chunks(2);
    /// assert_eq!(pairs.collect::<Vec<_>>().await, [vec![1, 2], vec![3, 4], vec![5]]);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If the capacity is zero.
    fn chunks(self, capacity: usize) -> Chunks<Self>
    where
        Self: Sized,
    {
        Chunks::new(self, capacity)
    }

    /// Runs up to `limit` of the futures that are this stream's values at the same time, within this
    /// task, and returns their outputs in the order of the futures.
    ///
    /// An output counts until it is returned, so a slow future holds up those behind it. All of them
    /// stand still while nobody asks for the next output.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// # use heist_sync::time::{Duration, sleep};
    /// let outputs = iter([3, 1, 2]).map(async |n| {
    ///     sleep(Duration::from_millis(n)).await;
    ///     n
    /// });
    /// assert_eq!(outputs.buffered(2).collect::<Vec<_>>().await, [3, 1, 2]);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If the limit is zero.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream drops the futures that run, and the outputs not returned.
    fn buffered(self, limit: usize) -> Buffered<Self>
    where
        Self: Stream<Item: Future> + Sized,
    {
        Buffered::new(self, limit)
    }

    /// Runs up to `limit` of the futures that are this stream's values at the same time, within this
    /// task, and returns their outputs as they are done (`asyncio.as_completed`, with a limit).
    ///
    /// All of them stand still while nobody asks for the next output.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// # use heist_sync::time::{Duration, sleep};
    /// let outputs = iter([20, 1]).map(async |n| {
    ///     sleep(Duration::from_millis(n)).await;
    ///     n
    /// });
    /// assert_eq!(outputs.buffer_unordered(2).collect::<Vec<_>>().await, [1, 20]);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If the limit is zero.
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream drops the futures that run.
    fn buffer_unordered(self, limit: usize) -> BufferUnordered<Self>
    where
        Self: Stream<Item: Future> + Sized,
    {
        BufferUnordered::new(self, limit)
    }

    /// Lets at least a duration pass between one value and the next.
    ///
    /// The stream is not asked for values in between, so those that come too fast wait in it.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// # use heist_sync::time::{Duration, Instant};
    /// let start = Instant::now();
    /// iter(0..3).throttle(Duration::from_millis(5)).collect::<Vec<_>>().await;
    /// assert!(start.elapsed() >= Duration::from_millis(10));
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The stream does, when it is polled outside a Heist runtime.
    fn throttle(self, duration: Duration) -> Throttle<Self>
    where
        Self: Sized,
    {
        Throttle::new(self, duration)
    }

    /// Returns an error when the next value has not come within a duration from this call or from
    /// the value before, once for each value that is late. The value comes when it comes.
    ///
    /// Nothing is cancelled, unlike by a [`timeout`](crate::time::timeout()) around
    /// [`next`](Self::next). To give up, drop the stream.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, once, pending};
    /// # use heist_sync::time::Duration;
    /// let mut stream = once(1).chain(pending()).timeout(Duration::from_millis(1));
    /// assert_eq!(stream.next().await, Some(Ok(1)));
    /// assert!(stream.next().await.unwrap().is_err());
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The stream does, when it is polled outside a Heist runtime and a value is not ready.
    fn timeout(self, duration: Duration) -> Timeout<Self>
    where
        Self: Sized,
    {
        Timeout::new(self, duration)
    }

    /// Makes one value of all, beginning with `init`, by a function of what there is and the next.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// assert_eq!(iter(1..=4).fold(0, |sum, n| sum + n).await, 10);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// The future does, when it is polled again after it was done.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream and the value so far.
    fn fold<B, F>(self, init: B, f: F) -> Fold<Self, B, F>
    where
        F: FnMut(B, Self::Item) -> B,
        Self: Sized,
    {
        Fold::new(self, init, f)
    }

    /// Runs an async function for each value, one after the other, to the end of the stream.
    ///
    /// `async for`, when nothing but the value is needed.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// iter([1, 2]).for_each(async |n| println!("{n}")).await;
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream, and what is being done with the value read last.
    fn for_each<F, Fut>(self, f: F) -> ForEach<Self, F, Fut>
    where
        F: FnMut(Self::Item) -> Fut,
        Fut: Future<Output = ()>,
        Self: Sized,
    {
        ForEach::new(self, f)
    }

    /// Runs an async function for up to `limit` values at the same time, within this task, to the end
    /// of the stream. `None` means that there is no limit.
    ///
    /// The stream is asked for more only while fewer run, so it is held back by them.
    ///
    /// ```
    /// # heist_runtime::block_on(async {
    /// # use heist_sync::stream::{StreamExt, iter};
    /// # use heist_sync::time::{Duration, Instant, sleep};
    /// let start = Instant::now();
    /// let each = iter(0..8).for_each_concurrent(4, async |_| sleep(Duration::from_millis(20)).await);
    /// each.await;
    /// assert!(start.elapsed() >= Duration::from_millis(40));
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If the limit is zero (which means no limit in futures-util).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream, and what is being done with values.
    fn for_each_concurrent<F, Fut>(
        self,
        limit: impl Into<Option<usize>>,
        f: F,
    ) -> ForEachConcurrent<Self, F, Fut>
    where
        F: FnMut(Self::Item) -> Fut,
        Fut: Future<Output = ()>,
        Self: Sized,
    {
        ForEachConcurrent::new(self, limit.into(), f)
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
