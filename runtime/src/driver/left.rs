//! Rings that a thread has left behind, because the kernel would not cancel what is in flight there: a
//! file operation that a kernel thread has begun, on a slow disk or a file system that hangs.
//!
//! Only worker 0 changes its thread, so only it leaves rings. The operations stay in their slots, and
//! complete through the old ring beside the worker's new one. The kernel rings the worker's bell when it
//! has something. Under DEFER only the thread that made the ring can fetch it: when it is worker 0 again,
//! or as it exits. Under COOP any of its system calls does. An emulated ring any thread can enter.

#![expect(unsafe_code, reason = "replacing a worker's ring")]

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::driver::local::Driver;
use crate::driver::ring::Ring;
use crate::driver::slab::Token;

/// Most times to look for the end of the wake poll, and how long each time.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(2);
/// How long an exiting thread sleeps before it looks whether a worker has reaped meanwhile.
const EXIT_LOOK: Duration = Duration::from_millis(50);

/// The rings that one worker has left.
#[derive(Debug, Default)]
pub(crate) struct LeftRings {
    rings: RefCell<Vec<Arc<LeftRing>>>,
    in_flight: Cell<u64>,
}

#[derive(Debug)]
struct LeftRing {
    ring: Ring,
    in_flight: AtomicU64,
}

/// The rings that a thread has left, for its exit.
#[derive(Debug, Default)]
struct LeftHere(Vec<Weak<LeftRing>>);

thread_local! {
    static LEFT_HERE: RefCell<LeftHere> = RefCell::default();
}

impl Drop for LeftHere {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|left| {
            if let Some(left) = left.upgrade() {
                left.fetch_all();
            }
        });
    }
}

impl LeftRing {
    /// Has the kernel post what it holds back for this thread, until nothing is left to come. That takes
    /// no longer than the exit of the thread takes anyway: the kernel waits there for what it does on the
    /// thread's behalf.
    fn fetch_all(&self) {
        loop {
            let in_flight = self.in_flight.load(Ordering::Acquire);
            if u64::from(self.ring.ready()) >= in_flight {
                return;
            }
            let want = u32::try_from(in_flight).unwrap_or(u32::MAX);
            let entered = self.ring.enter(want, Some(EXIT_LOOK));
            // Of the errors only the timeout and an interruption will pass.
            let goes_on = entered.map_or_else(
                |error| matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)),
                |_| true,
            );
            if !goes_on {
                return;
            }
        }
    }
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
        rings.retain(|left| {
            // An error means that there is nothing yet.
            if left.ring.is_emulated() {
                drop(left.ring.enter_foreign());
            } else if left.ring.is_of_this_thread() {
                drop(left.ring.enter(0, None));
            }
            let ended = driver.reaper().reap_left(driver.remote(), &left.ring);
            self.in_flight.set(self.in_flight.get() - ended);
            left.in_flight.fetch_sub(ended, Ordering::AcqRel) > ended
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
        self.ring().set_bell(self.remote().event_fd());
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
        let ring = Arc::new(LeftRing {
            ring,
            in_flight: AtomicU64::new(in_flight),
        });
        // What an emulated ring has in flight needs no thread of ours. And on a thread that is exiting already
        // nobody will fetch anything.
        if !ring.ring.is_emulated() {
            let _: Result<(), _> = LEFT_HERE.try_with(|here| {
                let rings = &mut here.borrow_mut().0;
                rings.retain(|ring| ring.strong_count() > 0);
                rings.push(Arc::downgrade(&ring));
            });
        }
        left.rings.borrow_mut().push(ring);
    }
}
