//! Rings that a thread has left behind, because the kernel would not cancel what is in flight there: a
//! file operation that a kernel thread has begun, on a slow disk or a file system that hangs.
//!
//! Only worker 0 changes its thread, so only it leaves rings. The operations stay in their slots, and
//! complete through the old ring beside the worker's new one. The kernel rings the worker's bell when it
//! has something. Under DEFER only the thread that made the ring can fetch it: when it is worker 0 again,
//! or by exiting. Under COOP any of its system calls does.

#![expect(unsafe_code, reason = "replacing a worker's ring")]

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::driver::local::Driver;
use crate::driver::ring::Ring;
use crate::driver::slab::Token;
use crate::driver::sys;

/// Most times to look for the end of the wake poll, and how long each time.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(2);

/// The rings that one worker has left.
#[derive(Debug, Default)]
pub(crate) struct LeftRings {
    rings: RefCell<Vec<LeftRing>>,
    in_flight: Cell<u64>,
}

#[derive(Debug)]
struct LeftRing {
    ring: Ring,
    in_flight: u64,
}

impl LeftRings {
    /// Operations in flight on them.
    #[inline]
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    /// Delivers what has completed there.
    #[inline]
    pub(crate) fn look(&self, driver: &Driver) {
        if self.in_flight.get() > 0 {
            self.look_at_each(driver);
        }
    }

    #[cold]
    fn look_at_each(&self, driver: &Driver) {
        // A waker or destructor that comes back here finds none.
        let mut rings = self.rings.take();
        rings.retain_mut(|left| {
            if left.ring.is_of_this_thread() {
                // An error means that there is nothing yet.
                drop(left.ring.enter(0, None));
            }
            let ended = driver.reaper().reap_left(driver.remote(), &left.ring);
            left.in_flight -= ended;
            self.in_flight.set(self.in_flight.get() - ended);
            left.in_flight > 0
        });
        self.rings.borrow_mut().append(&mut rings);
    }
}

impl Drop for LeftRings {
    fn drop(&mut self) {
        // The kernel may still post to them.
        self.rings.take().into_iter().for_each(std::mem::forget);
    }
}

impl Driver {
    /// Worker 0, about to be left by its thread: if operations are in flight that would not end, takes
    /// from the ring what a next one needs. Returns whether the ring is to be left behind
    /// ([`leave_ring`](Self::leave_ring)).
    pub(crate) fn prepare_to_leave_ring(&self) -> bool {
        if self.in_flight_here() == 0 {
            return false;
        }
        // The end of the wake poll on a new ring must not be taken for that of this one.
        self.submit_cancel(Token::WAKE);
        let has_ended = (0..LOOKS).any(|_| {
            self.enter(1, Some(LOOK));
            self.reaper().reap(self.remote());
            self.remote().wake_lost.load(Ordering::Relaxed)
        });
        if !has_ended || !self.flush_backlog() || self.ring().unsubmitted() > 0 {
            // Short of memory, the kernel has not taken everything. The ring stays the worker's.
            self.arm_wake();
            return false;
        }
        if self.in_flight_here() == 0 {
            self.arm_wake();
            return false;
        }
        self.buffers().unregister(self.ring());
        // Without the bell the ring is looked at whenever the worker has completions of its own.
        drop(sys::register_eventfd(
            self.ring().fd(),
            self.remote().event_fd(),
        ));
        true
    }

    /// Leaves the ring behind, after [`prepare_to_leave_ring`](Self::prepare_to_leave_ring).
    pub(crate) fn leave_ring(&self) {
        let in_flight = self.in_flight_here();
        // SAFETY: this is the owner, and no reference from `ring` is alive.
        let ring = unsafe { self.remote().ring.replace(None) };
        let Some(ring) = ring else { return };
        let left = self.left();
        left.in_flight.set(left.in_flight.get() + in_flight);
        left.rings.borrow_mut().push(LeftRing { ring, in_flight });
    }
}
