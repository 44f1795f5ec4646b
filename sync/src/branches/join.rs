//! `join!`: until all branches are done.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::branches::list::{Cons, Nil, Order};

/// Runs several futures at the same time, in this task, and returns their outputs as a tuple.
///
/// `asyncio.gather`, for a number of futures that is known when the program is written: they may be
/// of different types, and they are part of the caller, so they may borrow from it. For a `Vec` of
/// them there is [`join_all`](crate::join_all). It awaits, so it is used in async code only.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::join;
///
/// let name = String::from("join");
/// let (length, doubled) = join!(async { name.len() }, async { 21 * 2 });
/// assert_eq!((length, doubled), (4, 42));
/// # });
/// ```
///
/// The futures take turns on the thread that runs the task; nothing in them runs in parallel. Spawn
/// tasks and join their handles for that. All that are not done are polled whenever the task is
/// woken, beginning with the next one each time, so that none is always served last. After `biased;`
/// they are polled in the order in which they are written:
///
/// ```
/// # heist_runtime::block_on(async {
/// # use heist_sync::join;
/// let (first, second) = join!(biased; async { 1 }, async { "two" });
/// assert_eq!((first, second), (1, "two"));
/// # });
/// ```
///
/// Whatever is `IntoFuture` may stand for a future.
///
/// # Panics
///
/// A panic of one of the futures goes through; the others are dropped.
///
/// # Cancel safety
///
/// When the future of which it is a part is dropped, it drops all futures and the outputs of those
/// already done. When the task is cancelled, all of them unwind at the same time.
#[macro_export]
macro_rules! join {
    (biased; $($future:expr),* $(,)?) => {
        $crate::__join!(Biased () $($future,)*)
    };
    ($($future:expr),* $(,)?) => {
        $crate::__join!(Fair () $($future,)*)
    };
}

/// Names the outputs one after the other, each time by a new name, thanks to hygiene; then waits for
/// the list, whose outputs are nested pairs, and makes a tuple of them.
#[doc(hidden)]
#[macro_export]
macro_rules! __join {
    ($order:ident ($($named:tt)*) $future:expr, $($rest:tt)*) => {
        $crate::__join!($order ($($named)* (output = $future)) $($rest)*)
    };
    ($order:ident ($(($output:ident = $future:expr))*)) => {
        match $crate::__private::Join::new(
            $crate::__private::Order::$order,
            $crate::__list!($($future,)*),
        )
        .await
        {
            $crate::__nest!($($output)*) => ($($output,)*),
        }
    };
}

/// A list of branches.
#[doc(hidden)]
#[macro_export]
macro_rules! __list {
    () => { $crate::__private::Nil };
    ($future:expr, $($rest:tt)*) => {
        $crate::__private::Cons::new(
            ::core::future::IntoFuture::into_future($future),
            $crate::__list!($($rest)*),
        )
    };
}

/// Names as nested pairs.
#[doc(hidden)]
#[macro_export]
macro_rules! __nest {
    () => { () };
    ($name:ident $($rest:ident)*) => { ($name, $crate::__nest!($($rest)*)) };
}

/// Branches that are all waited for.
pub trait Branches {
    /// How many they are.
    const COUNT: usize;
    /// Their outputs, as nested pairs.
    type Outputs;

    /// Polls those from number `from` up to, but without, number `to`. Returns whether they are done.
    fn poll_range(self: Pin<&mut Self>, cx: &mut Context<'_>, from: usize, to: usize) -> bool;

    /// Takes the outputs, once all are done.
    fn take_outputs(self: Pin<&mut Self>) -> Self::Outputs;
}

impl Branches for Nil {
    const COUNT: usize = 0;
    type Outputs = ();

    #[inline]
    fn poll_range(self: Pin<&mut Self>, _: &mut Context<'_>, _: usize, _: usize) -> bool {
        true
    }

    fn take_outputs(self: Pin<&mut Self>) {}
}

impl<F: Future, O, R: Branches> Branches for Cons<F, O, R> {
    const COUNT: usize = 1 + R::COUNT;
    type Outputs = (F::Output, R::Outputs);

    #[inline]
    fn poll_range(self: Pin<&mut Self>, cx: &mut Context<'_>, from: usize, to: usize) -> bool {
        if to == 0 {
            return true;
        }
        let this = self.project();
        let done = from > 0 || this.branch.poll(cx);
        let rest = this
            .rest
            .poll_range(cx, from.saturating_sub(1), to.saturating_sub(1));
        done && rest
    }

    fn take_outputs(self: Pin<&mut Self>) -> Self::Outputs {
        let this = self.project();
        let output = this.branch.take();
        (
            output.expect("a future that is done leaves its output, which is taken once"),
            this.rest.take_outputs(),
        )
    }
}

pin_project! {
    /// The future of [`join!`](crate::join).
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Join<B> {
        #[pin]
        branches: B,
        order: Order,
        // Which branch is polled first.
        start: usize,
    }
}

impl<B> Join<B> {
    /// Waits for all branches.
    pub fn new(order: Order, branches: B) -> Self {
        Self {
            branches,
            order,
            start: 0,
        }
    }
}

impl<B: Branches> Future for Join<B> {
    type Output = B::Outputs;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let start = *this.start;
        if *this.order == Order::Fair {
            *this.start = (start + 1) % B::COUNT.max(1);
        }
        let later = this.branches.as_mut().poll_range(cx, start, B::COUNT);
        let earlier = this.branches.as_mut().poll_range(cx, 0, start);
        if later && earlier {
            Poll::Ready(this.branches.take_outputs())
        } else {
            Poll::Pending
        }
    }
}
