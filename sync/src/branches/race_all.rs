//! `race_all`: the first of many futures within one task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::branches::contest::{Contest, decide};
use crate::branches::list::Payload;
use crate::branches::many::Children;
use crate::chance;

/// Runs all futures at the same time, in this task, and returns the output of the first that is done.
///
/// [`race`](crate::race()) for futures of one type, as many as there are. The others are cancelled, and
/// `race_all` returns after they have unwound, with all cleanup. If several are done at once, chance
/// decides. `asyncio.wait(.., return_when=FIRST_COMPLETED)`, followed by cancelling and awaiting the
/// rest; futures-util's `select_all` gives the rest back instead. To go on with the others, use
/// [`JoinSet`](crate::JoinSet) or [`as_completed`](crate::as_completed).
///
/// As with [`join_all`](crate::join_all), with more than 30 futures only those that were woken are
/// polled.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::race_all;
/// use heist_sync::time::{Duration, sleep};
///
/// let mirrors = [300, 1, 200];
/// let fastest = race_all(mirrors.iter().map(async |&delay| {
///     sleep(Duration::from_millis(delay)).await;
///     delay
/// }));
/// assert_eq!(fastest.await, 1);
/// # });
/// ```
///
/// # Panics
///
/// At once if there are no futures, since none of them would ever win.
///
/// A panic of one of them wins too: it goes through after the others have unwound. So does a panic in
/// the cleanup of a loser, in place of the output.
///
/// # Cancel safety
///
/// Dropping it drops all futures. When the task is cancelled, all unwind at the same time; an output
/// that comes meanwhile still wins. A loser that only waits is dropped as it is, and takes nothing along;
/// an output that one comes up with while it unwinds is dropped.
#[track_caller]
pub fn race_all<I>(futures: I) -> impl Future<Output = <I::Item as Future>::Output> + use<I>
where
    I: IntoIterator,
    I::Item: Future,
{
    let children = Children::new(futures);
    assert!(children.count() > 0, "a race of no futures has no winner");
    let mut race = RaceAll { children };
    async move { decide("race_all", Pin::new(&mut race)).await }
}

/// What [`race_all`] runs.
struct RaceAll<F: Future> {
    children: Children<F>,
}

impl<F: Future> Contest for RaceAll<F> {
    type Decision = F::Output;
    type Branches = Children<F>;

    fn poll_decision(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Payload>> {
        let mut winner = Poll::Pending;
        let mut poll = |children: &mut Children<F>, index: usize, cx: &mut Context<'_>| {
            winner = children.poll_out(index, cx);
            winner.is_ready()
        };
        // By chance and not in turns: a race in a loop is a new one each time.
        let first = chance::below(self.children.count());
        self.children.poll_woken(cx, first, &mut poll);
        winner
    }

    fn branches(self: Pin<&mut Self>) -> Pin<&mut Children<F>> {
        Pin::new(&mut self.get_mut().children)
    }
}
