//! The half of a worker's driver that other threads may use.

#![expect(
    unsafe_code,
    reason = "a ring shared between its owner and the holder of the CQ lock"
)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64};
use std::time::{Duration, Instant};

use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;

use crate::driver::buffers::{BufferConfig, BufferPool};
use crate::driver::ring::Ring;
use crate::driver::slab::{Slab, Token};
use crate::metrics::Counters;
use crate::primitives::atomic::{AtomicBool, Ordering};
use crate::primitives::{UnsafeCell, yield_now};
use crate::scheduler::idle::IdleSet;
use crate::task::TaskRef;
use crate::time::TimerKey;

/// How long a worker that was stuck counts as one that may be stuck again.
const STUCK_MEMORY: Duration = Duration::from_millis(100);

/// What a worker is asked to do by others.
#[derive(Debug)]
pub(crate) enum Message {
    /// Cancel an operation in flight on this worker's ring.
    Cancel(Token),
    /// Run a task that is bound to this worker, or that follows its data here.
    Run(TaskRef),
    /// A task of this worker's list ended elsewhere: unlink it and drop the list's reference.
    Unlink(TaskRef),
    /// A timer of this worker's wheel was dropped elsewhere.
    DropTimer(TimerKey),
    /// Tell which tasks there are.
    Dump(Arc<crate::task::dump_request::Collector>),
}

/// A ring, with the lock that says who drains its CQ.
#[derive(Debug)]
pub(crate) struct RingCell<R = Ring> {
    locked: AtomicBool,
    ring: UnsafeCell<Option<R>>,
}

// SAFETY: the owner reads `ring` without the lock and replaces it only under the lock; everybody else
// reads it under the lock.
unsafe impl<R: Send + Sync> Sync for RingCell<R> {}

impl<R> Default for RingCell<R> {
    fn default() -> Self {
        Self {
            locked: AtomicBool::new(false),
            ring: UnsafeCell::new(None),
        }
    }
}

/// The right to drain the CQ and to look at the ring.
#[derive(Debug)]
pub(crate) struct CqGuard<'a, R = Ring> {
    cell: &'a RingCell<R>,
}

impl<R> CqGuard<'_, R> {
    /// The ring, if the worker has one at present.
    pub(crate) fn ring(&self) -> Option<&R> {
        // SAFETY: replacing the ring takes the lock, which this guard holds.
        self.cell.ring.with(|ring| unsafe { (*ring).as_ref() })
    }
}

impl<R> Drop for CqGuard<'_, R> {
    fn drop(&mut self) {
        self.cell.locked.store(false, Ordering::Release);
    }
}

impl<R> RingCell<R> {
    /// Takes the CQ lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<CqGuard<'_, R>> {
        // A swap would do as well, but one that fails writes, and loom then admits orders in which it
        // hides the unlocking.
        self.locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| CqGuard { cell: self })
    }

    /// Takes the CQ lock; its holders never block, so neither does this for long.
    pub(crate) fn lock(&self) -> CqGuard<'_, R> {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            yield_now();
        }
    }

    /// The ring as its owner sees it.
    ///
    /// # Safety
    ///
    /// Only the owning worker's thread calls this, and it drops the reference before `replace`.
    #[inline(always)]
    pub(crate) unsafe fn owned(&self) -> Option<&R> {
        // SAFETY: only the owner replaces the ring, and the caller is the owner.
        self.ring.with(|ring| unsafe { (*ring).as_ref() })
    }

    /// Puts another ring in place and returns the old one.
    ///
    /// # Safety
    ///
    /// Only the owning worker calls this, holding no reference from `owned`.
    pub(crate) unsafe fn replace(&self, ring: Option<R>) -> Option<R> {
        let _guard = self.lock();
        // SAFETY: the lock keeps siblings out, and the caller vouches for the owner.
        self.ring
            .with_mut(|place| unsafe { std::mem::replace(&mut *place, ring) })
    }
}

/// What other threads know of a worker's driver.
///
/// Every operation, timer and buffer of the worker holds an `Arc` of it, so that they may outlive the
/// runtime.
#[derive(Debug)]
pub(crate) struct Remote {
    index: usize,
    slab: Slab,
    buffers: BufferPool,
    mailbox: SegQueue<Message>,
    event: OwnedFd,
    idle: Arc<IdleSet>,
    pub(crate) ring: CachePadded<RingCell>,
    /// Final completions delivered since the start; written under the CQ lock.
    pub(crate) completed: CachePadded<AtomicU64>,
    /// The poll on the eventfd ended and has to be armed again.
    pub(crate) wake_lost: AtomicBool,
    /// The CPU the worker ran on when it last looked.
    pub(crate) cpu: AtomicI32,
    /// The worker's thread, 0 while it has none.
    pub(crate) thread: AtomicI32,
    /// A sibling has found the worker stuck in a task, and the worker has not got on since.
    stuck: AtomicBool,
    /// When that was last, in microseconds since `born`; 0 for never.
    stuck_at: AtomicU64,
    born: Instant,
    pub(crate) counters: CachePadded<Counters>,
}

impl Remote {
    pub(crate) fn new(index: usize, buffers: BufferConfig, idle: Arc<IdleSet>) -> io::Result<Self> {
        // SAFETY: the call takes no pointers.
        let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just returned this descriptor to us alone.
        let event = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Self {
            index,
            slab: Slab::new(),
            buffers: BufferPool::new(buffers)?,
            mailbox: SegQueue::new(),
            event,
            idle,
            ring: CachePadded::default(),
            completed: CachePadded::default(),
            wake_lost: AtomicBool::new(true),
            cpu: AtomicI32::new(-1),
            thread: AtomicI32::new(0),
            stuck: AtomicBool::new(false),
            stuck_at: AtomicU64::new(0),
            born: Instant::now(),
            counters: CachePadded::default(),
        })
    }

    /// Which worker this is.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn slab(&self) -> &Slab {
        &self.slab
    }

    pub(crate) fn buffers(&self) -> &BufferPool {
        &self.buffers
    }

    pub(crate) fn event_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Operations submitted here that have not had their final completion. Exact for the owner.
    pub(crate) fn in_flight(&self) -> u64 {
        let completed = self.completed.load(Ordering::Acquire);
        self.counters
            .submissions
            .load(Ordering::Relaxed)
            .wrapping_sub(completed)
    }

    /// Whether a sibling has found the worker stuck in a task that it has not left yet.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// A sibling says that the worker is stuck.
    pub(crate) fn mark_stuck(&self) {
        self.stuck.store(true, Ordering::Relaxed);
        self.stuck_at.store(self.age(), Ordering::Relaxed);
    }

    /// Whether a sibling has found the worker stuck not long ago, so that it may be again.
    pub(crate) fn was_stuck_lately(&self) -> bool {
        let at = self.stuck_at.load(Ordering::Relaxed);
        at != 0 && self.age().saturating_sub(at) < STUCK_MEMORY.as_micros() as u64
    }

    fn age(&self) -> u64 {
        self.born.elapsed().as_micros() as u64
    }

    /// The owner says that it gets on.
    #[inline]
    pub(crate) fn clear_stuck(&self) {
        if self.is_stuck() {
            self.stuck.store(false, Ordering::Relaxed);
        }
    }

    /// Puts a message into the mailbox and sees to it that the worker reads it.
    pub(crate) fn send(&self, message: Message) {
        self.mailbox.push(message);
        self.unpark();
    }

    /// The next message, for the owner.
    pub(crate) fn receive(&self) -> Option<Message> {
        self.mailbox.pop()
    }

    /// Shows the messages to `take`, for a worker that no thread runs; those it gives back stay.
    pub(crate) fn sort_mail(&self, mut take: impl FnMut(Message) -> Option<Message>) {
        for _ in 0..self.mailbox.len() {
            let Some(message) = self.mailbox.pop() else {
                return;
            };
            if let Some(stays) = take(message) {
                self.mailbox.push(stays);
            }
        }
    }

    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        !self.mailbox.is_empty()
    }

    /// Wakes the worker if it is parked or about to park. What the caller published before is seen by
    /// the worker before it sleeps (see `scheduler/README.md`). Returns whether a wake was sent.
    pub(crate) fn unpark(&self) -> bool {
        if !self.idle.claim(self.index) {
            return false;
        }
        self.ring_the_bell();
        true
    }

    /// Ends the worker's sleep unconditionally; harmless when it is awake.
    pub(crate) fn ring_the_bell(&self) {
        let one = 1_u64.to_ne_bytes();
        loop {
            // SAFETY: eight readable bytes, as eventfd wants them.
            let written = unsafe { libc::write(self.event_fd(), one.as_ptr().cast(), one.len()) };
            // EAGAIN means that the counter is full, so the poll has fired already.
            if written >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                return;
            }
        }
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::driver::completion::Completion;
    use crate::driver::queue::CompletionQueue;
    use crate::primitives::model::check_bounded;
    use loom::sync::Arc;
    use loom::thread;

    /// Stands for a ring: how much was drained, known to the holder of the CQ lock alone.
    #[derive(Default)]
    struct Drained(UnsafeCell<u32>);

    // SAFETY: the CQ lock says who may touch the cell.
    unsafe impl Send for Drained {}
    // SAFETY: as above.
    unsafe impl Sync for Drained {}

    /// Drains if the lock is free. Returns how much was drained.
    fn drain(cell: &RingCell<Drained>) -> u32 {
        let Some(guard) = cell.try_lock() else {
            return 0;
        };
        let Some(ring) = guard.ring() else { return 0 };
        // SAFETY: the guard is the CQ lock.
        ring.0.with_mut(|drained| unsafe { *drained += 1 });
        1
    }

    /// Owner: takes its ring away. Returns how much was drained.
    fn take_away(cell: &RingCell<Drained>) -> u32 {
        // SAFETY: the caller is the owner, and holds no reference.
        let ring = unsafe { cell.replace(None) }.expect("a ring was put in");
        // SAFETY: the ring is out of the others' reach.
        ring.0.with_mut(|drained| unsafe { *drained })
    }

    /// Two siblings and the owner drain: one at a time, and each sees what the one before did.
    ///
    /// Control, tried: a `try_lock` that looks and then writes, instead of exchanging.
    #[test]
    fn loom_the_cq_lock_excludes_and_hands_over() {
        loom::model(|| {
            let cell = Arc::new(RingCell::<Drained>::default());
            // SAFETY: this thread is the owner.
            unsafe { cell.replace(Some(Drained::default())) };
            let siblings = [(); 2].map(|()| {
                let cell = cell.clone();
                thread::spawn(move || drain(&cell))
            });
            let own = drain(&cell);
            let others: u32 = siblings.map(|s| s.join().expect("sibling")).iter().sum();
            assert_eq!(take_away(&cell), own + others);
        });
    }

    /// A sibling drains while the owner takes its ring away: it drained before, or finds no ring.
    ///
    /// Control, tried: a `replace` without the lock.
    #[test]
    fn loom_nobody_drains_a_ring_that_is_gone() {
        check_bounded(2, || {
            let cell = Arc::new(RingCell::<Drained>::default());
            // SAFETY: this thread is the owner.
            unsafe { cell.replace(Some(Drained::default())) };
            let sibling = {
                let cell = cell.clone();
                thread::spawn(move || drain(&cell))
            };
            let drained = take_away(&cell);
            assert_eq!(drained, sibling.join().expect("sibling"));
        });
    }

    /// Two reapers that take turns are one producer to a multishot operation's queue.
    ///
    /// Control, tried: an unlocking that does not release.
    #[test]
    fn loom_reapers_take_turns_as_the_producer() {
        loom::model(|| {
            let cell = Arc::new(RingCell::<Drained>::default());
            let queue = Arc::new(CompletionQueue::new());
            let reapers = [1, 2].map(|item| {
                let (cell, queue) = (cell.clone(), queue.clone());
                thread::spawn(move || {
                    let guard = cell.try_lock();
                    if guard.is_some() {
                        queue.push(Completion::new(item, 0));
                    }
                    guard.is_some()
                })
            });
            let mut popped = usize::from(queue.pop().is_some());
            let pushed = reapers.map(|r| usize::from(r.join().expect("reaper")));
            while queue.pop().is_some() {
                popped += 1;
            }
            assert_eq!(popped, pushed.iter().sum());
        });
    }
}
