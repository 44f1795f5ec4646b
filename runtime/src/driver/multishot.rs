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

    fn queue(&self) -> &CompletionQueue {
        let flight = self
            .flight
            .as_ref()
            .expect("only the last completion ends the flight");
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
        if let Some(completion) = self.queue().pop() {
            return Poll::Ready(Next::More(completion));
        }
        let registered = self.flight().register_again(cx.waker());
        // Registering first and looking again afterwards is what makes an item that arrives in
        // between either seen here or announced by the reaper.
        if let Some(completion) = self.queue().pop() {
            return Poll::Ready(Next::More(completion));
        }
        match registered {
            Registered::Waiting => Poll::Pending,
            Registered::Complete => {
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
