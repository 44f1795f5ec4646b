//! `join_all`: wait for many futures within one task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::branches::contest::{Contest, decide};
use crate::branches::list::Payload;
use crate::branches::many::Children;

/// Runs all futures at the same time, in this task, and returns their outputs in the same order.
///
/// `asyncio.gather`, but the futures are part of the caller: they may borrow from it, they take
/// turns instead of running in parallel, and dropping the `JoinAll` drops them. To run on several
/// threads, spawn tasks and join their handles.
///
/// Up to 30 futures are all polled whenever one was woken. With more, each one gets its own waker
/// and only those that were woken are polled, so a wake-up costs the same however many there are.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::join_all;
///
/// let words = ["join", "all"];
/// let lengths = join_all(words.iter().map(async |word| word.len())).await;
/// assert_eq!(lengths, [4, 3]);
/// # });
/// ```
///
/// # Panics
///
/// A panic of one of the futures goes through, and the others are dropped with the `JoinAll`.
/// Polling it again after it was done panics too.
///
/// # Cancel safety
///
/// Dropping it drops all futures, and the outputs of those already done.
pub fn join_all<I>(futures: I) -> JoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Future,
{
    JoinAll {
        children: Children::new(futures),
    }
}

/// Runs all futures at the same time, in this task, until all have succeeded or one has failed.
/// See [`join_all`].
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::try_join_all;
///
/// let numbers = try_join_all(["1", "2"].map(async |text| text.parse::<i32>())).await;
/// assert_eq!(numbers, Ok(vec![1, 2]));
/// let failed = try_join_all(["1", "two"].map(async |text| text.parse::<i32>())).await;
/// assert!(failed.is_err());
/// # });
/// ```
///
/// # Errors
///
/// The first error there is. The other futures are cancelled, and it is returned after they have unwound,
/// with all cleanup.
///
/// # Panics
///
/// A panic of one of the futures is a failure too: it goes through after the others have unwound. So does
/// a panic in their cleanup, in place of the error.
///
/// # Cancel safety
///
/// Dropping it drops all futures, and the outputs of those already done.
pub fn try_join_all<I, T, E>(futures: I) -> impl Future<Output = Result<Vec<T>, E>> + use<I, T, E>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>>,
{
    let mut attempt = Attempt {
        children: Children::new(futures),
    };
    async move { decide("try_join_all", Pin::new(&mut attempt)).await }
}

/// Waits for many futures. Made by [`join_all`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct JoinAll<F: Future> {
    children: Children<F>,
}

/// What [`try_join_all`] runs.
struct Attempt<F: Future> {
    children: Children<F>,
}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut poll = Children::poll_one;
        self.children.poll_woken(cx, 0, &mut poll);
        self.children.take_outputs().map(Iterator::collect)
    }
}

impl<F, T, E> Contest for Attempt<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Decision = Result<Vec<T>, E>;
    type Branches = Children<F>;

    fn poll_decision(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Decision, Payload>> {
        let mut failure = None;
        let mut poll = |children: &mut Children<F>, index: usize, cx: &mut Context<'_>| {
            match children.poll_out(index, cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(Ok(output))) => {
                    children.keep(index, Ok(output));
                    return false;
                }
                Poll::Ready(Ok(Err(error))) => failure = Some(Ok(Err(error))),
                Poll::Ready(Err(payload)) => failure = Some(Err(payload)),
            }
            true
        };
        self.children.poll_woken(cx, 0, &mut poll);
        if let Some(failure) = failure {
            return Poll::Ready(failure);
        }
        self.children
            .take_outputs()
            .map(|outputs| Ok(outputs.collect::<Result<_, _>>()))
    }

    fn branches(self: Pin<&mut Self>) -> Pin<&mut Children<F>> {
        Pin::new(&mut self.get_mut().children)
    }
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.children.fmt_as("JoinAll", f)
    }
}
