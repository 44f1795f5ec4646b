//! `join_all`: wait for many futures within one task.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

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
/// The first error there is. The other futures are dropped before it is returned.
///
/// # Panics
///
/// As [`join_all`].
///
/// # Cancel safety
///
/// Dropping it drops all futures, and the outputs of those already done.
pub fn try_join_all<I, T, E>(futures: I) -> TryJoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Future<Output = Result<T, E>>,
{
    TryJoinAll {
        children: Children::new(futures),
    }
}

/// Waits for many futures. Made by [`join_all`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct JoinAll<F: Future> {
    children: Children<F>,
}

/// Waits for many futures, or the first error. Made by [`try_join_all`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct TryJoinAll<F: Future> {
    children: Children<F>,
}

// The futures are pinned in boxes of their own, and nothing else of it is ever pinned.
impl<F: Future> Unpin for JoinAll<F> {}
impl<F: Future> Unpin for TryJoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.children.poll_woken(cx, |_| false);
        self.children.take_outputs().map(Iterator::collect)
    }
}

impl<F, T, E> Future for TryJoinAll<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<Vec<T>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.children.poll_woken(cx, Result::is_err) {
            // All but the failure is dropped first: the losers must not outlive the decision.
            let slots = mem::take(&mut self.children.slots);
            let failure = slots
                .into_iter()
                .filter_map(Slot::output)
                .find_map(Result::err);
            return Poll::Ready(Err(failure.expect("a failed output stays in its slot")));
        }
        self.children.take_outputs().map(Iterator::collect)
    }
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.children.fmt_as("JoinAll", f)
    }
}

impl<F: Future> fmt::Debug for TryJoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.children.fmt_as("TryJoinAll", f)
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
    Running(Pin<Box<F>>),
    Done(F::Output),
}

impl<F: Future> Slot<F> {
    fn output(self) -> Option<F::Output> {
        match self {
            Self::Running(_) => None,
            Self::Done(output) => Some(output),
        }
    }
}

impl<F: Future> Children<F> {
    /// Polling this many in vain costs about as much as the bookkeeping that avoids it.
    const FEW: usize = 30;

    fn new(futures: impl IntoIterator<Item = F>) -> Self {
        let slots: Vec<_> = futures
            .into_iter()
            .map(|future| Slot::Running(Box::pin(future)))
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

    /// Polls the futures that may be ready. Stops and returns `true` at an output that decides.
    fn poll_woken(&mut self, cx: &mut Context<'_>, decides: fn(&F::Output) -> bool) -> bool {
        assert!(!self.finished, "polled again after it was done");
        let Some(ready) = self.ready.clone() else {
            return (0..self.slots.len()).any(|index| self.poll_one(index, cx, decides));
        };
        let mut batch = ready.start_poll(cx.waker(), mem::take(&mut self.spare));
        let mut decided = false;
        for child in batch.drain(..) {
            // Cleared before the poll, so that a wake-up during it counts; by a swap, so that what
            // was written before any of the earlier wake-ups is seen.
            child.queued.swap(false, AcqRel);
            let index = child.index;
            let waker = Waker::from(child);
            decided = self.poll_one(index, &mut Context::from_waker(&waker), decides);
            if decided {
                break;
            }
        }
        self.spare = batch;
        decided
    }

    fn poll_one(
        &mut self,
        index: usize,
        cx: &mut Context<'_>,
        decides: fn(&F::Output) -> bool,
    ) -> bool {
        let Slot::Running(future) = &mut self.slots[index] else {
            return false;
        };
        let Poll::Ready(output) = future.as_mut().poll(cx) else {
            return false;
        };
        let decided = decides(&output);
        self.slots[index] = Slot::Done(output);
        self.running -= 1;
        self.finished |= decided;
        decided
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
