//! A single operation as a future.
//!
//! # Who owns the operation's memory
//!
//! | phase | owner of the operation value (buffers, addresses, descriptors) |
//! |---|---|
//! | not submitted | the future |
//! | in flight | the slot, which never moves; the kernel may use what it points to |
//! | dropped in flight | the slot; a cancel is on its way and the reaper disposes of the value |
//! | complete | the future, which hands it to [`Operation::complete`] |

#![expect(unsafe_code, reason = "typed access to the payload of a slot")]

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, RawWakerVTable, Waker, ready};

use io_uring::squeue;

use crate::context;
use crate::driver::completion::Completion;
use crate::driver::remote::Remote;
use crate::driver::slab::{Delivery, Payload, Token};
use crate::driver::slot::{Abandoned, Registered, SlotState};
use crate::scope::{Leaf, LeafToken, cancel_requested, note_begun};
use crate::task::JoinHandle;

/// A value that says how to fill a submission entry and how to read its completion.
///
/// # Safety
///
/// Everything the entry of [`prepare`](Self::prepare) points to lives in `self` (at the address it has
/// during the call) or behind a pointer that `self` owns, stays valid until `self` is dropped, and is
/// not accessed by anybody else meanwhile. The descriptor in the entry stays open as long as `self`.
pub unsafe trait Operation: Send + 'static {
    /// What awaiting the operation yields.
    type Output: Send + 'static;

    /// Fills the submission entry. `self` does not move afterwards until it is complete.
    fn prepare(&mut self) -> squeue::Entry;

    /// Reads the final completion.
    fn complete(self, completion: Completion) -> Self::Output;

    /// A completion that is not the last one: the result of a zero-copy send, whose buffer is released
    /// by the last one. Called with the operation still in the kernel's hands.
    fn more(&self, _completion: Completion) {}

    /// Disposes of an operation whose future was dropped, with its late completion. A success still
    /// yields what it opened or received; by default the output is built and dropped.
    fn orphaned(self, completion: Completion)
    where
        Self: Sized,
    {
        drop(self.complete(completion));
    }

    /// Whether `completion` says that nothing was done because the operation was cancelled.
    fn was_cancelled(&self, completion: Completion) -> bool {
        completion.is_cancelled()
    }

    /// Prepares to run once more after the runtime itself interrupted the operation to move it to
    /// another ring. Nothing of it has been done.
    fn restart(&mut self) {}
}

/// Whether a `T` lies in the payload itself or in a box that the payload points to.
const fn fits_inline<T>() -> bool {
    size_of::<T>() <= size_of::<Payload>() && align_of::<T>() <= align_of::<Payload>()
}

/// Moves `operation` into a payload.
///
/// # Safety
///
/// `payload` is valid for writes and holds nothing that needs dropping.
pub(crate) unsafe fn store<T>(payload: *mut Payload, operation: T) -> *mut T {
    if fits_inline::<T>() {
        let place = payload.cast::<T>();
        // SAFETY: it fits in size and alignment, and the caller vouches for the pointer.
        unsafe { place.write(operation) };
        place
    } else {
        let boxed = Box::into_raw(Box::new(operation));
        // SAFETY: a pointer fits, and the caller vouches for the pointer.
        unsafe { payload.cast::<*mut T>().write(boxed) };
        boxed
    }
}

/// Where the operation in `payload` lies.
///
/// # Safety
///
/// `payload` holds a `T` put there by [`store`].
pub(crate) unsafe fn place<T>(payload: *const Payload) -> *mut T {
    if fits_inline::<T>() {
        payload.cast::<T>().cast_mut()
    } else {
        // SAFETY: `store` wrote the box's pointer here.
        unsafe { payload.cast::<*mut T>().read() }
    }
}

/// Moves the operation out of `payload`.
///
/// # Safety
///
/// `payload` holds a `T` put there by [`store`], which the caller owns and which is not used again.
pub(crate) unsafe fn load<T>(payload: *const Payload) -> T {
    // SAFETY: as the caller vouches.
    let place = unsafe { place::<T>(payload) };
    if fits_inline::<T>() {
        // SAFETY: the caller owns the value and does not use it again.
        unsafe { place.read() }
    } else {
        // SAFETY: the pointer came from `Box::into_raw` and is not used again.
        *unsafe { Box::from_raw(place) }
    }
}

/// An operation that no future waits for: whichever worker reaps it runs its end.
///
/// # Safety
///
/// As for [`Operation`].
pub(crate) unsafe trait Background: Send + 'static {
    /// Fills the submission entry. `self` does not move afterwards until it is complete.
    fn prepare(&mut self) -> squeue::Entry;

    /// Ends it, with the kernel done. Runs without any lock of the driver's.
    fn complete(self, completion: Completion);
}

struct InBackground<T>(T);

impl<T: Background> InBackground<T> {
    const DELIVERY: Delivery = Delivery {
        more: |_, _| false,
        orphaned: Self::ended,
        is_background: true,
    };

    fn ended(payload: *mut Payload, completion: Completion) {
        // SAFETY: no future holds it and the kernel is done, so the reaper owns the value, which is a `T` since
        // this delivery lies beside it.
        let operation = unsafe { load::<T>(payload) };
        operation.complete(completion);
    }
}

/// What lies beside the payload of a `T`.
pub(crate) const fn background<T: Background>() -> &'static Delivery {
    &InBackground::<T>::DELIVERY
}

struct Typed<T>(T);

impl<T: Operation> Typed<T> {
    const DELIVERY: Delivery = Delivery {
        more: Self::more,
        orphaned: Self::orphaned,
        is_background: false,
    };

    fn more(payload: *const Payload, completion: Completion) -> bool {
        // SAFETY: this delivery is only put beside a payload that holds a `T`.
        let place = unsafe { place::<T>(payload) };
        // SAFETY: the value is in the slot until the final completion, which comes after this one.
        unsafe { &*place }.more(completion);
        false
    }

    fn orphaned(payload: *mut Payload, completion: Completion) {
        // SAFETY: the future is gone and the kernel is done, so the reaper owns the value.
        let operation = unsafe { load::<T>(payload) };
        operation.orphaned(completion);
    }
}

/// A use of a slot by a future.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) remote: Arc<Remote>,
    pub(crate) token: Token,
    /// The cancel was asked for by the holder, so `ECANCELED` is its answer.
    cancelled: bool,
}

/// The waker that was registered last, to be compared with.
#[derive(Debug, PartialEq, Eq)]
struct Identity(*const (), *const RawWakerVTable);

// SAFETY: the pointers are only compared.
unsafe impl Send for Identity {}
// SAFETY: as above.
unsafe impl Sync for Identity {}

impl From<&Waker> for Identity {
    fn from(waker: &Waker) -> Self {
        Self(waker.data(), std::ptr::from_ref(waker.vtable()))
    }
}

impl InFlight {
    pub(crate) fn new(remote: Arc<Remote>, token: Token) -> Self {
        Self {
            remote,
            token,
            cancelled: false,
        }
    }

    fn state(&self) -> &SlotState {
        &self.remote.slab().slot(self.token.index()).state
    }

    /// Makes sure that `waker` is the one to be called, and says whether the operation is complete. `last` is the
    /// one that was registered before.
    fn register(&self, waker: &Waker, last: &mut Identity) -> Registered {
        let state = self.state();
        if state.is_complete() {
            return Registered::Complete;
        }
        let identity = Identity::from(waker);
        if identity == *last && state.has_waker() {
            return Registered::Waiting;
        }
        *last = identity;
        state.register(waker)
    }

    /// As [`register`](Self::register), for an operation that calls its waker more than once. An operation
    /// uses one or the other.
    pub(crate) fn register_again(&self, waker: &Waker) -> Registered {
        self.state().register(waker)
    }

    /// Asks the kernel to cancel, on the ring the operation was submitted to. Never lost: from a
    /// foreign thread it goes through the mailbox.
    pub(crate) fn cancel(&mut self) {
        if std::mem::replace(&mut self.cancelled, true) {
            return;
        }
        let here = context::with_driver(&self.remote, |driver| driver.submit_cancel(self.token));
        if here.is_none() {
            self.remote
                .send(crate::driver::remote::Message::Cancel(self.token));
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Takes the result and the operation out of a complete slot and frees it.
    ///
    /// # Safety
    ///
    /// The slot is complete, holds a `T`, and is not used again through this value.
    pub(crate) unsafe fn take<T>(&self) -> (T, Completion) {
        let slot = self.remote.slab().slot(self.token.index());
        // SAFETY: the slot is complete, so everything in it belongs to the future.
        let completion = slot.result.with(|result| unsafe { *result });
        // SAFETY: as above; the caller vouches for the type.
        let operation = slot.payload.with(|payload| unsafe { load::<T>(payload) });
        self.free();
        (operation, completion)
    }

    fn free(&self) {
        let here = context::with_driver(&self.remote, |driver| driver.free_slot(self.token));
        if here.is_none() {
            self.remote.slab().free_remote(self.token);
        }
    }

    /// Ends the future's interest: the reaper disposes of a `T` still in flight, or `late` does now.
    ///
    /// # Safety
    ///
    /// The slot holds a `T` and is not used again through this value.
    pub(crate) unsafe fn abandon<T>(&mut self, late: impl FnOnce(T, Completion)) {
        if !self.state().is_complete() {
            // First ask for the cancel: once the slot is orphaned, its token may become stale.
            self.cancel();
        }
        match self.state().abandon() {
            Abandoned::InFlight => {}
            Abandoned::Complete => {
                // SAFETY: complete, and the caller vouches for the rest.
                let (operation, completion) = unsafe { self.take::<T>() };
                late(operation, completion);
            }
        }
    }
}

/// Passes the request to cancel on to the task that runs an operation for a foreign thread.
#[derive(Debug, Default)]
struct Relay {
    requested: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Relay {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self) {
        self.requested.store(true, Ordering::Release);
        let task = self.task().take();
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Runs `op` on a worker, cancelling it when that is asked for.
    async fn run<T: Operation>(self: Arc<Self>, mut op: Op<T>) -> T::Output {
        poll_fn(|cx| {
            // Before the look, so that a request that comes later finds the waker.
            *self.task() = Some(cx.waker().clone());
            if let Poll::Ready(output) = Pin::new(&mut op).poll(cx) {
                return Poll::Ready(output);
            }
            if self.requested.load(Ordering::Acquire) {
                op.request_cancel();
            }
            Poll::Pending
        })
        .await
    }
}

enum Phase<T: Operation> {
    Unsubmitted(T),
    InFlight(InFlight, Identity),
    /// Polled outside the runtime's workers: a task of the runtime runs it.
    Elsewhere(JoinHandle<T::Output>, Arc<Relay>),
    /// The runtime has ended: nothing will ever complete it.
    Stranded,
    /// A cancelled scope has ended it.
    Unwound,
    Done,
}

/// One operation on the ring of the worker that first polls it.
///
/// # Cancel safety
///
/// Dropping an unfinished operation asks the kernel to cancel it. Its memory stays with the runtime
/// until the kernel has let go of it, and a success that comes too late is given to
/// [`Operation::orphaned`].
///
/// In a scope that is being cancelled it does not start. One in flight is cancelled in the kernel, and the
/// scope waits for the kernel's answer: what was done anyway is the operation's output.
///
/// # Panics
///
/// Polling it outside a runtime, or again after it has completed.
#[must_use = "operations do nothing unless polled"]
pub struct Op<T: Operation> {
    phase: Phase<T>,
    leaf: Leaf,
    /// Held from the cancel on until the kernel's answer, on behalf of the scope.
    token: LeafToken,
}

impl<T: Operation> fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            Phase::Unsubmitted(_) => "unsubmitted",
            Phase::InFlight(..) => "in flight",
            Phase::Elsewhere(..) => "on a worker",
            Phase::Stranded => "stranded",
            Phase::Unwound => "unwound",
            Phase::Done => "done",
        };
        f.debug_struct("Op").field("phase", &phase).finish()
    }
}

// An unsubmitted operation may move, and one in flight lies in its slot.
impl<T: Operation> Unpin for Op<T> {}

impl<T: Operation> Op<T> {
    /// Wraps an operation; nothing happens before the first poll.
    #[track_caller]
    pub fn new(operation: T) -> Self {
        Self {
            phase: Phase::Unsubmitted(operation),
            leaf: Leaf::here(),
            token: LeafToken::new(),
        }
    }

    /// Asks the kernel to cancel and keeps waiting: the completion tells whether the operation was
    /// cancelled (`ECANCELED`) or had done its work already. Before the first poll this does nothing.
    pub fn request_cancel(&mut self) {
        match &mut self.phase {
            Phase::InFlight(flight, _) => flight.cancel(),
            Phase::Elsewhere(_, relay) => relay.request(),
            Phase::Unsubmitted(_) | Phase::Stranded | Phase::Unwound | Phase::Done => {}
        }
    }

    /// In flight or elsewhere, and pending.
    fn wait(&mut self) -> Poll<T::Output> {
        if cancel_requested() {
            self.cancel_for_scope();
        }
        self.leaf.pending()
    }

    #[cold]
    fn cancel_for_scope(&mut self) {
        if !self.token.is_held() {
            match &mut self.phase {
                // One that its holder has cancelled is waited for likewise.
                Phase::InFlight(flight, _) => flight.cancel(),
                Phase::Elsewhere(task, _) => drop(task.cancel()),
                Phase::Unsubmitted(_) | Phase::Stranded | Phase::Unwound | Phase::Done => {}
            }
        }
        self.token.hold();
    }

    fn take_unsubmitted(&mut self) -> T {
        let phase = std::mem::replace(&mut self.phase, Phase::Done);
        let Phase::Unsubmitted(operation) = phase else {
            unreachable!("the caller matched the phase")
        };
        operation
    }

    fn submit(&mut self, cx: &Context<'_>) {
        let operation = self.take_unsubmitted();
        let mut operation = Some(operation);
        let flight = context::with_current_driver(|driver| {
            let operation = operation.take().expect("called once");
            // SAFETY: `Operation` promises that what the entry points to lives with the operation,
            // which `submit_operation` puts into the slot before it prepares the entry.
            driver.submit_operation(operation, &Typed::<T>::DELIVERY, T::prepare, cx.waker())
        });
        self.phase = match flight {
            Some(flight) => Phase::InFlight(flight, Identity::from(cx.waker())),
            None => {
                let operation = operation.take().expect("not submitted");
                let handle = crate::Handle::try_current().unwrap_or_else(|| {
                    panic!(
                        "an I/O operation was polled outside a Heist runtime; \
                         await it inside `block_on`, a spawned task, or a `Handle::enter` guard"
                    )
                });
                let relay = Arc::<Relay>::default();
                let task = handle.spawn(relay.clone().run(Self::new(operation)));
                Phase::Elsewhere(task, relay)
            }
        };
    }
}

impl<T: Operation> Future for Op<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        loop {
            match &mut self.phase {
                Phase::Unsubmitted(_) => {
                    ready!(self.leaf.start());
                    self.submit(cx);
                    note_begun();
                    if matches!(self.phase, Phase::InFlight(..)) {
                        return self.leaf.pending();
                    }
                }
                Phase::InFlight(flight, waker) => {
                    if flight.register(cx.waker(), waker) == Registered::Waiting {
                        return self.wait();
                    }
                    // SAFETY: complete; `submit` stored a `T`; the phase changes below.
                    let (mut operation, completion) = unsafe { flight.take::<T>() };
                    let by_holder = flight.is_cancelled() && !self.token.is_held();
                    self.phase = Phase::Done;
                    self.token.release();
                    if by_holder || !operation.was_cancelled(completion) {
                        return Poll::Ready(operation.complete(completion));
                    }
                    // The runtime cancelled it, to drain the ring or to unwind the scope; nothing of it
                    // was done.
                    operation.restart();
                    self.phase = Phase::Unsubmitted(operation);
                }
                Phase::Elsewhere(handle, _) => {
                    let Poll::Ready(output) = Pin::new(handle).poll(cx) else {
                        return self.wait();
                    };
                    self.phase = Phase::Done;
                    let for_scope = self.token.is_held();
                    self.token.release();
                    return match output {
                        Ok(output) => Poll::Ready(output),
                        Err(error) => match error.try_into_panic() {
                            Ok(payload) => std::panic::resume_unwind(payload),
                            Err(_) if for_scope => {
                                self.phase = Phase::Unwound;
                                self.leaf.pending()
                            }
                            Err(_) => {
                                self.phase = Phase::Stranded;
                                self.leaf.pending()
                            }
                        },
                    };
                }
                Phase::Stranded => return self.leaf.pending(),
                Phase::Unwound => {
                    assert!(
                        cancel_requested(),
                        "an operation was polled again that a cancelled scope had ended"
                    );
                    return self.leaf.pending();
                }
                Phase::Done => panic!("an operation was polled after it had completed"),
            }
        }
    }
}

impl<T: Operation> Drop for Op<T> {
    fn drop(&mut self) {
        match &mut self.phase {
            Phase::InFlight(flight, _) => {
                // SAFETY: the slot holds a `T`, and this value goes away.
                unsafe { flight.abandon::<T>(T::orphaned) };
            }
            Phase::Elsewhere(handle, _) => {
                handle.cancel();
            }
            Phase::Unsubmitted(_) | Phase::Stranded | Phase::Unwound | Phase::Done => {}
        }
    }
}
