//! The queue of those who wait for permits: an intrusive list, so that waiting allocates nothing.
//!
//! All of the crate's unsafe code is here, behind functions that are safe to call. A [`Waiter`] is
//! a field of the future that waits. While it is queued, the list points into it:
//!
//! | state of the waiter | linked | who may touch the links, the counts and the waker |
//! |---|---|---|
//! | `Idle` | no | the owner |
//! | `Waiting` | yes | whoever holds the queue's lock |
//! | `Granted`, `Closed` | no | the owner, since it has seen the state |
//!
//! `Idle` turns into `Waiting` and back, and `Waiting` into the final states, under the lock only.
//! Storing a final state is the last time that anyone but the owner touches the waiter: the owner
//! may see it without the lock, and be gone at once.

#![expect(
    unsafe_code,
    reason = "the list links waiters that live inside pinned futures"
)]

use crate::primitives::{AtomicU8, Mutex, MutexGuard, UnsafeCell};
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::Waker;

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Not in the queue.
    Idle,
    /// In the queue.
    Waiting,
    /// All its permits are its own; no longer in the queue.
    Granted,
    /// The semaphore was closed; it holds no permit and is no longer in the queue.
    Closed,
}

/// The waiters of one semaphore, first come first served.
pub(super) struct Waiters {
    list: Mutex<List>,
}

struct List {
    head: Option<NonNull<Node>>,
    tail: Option<NonNull<Node>>,
}

// SAFETY: the list owns none of the nodes. What it points to is `Sync`, see `Node`.
unsafe impl Send for List {}

/// The queue with its lock held.
pub(super) struct Locked<'q> {
    waiters: &'q Waiters,
    list: MutexGuard<'q, List>,
}

/// One who waits, as a pinned part of its future. Dropping it takes it out of the queue.
pub(super) struct Waiter<'q> {
    waiters: &'q Waiters,
    node: Node,
}

struct Node {
    state: AtomicU8,
    guarded: UnsafeCell<Guarded>,
    _pinned: PhantomPinned,
}

// SAFETY: the table in the module's description gives every access to `guarded` one owner, and the
// lock or the acquire load of a final state orders the accesses of successive owners. Its content,
// a waker, pointers and numbers, may move between threads.
unsafe impl Send for Node {}
// SAFETY: as above; `state` is atomic.
unsafe impl Sync for Node {}

struct Guarded {
    prev: Option<NonNull<Node>>,
    next: Option<NonNull<Node>>,
    wanted: usize,
    missing: usize,
    waker: Option<Waker>,
}

impl Waiters {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self {
            list: Mutex::new(List {
                head: None,
                tail: None,
            }),
        }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self {
            list: Mutex::new(List {
                head: None,
                tail: None,
            }),
        }
    }

    /// Takes the lock. No code of the user's runs under it, so poison means nothing.
    pub(super) fn lock(&self) -> Locked<'_> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        Locked {
            waiters: self,
            list,
        }
    }
}

impl<'q> Waiter<'q> {
    /// A waiter that is in no queue yet.
    pub(super) fn new(waiters: &'q Waiters) -> Self {
        let guarded = Guarded {
            prev: None,
            next: None,
            wanted: 0,
            missing: 0,
            waker: None,
        };
        let node = Node {
            state: AtomicU8::new(State::Idle as u8),
            guarded: UnsafeCell::new(guarded),
            _pinned: PhantomPinned,
        };
        Self { waiters, node }
    }

    /// Where it stands. A final state is final; the others are so only under the lock.
    pub(super) fn state(&self) -> State {
        self.node.state()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.state() == State::Waiting {
            self.waiters.lock().remove(self);
        }
    }
}

impl Locked<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.list.head.is_none()
    }

    /// Puts a waiter at the end, which wants so many permits and has yet to get `missing` of them.
    pub(super) fn enqueue(
        &mut self,
        waiter: Pin<&Waiter<'_>>,
        wanted: usize,
        missing: usize,
        waker: Waker,
    ) {
        self.check(&waiter);
        assert!(waiter.state() == State::Idle, "a waiter queues once");
        let node = NonNull::from_ref(&waiter.get_ref().node);
        let prev = self.list.tail.replace(node);
        let guarded = Guarded {
            prev,
            next: None,
            wanted,
            missing,
            waker: Some(waker),
        };
        // SAFETY: the waiter is idle and its owner is our caller, so the node is ours alone. It
        // stays where it is until it is dropped, since it is pinned, and the drop unlinks it.
        unsafe { Node::with(node, |own| *own = guarded) };
        match prev {
            // SAFETY: `prev` was the tail, so it is linked here, and we hold the lock.
            Some(prev) => unsafe { Node::with(prev, |prev| prev.next = Some(node)) },
            None => self.list.head = Some(node),
        }
        waiter.node.state.store(State::Waiting as u8, Relaxed);
    }

    /// Gives permits to the first waiter. If that was all it missed, the waiter leaves the queue
    /// and its waker is returned; else it keeps what it got, and `permits` is zero.
    pub(super) fn grant(&mut self, permits: &mut usize) -> Option<Waker> {
        let head = self.list.head?;
        let take = |own: &mut Guarded| {
            let granted = own.missing.min(*permits);
            own.missing -= granted;
            *permits -= granted;
            own.missing == 0
        };
        // SAFETY: the head is linked here, and we hold the lock.
        let complete = unsafe { Node::with(head, take) };
        if !complete {
            return None;
        }
        self.finish(head, State::Granted).0
    }

    /// Takes out the first waiter because the semaphore was closed. Returns its waker and the
    /// permits that it had got so far; `None` if the queue is empty.
    pub(super) fn refuse(&mut self) -> Option<(Option<Waker>, usize)> {
        let head = self.list.head?;
        Some(self.finish(head, State::Closed))
    }

    /// Gives a waiter that is still queued another waker, and returns the one to be dropped, which
    /// had better not happen under the lock.
    pub(super) fn replace_waker(&mut self, waiter: &Waiter<'_>, waker: Waker) -> Option<Waker> {
        self.check(waiter);
        if waiter.state() != State::Waiting {
            return Some(waker);
        }
        let node = NonNull::from_ref(&waiter.node);
        // SAFETY: the waiter is queued here, and we hold the lock.
        unsafe { Node::with(node, |own| own.waker.replace(waker)) }
    }

    /// Takes a waiter out that no longer wants to wait. Returns the permits it had got so far and
    /// its waker, or `None` if it is not, or no longer, queued.
    pub(super) fn remove(&mut self, waiter: &Waiter<'_>) -> Option<(Option<Waker>, usize)> {
        self.check(waiter);
        if waiter.state() != State::Waiting {
            return None;
        }
        Some(self.finish(NonNull::from_ref(&waiter.node), State::Idle))
    }

    /// Unlinks a node of this queue and gives it its next state: the last touch, if that is final.
    fn finish(&mut self, node: NonNull<Node>, state: State) -> (Option<Waker>, usize) {
        let leave = |own: &mut Guarded| {
            let held = own.wanted - own.missing;
            (own.prev.take(), own.next.take(), own.waker.take(), held)
        };
        // SAFETY: our callers found the node linked here, and we hold the lock.
        let (prev, next, waker, held) = unsafe { Node::with(node, leave) };
        match prev {
            // SAFETY: the neighbour of a linked node is linked, and we hold the lock.
            Some(prev) => unsafe { Node::with(prev, |prev| prev.next = next) },
            None => self.list.head = next,
        }
        match next {
            // SAFETY: the neighbour of a linked node is linked, and we hold the lock.
            Some(next) => unsafe { Node::with(next, |next| next.prev = prev) },
            None => self.list.tail = prev,
        }
        // SAFETY: its owner cannot drop a waiting node without our lock, so it is alive.
        unsafe { node.as_ref() }.state.store(state as u8, Release);
        (waker, held)
    }

    /// All the safety here rests on holding the lock of the right queue.
    fn check(&self, waiter: &Waiter<'_>) {
        assert!(
            ptr::eq(self.waiters, waiter.waiters),
            "a waiter belongs to one queue"
        );
    }
}

impl Node {
    fn state(&self) -> State {
        match self.state.load(Acquire) {
            0 => State::Idle,
            1 => State::Waiting,
            2 => State::Granted,
            _ => State::Closed,
        }
    }

    /// Accesses what the lock guards.
    ///
    /// # Safety
    ///
    /// The node is alive, and it is the caller's turn by the table in the module's description.
    /// `access` must not reach the same node by another way.
    unsafe fn with<R>(node: NonNull<Self>, access: impl FnOnce(&mut Guarded) -> R) -> R {
        // SAFETY: it is alive, by the contract.
        let node = unsafe { node.as_ref() };
        node.guarded.with_mut(|guarded| {
            // SAFETY: nobody else may touch it now, by the contract.
            access(unsafe { &mut *guarded })
        })
    }
}

/// Wakers to be called once the lock is free, without allocating.
pub(super) struct WakeBatch {
    wakers: [Option<Waker>; Self::CAPACITY],
    len: usize,
}

impl WakeBatch {
    /// Enough that the lock is rarely taken twice, and little enough to clear on the stack.
    const CAPACITY: usize = 16;

    pub(super) fn new() -> Self {
        Self {
            wakers: [const { None }; Self::CAPACITY],
            len: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == Self::CAPACITY
    }

    /// Adds a waker; there must be room.
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        self.wakers[self.len] = waker;
        self.len += 1;
    }

    /// Calls all wakers and is empty again.
    pub(super) fn wake(&mut self) {
        let len = mem::take(&mut self.len);
        for waker in self.wakers.iter_mut().take(len).filter_map(Option::take) {
            waker.wake();
        }
    }
}
