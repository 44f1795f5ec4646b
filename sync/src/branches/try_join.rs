//! `try_join!`: until all branches have succeeded, or one has failed.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::branches::contest::Contest;
use crate::branches::list::{Cons, Losers, Nil, Order, Payload};

/// Runs several futures at the same time, in this task, until all have succeeded or one has failed.
///
/// As [`join!`](crate::join), for futures that return a `Result` with the same type of error: `Ok` with
/// a tuple of what they return, in order, or the first `Err`. The others are then cancelled, and it
/// returns after they have unwound, with all cleanup. (tokio's drops them where they are.)
///
/// `asyncio.gather` lets the others go on when one fails; this is nearer to `asyncio.TaskGroup`.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::try_join;
///
/// async fn number(text: &str) -> Result<i32, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// assert_eq!(try_join!(number("1"), number("2")), Ok((1, 2)));
/// assert!(try_join!(number("1"), number("two")).is_err());
/// # });
/// ```
///
/// After `biased;` the futures are polled in the order in which they are written.
///
/// A future that is only lent (`&mut future`, or pinned behind such a reference) is not cancelled when
/// another one fails; it is left as it is, and its owner may await it.
///
/// # Panics
///
/// A panic of one of the futures is a failure too: it goes through after the others have unwound. So
/// does a panic in their cleanup, in place of the error.
///
/// # Cancel safety
///
/// When the future of which it is a part is dropped, it drops all futures and the outputs of those
/// already done. When the task is cancelled, all of them unwind at the same time.
#[macro_export]
macro_rules! try_join {
    (biased; $($future:expr),+ $(,)?) => {
        $crate::__try_join!(Biased () $($future,)*)
    };
    ($($future:expr),+ $(,)?) => {
        $crate::__try_join!(Fair () $($future,)*)
    };
}

/// As `__join`. The list is pinned here, in the future of the caller, to be stored only once.
#[doc(hidden)]
#[macro_export]
macro_rules! __try_join {
    ($order:ident ($($named:tt)*) $future:expr, $($rest:tt)*) => {
        $crate::__try_join!($order ($($named)* (output = $future)) $($rest)*)
    };
    ($order:ident ($(($output:ident = $future:expr))*)) => {
        match $crate::__private::TryJoin::new(
            $crate::__private::Order::$order,
            $crate::__probed_list!($($future,)*),
        ) {
            contest => {
                let contest = ::core::pin::pin!(contest);
                match $crate::__private::decide("try_join", contest).await {
                    ::core::result::Result::Ok($crate::__nest!($($output)*)) => {
                        ::core::result::Result::Ok(($($output,)*))
                    }
                    ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
                }
            }
        }
    };
}

/// A list of branches, each of which knows whether it is lent.
#[doc(hidden)]
#[macro_export]
macro_rules! __probed_list {
    () => { $crate::__private::Nil };
    ($future:expr, $($rest:tt)*) => {
        match ::core::future::IntoFuture::into_future($future) {
            future => {
                #[allow(unused_imports, reason = "only what is owned needs it")]
                use $crate::__private::ProbeOwned as _;
                let ownership = $crate::__private::Probe::of(&future).ownership();
                $crate::__private::Cons::with(
                    ::core::option::Option::Some(future),
                    ownership,
                    $crate::__probed_list!($($rest)*),
                )
            }
        }
    };
}

/// Branches of which each may fail with an `E`.
pub trait TryBranches<E>: Losers {
    /// How many they are.
    const COUNT: usize;
    /// What they return, as nested pairs.
    type Outputs;

    /// Polls those from number `from` up to, but without, number `to`. Returns whether they are done.
    ///
    /// # Errors
    ///
    /// The first failure ends the round.
    fn poll_range(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: usize,
        to: usize,
    ) -> Result<bool, Failure<E>>;

    /// Takes the outputs, once all have succeeded.
    fn take_outputs(self: Pin<&mut Self>) -> Self::Outputs;
}

/// How a branch fails.
#[derive(Debug)]
pub enum Failure<E> {
    /// By an error.
    Error(E),
    /// By a panic.
    Panic(Payload),
}

impl<E> TryBranches<E> for Nil {
    const COUNT: usize = 0;
    type Outputs = ();

    #[inline]
    fn poll_range(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: usize,
        _: usize,
    ) -> Result<bool, Failure<E>> {
        Ok(true)
    }

    fn take_outputs(self: Pin<&mut Self>) {}
}

impl<F, T, E, O, R> TryBranches<E> for Cons<F, O, R>
where
    F: Future<Output = Result<T, E>>,
    R: TryBranches<E>,
    Self: Losers,
{
    const COUNT: usize = 1 + R::COUNT;
    type Outputs = (T, R::Outputs);

    #[inline]
    fn poll_range(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: usize,
        to: usize,
    ) -> Result<bool, Failure<E>> {
        if to == 0 {
            return Ok(true);
        }
        let mut this = self.project();
        let mut done = true;
        if from == 0 && this.branch.is_running() {
            match this.branch.as_mut().poll_out(cx, this.begun) {
                Poll::Pending => done = false,
                Poll::Ready(Ok(Ok(output))) => this.branch.keep(Ok(output)),
                Poll::Ready(Ok(Err(error))) => return Err(Failure::Error(error)),
                Poll::Ready(Err(payload)) => return Err(Failure::Panic(payload)),
            }
        }
        let rest = this
            .rest
            .poll_range(cx, from.saturating_sub(1), to.saturating_sub(1))?;
        Ok(done && rest)
    }

    fn take_outputs(self: Pin<&mut Self>) -> Self::Outputs {
        let this = self.project();
        let Some(Ok(output)) = this.branch.take() else {
            unreachable!("a future that is done leaves its output, and failures end the round");
        };
        (output, this.rest.take_outputs())
    }
}

pin_project! {
    /// What [`try_join!`](crate::try_join) runs.
    #[derive(Debug)]
    pub struct TryJoin<B, E> {
        #[pin]
        branches: B,
        order: Order,
        // Which branch is polled first.
        start: usize,
        error: PhantomData<fn() -> E>,
    }
}

impl<E, B: TryBranches<E>> TryJoin<B, E> {
    /// Waits for all branches, or for a failure.
    pub fn new(order: Order, branches: B) -> Self {
        Self {
            branches,
            order,
            start: 0,
            error: PhantomData,
        }
    }
}

impl<E, B: TryBranches<E>> Contest for TryJoin<B, E> {
    type Decision = Result<B::Outputs, E>;
    type Branches = B;

    #[inline]
    fn poll_decision(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Decision, Payload>> {
        let mut this = self.project();
        let start = *this.start;
        if *this.order == Order::Fair {
            *this.start = (start + 1) % B::COUNT.max(1);
        }
        let mut poll = |from, to| this.branches.as_mut().poll_range(cx, from, to);
        let later = poll(start, B::COUNT);
        let all = later.and_then(|later| Ok(poll(0, start)? && later));
        match all {
            Ok(true) => Poll::Ready(Ok(Ok(this.branches.take_outputs()))),
            Ok(false) => Poll::Pending,
            Err(Failure::Error(error)) => Poll::Ready(Ok(Err(error))),
            Err(Failure::Panic(payload)) => Poll::Ready(Err(payload)),
        }
    }

    fn branches(self: Pin<&mut Self>) -> Pin<&mut B> {
        self.project().branches
    }
}
