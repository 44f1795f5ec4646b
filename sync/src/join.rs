//! `join_all`: wait for many futures within one task.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use heist_runtime::scope::watch;

use crate::branches::contest::{Contest, decide};
use crate::branches::list::{Losers, Payload};

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
        panicked: None,
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
    panicked: Option<Payload>,
}

// The futures are pinned in boxes of their own, and nothing else of it is ever pinned.
impl<F: Future> Unpin for JoinAll<F> {}
impl<F: Future> Unpin for Attempt<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut poll = Children::poll_one;
        self.children.poll_woken(cx, &mut poll);
        self.children.take_outputs().map(Iterator::collect)
    }
}

impl<F, T, E> Contest for Attempt<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Decision = Result<Vec<T>, E>;
    type Branches = Self;

    fn poll_decision(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Decision, Payload>> {
        let Self { children, panicked } = &mut *self;
        let mut failure = None;
        let mut poll = |children: &mut Children<F>, index: usize, cx: &mut Context<'_>| {
            match children.poll_out(index, cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(Ok(output))) => {
                    children.slots[index] = Slot::Done(Ok(output));
                    return false;
                }
                Poll::Ready(Ok(Err(error))) => failure = Some(error),
                Poll::Ready(Err(payload)) => *panicked = Some(payload),
            }
            true
        };
        children.poll_woken(cx, &mut poll);
        if let Some(payload) = panicked.take() {
            return Poll::Ready(Err(payload));
        }
        if let Some(error) = failure {
            return Poll::Ready(Ok(Err(error)));
        }
        children
            .take_outputs()
            .map(|outputs| Ok(outputs.collect::<Result<_, _>>()))
    }

    fn branches(self: Pin<&mut Self>) -> Pin<&mut Self> {
        self
    }
}

impl<F: Future> Losers for Attempt<F> {
    const ANY_OWNED: bool = true;

    fn any_running(&self) -> bool {
        self.children.running > 0
    }

    fn any_unwinding(&self, _: bool) -> bool {
        self.children.slots.iter().any(Slot::unwinds)
    }

    fn poll_unwinding(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: bool,
        panicked: &mut dyn FnMut(Payload),
    ) {
        let children = &mut self.children;
        for index in 0..children.slots.len() {
            if children.slots[index].unwinds()
                && let Poll::Ready(Err(payload)) = children.poll_out(index, cx)
            {
                panicked(payload);
            }
        }
    }

    fn drop_all(mut self: Pin<&mut Self>) {
        self.children.slots.clear();
    }
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.children.fmt_as("JoinAll", f)
    }
}

/// The futures and what has become of them.
struct Children<F: Future> {
    slots: Vec<Slot<F>>,
    /// How many futures are not done.
    running: usize,
    /// Whether `slots` has been given away.
    finished: bool,
    /// Who was woken, if there are too many to ask each one.
    ready: Option<Arc<Ready>>,
    /// Spare room for the queue of `ready`, so that it need not be allocated for every poll.
    spare: Vec<Arc<Child>>,
}

/// A future, then its output.
enum Slot<F: Future> {
    /// A box of its own keeps the future in place without unsafe code, and frees it once done.
    Running {
        future: Pin<Box<F>>,
        /// Whether it has begun something that has to unwind.
        begun: bool,
    },
    Done(F::Output),
    Gone,
}

impl<F: Future> Slot<F> {
    fn output(self) -> Option<F::Output> {
        match self {
            Self::Running { .. } | Self::Gone => None,
            Self::Done(output) => Some(output),
        }
    }

    fn unwinds(&self) -> bool {
        matches!(self, Self::Running { begun: true, .. })
    }
}

impl<F: Future> Children<F> {
    /// Polling this many in vain costs about as much as the bookkeeping that avoids it.
    const FEW: usize = 30;

    fn new(futures: impl IntoIterator<Item = F>) -> Self {
        let slots: Vec<_> = futures
            .into_iter()
            .map(|future| Slot::Running {
                future: Box::pin(future),
                begun: false,
            })
            .collect();
        let running = slots.len();
        let ready = (running > Self::FEW).then(|| Ready::with_all(running));
        Self {
            slots,
            running,
            finished: false,
            ready,
            spare: Vec::new(),
        }
    }

    /// Has the futures polled that may be ready, up to one for which `poll` returns that it decides.
    fn poll_woken(
        &mut self,
        cx: &mut Context<'_>,
        poll: &mut impl FnMut(&mut Self, usize, &mut Context<'_>) -> bool,
    ) {
        assert!(!self.finished, "polled again after it was done");
        let Some(ready) = self.ready.clone() else {
            self.finished |= (0..self.slots.len()).any(|index| poll(self, index, cx));
            return;
        };
        let mut batch = ready.start_poll(cx.waker(), mem::take(&mut self.spare));
        let mut decided = false;
        for child in batch.drain(..) {
            // Cleared before the poll, so that a wake-up during it counts; by a swap, so that what
            // was written before any of the earlier wake-ups is seen.
            child.queued.swap(false, AcqRel);
            let index = child.index;
            let waker = Waker::from(child);
            decided = poll(self, index, &mut Context::from_waker(&waker));
            if decided {
                break;
            }
        }
        self.spare = batch;
        self.finished |= decided;
    }

    /// Decides nothing.
    fn poll_one(&mut self, index: usize, cx: &mut Context<'_>) -> bool {
        if let Slot::Running { future, .. } = &mut self.slots[index]
            && let Poll::Ready(output) = future.as_mut().poll(cx)
        {
            self.slots[index] = Slot::Done(output);
            self.running -= 1;
        }
        false
    }

    /// Polls a future if it is there; once it is done, or has panicked, it is dropped.
    fn poll_out(&mut self, index: usize, cx: &mut Context<'_>) -> Poll<Result<F::Output, Payload>> {
        let Slot::Running { future, begun } = &mut self.slots[index] else {
            return Poll::Pending;
        };
        let (polled, begins) =
            watch(|| catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))));
        *begun |= begins;
        let output = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(payload),
        };
        self.running -= 1;
        let dropped = catch_unwind(AssertUnwindSafe(|| self.slots[index] = Slot::Gone));
        Poll::Ready(output.and_then(|output| dropped.map(|()| output)))
    }

    /// The outputs, once all futures are done.
    fn take_outputs(&mut self) -> Poll<impl Iterator<Item = F::Output> + use<F>> {
        if self.running > 0 {
            return Poll::Pending;
        }
        self.finished = true;
        Poll::Ready(
            mem::take(&mut self.slots)
                .into_iter()
                .filter_map(Slot::output),
        )
    }

    fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

/// What the wakers of the futures share: a queue of those woken since the last poll.
struct Ready {
    state: Mutex<ReadyState>,
}

struct ReadyState {
    woken: Vec<Arc<Child>>,
    /// Wakes the task; taken by the first to wake after a poll.
    task: Option<Waker>,
}

/// The waker of one future.
struct Child {
    index: usize,
    /// Whether it is in the queue.
    queued: AtomicBool,
    /// Weak, because the queue holds children: those that nobody polls any more must go with it.
    ready: Weak<Ready>,
}

impl Ready {
    /// A queue in which every future is due for its first poll.
    fn with_all(count: usize) -> Arc<Self> {
        let ready = Arc::new(Self {
            state: Mutex::new(ReadyState {
                woken: Vec::new(),
                task: None,
            }),
        });
        let child = |index| {
            Arc::new(Child {
                index,
                queued: AtomicBool::new(true),
                ready: Arc::downgrade(&ready),
            })
        };
        ready.lock().woken = (0..count).map(child).collect();
        ready
    }

    /// Takes what was woken, and remembers the task to be woken for more.
    fn start_poll(&self, task: &Waker, spare: Vec<Arc<Child>>) -> Vec<Arc<Child>> {
        // Cloning and dropping a waker runs foreign code, which stays outside the lock.
        let task = Some(task.clone());
        let mut state = self.lock();
        let old = mem::replace(&mut state.task, task);
        let woken = mem::replace(&mut state.woken, spare);
        drop(state);
        drop(old);
        woken
    }

    fn lock(&self) -> MutexGuard<'_, ReadyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Child {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, AcqRel) {
            return;
        }
        let Some(ready) = self.ready.upgrade() else {
            return;
        };
        let mut state = ready.lock();
        state.woken.push(Arc::clone(self));
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}
