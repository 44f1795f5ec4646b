//! Draining a completion queue: first everything is delivered under the CQ lock, then wakers and
//! destructors run without it.

#![expect(unsafe_code, reason = "delivery into slots")]

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use io_uring::cqueue;

use crate::driver::completion::Completion;
use crate::driver::remote::{Message, Remote};
use crate::driver::ring::Ring;
use crate::driver::slab::Token;
use crate::metrics::{add, bump};
use crate::panics;

/// Completions handled under one hold of the lock.
const BATCH: usize = 128;

/// Scratch space for draining; each worker has one and uses it for its own and for siblings' queues.
#[derive(Debug)]
pub(crate) struct Reaper {
    scratch: RefCell<Scratch>,
}

#[derive(Debug)]
struct Scratch {
    batch: Vec<cqueue::Entry>,
    wakers: Vec<Waker>,
    orphans: Vec<(Token, Completion)>,
    lagging: Vec<Token>,
    /// Operations that the kernel was to cancel and has not found.
    missed: Vec<Token>,
    /// What user code panicked with under the lock.
    panics: Vec<Box<dyn Any + Send>>,
    /// A ring of the bell was among the completions.
    bell: bool,
    /// Operations that had their final completion.
    ended: u64,
}

impl Default for Reaper {
    fn default() -> Self {
        Self {
            scratch: RefCell::new(Scratch {
                batch: Vec::with_capacity(BATCH),
                wakers: Vec::with_capacity(BATCH),
                orphans: Vec::new(),
                lagging: Vec::new(),
                missed: Vec::new(),
                panics: Vec::new(),
                bell: false,
                ended: 0,
            }),
        }
    }
}

impl Reaper {
    /// Delivers what is visible in the CQ of `remote`; wakers are called on this thread. Returns the
    /// number of completions, 0 also when somebody else is draining it.
    pub(crate) fn reap(&self, remote: &Arc<Remote>) -> usize {
        self.reap_from(remote, None).0
    }

    /// As [`reap`](Self::reap), from a ring that a thread of this worker's has left behind. Returns the
    /// number of operations that have ended.
    pub(crate) fn reap_left(&self, remote: &Arc<Remote>, ring: &Ring) -> u64 {
        self.reap_from(remote, Some(ring)).1
    }

    fn reap_from(&self, remote: &Arc<Remote>, left: Option<&Ring>) -> (usize, u64) {
        // A waker or destructor that ends up here again finds the scratch taken; the outer call will
        // look again before its worker parks.
        let Ok(mut scratch) = self.scratch.try_borrow_mut() else {
            return (0, 0);
        };
        let mut total = 0;
        scratch.ended = 0;
        loop {
            let count = scratch.drain(remote, left);
            total += count;
            for payload in scratch.panics.drain(..) {
                panics::report("destructor", payload);
            }
            for waker in scratch.wakers.drain(..) {
                panics::wake(waker);
            }
            while let Some((token, completion)) = scratch.orphans.pop() {
                dispose(remote, token, completion);
            }
            if std::mem::take(&mut scratch.bell) {
                pass_on_the_bell(remote);
            }
            while let Some(token) = scratch.lagging.pop() {
                cancel(remote, token);
            }
            while let Some(token) = scratch.missed.pop() {
                cancel_again(remote, token);
            }
            if count < BATCH {
                return (total, scratch.ended);
            }
        }
    }
}

impl Scratch {
    fn drain(&mut self, remote: &Arc<Remote>, left: Option<&Ring>) -> usize {
        let Some(guard) = remote.ring.try_lock() else {
            return 0;
        };
        // The lock is that of all rings this worker has had: they deliver into the same slots.
        let Some(ring) = left.or_else(|| guard.ring()) else {
            return 0;
        };
        let foreign = !is_own(remote);
        self.batch.clear();
        // SAFETY: the guard is the CQ lock, also that of the rings left behind.
        unsafe { ring.take_completions(&mut self.batch, |entry| foreign && ends_the_bell(entry)) };
        let batch = std::mem::take(&mut self.batch);
        for entry in &batch {
            let token = Token::from_raw(entry.user_data());
            self.deliver(remote, token, Completion::from_entry(entry));
        }
        let count = batch.len();
        self.batch = batch;
        add(&remote.counters.completions, count as u64);
        count
    }

    fn deliver(&mut self, remote: &Arc<Remote>, token: Token, completion: Completion) {
        if token == Token::IGNORE {
            return;
        }
        if token == Token::WAKE {
            self.bell = true;
            if !completion.has_more() {
                remote.wake_lost.store(true, Ordering::Relaxed);
            }
            return;
        }
        if let Some(cancelled) = token.cancels() {
            // EALREADY: it is being done on a kernel thread, which is interrupted.
            if completion.raw_result() == -libc::ENOENT {
                self.missed.push(cancelled);
            }
            return;
        }
        let Some(slot) = remote.slab().resolve(token) else {
            debug_assert!(
                false,
                "a completion for a slot that has moved on: {token:?}"
            );
            bump(&remote.counters.stale_completions);
            return;
        };
        if completion.buffer_id().is_some() {
            remote.buffers().note_taken();
        }
        if completion.raw_result() == -libc::ENOBUFS {
            remote.buffers().note_starved();
        }
        if completion.has_more() {
            // SAFETY: `delivery` was written before submission and stays until the slot is reused.
            let delivery = slot.delivery.with(|cell| unsafe { *cell });
            if let Some(delivery) = delivery {
                let mut lags = false;
                let panic = panics::catch(|| {
                    // SAFETY: the payload beside a delivery is of its type and in flight.
                    lags = slot
                        .payload
                        .with(|payload| unsafe { (delivery.more)(payload, completion) });
                });
                self.panics.extend(panic);
                if lags {
                    self.lagging.push(token);
                }
            }
            self.wakers.extend(slot.state.notify());
            return;
        }
        // SAFETY: in flight, the result belongs to the reaper.
        slot.result
            .with_mut(|result| unsafe { *result = completion });
        let (waker, orphan) = slot.state.complete();
        self.ended += 1;
        let completed = remote.completed.load(Ordering::Relaxed);
        remote
            .completed
            .store(completed.wrapping_add(1), Ordering::Release);
        if orphan {
            self.panics.extend(panics::catch(|| drop(waker)));
            // SAFETY: `delivery` was written before submission and stays until the slot is reused.
            let delivery = slot.delivery.with(|cell| unsafe { *cell });
            if delivery.is_none_or(|delivery| !delivery.is_background) {
                bump(&remote.counters.orphans);
            }
            self.orphans.push((token, completion));
        } else {
            self.wakers.extend(waker);
        }
    }
}

/// Whether the current worker is the one that `remote` belongs to.
fn is_own(remote: &Arc<Remote>) -> bool {
    crate::context::with_driver(remote, |_| ()).is_some()
}

/// Whether this is the last completion of a wake poll. Only the owner takes it: it may be about to sleep,
/// and without the poll nothing else would wake it. Left in the queue, it keeps the owner from sleeping.
fn ends_the_bell(entry: &cqueue::Entry) -> bool {
    entry.user_data() == Token::WAKE.raw() && !Completion::from_entry(entry).has_more()
}

/// A watcher that drains a sibling's queue may take the very completion that was to end the sibling's
/// sleep: the sibling looks lively to it once it has been claimed, and may still be on its way into the
/// kernel. So the bell is rung once more; the poll that hears it is armed (see [`ends_the_bell`]).
fn pass_on_the_bell(remote: &Arc<Remote>) {
    if !is_own(remote) {
        remote.ring_the_bell();
    }
}

/// Cancels an operation of `remote` from whatever worker this is.
fn cancel(remote: &Arc<Remote>, token: Token) {
    let here = crate::context::with_driver(remote, |driver| driver.submit_cancel(token));
    if here.is_none() {
        remote.send(Message::Cancel(token));
    }
}

/// The same, if it is in flight still, for one that was not found.
fn cancel_again(remote: &Arc<Remote>, token: Token) {
    let here = crate::context::with_driver(remote, |driver| driver.cancel_again(token));
    if here.is_none() && remote.slab().is_in_flight(token) {
        remote.send(Message::Cancel(token));
    }
}

/// Lets an operation whose future is gone take its completion, and frees the slot.
fn dispose(remote: &Arc<Remote>, token: Token, completion: Completion) {
    let slot = remote.slab().slot(token.index());
    // SAFETY: orphaned and complete, so the slot belongs to the reaper.
    let delivery = slot.delivery.with(|cell| unsafe { *cell });
    if let Some(delivery) = delivery {
        let hand_over = || {
            // SAFETY: as above, and the payload is of the delivery's type.
            slot.payload
                .with_mut(|payload| unsafe { (delivery.orphaned)(payload, completion) });
        };
        // A destructor of the user's that panics must not take the worker down with it.
        panics::contain("destructor", hand_over);
    }
    let here = crate::context::with_driver(remote, |driver| driver.free_slot(token));
    if here.is_none() {
        remote.slab().free_remote(token);
    }
}
