//! The owner's half of a driver: submission, the cancel path, and the buffers.

#![expect(unsafe_code, reason = "the owner's side of shared memory")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

use io_uring::{opcode, squeue, types};

use crate::driver::buffers::BufferRing;
use crate::driver::left::LeftRings;
use crate::driver::op::{Background, InFlight, background, load, store};
use crate::driver::reap::Reaper;
use crate::driver::remote::Remote;
use crate::driver::ring::{Ring, RingConfig};
use crate::driver::slab::{Delivery, FreeList, Token};
use crate::metrics::bump;
use crate::trace;

/// An operation in a slot that has not been submitted: taken out again if preparing it panics.
struct Unprepared<'a, T> {
    driver: &'a Driver,
    token: Token,
    operation: PhantomData<T>,
}

impl<T> Drop for Unprepared<'_, T> {
    fn drop(&mut self) {
        let slot = self.driver.remote.slab().slot(self.token.index());
        // Nobody else knows of the slot yet: completing it gives it back.
        let (waker, _) = slot.state.complete();
        drop(waker);
        // SAFETY: the slot holds the `T` that was just stored there, and is not used again.
        let operation = slot.payload.with(|payload| unsafe { load::<T>(payload) });
        self.driver.free_slot(self.token);
        drop(operation);
    }
}

/// How often the need for receive buffers is weighed.
const BUFFER_PERIOD: Duration = Duration::from_secs(1);

/// One worker's driver, used on the worker's thread only.
#[derive(Debug)]
pub(crate) struct Driver {
    remote: Arc<Remote>,
    slots: FreeList,
    /// Entries that found no place because the kernel had no resources to take the ones before.
    backlog: RefCell<VecDeque<squeue::Entry>>,
    buffers: BufferRing,
    /// When the present period of the buffers' bookkeeping began.
    buffer_period: Cell<Instant>,
    reaper: Reaper,
    left: LeftRings,
    /// io-wq limits to apply to a new ring: bounded and unbounded workers.
    iowq: [u32; 2],
}

impl Driver {
    pub(crate) fn new(remote: Arc<Remote>, iowq: [u32; 2]) -> Self {
        Self {
            slots: FreeList::default(),
            backlog: RefCell::new(VecDeque::new()),
            buffers: BufferRing::new(remote.buffers()),
            buffer_period: Cell::new(Instant::now()),
            reaper: Reaper::default(),
            left: LeftRings::default(),
            iowq,
            remote,
        }
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    pub(crate) fn buffers(&self) -> &BufferRing {
        &self.buffers
    }

    pub(crate) fn reaper(&self) -> &Reaper {
        &self.reaper
    }

    /// Creates the ring of this worker on the calling thread, or keeps the one it has.
    pub(crate) fn open(&self, config: RingConfig) -> io::Result<()> {
        let ring = Ring::new(config)?;
        ring.limit_threads(self.iowq)?;
        self.buffers.register(self.remote.buffers(), &ring)?;
        // SAFETY: this is the owner and holds no reference to the old ring, which was closed before.
        let old = unsafe { self.remote.ring.replace(Some(ring)) };
        assert!(
            old.is_none(),
            "a worker's old ring is closed before it opens another"
        );
        self.remote.wake_lost.store(true, Ordering::Relaxed);
        self.arm_wake();
        Ok(())
    }

    /// Whether the worker has a ring.
    pub(crate) fn is_open(&self) -> bool {
        // SAFETY: this is the owner's thread.
        unsafe { self.remote.ring.owned() }.is_some()
    }

    /// Closes the ring if nothing is in flight on it, otherwise leaves it. Returns whether nothing is in
    /// flight, on rings left behind either.
    pub(crate) fn close(&self) -> bool {
        if self.in_flight_here() > 0 || !self.backlog.borrow().is_empty() {
            return false;
        }
        if self.is_open() {
            self.buffers.unregister(self.ring());
            // SAFETY: this is the owner, and no reference from `ring` is alive.
            drop(unsafe { self.remote.ring.replace(None) });
        }
        self.in_flight() == 0
    }

    /// The ring, which every running worker has.
    #[inline(always)]
    pub(crate) fn ring(&self) -> &Ring {
        // SAFETY: a `Driver` is used on the owner's thread only.
        unsafe { self.remote.ring.owned() }.expect("a running worker has a ring")
    }

    /// Operations that have not had their final completion.
    pub(crate) fn in_flight(&self) -> u64 {
        self.remote.in_flight()
    }

    /// Those of them that are on the present ring, and on none that was left behind.
    pub(crate) fn in_flight_here(&self) -> u64 {
        self.in_flight() - self.left.in_flight()
    }

    pub(crate) fn left(&self) -> &LeftRings {
        &self.left
    }

    /// Moves `operation` into a slot, has `prepare` fill its entry there, and submits it.
    pub(crate) fn submit_operation<T: Send + 'static>(
        &self,
        operation: T,
        delivery: &'static Delivery,
        prepare: impl FnOnce(&mut T) -> squeue::Entry,
        waker: &Waker,
    ) -> InFlight {
        let token = self.remote.slab().allocate(&self.slots);
        let slot = self.remote.slab().slot(token.index());
        // SAFETY: the slot was free, so it is ours alone until the entry is published.
        let place = slot
            .payload
            .with_mut(|payload| unsafe { store(payload, operation) });
        // SAFETY: as above.
        slot.delivery
            .with_mut(|cell| unsafe { *cell = Some(delivery) });
        slot.state.arm(waker.clone());
        let unprepared = Unprepared::<T> {
            driver: self,
            token,
            operation: PhantomData,
        };
        // SAFETY: `place` is where the operation was just put.
        let entry = prepare(unsafe { &mut *place }).user_data(token.raw());
        std::mem::forget(unprepared);
        bump(&self.remote.counters.submissions);
        self.submit(entry);
        InFlight::new(self.remote.clone(), token)
    }

    /// As [`submit_operation`](Self::submit_operation), for an operation that no future waits for.
    pub(crate) fn submit_background<T: Background>(&self, operation: T) {
        let token = self.remote.slab().allocate(&self.slots);
        let slot = self.remote.slab().slot(token.index());
        // SAFETY: the slot was free, so it is ours alone until the entry is published.
        let place = slot
            .payload
            .with_mut(|payload| unsafe { store(payload, operation) });
        // SAFETY: as above.
        slot.delivery
            .with_mut(|cell| unsafe { *cell = Some(background::<T>()) });
        slot.state.arm_orphaned();
        // SAFETY: `place` is where the operation was just put.
        let entry = unsafe { &mut *place }.prepare().user_data(token.raw());
        bump(&self.remote.counters.submissions);
        self.submit(entry);
    }

    /// Queues an entry for the kernel; never loses it. When the SQ is full the kernel is entered; when
    /// the kernel has no resources the entry waits in the backlog.
    pub(crate) fn submit(&self, entry: squeue::Entry) {
        let Err(entry) = self.push_behind_backlog(entry) else {
            return;
        };
        bump(&self.remote.counters.sq_full);
        self.enter(0, None);
        if let Err(entry) = self.push_behind_backlog(entry) {
            self.backlog.borrow_mut().push_back(entry);
        }
    }

    fn push_behind_backlog(&self, entry: squeue::Entry) -> Result<(), squeue::Entry> {
        if !self.flush_backlog() {
            return Err(entry);
        }
        // SAFETY: this is the owner's thread; the entries come from `submit_operation`, whose slot
        // keeps the operation until its final completion, and from cancels and polls without memory.
        unsafe { self.ring().push(entry) }
    }

    /// Moves the backlog into the SQ as far as there is room; whether it is empty now.
    pub(crate) fn flush_backlog(&self) -> bool {
        let mut backlog = self.backlog.borrow_mut();
        while let Some(entry) = backlog.pop_front() {
            // SAFETY: as in `push_behind_backlog`.
            if let Err(entry) = unsafe { self.ring().push(entry) } {
                backlog.push_front(entry);
                return false;
            }
        }
        true
    }

    /// Submits a cancel for an operation of this worker.
    pub(crate) fn submit_cancel(&self, token: Token) {
        let entry = opcode::AsyncCancel::new(token.raw())
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(token.to_cancel().raw());
        self.submit(entry);
    }

    /// The kernel has not found what it was to cancel. If that has not ended, it was on its way from one queue
    /// of the kernel's to another (a poll that has fired, to a kernel thread), and is asked for once more.
    #[cold]
    pub(crate) fn cancel_again(&self, token: Token) {
        // On a ring that was left behind it cannot be reached from here, however often.
        if self.left().in_flight() == 0 && self.remote.slab().is_in_flight(token) {
            self.submit_cancel(token);
        }
    }

    /// Submits a cancel for everything in flight on this ring except the wake poll, which a cancel of
    /// everything would end too.
    pub(crate) fn submit_cancel_all(&self) {
        let entry = opcode::AsyncCancel2::new(types::CancelBuilder::any())
            .build()
            .user_data(Token::IGNORE.raw());
        self.submit(entry);
    }

    pub(crate) fn free_slot(&self, token: Token) {
        self.remote.slab().free_local(&self.slots, token);
    }

    /// Arms the poll on the eventfd if it has ended.
    #[inline]
    pub(crate) fn arm_wake(&self) {
        if !self.remote.wake_lost.load(Ordering::Relaxed) {
            return;
        }
        self.remote.wake_lost.store(false, Ordering::Relaxed);
        let entry = opcode::PollAdd::new(types::Fd(self.remote.event_fd()), libc::POLLIN as u32)
            .multi(true)
            .build()
            .user_data(Token::WAKE.raw());
        self.submit(entry);
    }

    /// Submits what is queued, runs the ring's task work and, with `want > 0`, waits for completions.
    /// Interruptions and shortages are left to the next round.
    pub(crate) fn enter(&self, want: u32, timeout: Option<Duration>) {
        bump(&self.remote.counters.enters);
        match self.ring().enter(want, timeout) {
            Ok(_) => {}
            Err(error) => match error.raw_os_error() {
                // EINTR: a signal; ETIME: the timeout. EAGAIN, EBUSY: the kernel is short of memory or
                // of room for completions; reaping makes room and the entries stay queued.
                Some(libc::EINTR | libc::ETIME) => {}
                Some(libc::EAGAIN | libc::EBUSY) => bump(&self.remote.counters.enter_busy),
                _ => panic!("io_uring_enter failed in a way that loses operations: {error}"),
            },
        }
    }

    /// Whether an enter would submit something or bring completions to light.
    #[inline]
    pub(crate) fn wants_enter(&self) -> bool {
        let ring = self.ring();
        ring.unsubmitted() > 0 || ring.wants_enter()
    }

    /// Drains this worker's CQ and looks after its buffers. Returns the completions delivered.
    #[inline]
    pub(crate) fn reap(&self) -> usize {
        let count = if self.ring().ready() > 0 {
            self.reaper.reap(&self.remote)
        } else {
            0
        };
        if count > 0 || self.remote.buffers().has_returned() || self.has_unfinished_business() {
            self.after_reap();
        }
        count
    }

    /// Whether something waits for the next reap that is no completion: entries in the backlog, or a
    /// wake poll that ended.
    #[inline]
    pub(crate) fn has_unfinished_business(&self) -> bool {
        self.remote.wake_lost.load(Ordering::Relaxed) || !self.backlog.borrow().is_empty()
    }

    /// Lets the receive buffers shrink after a period in which few were needed.
    pub(crate) fn end_buffer_period(&self, now: Instant) {
        if now.duration_since(self.buffer_period.get()) >= BUFFER_PERIOD {
            self.buffer_period.set(now);
            let (pool, before) = (self.remote.buffers(), self.buffers.target());
            self.buffers.end_period(pool);
            let after = self.buffers.target();
            if after < before {
                trace::buffers_shrunk(self.remote.index(), before, after, pool.limit());
            }
        }
    }

    fn after_reap(&self) {
        let (pool, before) = (self.remote.buffers(), self.buffers.target());
        let starved = self.buffers.maintain(pool);
        self.left.look(self);
        self.flush_backlog();
        self.arm_wake();
        if starved {
            bump(&self.remote.counters.buffer_starvations);
            let after = self.buffers.target();
            trace::buffers_starved(self.remote.index(), before, after, pool.limit());
        }
    }
}
