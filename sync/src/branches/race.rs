//! `race`: until one of two futures is done, and how branches race.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::branches::contest::{Contest, decide};
use crate::branches::list::{Cons, Losers, Nil, Order, Payload};
use crate::chance;

/// Runs two futures at the same time, in this task, and returns the output of the first that is done.
///
/// The other one is cancelled, and `race` returns after it has unwound, with all cleanup. If both are
/// done at once, chance decides. `asyncio.wait(.., return_when=FIRST_COMPLETED)`, followed by cancelling
/// and awaiting the rest.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::race;
/// use heist_sync::time::{Duration, sleep};
///
/// let quick = async { "quick" };
/// let slow = async {
///     sleep(Duration::from_secs(60)).await;
///     "slow"
/// };
/// assert_eq!(race(slow, quick).await, "quick");
/// # });
/// ```
///
/// # Panics
///
/// A panic of one of them wins too: it goes through after the other has unwound. So does a panic in the
/// cleanup of the loser, in place of the output.
///
/// # Cancel safety
///
/// Dropping it drops both. When the task is cancelled, both unwind at the same time; an output that
/// comes meanwhile still wins. A loser that only waits is dropped as it is, and takes nothing along; an
/// output that one comes up with while it unwinds is dropped.
pub async fn race<T>(a: impl Future<Output = T>, b: impl Future<Output = T>) -> T {
    let a = Eligible::new(a, |_: &T| true);
    let b = Eligible::new(b, |_: &T| true);
    let race = Race::new(Order::Fair, Cons::new(a, Cons::new(b, Nil)));
    match decide("race", pin!(race)).await {
        Some(Winner::This(output) | Winner::Later(Winner::This(output))) => output,
        Some(Winner::Later(Winner::Later(never))) => match never {},
        None => unreachable!("every output is eligible"),
    }
}

/// Which branch has won, by its place in the list, and its output.
#[derive(Debug)]
pub enum Winner<T, R> {
    /// The first one.
    This(T),
    /// One of the rest.
    Later(R),
}

/// The winner among no branches.
#[derive(Debug)]
pub enum Nobody {}

pin_project! {
    /// A future whose output counts only if it is accepted.
    #[derive(Debug)]
    pub struct Eligible<F, A> {
        #[pin]
        future: F,
        accepts: A,
    }
}

impl<F: Future, A: Fn(&F::Output) -> bool> Eligible<F, A> {
    /// Lets `accepts` look at the output.
    pub fn new(future: F, accepts: A) -> Self {
        Self { future, accepts }
    }
}

impl<F: Future, A: Fn(&F::Output) -> bool> Future for Eligible<F, A> {
    type Output = Option<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let accepts = this.accepts;
        this.future
            .poll(cx)
            .map(|output| accepts(&output).then_some(output))
    }
}

/// Branches of which one wins.
pub trait RaceBranches: Losers {
    /// How many they are.
    const COUNT: usize;
    /// Who has won.
    type Winner;

    /// Polls those from number `from` up to, but without, number `to`, until one wins or panics.
    fn poll_range(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: usize,
        to: usize,
    ) -> Poll<Result<Self::Winner, Payload>>;
}

impl RaceBranches for Nil {
    const COUNT: usize = 0;
    type Winner = Nobody;

    #[inline]
    fn poll_range(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: usize,
        _: usize,
    ) -> Poll<Result<Nobody, Payload>> {
        Poll::Pending
    }
}

impl<F, T, O, R> RaceBranches for Cons<F, O, R>
where
    F: Future<Output = Option<T>>,
    R: RaceBranches,
    Self: Losers,
{
    const COUNT: usize = 1 + R::COUNT;
    type Winner = Winner<T, R::Winner>;

    #[inline]
    fn poll_range(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: usize,
        to: usize,
    ) -> Poll<Result<Self::Winner, Payload>> {
        if to == 0 {
            return Poll::Pending;
        }
        let this = self.project();
        if from == 0 {
            match this.branch.poll_out(cx, this.begun) {
                Poll::Ready(Ok(Some(output))) => return Poll::Ready(Ok(Winner::This(output))),
                Poll::Ready(Err(payload)) => return Poll::Ready(Err(payload)),
                // It is out of the race.
                Poll::Ready(Ok(None)) | Poll::Pending => {}
            }
        }
        let rest = this
            .rest
            .poll_range(cx, from.saturating_sub(1), to.saturating_sub(1));
        rest.map_ok(Winner::Later)
    }
}

pin_project! {
    /// A race between the branches of a list. Nobody wins it when all are out of it.
    #[derive(Debug)]
    pub struct Race<B> {
        #[pin]
        branches: B,
        order: Order,
    }
}

impl<B: RaceBranches> Race<B> {
    /// Waits for the first branch.
    pub fn new(order: Order, branches: B) -> Self {
        Self { branches, order }
    }
}

impl<B: RaceBranches> Contest for Race<B> {
    type Decision = Option<B::Winner>;
    type Branches = B;

    #[inline]
    fn poll_decision(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Decision, Payload>> {
        let mut this = self.project();
        // By chance and not in turns: a race in a loop is a new one each time.
        let start = match this.order {
            Order::Fair if B::COUNT > 1 => chance::below(B::COUNT),
            Order::Fair | Order::Biased => 0,
        };
        for (from, to) in [(start, B::COUNT), (0, start)] {
            if let Poll::Ready(winner) = this.branches.as_mut().poll_range(cx, from, to) {
                return Poll::Ready(winner.map(Some));
            }
        }
        if this.branches.any_running() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(None))
        }
    }

    fn branches(self: Pin<&mut Self>) -> Pin<&mut B> {
        self.project().branches
    }
}
