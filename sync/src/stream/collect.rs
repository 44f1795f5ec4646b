//! `collect`: all values in one.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

/// What the values of a stream can be collected into; `FromIterator` for streams.
///
/// The collections of the standard library are, and `String`. `Result` and `Option` are for streams
/// of those, and stop at the first `Err` or `None`. `()` is for streams of nothing but `()`.
pub trait FromStream<T>: Sized {
    /// What is there while values are still to come.
    type Partial;

    /// Begins, with room for so many values.
    fn begin(at_least: usize) -> Self::Partial;

    /// Adds a value. No more are asked for after a `Break`.
    fn push(partial: &mut Self::Partial, value: T) -> ControlFlow<()>;

    /// Ends.
    fn finish(partial: Self::Partial) -> Self;
}

/// Collections that begin empty and grow.
macro_rules! collections {
    ($(($($bounds:tt)*) $item:ty => $collection:ty, $empty:expr;)*) => { $(
        impl<$($bounds)*> FromStream<$item> for $collection {
            type Partial = Self;

            fn begin(at_least: usize) -> Self {
                $empty(at_least)
            }

            fn push(partial: &mut Self, value: $item) -> ControlFlow<()> {
                partial.extend([value]);
                ControlFlow::Continue(())
            }

            fn finish(partial: Self) -> Self {
                partial
            }
        }
    )* };
}

collections! {
    (T) T => Vec<T>, Self::with_capacity;
    (T) T => VecDeque<T>, Self::with_capacity;
    (T) T => LinkedList<T>, |_| Self::new();
    (T: Ord) T => BinaryHeap<T>, Self::with_capacity;
    (T: Ord) T => BTreeSet<T>, |_| Self::new();
    (K: Ord, V) (K, V) => BTreeMap<K, V>, |_| Self::new();
    (T: Eq + Hash, H: BuildHasher + Default) T => HashSet<T, H>,
        |at_least| Self::with_capacity_and_hasher(at_least, H::default());
    (K: Eq + Hash, V, H: BuildHasher + Default) (K, V) => HashMap<K, V, H>,
        |at_least| Self::with_capacity_and_hasher(at_least, H::default());
    () char => String, Self::with_capacity;
    ('a) &'a str => String, |_| Self::new();
    () String => String, |_| Self::new();
    () () => (), |_| ();
}

impl<T, C: FromStream<T>> FromStream<T> for Box<C> {
    type Partial = C::Partial;

    fn begin(at_least: usize) -> C::Partial {
        C::begin(at_least)
    }

    fn push(partial: &mut C::Partial, value: T) -> ControlFlow<()> {
        C::push(partial, value)
    }

    fn finish(partial: C::Partial) -> Self {
        Self::new(C::finish(partial))
    }
}

impl<T, E, C: FromStream<T>> FromStream<Result<T, E>> for Result<C, E> {
    type Partial = Result<C::Partial, E>;

    fn begin(_: usize) -> Self::Partial {
        // The first value may be an error, and then no room is needed.
        Ok(C::begin(0))
    }

    fn push(partial: &mut Self::Partial, value: Result<T, E>) -> ControlFlow<()> {
        match (partial, value) {
            (Ok(collected), Ok(value)) => C::push(collected, value),
            (partial @ Ok(_), Err(error)) => {
                *partial = Err(error);
                ControlFlow::Break(())
            }
            (Err(_), _) => ControlFlow::Break(()),
        }
    }

    fn finish(partial: Self::Partial) -> Self {
        partial.map(C::finish)
    }
}

impl<T, C: FromStream<T>> FromStream<Option<T>> for Option<C> {
    type Partial = Option<C::Partial>;

    fn begin(_: usize) -> Self::Partial {
        // As above.
        Some(C::begin(0))
    }

    fn push(partial: &mut Self::Partial, value: Option<T>) -> ControlFlow<()> {
        if let (Some(collected), Some(value)) = (partial.as_mut(), value) {
            return C::push(collected, value);
        }
        *partial = None;
        ControlFlow::Break(())
    }

    fn finish(partial: Self::Partial) -> Self {
        partial.map(C::finish)
    }
}

pin_project! {
    /// Collects the values of a stream. Made by [`collect`](crate::stream::StreamExt::collect).
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Collect<S: Stream, C: FromStream<S::Item>> {
        #[pin]
        stream: S,
        // None once it is done.
        partial: Option<C::Partial>,
    }
}

impl<S: Stream, C: FromStream<S::Item>> Collect<S, C> {
    pub(super) fn new(stream: S) -> Self {
        let partial = Some(C::begin(stream.size_hint().0));
        Self { stream, partial }
    }
}

impl<S: Stream, C: FromStream<S::Item>> Future for Collect<S, C> {
    type Output = C;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C> {
        let mut this = self.project();
        let partial = this
            .partial
            .as_mut()
            .expect("polled again after it was done");
        while let Some(value) = ready!(this.stream.as_mut().poll_next(cx)) {
            if C::push(partial, value).is_break() {
                break;
            }
        }
        let partial = this.partial.take().expect("it was there above");
        Poll::Ready(C::finish(partial))
    }
}

impl<S: Stream + fmt::Debug, C: FromStream<S::Item>> fmt::Debug for Collect<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collect")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
