//! Many futures of one type: the futures of [`join_all`](crate::join_all) and its kin, and who of them
//! was woken.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use heist_runtime::scope::{cancel_requested, watch};

use crate::branches::list::{Losers, Payload};
use crate::wait::wake;

/// The futures and what has become of them.
pub(crate) struct Children<F: Future> {
    slots: Vec<Slot<F>>,
    /// How many futures are not done.
    running: usize,
    /// Whether `slots` has been given away.
    finished: bool,
    /// Whether all have been polled in a scope that is being cancelled.
    unwinds: bool,
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

    pub(super) fn new(futures: impl IntoIterator<Item = F>) -> Self {
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
            unwinds: false,
            ready,
            spare: Vec::new(),
        }
    }

    /// How many there were at first.
    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Has the futures polled that may be ready, up to one for which `poll` returns that it decides.
    /// `first` is a number below their count, by which it is decided who comes first.
    pub(super) fn poll_woken(
        &mut self,
        cx: &mut Context<'_>,
        first: usize,
        poll: &mut impl FnMut(&mut Self, usize, &mut Context<'_>) -> bool,
    ) {
        assert!(!self.finished, "polled again after it was done");
        let Some(ready) = self.ready.clone() else {
            let mut in_turn = (first..self.slots.len()).chain(0..first);
            self.finished |= in_turn.any(|index| poll(self, index, cx));
            return;
        };
        let mut batch = ready.start_poll(cx.waker(), mem::take(&mut self.spare));
        if !self.unwinds && cancel_requested() {
            // Each has to begin to unwind, or the scope would not wait for what the kernel does for it.
            self.unwinds = true;
            batch = Ready::children(&ready, self.slots.len());
        }
        if first > 0 && !batch.is_empty() {
            let first = first % batch.len();
            batch.rotate_left(first);
        }
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

    /// Polls a future if it is there. Decides nothing.
    pub(super) fn poll_one(&mut self, index: usize, cx: &mut Context<'_>) -> bool {
        if let Slot::Running { future, .. } = &mut self.slots[index]
            && let Poll::Ready(output) = future.as_mut().poll(cx)
        {
            self.slots[index] = Slot::Done(output);
            self.running -= 1;
        }
        false
    }

    /// Polls a future if it is there; once it is done, or has panicked, it is dropped.
    pub(super) fn poll_out(
        &mut self,
        index: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Payload>> {
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

    /// Puts the output in the place of a future that is gone.
    pub(super) fn keep(&mut self, index: usize, output: F::Output) {
        self.slots[index] = Slot::Done(output);
    }

    /// The outputs, once all futures are done.
    pub(super) fn take_outputs(&mut self) -> Poll<impl Iterator<Item = F::Output> + use<F>> {
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

    pub(super) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

// The futures are pinned in boxes of their own, and nothing else of it is ever pinned.
impl<F: Future> Unpin for Children<F> {}

impl<F: Future> Losers for Children<F> {
    const ANY_OWNED: bool = true;

    fn any_running(&self) -> bool {
        self.running > 0
    }

    fn any_unwinding(&self, _: bool) -> bool {
        self.slots.iter().any(Slot::unwinds)
    }

    fn poll_unwinding(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: bool,
        panicked: &mut dyn FnMut(Payload),
    ) {
        for index in 0..self.slots.len() {
            if self.slots[index].unwinds()
                && let Poll::Ready(Err(payload)) = self.poll_out(index, cx)
            {
                panicked(payload);
            }
        }
    }

    fn drop_all(mut self: Pin<&mut Self>) {
        self.slots.clear();
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
        ready.lock().woken = Self::children(&ready, count);
        ready
    }

    /// A waker for every future, as if all of them had been woken.
    fn children(ready: &Arc<Self>, count: usize) -> Vec<Arc<Child>> {
        let child = |index| {
            Arc::new(Child {
                index,
                queued: AtomicBool::new(true),
                ready: Arc::downgrade(ready),
            })
        };
        (0..count).map(child).collect()
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
            wake(task);
        }
    }
}
