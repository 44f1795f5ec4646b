//! A multishot operation: one submission, many completions, read one after another.
//!
//! Dropping the future that waits for the next completion loses nothing: completions queue up here
//! until somebody asks again. Only dropping the [`Multishot`] itself cancels the operation, and what
//! arrives until the kernel has obeyed goes to the operation's `dispose`.

#![expect(unsafe_code, reason = "typed access to the payload of a slot")]

use std::sync::Arc;
use std::task::{Context, Poll};

use io_uring::squeue;

use crate::context;
use crate::driver::completion::Completion;
use crate::driver::op::{InFlight, load, place};
use crate::driver::queue::CompletionQueue;
use crate::driver::remote::Remote;
use crate::driver::slab::{Delivery, Payload};
use crate::driver::slot::Registered;

/// What a multishot operation needs to know of its kind.
///
/// # Safety
///
/// As for [`Operation`](crate::driver::op::Operation): the entry points into `self` or to what it owns.
pub(crate) unsafe trait MultishotOperation: Send + Sync + 'static {
    /// Unread completions at which the operation is cancelled, so that a consumer that lags behind
    /// holds back its peer and not the runtime's buffers.
    const BACKLOG: usize;

    /// Fills the submission entry.
    fn prepare(&mut self) -> squeue::Entry;

    /// Disposes of a completion that nobody will read.
    fn dispose(&self, completion: Completion, remote: &Arc<Remote>);
}

/// The operation in its slot, with the completions on their way to the consumer.
struct InSlot<T> {
    operation: T,
    queue: CompletionQueue,
    remote: Arc<Remote>,
}

impl<T: MultishotOperation> InSlot<T> {
    const DELIVERY: Delivery = Delivery {
        more: Self::more,
        orphaned: Self::orphaned,
        is_background: false,
    };

    fn more(payload: *const Payload, completion: Completion) -> bool {
        // SAFETY: this delivery is only put beside a payload that holds an `InSlot<T>`.
        let place = unsafe { place::<Self>(payload) };
        // SAFETY: the value stays in the slot until after the final completion. The queue is made for
        // one producer (the reaper, which holds the CQ lock) beside one consumer.
        let queue = &unsafe { &*place }.queue;
        queue.push(completion);
        // Only once: the cancel takes effect at once or finds the operation over.
        queue.len() == T::BACKLOG
    }

    fn orphaned(payload: *mut Payload, completion: Completion) {
        // SAFETY: the consumer is gone and the kernel is done, so the reaper owns the value.
        let in_slot = unsafe { load::<Self>(payload) };
        in_slot.dispose_all(completion);
    }

    fn dispose_all(self, last: Completion) {
        while let Some(completion) = self.queue.pop() {
            self.operation.dispose(completion, &self.remote);
        }
        self.operation.dispose(last, &self.remote);
    }
}

/// What asking for the next completion found.
#[derive(Debug)]
pub(crate) enum Next {
    /// A completion with more to come, of the ring of this worker.
    More(Completion),
    /// The operation has ended; the next step is to arm it again, or not.
    Last(Completion),
}

/// Takes the oldest item, or else registers the waker.
#[inline(always)]
fn pop_or_register(
    queue: &CompletionQueue,
    register: impl FnOnce() -> Registered,
) -> Result<Completion, Registered> {
    if let Some(completion) = queue.pop() {
        return Ok(completion);
    }
    let registered = register();
    // Registering first and looking again afterwards is what makes an item that arrives in between
    // either seen here or announced by the reaper.
    queue.pop().ok_or(registered)
}

/// A multishot operation that is armed on some worker's ring.
#[derive(Debug)]
pub(crate) struct Multishot<T: MultishotOperation> {
    flight: Option<InFlight>,
    operation: std::marker::PhantomData<T>,
}

impl<T: MultishotOperation> Multishot<T> {
    /// Submits `operation` on the current worker's ring, or gives it back outside a worker.
    pub(crate) fn arm(operation: T, cx: &Context<'_>) -> Result<Self, T> {
        let mut operation = Some(operation);
        let flight = context::with_current_driver(|driver| {
            let in_slot = InSlot {
                operation: operation.take().expect("called once"),
                queue: CompletionQueue::new(),
                remote: driver.remote().clone(),
            };
            let prepare = |in_slot: &mut InSlot<T>| in_slot.operation.prepare();
            driver.submit_operation(in_slot, &InSlot::<T>::DELIVERY, prepare, cx.waker())
        });
        match flight {
            Some(flight) => Ok(Self {
                flight: Some(flight),
                operation: std::marker::PhantomData,
            }),
            None => Err(operation.take().expect("not submitted")),
        }
    }

    fn flight(&mut self) -> &mut InFlight {
        self.flight
            .as_mut()
            .expect("only the last completion ends the flight")
    }

    fn queue(flight: &InFlight) -> &CompletionQueue {
        let slot = flight.remote.slab().slot(flight.token.index());
        // SAFETY: the slot holds an `InSlot<T>` for as long as the flight lasts.
        let place = slot
            .payload
            .with(|payload| unsafe { place::<InSlot<T>>(payload) });
        // SAFETY: as above; the reaper takes only shared references too.
        &unsafe { &*place }.queue
    }

    /// The worker whose ring the operation is armed on.
    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.flight.as_ref().expect("armed").remote
    }

    /// Asks the kernel to stop; the last completion says when it has.
    pub(crate) fn cancel(&mut self) {
        self.flight().cancel();
    }

    /// The next completion. After [`Next::Last`] the operation is spent.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Next> {
        let flight: &InFlight = self.flight();
        match pop_or_register(Self::queue(flight), || flight.register_again(cx.waker())) {
            Ok(completion) => Poll::Ready(Next::More(completion)),
            Err(Registered::Waiting) => Poll::Pending,
            Err(Registered::Complete) => {
                let flight = self.flight.take().expect("armed");
                // SAFETY: complete, the slot holds an `InSlot<T>`, and the flight is over.
                let (_, completion) = unsafe { flight.take::<InSlot<T>>() };
                Poll::Ready(Next::Last(completion))
            }
        }
    }
}

impl<T: MultishotOperation> Drop for Multishot<T> {
    fn drop(&mut self) {
        if let Some(flight) = &mut self.flight {
            // SAFETY: the slot holds an `InSlot<T>`, and this value goes away.
            unsafe { flight.abandon::<InSlot<T>>(InSlot::dispose_all) };
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::driver::slot::SlotState;
    use crate::primitives::UnsafeCell;
    use crate::primitives::model::{Flag, check_bounded};
    use loom::sync::Arc;
    use loom::thread;

    /// What reaper and consumer share, as it is in a slot.
    struct Flight {
        queue: CompletionQueue,
        state: SlotState,
        result: UnsafeCell<Completion>,
    }

    // SAFETY: `SlotState` says who may touch the result when.
    unsafe impl Sync for Flight {}
    // SAFETY: as above.
    unsafe impl Send for Flight {}

    impl Flight {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                queue: CompletionQueue::new(),
                state: SlotState::new(),
                result: UnsafeCell::new(Completion::default()),
            })
        }

        /// Reaper: an item with more to come.
        fn deliver(&self, item: i32) {
            self.queue.push(Completion::new(item, 0));
            if let Some(waker) = self.state.notify() {
                waker.wake();
            }
        }

        /// Reaper: the last completion.
        fn finish(&self, item: i32) {
            let last = Completion::new(item, 0);
            // SAFETY: in flight, the result belongs to the reaper.
            self.result.with_mut(|result| unsafe { *result = last });
            let (waker, orphan) = self.state.complete();
            assert!(!orphan);
            if let Some(waker) = waker {
                waker.wake();
            }
        }

        /// Consumer: the next item and whether it was the last, or nothing.
        fn poll(&self, waker: &std::task::Waker) -> Option<(i32, bool)> {
            match pop_or_register(&self.queue, || self.state.register(waker)) {
                Ok(item) => Some((item.raw_result(), false)),
                Err(Registered::Waiting) => None,
                Err(Registered::Complete) => {
                    // SAFETY: complete, the result belongs to the future.
                    let last = self.result.with(|result| unsafe { *result });
                    Some((last.raw_result(), true))
                }
            }
        }
    }

    /// A consumer that polls three times beside a reaper that delivers `items`, and the last of them as
    /// the final completion if `finishes`. When its last poll was pending it is woken, or there is nothing
    /// left for it.
    fn check(items: i32, finishes: bool) {
        check_bounded(3, move || {
            let flight = Flight::new();
            let (flag, waker) = Flag::new();
            flight.state.arm(waker.clone());
            let reaper = {
                let flight = flight.clone();
                thread::spawn(move || {
                    let more = items - i32::from(finishes);
                    (0..more).for_each(|item| flight.deliver(item));
                    if finishes {
                        flight.finish(more);
                    }
                })
            };
            let (mut next, mut over, mut asleep) = (0, false, false);
            let mut poll = || {
                if over {
                    return None;
                }
                let (item, last) = flight.poll(&waker)?;
                assert_eq!(item, next, "out of order");
                next += 1;
                over = last;
                Some(item)
            };
            for _ in 0..3 {
                flag.take();
                asleep = poll().is_none();
            }
            reaper.join().expect("reaper");
            let woken = flag.take();
            let mut left = 0;
            while poll().is_some() {
                left += 1;
            }
            assert!(!asleep || woken || left == 0, "it sleeps on an item");
            assert_eq!((next, over), (items, finishes), "an item was lost");
        });
    }

    /// Items that come while the consumer registers are seen by it or wake it.
    ///
    /// Control, tried: a consumer that does not look at the queue again after it has registered.
    #[test]
    fn loom_consumer_never_sleeps_on_an_item() {
        check(2, false);
    }

    /// The last completion comes after the items before it, and wakes too.
    ///
    /// Control, tried: a consumer that finds the end and does not look at the queue again.
    #[test]
    fn loom_the_last_completion_comes_last() {
        check(2, true);
    }
}
